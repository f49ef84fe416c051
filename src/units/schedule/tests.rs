//! Schedules against a minute-by-minute oracle, around the days on which clocks change.

use super::*;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn next(schedule: &str, zone: Option<&str>, after: &str) -> String {
    let schedule = Schedule::parse(schedule, zone).unwrap();
    Timestamp::from_second(schedule.next_after(at(after)).unwrap())
        .unwrap()
        .to_string()
}

#[test]
fn the_next_time_is_strictly_later() {
    for (schedule, after, wanted) in [
        ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
        (
            "*/15 * * * *",
            "2026-01-01T00:07:12Z",
            "2026-01-01T00:15:00Z",
        ),
        ("30 3 * * *", "2026-01-01T03:30:00Z", "2026-01-02T03:30:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        (
            "0 12 * * mon-fri",
            "2026-01-02T12:00:00Z",
            "2026-01-05T12:00:00Z",
        ),
        ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        (
            "0 0 1-7/2 jan,JUL *",
            "2026-01-05T00:00:00Z",
            "2026-01-07T00:00:00Z",
        ),
        (
            "5/20 * * * *",
            "2026-01-01T00:06:00Z",
            "2026-01-01T00:25:00Z",
        ),
        ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
        ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ] {
        assert_eq!(next(schedule, None, after), wanted, "{schedule}");
    }
}

#[test]
fn a_skipped_local_time_is_skipped_and_a_repeated_one_comes_once() {
    let berlin = Some("Europe/Berlin");
    assert_eq!(
        next("30 2 * * *", berlin, "2026-03-28T12:00:00Z"),
        "2026-03-30T00:30:00Z"
    );
    assert_eq!(
        next("30 2 * * *", berlin, "2026-10-24T12:00:00Z"),
        "2026-10-25T00:30:00Z"
    );
    assert_eq!(
        next("30 2 * * *", berlin, "2026-10-25T00:30:00Z"),
        "2026-10-26T01:30:00Z"
    );
    assert_eq!(
        next("0 * * * *", berlin, "2026-10-25T00:00:00Z"),
        "2026-10-25T01:00:00Z"
    );
}

#[test]
fn mistakes_name_their_field() {
    for (text, part) in [
        ("61 * * * *", "minute `61`"),
        ("* 24 * * *", "hour `24`"),
        ("* * 0 * *", "day of month `0`"),
        ("* * * 13 *", "month `13`"),
        ("* * * * 8", "day of week `8`"),
        ("*/0 * * * *", "above 0"),
        ("5-1 * * * *", "backwards"),
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("@every 5m", "none of @hourly"),
        ("@reboot", "none of @hourly"),
        ("0 0 30 2 *", "never comes"),
        ("+1 * * * *", "minute `+1`"),
        ("", "has 0 fields"),
    ] {
        let error = Schedule::parse(text, None).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let error = Schedule::parse("* * * * *", Some("Mars/Base"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("Mars/Base"), "{error}");
}

/// The definition: the first minute whose local form matches, each local time once unless the hour is `*`.
fn oracle(schedule: &Schedule, after: i64, limit: i64) -> Option<i64> {
    let mut second = after - after.rem_euclid(60) + 60;
    while second < limit {
        let local = schedule
            .zone
            .to_datetime(Timestamp::from_second(second).unwrap());
        let matches = schedule.minutes.has(local.minute())
            && schedule.hours.has(local.hour())
            && schedule.has_day(local.date())
            && local.second() == 0;
        if matches {
            let first = schedule
                .zone
                .to_ambiguous_timestamp(local)
                .earlier()
                .unwrap()
                .as_second();
            if schedule.hours.star || first == second {
                return Some(second);
            }
        }
        second += 60;
    }
    None
}

#[test]
fn it_agrees_with_a_walk_minute_by_minute() {
    let mut random = fastrand::Rng::with_seed(7);
    let zones = [
        None,
        Some("Europe/Berlin"),
        Some("America/New_York"),
        Some("Australia/Lord_Howe"),
    ];
    let days = [
        "2026-03-07",
        "2026-03-28",
        "2026-04-04",
        "2026-10-03",
        "2026-10-24",
        "2026-10-31",
        "2026-06-15",
    ];
    let mut met = 0;
    for _ in 0..400 {
        let pick =
            |random: &mut fastrand::Rng, words: &[&'static str]| words[random.usize(..words.len())];
        let text = format!(
            "{} {} {} {} {}",
            pick(&mut random, &["*", "0", "*/7", "30", "10-40/10", "59"]),
            pick(&mut random, &["*", "1", "2", "*/3", "0-4", "3"]),
            pick(&mut random, &["*", "*", "*/2", "25"]),
            pick(&mut random, &["*", "*", "3,4,10,11"]),
            pick(&mut random, &["*", "*", "sun", "1-5"]),
        );
        let schedule = Schedule::parse(&text, zones[random.usize(..zones.len())]).unwrap();
        let day = days[random.usize(..days.len())];
        let after = at(&format!("{day}T00:00:00Z")) + random.i64(0..86_400);
        let limit = after + 4 * 86_400;
        let found = schedule.next_after(after).filter(|found| *found < limit);
        assert_eq!(
            found,
            oracle(&schedule, after, limit),
            "{text} after {after} in {:?}",
            schedule.zone
        );
        met += usize::from(found.is_some());
    }
    assert!(met > 200, "the oracle was asked about nothing");
}
