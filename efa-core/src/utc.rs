//! Times as AWS writes them, `2026-11-30T12:00:00Z`, and as seconds since 1970. Written here, since
//! the crate `time` would need a feature that compiles aws-sdk-ec2 a second time.

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Seconds since 1970 as text, in UTC.
pub(crate) fn text(unix_s: u64) -> String {
    let (mut year, mut days, in_day) = (1970, unix_s / DAY_S, unix_s % DAY_S);
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970 of such a text; fractions of a second are dropped.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let time = time.split('.').next()?;
    let numbers = |part: &str, by: char| -> Option<Vec<u64>> {
        part.split(by).map(|number| number.parse().ok()).collect()
    };
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let [hour, minute, second] = numbers(time, ':')?.try_into().ok()?;
    let is_date = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days: u64 = (1970..year).map(days_of_year).sum::<u64>()
        + (1..month).map(|m| days_of_month(year, m)).sum::<u64>()
        + day
        - 1;
    Some(days * DAY_S + hour * 3600 + minute * 60 + second)
}

fn days_of_year(year: u64) -> u64 {
    337 + days_of_month(year, 2)
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // Each by `date -u -d @… +%FT%TZ`.
        for (unix_s, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_796_040_000, "2026-11-30T12:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(text(unix_s), expected);
            assert_eq!(parse(expected), Some(unix_s));
        }
        assert_eq!(parse("2026-11-30T12:00:00.123Z"), Some(1_796_040_000));
        for bad in [
            "",
            "2026-11-30",
            "2026-02-30T00:00:00Z",
            "2026-11-30T24:00:00Z",
            "now",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
