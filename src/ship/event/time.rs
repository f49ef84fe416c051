//! When a JSON record says that it happened.
//!
//! A clock that is a day off is no clock: such a time is not taken (Loki and others refuse records that are too old or in
//! the future), and the record keeps the time at which it was read.

use crate::ship::json::Scalar;

/// How far the record's own time may be from the time at which it was read: a day, in nanoseconds.
pub const TRUST: u64 = 86_400 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch, if `value` is a time within [`TRUST`] of `read_ns`.
///
/// A string is read as RFC 3339 with any number of fraction digits (also with a blank for the `T`, a comma for the point
/// and an offset without a colon, as log4j and Python write it), but never without an offset. A number, or a string of
/// digits, is seconds, milli-, micro- or nanoseconds since the epoch, whichever its magnitude fits.
#[must_use]
pub fn parse(value: Scalar<'_>, read_ns: u64) -> Option<u64> {
    let text = value.bytes();
    let time = match value {
        Scalar::Text([_, _, _, _, b'-', ..]) => rfc3339(text)?,
        _ => epoch(text)?,
    };
    (time.abs_diff(read_ns) <= TRUST).then_some(time)
}

/// A number of two or four digits.
fn number<const N: usize>(text: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<N>()?;
    let number = digits.iter().try_fold(0, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'))
    })?;
    Some((number, rest))
}

fn separator<'a>(text: &'a [u8], any: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = text.split_first()?;
    any.contains(first).then_some(rest)
}

fn rfc3339(text: &[u8]) -> Option<u64> {
    let (year, rest) = number::<4>(text)?;
    let (month, rest) = number::<2>(separator(rest, b"-")?)?;
    let (day, rest) = number::<2>(separator(rest, b"-")?)?;
    let (hour, rest) = number::<2>(separator(rest, b"Tt ")?)?;
    let (minute, rest) = number::<2>(separator(rest, b":")?)?;
    let (second, rest) = number::<2>(separator(rest, b":")?)?;
    // A leap second, 60, is counted as the next minute's first.
    let sound =
        (1970..=2554).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sound || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, rest) = match rest {
        [b'.' | b',', digits @ ..] => fraction(digits)?,
        _ => (0, rest),
    };
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, rest) = number::<2>(rest)?;
            let (minutes, rest) = match rest {
                [] => (0, rest),
                [b':', rest @ ..] | rest => number::<2>(rest)?,
            };
            if !rest.is_empty() || hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    u64::try_from(seconds)
        .ok()?
        .checked_mul(SECOND)?
        .checked_add(nanos)
}

/// Nanoseconds of a second's fraction, at least one digit, and what follows the digits.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
    let nanos = padded.take(9).fold(0, |n, b| n * 10 + u64::from(b - b'0'));
    (len > 0).then_some((nanos, rest))
}

/// Days since the epoch of a date of the Gregorian calendar (Howard Hinnant's `days_from_civil`). A day that the month
/// does not have is one of the next month.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn epoch(text: &[u8]) -> Option<u64> {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    if digits.is_empty() || len > 19 {
        return None;
    }
    let whole = digits.iter().try_fold(0u64, |n, b| {
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })?;
    match rest {
        [] => scale(whole, 0),
        [b'.', digits @ ..] if let Some((nanos, [])) = fraction(digits) => scale(whole, nanos),
        // With an exponent, which is rare: exact to some hundred nanoseconds.
        _ => {
            let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            let sound = (0.0..1e19).contains(&number);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "in range"
            )]
            sound.then(|| scale(number.trunc() as u64, (number.fract() * 1e9) as u64))?
        }
    }
}

/// `whole` units and `billionths` of one, in nanoseconds. Seconds end in the year 5138, and what is above is taken for the
/// next smaller unit, whose numbers begin in 1973.
fn scale(whole: u64, billionths: u64) -> Option<u64> {
    let unit = match whole {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    whole
        .checked_mul(unit)?
        .checked_add(billionths / (SECOND / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T10:20:30.123456789Z.
    const NOW: u64 = 1_795_429_230_123_456_789;

    fn text(text: &str) -> Option<u64> {
        parse(Scalar::Text(text.as_bytes()), NOW)
    }

    fn number(text: &str) -> Option<u64> {
        parse(Scalar::Number(text.as_bytes()), NOW)
    }

    #[test]
    fn rfc_3339_in_all_its_forms() {
        let second = NOW - 123_456_789;
        for (form, expected) in [
            ("2026-11-23T10:20:30Z", second),
            ("2026-11-23t10:20:30z", second),
            ("2026-11-23 10:20:30Z", second),
            ("2026-11-23T10:20:30.1Z", second + 100_000_000),
            ("2026-11-23T10:20:30,123Z", second + 123_000_000),
            ("2026-11-23T10:20:30.123456789Z", NOW),
            ("2026-11-23T10:20:30.123456789999Z", NOW),
            ("2026-11-23T12:20:30+02:00", second),
            ("2026-11-23T12:20:30+0200", second),
            ("2026-11-23T12:20:30+02", second),
            ("2026-11-23T04:50:30-05:30", second),
        ] {
            assert_eq!(text(form), Some(expected), "{form}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for form in [
            "",
            "now",
            "2026",
            "2026-11-23",
            "2026-11-23T10:20:30",
            "2026-11-23T10:20:30.Z",
            "2026-11-23T10:20:30Zx",
            "2026-11-23T25:20:30Z",
            "2026-13-23T10:20:30Z",
            "2026-11-23T10:20:30+2",
            "2026-11-23T10:20:30+02:0",
            "23/Nov/2026:10:20:30 +0000",
            "-1",
            "1e",
            "99999999999999999999",
        ] {
            assert_eq!(text(form), None, "{form}");
        }
    }

    #[test]
    fn epochs_by_magnitude() {
        for (form, expected) in [
            ("1795429230", NOW - 123_456_789),
            ("1795429230.123456789", NOW),
            ("1795429230.5", NOW - 123_456_789 + 500_000_000),
            ("1795429230123", NOW - 456_789),
            ("1795429230123.4567", NOW - 89),
            ("1795429230123456", NOW - 789),
            ("1795429230123456789", NOW),
            ("1.79542923e9", NOW - 123_456_789),
        ] {
            assert_eq!(number(form), Some(expected), "{form}");
            assert_eq!(text(form), Some(expected), "{form}");
        }
        assert_eq!(number("-1795429230"), None);
        assert_eq!(number("0"), None);
    }

    #[test]
    fn only_within_a_day() {
        assert!(text("2026-11-24T10:20:30Z").is_some());
        assert_eq!(text("2026-11-24T10:20:31Z"), None);
        assert!(text("2026-11-22T10:20:31Z").is_some());
        assert_eq!(text("2026-11-22T10:20:29Z"), None);
    }

    #[test]
    fn leap_days_are_counted() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2026, 11, 23), 20_780);
    }
}
