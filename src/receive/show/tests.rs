//! Lines and totals as they are read.

use super::super::decode::{Protocol, each};
use super::super::ledger::Ledger;
use super::*;

fn shown(line: &str, colour: bool) -> String {
    let mut out = Vec::new();
    let mut take = |seen: &Seen<'_>| pretty(seen, colour, &mut out);
    each(Protocol::Ndjson, line.as_bytes(), &mut take).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_record_is_a_line() {
    let line = r#"{"timestamp":"2026-11-23T10:20:30.123456789Z","service":"web","stream":"stderr","level":"warn","message":"slow"}"#;
    let plain = "2026-11-23T10:20:30.123Z web          stderr warn  slow\n";
    assert_eq!(shown(line, false), plain);
    assert!(shown(line, true).contains(" \x1b[33mwarn \x1b[0m slow"));
    assert_eq!(shown("{}", false), "- -            -      -     \n");
}

#[test]
fn nothing_leaves_its_line() {
    let line = r#"{"timestamp":"\u001b[2J","service":"a\rb","level":"\n","message":"x\ny\u001b]0;t\u0007"}"#;
    let text = shown(line, true);
    assert!(text.ends_with("x^Jy^[]0;t^G\n"), "{text:?}");
    assert!(text.starts_with("^[[2J a^Mb"), "{text:?}");
}

#[test]
fn long_lines_are_cut_and_say_so() {
    for (unit, room) in [("x", 1), ("ä", 2), ("\\u0001", 2), ("\\u009b", 4)] {
        let line = format!(
            r#"{{"service":"web","message":"{}"}}"#,
            unit.repeat(MAX_LINE)
        );
        let text = shown(&line, true);
        assert!(text.len() <= MAX_LINE && text.len() > MAX_LINE / 2 - 200 * room);
        assert!(text.ends_with(" bytes more)\n"), "{}", text.len());
    }
    let all = "\u{1}".repeat(MAX_LINE);
    let line = format!(
        r#"{{"service":{0:?},"level":{0:?},"timestamp":{0:?}}}"#,
        "y".repeat(MAX_LINE)
    );
    assert!(shown(&line, true).len() <= MAX_LINE, "{}", all.len());
}

#[test]
fn totals_are_told() {
    let mut ledger = Ledger::default();
    let lines = "{\"service\":\"web\",\"seq\":0}\n{\"service\":\"web\",\"seq\":0}\n{\"service\":\"we\\u001bb\",\"seq\":4}\n{}";
    let mut take = |seen: &Seen<'_>| ledger.record("/", seen);
    each(Protocol::Ndjson, lines.as_bytes(), &mut take).unwrap();
    ledger.request(true);
    ledger.request(false);
    ledger.body(812, 4_100);
    assert_eq!(
        totals(&ledger.counts()),
        "2 requests, 1 failed; 4 records, 4.1 kB (812 B sent); 1 duplicate, 0 missing in 0 gaps
  -            1 record, 0 duplicates, 0 missing in 0 gaps
  we^[b        1 record, 0 duplicates, 0 missing in 0 gaps, numbers 4 to 4
  web          2 records, 1 duplicate, 0 missing in 0 gaps, numbers 0 to 0
"
    );
}
