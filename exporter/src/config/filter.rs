//! Include and exclude patterns, unanchored as the reference has them.

use regex::Regex;

use super::{ConfigError, FlagValues};

/// Which names a collector keeps.
#[derive(Debug, Default)]
pub struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    /// From two flags, each a pattern or empty. Both set by the user is an error; an include alone clears the
    /// exclude flag's default.
    ///
    /// # Errors
    /// A pattern that is none, or both flags at once.
    pub fn from_flags(flags: &FlagValues, include: &str, exclude: &str) -> Result<Self, ConfigError> {
        let (wanted, unwanted) = (flags.text(include), flags.text(exclude));
        if !wanted.is_empty() && !unwanted.is_empty() {
            if flags.is_given(exclude) {
                return Err(ConfigError(format!("--{include} and --{exclude} cannot both be set")));
            }
            return Ok(Self { include: pattern(include, wanted)?, exclude: None });
        }
        Ok(Self { include: pattern(include, wanted)?, exclude: pattern(exclude, unwanted)? })
    }

    /// Whether the name is kept.
    pub fn keeps(&self, name: &str) -> bool {
        !self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(name))
            && self.include.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}

fn pattern(flag: &str, text: &str) -> Result<Option<Regex>, ConfigError> {
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
