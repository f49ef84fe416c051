//! Wall-clock stamps: nanoseconds since the Unix epoch, and their RFC 3339 form.

use std::time::{SystemTime, UNIX_EPOCH};

/// Length of `2026-11-23T10:20:30.123456789Z`.
pub const RFC3339_NS_LEN: usize = 30;

/// Now, in nanoseconds since the Unix epoch; 0 if the clock is set before it.
#[must_use]
pub fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// `ts_ns` in UTC with nine digits of fraction, always [`RFC3339_NS_LEN`] bytes of ASCII.
///
/// Written by hand because it is on the path of every read: no allocation, no time zone.
#[must_use]
pub fn rfc3339_ns(ts_ns: u64) -> [u8; RFC3339_NS_LEN] {
    let (secs, nanos) = (ts_ns / 1_000_000_000, ts_ns % 1_000_000_000);
    let (days, second) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = civil(days);
    let mut out = *b"0000-00-00T00:00:00.000000000Z";
    put(&mut out[0..4], year);
    put(&mut out[5..7], month);
    put(&mut out[8..10], day);
    put(&mut out[11..13], second / 3600);
    put(&mut out[14..16], second / 60 % 60);
    put(&mut out[17..19], second % 60);
    put(&mut out[20..29], nanos);
    out
}

/// Days since 1970-01-01 as year, month, day (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, day)
}

fn put(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_jiff_has_it(ns in any::<u64>()) {
            let want = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            let got = rfc3339_ns(ns);
            prop_assert_eq!(std::str::from_utf8(&got).unwrap(), format!("{want:.9}"));
        }
    }
}
