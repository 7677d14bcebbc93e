//! Include and exclude patterns, unanchored as the reference has them.

use regex::Regex;

use super::{ConfigError, FlagValues};

/// Which names a collector keeps.
#[derive(Debug, Default)]
pub struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

/// The flags that make a filter.
#[derive(Clone, Copy, Debug)]
pub struct FilterFlags {
    /// Names to keep.
    pub include: &'static str,
    /// Names to leave out.
    pub exclude: &'static str,
    /// An old name of `include` that is still taken.
    pub old_include: Option<&'static str>,
    /// An old name of `exclude` that is still taken.
    pub old_exclude: Option<&'static str>,
}

impl Filter {
    /// From two flags, each a pattern or empty. Both set by the user is an error; an include alone clears the
    /// exclude flag's default.
    ///
    /// # Errors
    /// A pattern that is none, both flags at once, or a flag together with its old name.
    pub fn from_flags(flags: &FlagValues, names: &FilterFlags) -> Result<Self, ConfigError> {
        let include = current(flags, names.include, names.old_include)?;
        let exclude = current(flags, names.exclude, names.old_exclude)?;
        let (wanted, unwanted) = (flags.text(include), flags.text(exclude));
        if !wanted.is_empty() && !unwanted.is_empty() {
            if flags.is_given(exclude) {
                return Err(ConfigError(format!("--{include} and --{exclude} cannot both be set")));
            }
            return Ok(Self { include: pattern(include, wanted)?, exclude: None });
        }
        Ok(Self { include: pattern(include, wanted)?, exclude: pattern(exclude, unwanted)? })
    }

    /// From two flags that may be given together: a name is kept if the one includes it and the other does not exclude it.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn from_both(flags: &FlagValues, include: &str, exclude: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            include: pattern(include, flags.text(include))?,
            exclude: pattern(exclude, flags.text(exclude))?,
        })
    }

    /// Whether the name is kept.
    pub fn keeps(&self, name: &str) -> bool {
        !self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(name))
            && self.include.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}

/// The name that counts of a flag with an old name.
///
/// # Errors
/// Both names are given.
pub(crate) fn current<'a>(
    flags: &FlagValues,
    name: &'a str,
    old: Option<&'a str>,
) -> Result<&'a str, ConfigError> {
    match old.filter(|old| !flags.text(old).is_empty()) {
        Some(old) if flags.is_given(name) => {
            Err(ConfigError(format!("--{old} is the old name of --{name}: give one of them")))
        }
        Some(old) => {
            tracing::warn!("--{old} is the old name of --{name}");
            Ok(old)
        }
        None => Ok(name),
    }
}

/// A pattern as the user gave it; `None` for an empty one.
///
/// # Errors
/// Where it is no regular expression.
pub(crate) fn pattern(flag: &str, text: &str) -> Result<Option<Regex>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    // The crate's own message spans lines and points into the pattern; its last line says what is wrong.
    Regex::new(text).map(Some).map_err(|error| {
        let message = error.to_string();
        let why = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
        ConfigError::flag(flag, text, format!("no regular expression: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Asked, parse};

    fn filter(line: &str) -> Result<Filter, String> {
        let Ok(Asked::Run(flags)) = parse(line.split_whitespace().map(str::to_owned)) else {
            return Err("is no command line".to_owned());
        };
        Filter::from_flags(
            &flags,
            &FilterFlags {
                include: "collector.diskstats.device-include",
                exclude: "collector.diskstats.device-exclude",
                old_include: None,
                old_exclude: Some("collector.diskstats.ignored-devices"),
            },
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn an_include_clears_the_exclude_s_default() {
        let keeps = |line: &str, name: &str| filter(line).expect(line).keeps(name);
        assert!(!keeps("", "loop0") && keeps("", "sda"));
        assert!(keeps("--collector.diskstats.device-include=loop", "loop0"));
        assert!(!keeps("--collector.diskstats.device-include=loop", "sda"));
        assert!(keeps("--collector.diskstats.device-exclude=sd", "loop0"));
        assert!(!keeps("--collector.diskstats.ignored-devices=sd", "sda"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_flag_s_name() {
        for line in [
            "--collector.diskstats.device-exclude=( ",
            "--collector.diskstats.device-include=a --collector.diskstats.device-exclude=b",
            "--collector.diskstats.ignored-devices=a --collector.diskstats.device-exclude=b",
            "--collector.diskstats.ignored-devices=a --collector.diskstats.device-include=b",
        ] {
            let error = filter(line).expect_err(line);
            assert!(error.contains("--collector.diskstats.") && !error.contains('\n'), "{error}");
        }
    }
}
