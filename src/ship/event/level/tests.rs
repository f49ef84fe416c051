//! Lines of real programs, and prose that must not be taken for them.

use super::*;

/// The name in `lines.txt`.
fn severity(name: &str) -> Severity {
    match name {
        "trace" => Severity::TRACE,
        "debug" => Severity::DEBUG,
        "info" => Severity::INFO,
        "notice" => Severity::NOTICE,
        "warn" => Severity::WARN,
        "error" => Severity::ERROR,
        "critical" => Severity::CRITICAL,
        "alert" => Severity::ALERT,
        "fatal" => Severity::FATAL,
        name => panic!("{name}"),
    }
}

#[test]
fn real_lines() {
    let table = include_str!("lines.txt");
    let mut wrong = Vec::new();
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let (name, rest) = row.split_once(" | ").unwrap();
        let (word, line) = rest.split_once(" | ").unwrap();
        let line = line.replace("\\e", "\x1b").replace("\\t", "\t");
        let expected = (name != "-").then(|| (severity(name), word.as_bytes()));
        let found = text(line.as_bytes());
        if found != expected {
            let found = found.map(|(s, w)| (s, String::from_utf8_lossy(w)));
            wrong.push(format!("{line}\n    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(text(b""), None);
    assert_eq!(text(b" "), None);
}

#[test]
fn a_level_far_from_the_start_is_not_found() {
    let near = format!("[{}] ERROR x", "1".repeat(200));
    assert!(text(near.as_bytes()).is_some());
    let far = format!("[{}] ERROR x", "1".repeat(HEAD));
    assert!(text(far.as_bytes()).is_none());
}

#[test]
fn only_the_first_of_several_lines_counts() {
    assert_eq!(text(b"2026-11-23\nERROR x"), None);
}

#[test]
fn levels_of_json_objects() {
    let cases: &[(&str, Option<Severity>)] = &[
        (r#"{"level":"info","msg":"x"}"#, Some(Severity::INFO)),
        (r#"{"level":"WARNING"}"#, Some(Severity::WARN)),
        (r#"{"level":"INFO","time":"2026"}"#, Some(Severity::INFO)),
        (r#"{"level":10}"#, Some(Severity::TRACE)),
        (
            r#"{"level":30,"time":1,"pid":1,"hostname":"h","msg":"pino"}"#,
            Some(Severity::INFO),
        ),
        (r#"{"level":50}"#, Some(Severity::ERROR)),
        (r#"{"level":60}"#, Some(Severity::FATAL)),
        (r#"{"level":35}"#, Some(Severity::INFO)),
        (r#"{"level":3}"#, None),
        (r#"{"severity":3}"#, Some(Severity::ERROR)),
        (r#"{"severity":"3"}"#, Some(Severity::ERROR)),
        (r#"{"severity":30}"#, None),
        (r#"{"severity":400}"#, Some(Severity::WARN)),
        (
            r#"{"level":400,"level_name":"ERROR","channel":"app"}"#,
            Some(Severity::ERROR),
        ),
        (r#"{"level":400}"#, Some(Severity::ERROR)),
        (r#"{"severity":"NOTICE"}"#, Some(Severity::NOTICE)),
        (r#"{"severity":"EMERGENCY"}"#, Some(Severity::FATAL)),
        (r#"{"severity":"DEFAULT"}"#, None),
        (r#"{"levelname":"CRITICAL"}"#, Some(Severity::FATAL)),
        (r#"{"log.level":"error"}"#, Some(Severity::ERROR)),
        (r#"{"log":{"level":"warn"}}"#, Some(Severity::WARN)),
        (r#"{"severityText":"ERROR2"}"#, Some(Severity::ERROR)),
        (r#"{"@l":"Warning"}"#, Some(Severity::WARN)),
        (r#"{"level":"dpanic"}"#, Some(Severity::FATAL)),
        (r#"{"level":"audit"}"#, None),
        (r#"{"level":-5}"#, None),
        (r#"{"level":3.5}"#, None),
        (r#"{"level":""}"#, None),
        (r#"{}"#, None),
    ];
    for (line, severity) in cases {
        let object = crate::ship::json::scan(line.as_bytes()).unwrap();
        assert_eq!(word::object(&object).map(|(s, _)| s), *severity, "{line}");
    }
}
