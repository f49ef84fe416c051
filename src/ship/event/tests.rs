//! The pipeline as a whole: what comes out, and that nothing is lost.

pub(super) mod rig;

use std::time::Duration;

use proptest::prelude::*;
use regex::bytes::Regex;

use super::*;
use crate::logs::Stream;
use rig::{Cut, Got, NOW_NS, Rig};

fn one(options: Options, line: &str) -> Got {
    let mut rig = Rig::new(options);
    rig.read(line, 0);
    rig.flush();
    assert_eq!(rig.got.len(), 1);
    rig.got.remove(0)
}

const JSON: &str = r#"{"level":"warn","time":"2026-11-23T10:20:29Z","msg":"a \"b\"","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}"#;

#[test]
fn a_json_line_is_lifted() {
    let got = one(Options::default(), JSON);
    assert_eq!(got.text, JSON.as_bytes());
    assert_eq!(
        (got.word, &got.severity_text[..]),
        (Some("warn"), &b"warn"[..])
    );
    assert_eq!(got.json_message.as_deref(), Some(&br#"a \"b\""#[..]));
    assert_eq!(got.time_ns, Some(NOW_NS - 1_000_000_000));
    assert!(got.json && got.trace);
}

#[test]
fn a_text_line_is_read_for_level_and_trace() {
    let line = "ERROR: boom trace_id=4bf92f3577b34da6a3ce929d0e0e4736";
    let got = one(Options::default(), line);
    assert_eq!(
        (got.word, &got.severity_text[..]),
        (Some("error"), &b"ERROR"[..])
    );
    assert!(got.trace && !got.json);
    let detect_level = false;
    let got = one(
        Options {
            detect_level,
            ..Options::default()
        },
        line,
    );
    assert_eq!((got.word, got.trace), (None, false));
}

#[test]
fn parsing_can_be_turned_off() {
    let parse = Parse::None;
    let got = one(
        Options {
            parse,
            ..Options::default()
        },
        JSON,
    );
    assert!(!got.json && got.json_message.is_none() && got.time_ns.is_none());
}

#[test]
fn bad_json_is_counted_and_sent_as_text() {
    for (parse, invalid) in [(Parse::Auto, 1), (Parse::Json, 3), (Parse::None, 0)] {
        let mut rig = Rig::new(Options {
            parse,
            ..Options::default()
        });
        rig.read("{\"a\":1}\n{\"a\":1\nhello\n\n  {\"b\":2}  ", 0);
        rig.flush();
        assert_eq!(rig.taken.invalid_json, invalid);
        assert_eq!(rig.taken.records, 5);
        let json = if parse == Parse::None { 0 } else { 2 };
        assert_eq!(rig.got.iter().filter(|got| got.json).count(), json);
    }
}

#[test]
fn pieces_of_a_long_line_are_no_json() {
    let mut rig = Rig::new(Options {
        parse: Parse::Json,
        ..Options::default()
    });
    rig.cut(
        Stream::Stdout,
        &[(b"{\"a\":1}", 0, true), (b"{\"a\":1}", 1, false)],
        0,
    );
    rig.flush();
    assert!(rig.got.iter().all(|got| !got.json));
    assert_eq!(rig.taken.invalid_json, 0);
}

#[test]
fn filters_count_what_they_leave_out() {
    let filter = Filter::new(&["health".into()], &[], Severity::WARN).unwrap();
    let mut rig = Rig::new(Options {
        filter,
        detect_level: false,
        ..Options::default()
    });
    rig.read(
        "GET /health\nINFO: a\nERROR: b\nplain\n{\"level\":\"debug\"}",
        0,
    );
    rig.flush();
    assert_eq!(rig.texts(), ["ERROR: b", "plain"]);
    assert_eq!(rig.taken.filtered, 3);
}

#[test]
fn a_left_out_line_does_not_use_up_the_limit() {
    let filter = Filter::new(&["x".into()], &[], Severity::UNKNOWN).unwrap();
    let (per_second, burst) = (1000, 2);
    let limit = Some(Limit { per_second, burst });
    let mut rig = Rig::new(Options {
        filter,
        limit,
        ..Options::default()
    });
    rig.read("x\nx\nx\na\nb\nc\nd", 0);
    assert_eq!(rig.texts(), ["a", "b"]);
    assert_eq!((rig.taken.filtered, rig.taken.rate_limited), (3, 2));
    rig.read("e", 1);
    rig.read("f", 1);
    rig.flush();
    assert_eq!(rig.texts(), ["a", "b", "e"]);
}

#[test]
fn redaction_comes_before_parsing() {
    let mut redact = Redact::default();
    redact.builtin(Builtin::Password).unwrap();
    redact.rule("hunter2", "\"").unwrap();
    let options = Options {
        redact,
        ..Options::default()
    };
    let got = one(
        options.clone(),
        r#"{"msg":"in","password":"s3cr3t","pwd":5}"#,
    );
    assert_eq!(
        String::from_utf8(got.text).unwrap(),
        r#"{"msg":"in","password":"[redacted]","pwd":"[redacted]"}"#
    );
    assert!(got.json);
    assert_eq!(got.json_message.as_deref(), Some(&b"in"[..]));
    // What is no longer JSON goes on as text.
    let got = one(options, r#"{"msg":"hunter2"}"#);
    assert!(!got.json && got.json_message.is_none());
}

#[test]
fn a_filter_sees_what_the_service_wrote() {
    let mut redact = Redact::default();
    redact.rule("secret", "x").unwrap();
    let filter = Filter::new(&["secret".into()], &[], Severity::UNKNOWN).unwrap();
    let mut rig = Rig::new(Options {
        redact,
        filter,
        ..Options::default()
    });
    rig.read("a secret", 0);
    rig.flush();
    assert_eq!(rig.taken.filtered, 1);
}

#[test]
fn a_filtered_group_counts_all_its_lines() {
    let filter = Filter::new(&["^a".into()], &[], Severity::UNKNOWN).unwrap();
    let multiline = Some(Multiline {
        how: How::Indent,
        max_lines: 10,
        timeout: Duration::from_millis(200),
    });
    let mut rig = Rig::new(Options {
        filter,
        multiline,
        ..Options::default()
    });
    rig.read("a\n 1\n 2\nb\n 3", 0);
    rig.flush();
    assert_eq!(rig.texts(), ["b\n 3"]);
    assert_eq!((rig.taken.filtered, rig.taken.merged_lines), (3, 1));
}

fn any_how() -> impl Strategy<Value = Option<How>> {
    prop_oneof![
        Just(None),
        Just(Some(How::Indent)),
        Just(Some(How::Start(Regex::new("^[a-z]").unwrap()))),
        Just(Some(How::Continue(Regex::new("^[ {]").unwrap()))),
        prop::sample::select(&Preset::ALL[..]).prop_map(|preset| Some(How::Preset(preset))),
    ]
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "Traceback (most recent call last):",
        "  File \"a.py\", line 3",
        "KeyError: 'x'",
        "",
        "During handling of the above exception, another exception occurred:",
        "java.lang.Error: x",
        "\tat a.B.c(B.java:1)",
        "Caused by: java.io.IOException",
        "panic: x",
        "goroutine 1 [running]:",
        "main.main()",
        "a.rb:3:in 'b': x (E)",
        "\tfrom a.rb:4:in 'c'",
        "INFO: x",
        "{\"level\":30,\"message\":\"m\"}",
        "[2026-11-23 10:20:30][info ] \x1b[31mred\x1b[0m",
        "level=\"a\\",
        "trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\" span_id=",
    ]);
    prop_oneof![
        3 => known.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>().prop_filter("no line break", |b| *b != b'\n'), 0..60),
        1 => "[\\[\\]<>|\"'=: \\t{}A-Za-z0-9\\x1b.,-]{0,80}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_panics(
        reads in prop::collection::vec(
            (any::<bool>(), prop::collection::vec((any_line(), 0u32..20), 1..12), 0u64..150, 0u8..12),
            1..8,
        ),
        how in any_how(),
        max_lines in 1u32..6,
        max_bytes in 1usize..200,
        limited in any::<bool>(),
        masked in any::<bool>(),
    ) {
        let timeout = Duration::from_millis(100);
        let multiline = how.map(|how| Multiline { how, max_lines, timeout });
        let merges = multiline.is_some();
        let limit = limited.then_some(Limit { per_second: 20, burst: 3 });
        let mut redact = Redact::default();
        if masked {
            for builtin in Builtin::ALL {
                redact.builtin(builtin).unwrap();
            }
            redact.rule("x*", "<$0>").unwrap();
        }
        let mut rig = Rig::new(Options { multiline, max_bytes, limit, redact, ..Options::default() });
        let (mut millis, mut sent) = (0, [Vec::new(), Vec::new()]);
        for (stderr, lines, pause, special) in &reads {
            millis += pause;
            if rig.pipeline.deadline().is_some_and(|at| at <= rig.at(millis)) {
                rig.expire(millis);
                prop_assert!(rig.pipeline.deadline().is_none_or(|at| at > rig.at(millis)));
            }
            let stream = Stream::ALL[usize::from(*stderr)];
            rig.incarnation += u64::from(*special == 0);
            let cuts: Vec<Cut<'_>> = lines.iter().map(|(l, cut)| (&l[..], u32::from(*cut == 1), *cut == 0)).collect();
            sent[stream.index()].extend(lines.iter().map(|(l, _)| l.clone()));
            rig.cut(stream, &cuts, millis);
            if *special == 1 {
                rig.flush();
            }
        }
        rig.flush();
        if limited || masked {
            return Ok(());
        }
        for stream in Stream::ALL {
            let records = rig.got.iter().filter(|got| got.stream == stream);
            let mut came = Vec::new();
            let mut last = None;
            for got in records {
                prop_assert!(last < Some(got.seq));
                last = Some(got.seq);
                prop_assert!(got.lines <= max_lines.max(1) && (merges || got.lines == 1));
                prop_assert!(got.lines == 1 || got.text.len() <= max_bytes);
                let lines: Vec<_> = got.text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                prop_assert_eq!(lines.len(), got.lines as usize);
                came.extend(lines);
            }
            prop_assert_eq!(&came, &sent[stream.index()]);
        }
    }
}
