//! The flags: which server, how, and what is tolerated.

use std::net::{IpAddr, SocketAddr};

use crate::config::{ConfigError, FlagValues, ListenAddress};

/// The server's address. Unless told that any server is ours, it is one of this machine's own.
///
/// # Errors
/// Another machine's address without `is_ours`, and what is neither an address nor a name in `hosts`, the text of
/// /etc/hosts.
pub fn server(
    flag: &str,
    typed: &str,
    port: u16,
    is_ours: bool,
    hosts: &str,
) -> Result<SocketAddr, ConfigError> {
    let ip: Option<IpAddr> = typed.parse().ok();
    if let Some(ip) = ip.map(|ip| ip.to_canonical()).filter(|ip| is_ours || ip.is_loopback()) {
        return Ok(SocketAddr::new(ip, port));
    }
    if !is_ours {
        let why = "only a loopback address is taken, unless --collector.ntp.server-is-local vouches for it";
        return Err(ConfigError::flag(flag, typed, why));
    }
    // A port of its own may follow the server's name.
    let with_port = match (typed.rsplit_once(':'), typed.ends_with(']')) {
        (Some(_), false) => typed.to_owned(),
        _ => format!("{typed}:{port}"),
    };
    let address =
        ListenAddress::parse(&with_port, hosts).map_err(|why| ConfigError::flag(flag, typed, why))?;
    if address.any {
        return Err(ConfigError::flag(flag, typed, "expected an address"));
    }
    Ok(address.socket)
}

/// A whole number within bounds.
///
/// # Errors
/// Anything else.
pub fn number(
    flags: &FlagValues,
    flag: &str,
    within: std::ops::RangeInclusive<u16>,
) -> Result<u16, ConfigError> {
    let typed = flags.text(flag);
    typed.parse().ok().filter(|number| within.contains(number)).ok_or_else(|| {
        let why = format!("expected a number from {} to {}", within.start(), within.end());
        ConfigError::flag(flag, typed, why)
    })
}

/// A time as Go writes it, such as `1ms`, `3.46608s` or `1h2m`, in nanoseconds.
///
/// # Errors
/// Anything else.
pub fn span(flags: &FlagValues, flag: &str) -> Result<i64, ConfigError> {
    let typed = flags.text(flag);
    nanoseconds(typed).ok_or_else(|| ConfigError::flag(flag, typed, "expected a time such as 1ms or 3.5s"))
}

fn nanoseconds(typed: &str) -> Option<i64> {
    let (is_negative, bare) = match typed.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, typed.strip_prefix('+').unwrap_or(typed)),
    };
    let mut rest = bare;
    let mut sum = 0.0;
    match bare {
        "" => return None,
        "0" => return Some(0),
        _ => {}
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|digits| *digits > 0)?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(end)?;
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * scale;
        rest = behind;
    }
    // Beyond 100 years the sum would not be exact.
    let sum = if is_negative { -sum } else { sum };
    #[expect(clippy::cast_possible_truncation, reason = "it is far from the ends")]
    (sum.abs() < 3.2e18).then(|| sum.round() as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (typed, expected) in [
            ("1ms", 1_000_000),
            ("3.46608s", 3_466_080_000),
            ("-1ms", -1_000_000),
            ("+2us", 2_000),
            ("1h2m3s4ms5\u{b5}s6ns", 3_723_004_005_006),
            (".5s", 500_000_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(nanoseconds(typed), Some(expected), "{typed}");
        }
        for bad in
            ["", "-", "1", "s", "1x", "1 s", "1s ", ".s", "1..5s", "--1s", "99999999999h", "nan", "\u{b5}s"]
        {
            assert_eq!(nanoseconds(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_our_own_servers_are_asked_unless_vouched_for() {
        let hosts = "127.0.0.1 localhost\n10.1.2.3 clock # the one in the rack\n";
        let read = |typed: &str, ours| server("f", typed, 123, ours, hosts).map(|server| server.to_string());
        for (typed, expected) in [
            ("127.0.0.1", "127.0.0.1:123"),
            ("127.1.2.3", "127.1.2.3:123"),
            ("::1", "[::1]:123"),
            ("::ffff:127.0.0.1", "127.0.0.1:123"),
        ] {
            assert_eq!(read(typed, false).unwrap(), expected);
            assert_eq!(read(typed, true).unwrap(), expected);
        }
        for (typed, expected) in [
            ("10.1.2.3", "10.1.2.3:123"),
            ("fd00::1", "[fd00::1]:123"),
            ("localhost", "127.0.0.1:123"),
            ("clock", "10.1.2.3:123"),
            ("clock:99", "10.1.2.3:99"),
            ("127.0.0.1:99", "127.0.0.1:99"),
            ("[fd00::1]", "[fd00::1]:123"),
            ("[fd00::1]:99", "[fd00::1]:99"),
        ] {
            assert!(read(typed, false).unwrap_err().to_string().contains(typed));
            assert_eq!(read(typed, true).unwrap(), expected);
        }
        for bad in ["", "nowhere", "clock:x", ":99", "[fd00::1", "1.2.3.4.5"] {
            assert!(read(bad, true).is_err(), "{bad:?}");
        }
    }
}
