//! The books against a simple account of the same records.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::receive::decode::{Protocol, each};

fn enter(ledger: &mut Ledger, path: &str, lines: &str) {
    let mut take = |seen: &Seen<'_>| ledger.record(path, seen);
    each(Protocol::Ndjson, lines.as_bytes(), &mut take).unwrap();
}

fn line(source: &str, service: &str, seq: u64) -> String {
    format!("{{\"source_id\":\"{source}\",\"service\":\"{service}\",\"seq\":{seq}}}\n")
}

proptest! {
    #[test]
    fn it_knows_what_is_new_and_what_is_missing(seqs in prop::collection::vec(0u64..60, 1..100)) {
        let mut track = Track::new("web");
        let mut known = BTreeSet::new();
        for seq in seqs {
            let want = if known.insert(seq) { Note::New } else { Note::Duplicate };
            prop_assert_eq!(track.note(seq), want);
            let (first, last) = (*known.first().unwrap(), *known.last().unwrap());
            let missing: Vec<u64> = (first..last).filter(|n| !known.contains(n)).collect();
            let gaps = missing.iter().filter(|n| known.contains(&(*n - 1))).count();
            prop_assert_eq!(track.missing(), (missing.len() as u64, gaps as u64));
            prop_assert_eq!((track.first, track.next), (Some(first), last + 1));
        }
    }
}

#[test]
fn gaps_are_bounded_and_what_is_forgotten_stays_missing() {
    let mut track = Track::new("web");
    let records = MAX_GAPS as u64 + 10;
    for n in 0..records {
        assert_eq!(track.note(2 * n), Note::New);
    }
    assert_eq!(track.holes.len(), MAX_GAPS);
    assert_eq!(track.missing(), (records - 1, records - 1));
    // 1 was in a hole that is forgotten, so nobody knows; the last hole is known.
    assert_eq!(track.note(1), Note::Untold);
    assert_eq!(track.note(2 * records - 3), Note::New);
    assert_eq!(track.note(2 * records - 3), Note::Duplicate);
    assert_eq!(track.note(u64::MAX), Note::Untold);
}

#[test]
fn paths_runs_and_services_have_numbers_of_their_own() {
    let mut ledger = Ledger::default();
    for (path, source, service) in [
        ("/a", "1", "web"),
        ("/b", "1", "web"),
        ("/a", "2", "web"),
        ("/a", "1", "db"),
    ] {
        enter(&mut ledger, path, &line(source, service, 3));
    }
    assert_eq!(ledger.counts().duplicates, 0);
    enter(
        &mut ledger,
        "/a",
        &(line("1", "web", 3) + &line("1", "web", 5)),
    );
    enter(&mut ledger, "/a", "{\"message\":\"no number\"}\n");
    let counts = ledger.counts();
    assert_eq!((counts.records, counts.duplicates), (7, 1));
    assert_eq!((counts.missing, counts.gaps, counts.untold), (1, 1, 1));
    let web = &counts.services["web"];
    assert_eq!((web.records, web.first, web.last), (5, Some(3), Some(5)));
    assert_eq!(counts.services["db"].records, 1);
    assert_eq!(counts.services[""].last, None);
}

#[test]
fn tracks_and_names_are_bounded() {
    let mut ledger = Ledger::default();
    for n in 0..MAX_TRACKS + 5 {
        enter(&mut ledger, "/", &line("1", &format!("s{n}"), 0));
    }
    enter(&mut ledger, "/", &line("1", "s0", 0));
    let counts = ledger.counts();
    assert_eq!(counts.services.len(), MAX_TRACKS);
    assert_eq!((counts.untold, counts.duplicates), (5, 1));

    let mut ledger = Ledger::default();
    enter(&mut ledger, "/", &line("1", &"ä".repeat(1000), 0));
    let counts = ledger.counts();
    assert_eq!(counts.services.keys().next().unwrap().len(), MAX_NAME);
}
