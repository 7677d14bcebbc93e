//! The grammar of Go's command lines, which cAdvisor has: `-x`, `--x`, `-x=value`, `-x value`.

use super::{
    ConfigError,
    cadvisor::{self, CadvisorFlag, Kind},
};

/// One of cAdvisor's flags as typed, with its value; a switch's is `true` or `false`.
#[derive(Debug)]
pub(super) struct Typed {
    /// Its entry in the table.
    pub flag: &'static CadvisorFlag,
    /// The value.
    pub value: String,
}

/// Takes cAdvisor's flags out of a command line; the rest stays in its order. `takes_value` tells of the other flags
/// whether the next argument is theirs, whatever it looks like.
///
/// # Errors
/// A value that is missing or not of the flag's kind, or a flag with one dash that is not cAdvisor's.
pub(super) fn take(
    arguments: Vec<String>,
    takes_value: impl Fn(&str) -> bool,
) -> Result<(Vec<Typed>, Vec<String>), ConfigError> {
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument);
            rest.extend(arguments);
            break;
        }
        let Some(text) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
            rest.push(argument);
            continue;
        };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if let Some(flag) = cadvisor::flag(name) {
            let value = match value {
                Some(value) => value.to_owned(),
                None if flag.kind == Kind::Switch => "true".to_owned(),
                None => {
                    arguments.next().ok_or_else(|| ConfigError(format!("--{name}: a value is missing")))?
                }
            };
            taken.push(Typed { flag, value: checked(flag, value)? });
        } else if argument == "-help" {
            rest.push("--help".to_owned());
        } else if argument.starts_with("--") {
            let is_theirs = value.is_none() && takes_value(name);
            rest.push(argument);
            rest.extend(if is_theirs { arguments.next() } else { None });
        } else if matches!(argument.as_str(), "-" | "-h") {
            rest.push(argument);
        } else {
            return Err(ConfigError(format!("unexpected argument '-{name}' found")));
        }
    }
    Ok((taken, rest))
}

/// The value, if it is of the flag's kind.
fn checked(flag: &CadvisorFlag, value: String) -> Result<String, ConfigError> {
    let refused = |expected: &str| Err(ConfigError::flag(flag.name, &value, format!("expected {expected}")));
    match flag.kind {
        Kind::Text => Ok(value),
        Kind::Switch => match value.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok("false".to_owned()),
            _ => refused("true or false"),
        },
        Kind::Whole => match whole(&value) {
            Some(number) => Ok(number.to_string()),
            None => refused("a whole number"),
        },
        Kind::Number if value.parse::<f64>().is_ok() => Ok(value),
        Kind::Number => refused("a number"),
        Kind::Time if is_time(&value) => Ok(value),
        Kind::Time => refused("a time such as 500ms, 30s or 1m30s"),
        Kind::Severity if is_severity(&value) => Ok(value),
        Kind::Severity => refused("INFO, WARNING, ERROR, FATAL or a number"),
        Kind::Levels if value.split(',').all(is_level) => Ok(value),
        Kind::Levels => refused("FILE=NUMBER, more after commas"),
        Kind::Place if value.is_empty() || is_place(&value) => Ok(value),
        Kind::Place => refused("FILE:LINE"),
    }
}

/// Go's whole numbers: `8080`, `0x1f90`, `0b1`, `0o17`, `017`, `1_000`.
fn whole(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("-", rest)) => ("-", rest),
        Some(("+", rest)) => ("", rest),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.get(..2), lower.get(2..)) {
        (Some("0x"), Some(rest)) => (16, rest),
        (Some("0b"), Some(rest)) => (2, rest),
        (Some("0o"), Some(rest)) => (8, rest),
        (Some(octal), _) if octal.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) || digits.ends_with('_') {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

/// Go's times: numbers with units in a row, `1h2m3.5s`, or `0`.
fn is_time(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = rest.strip_suffix(unit).unwrap_or_default();
        let has_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() < 2;
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let after = unit.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
        if !has_number || !units.contains(&unit.strip_suffix(after).unwrap_or(unit)) {
            return false;
        }
        rest = after;
        parts += 1;
    }
    parts > 0
}

fn is_severity(text: &str) -> bool {
    let names = ["INFO", "WARNING", "ERROR", "FATAL"];
    text.parse::<i32>().is_ok() || names.iter().any(|name| text.eq_ignore_ascii_case(name))
}

fn is_level(pair: &str) -> bool {
    pair.is_empty()
        || pair.split_once('=').is_some_and(|(file, level)| !file.is_empty() && level.parse::<i32>().is_ok())
}

fn is_place(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(file, line)| !file.is_empty() && line.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let arguments = text.split_whitespace().map(str::to_owned).collect();
        let (taken, rest) =
            take(arguments, |name| name == "web.telemetry-path").map_err(|error| error.to_string())?;
        Ok((taken.iter().map(|typed| format!("{}={}", typed.flag.name, typed.value)).collect(), rest))
    }

    #[test]
    fn every_form_is_taken() {
        for (typed, taken) in [
            ("-docker_only", &["docker_only=true"][..]),
            ("--docker_only", &["docker_only=true"]),
            ("--docker_only=F", &["docker_only=false"]),
            ("-docker_only=1 -port 8081", &["docker_only=true", "port=8081"]),
            ("--port=0x10 -port=010 --port +7 -port -1", &["port=16", "port=8", "port=7", "port=-1"]),
            ("-v=4 -v 5 --v 6", &["v=4", "v=5", "v=6"]),
            ("-housekeeping_interval 1h2m3.5s", &["housekeeping_interval=1h2m3.5s"]),
            ("-containerd-namespace= -listen_ip -port", &["containerd-namespace=", "listen_ip=-port"]),
            ("-stderrthreshold=warning -vmodule a=1,b*=2", &["stderrthreshold=warning", "vmodule=a=1,b*=2"]),
        ] {
            let taken: Vec<_> = taken.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(line(typed), Ok((taken, Vec::new())), "{typed}");
        }
    }

    #[test]
    fn what_is_not_cadvisor_s_stays() {
        for typed in [
            "--web.listen-address=:1 --collector.cpu",
            "--web.telemetry-path --port",
            "-h",
            "- positional",
            "-- -port 1",
            "---port",
            "--docker_only_too",
        ] {
            let rest = typed.split_whitespace().map(str::to_owned).collect();
            assert_eq!(line(typed), Ok((Vec::new(), rest)), "{typed}");
        }
        assert_eq!(line("-help"), Ok((Vec::new(), vec!["--help".to_owned()])));
    }

    #[test]
    fn what_is_wrong_is_said_by_the_flag_s_name() {
        for (typed, word) in [
            ("-port", "--port"),
            ("-port=web", "--port"),
            ("-port=", "--port"),
            ("-port=08", "--port"),
            ("-port=1_", "--port"),
            ("-docker_only=yes", "--docker_only"),
            ("--docker_only=", "--docker_only"),
            ("-housekeeping_interval=10", "--housekeeping_interval"),
            ("-housekeeping_interval=s", "--housekeeping_interval"),
            ("-housekeeping_interval=1.2.3s", "--housekeeping_interval"),
            ("-housekeeping_interval=1d", "--housekeeping_interval"),
            ("-stderrthreshold=LOUD", "--stderrthreshold"),
            ("-vmodule=a", "--vmodule"),
            ("-log_backtrace_at=a", "--log_backtrace_at"),
            ("-web.listen-address=:1", "-web.listen-address"),
            ("-housekeeping=1s", "-housekeeping"),
        ] {
            let error = line(typed).expect_err(typed);
            assert!(error.contains(word) && !error.contains('\n'), "{typed}: {error}");
        }
    }
}
