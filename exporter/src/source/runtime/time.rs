//! Times as runtimes and os-release write them.

/// Seconds since 1970 of an RFC 3339 time such as `2026-11-23T08:15:30.123456789+01:00`. `None` when it is not
/// one, or lies before 1970: runtimes write year 1 for a time that is not known.
pub fn seconds_since_1970(text: &str) -> Option<f64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let (year, month, day) = three_numbers(date, '-')?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let (hour, minute, second) = three_numbers(clock, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || !digits(fraction) {
        return None;
    }
    let whole =
        days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zone_seconds(zone)?;
    Some(whole as f64 + format!("0.{fraction}").parse::<f64>().ok()?)
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that start in March so that the leap day
/// comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, offset) = match zone.strip_prefix('-') {
        Some(offset) => (-1, offset),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn three_numbers(text: &str, between: char) -> Option<(i64, i64, i64)> {
    let mut parts = text.splitn(3, between).map(number);
    Some((parts.next()??, parts.next()??, parts.next()??))
}

fn number(text: &str) -> Option<i64> {
    (digits(text) && text.len() <= 4).then(|| text.parse().ok())?
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::seconds_since_1970;

    #[test]
    fn times_are_read_to_the_nanosecond_that_a_float_holds() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T23:59:59Z", 951_868_799.0),
            ("2026-11-23T08:15:30.123456789Z", 1_795_421_730.123_456_7),
            ("2026-11-23T09:15:30.5+01:00", 1_795_421_730.5),
            ("2026-11-22T23:45:30-08:30", 1_795_421_730.0),
            ("2024-12-31T23:59:60Z", 1_735_689_600.0),
            ("2100-03-01T00:00:00Z", 4_107_542_400.0),
        ] {
            assert_eq!(seconds_since_1970(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn unknown_and_broken_times_are_none() {
        for text in [
            "0001-01-01T00:00:00Z",
            "",
            "T",
            "2026-11-23",
            "2026-11-23T08:15:30",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1e5Z",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00+é",
            "99999999999999999999-01-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(seconds_since_1970(text), None, "{text}");
        }
    }
}
