//! Block times as people read them, in UTC.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `2026-03-09 14:03:22` for seconds since 1970.
pub fn date_and_time(seconds: u32) -> String {
    let (year, month, day) = date(u64::from(seconds) / DAY);
    format!("{year:04}-{month:02}-{day:02} {}", clock(seconds))
}

/// `14:03:22` for seconds since 1970.
pub fn clock(seconds: u32) -> String {
    let seconds = u64::from(seconds);
    format!("{:02}:{:02}:{:02}", seconds / HOUR % 24, seconds / MINUTE % 60, seconds % 60)
}

/// Year, month and day of the Gregorian calendar, from days since 1970 (Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_read_as_they_should() {
        assert_eq!(date_and_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_and_time(1_231_006_505), "2009-01-03 18:15:05");
        assert_eq!(date_and_time(1_709_164_799), "2024-02-28 23:59:59");
        assert_eq!(date_and_time(1_709_164_800), "2024-02-29 00:00:00");
        assert_eq!(date_and_time(u32::MAX), "2106-02-07 06:28:15");
    }
}
