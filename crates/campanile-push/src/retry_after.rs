//! The `Retry-After` header (RFC 9110 section 10.2.3): seconds, or a date.

use std::time::Duration;

use campanile_core::Timestamp;

use crate::http2::Kept;

/// The header's name.
pub(crate) const RETRY_AFTER: &str = "retry-after";

/// How long a server asks to be left alone. A header that says nothing usable is none: nonsense
/// from a server must not decide how long a push waits.
pub(crate) fn retry_after(headers: &Kept, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.trim();
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true if text.is_empty() => None,
        // More digits than a number holds mean "very long".
        true => Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX))),
        false => imf_fixdate(text).map(|date| date.since(now)),
    }
}

/// Reads an IMF-fixdate (RFC 9110 section 5.6.7), e.g. `Sun, 06 Nov 1994 08:49:37 GMT`. The two
/// obsolete forms are not read: no provider sends them.
fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    let mut time = time.split(':');
    let (hour, minute, second) = (time.next()?, time.next()?, time.next()?);
    let in_day = number(hour, 2, 23)? * 3600 + number(minute, 2, 59)? * 60 + number(second, 2, 60)?;
    let days = days(number(year, 4, 9999)?, month_number(month)?, number(day, 2, 31)?)?;
    Some(Timestamp::from_millis((days * 86_400 + in_day) * 1000))
}

fn number(text: &str, digits: usize, most: u64) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|number| *number <= most)
}

fn month_number(name: &str) -> Option<u64> {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (1..).zip(NAMES).find_map(|(number, known)| (known == name).then_some(number))
}

/// Days from 1970-01-01 to a Gregorian date, if it is not before. The year is taken to begin in
/// March, so that the leap day is its last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    (year * 365 + leap_days + (153 * month + 2) / 5 + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use proptest::prelude::*;

    use super::*;

    /// 2026-11-21T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_millis(1_795_219_200_000);

    fn read(text: &str) -> Option<Duration> {
        let mut headers = Kept::default();
        headers.insert(RETRY_AFTER, text);
        retry_after(&headers, NOW)
    }

    #[test]
    fn absent_is_none() {
        assert_eq!(retry_after(&Kept::default(), NOW), None);
    }

    #[test]
    fn seconds() {
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_huge_number_is_very_long() {
        assert_eq!(read("99999999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn nonsense_is_none() {
        for text in ["", "-5", "1.5", "soon", "+3", "0x10", "1e9"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_date_is_counted_from_now() {
        assert_eq!(read("Sat, 21 Nov 2026 00:02:00 GMT"), Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_past_date_asks_for_nothing() {
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn known_dates_are_read_exactly() {
        let secs = |text| imf_fixdate(text).map(Timestamp::as_secs);
        assert_eq!(secs("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(secs("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(secs("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        assert_eq!(secs("Thu, 31 Dec 2026 23:59:59 GMT"), Some(1_798_761_599));
    }

    #[test]
    fn broken_dates_are_none() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(imf_fixdate(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ -~]{0,40}") {
            let _ = read(&text);
        }

        #[test]
        fn every_instant_survives_printing(secs in 0..253_402_300_800_u64) {
            // The core prints RFC 3339; the same parts in another order are an IMF-fixdate.
            let text = Timestamp::from_millis(secs * 1000).to_string();
            let (year, month, day) = (&text[0..4], text[5..7].parse::<usize>().unwrap(), &text[8..10]);
            let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let date = format!("Xxx, {day} {} {year} {} GMT", names[month - 1], &text[11..19]);
            prop_assert_eq!(imf_fixdate(&date).map(Timestamp::as_secs), Some(secs));
        }
    }
}
