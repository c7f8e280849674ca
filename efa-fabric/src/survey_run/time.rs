//! Times of reports as text.

/// The last second of the year 9999, which RFC 3339 can still write.
pub(crate) const LAST_UNIX_S: u64 = 253_402_300_799;

/// Such as `2026-11-30T02:00:00Z` (RFC 3339), of seconds since 1970-01-01T00:00:00Z.
pub(crate) fn utc(unix_s: u64) -> String {
    let (mut days, second) = (unix_s / 86_400, unix_s % 86_400);
    let mut year = 1970;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = if days_of(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        days + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Of a year of the Gregorian calendar.
fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix_s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_796_004_000, "2026-11-30T02:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST_UNIX_S, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(unix_s), text);
        }
    }
}
