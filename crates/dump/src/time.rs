use core::fmt;

/// A Windows `FILETIME`: 100 ns units since 1601-01-01, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime(pub u64);

/// Seconds from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH: u64 = 11_644_473_600;
const SECONDS_PER_DAY: u64 = 86_400;

impl FileTime {
    /// From seconds since 1970-01-01, as minidumps hold times.
    #[must_use]
    pub const fn from_unix(seconds: u32) -> Self {
        Self((UNIX_EPOCH + seconds as u64) * 10_000_000)
    }

    /// Whether the time lies between 1995 and 2150: anything else in a dump is not a time.
    #[must_use]
    pub const fn is_plausible(self) -> bool {
        let seconds = self.0 / 10_000_000;
        seconds > UNIX_EPOCH + 788_918_400 && seconds < UNIX_EPOCH + 5_680_281_600
    }
}

/// Prints ISO 8601 in UTC to the second: `2021-02-21T01:38:22Z`.
impl fmt::Display for FileTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 10_000_000;
        let (days, rest) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        // Gregorian calendar by eras of 400 years that start in March, so that the leap day comes last.
        // 1601-01-01 is day 584 694 of the count that starts at 0000-03-01.
        let days = days.saturating_add(584_694);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn times_print_as_the_calendar_has_them() {
        // Checked with `date -u -d @N +%FT%TZ`.
        assert_eq!(FileTime(0).to_string(), "1601-01-01T00:00:00Z");
        assert_eq!(FileTime::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(FileTime::from_unix(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(FileTime::from_unix(1_613_871_502).to_string(), "2021-02-21T01:38:22Z");
        assert_eq!(FileTime::from_unix(u32::MAX).to_string(), "2106-02-07T06:28:15Z");
    }

    #[test]
    fn filler_is_not_a_time() {
        assert!(!FileTime(0x4547_4150_4547_4150).is_plausible());
        assert!(!FileTime(0).is_plausible());
        assert!(FileTime::from_unix(1_613_871_502).is_plausible());
    }
}
