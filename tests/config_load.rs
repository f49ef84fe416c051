//! Loading from files and folders; hostile and mutated texts; speed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot do its part has failed"
)]

#[path = "support/fake_machine.rs"]
mod fake_machine;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fake_machine::Fake;
use podvisor::config::{Loaded, Report, Severity, load, load_str, load_texts};

fn fixtures(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut files: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn loaded(text: &str) -> Result<Loaded, Report> {
    load_texts(&[("test.yaml", text)], &Fake::new())
}

fn messages(result: Result<Loaded, Report>) -> Vec<String> {
    let problems = result.map_or_else(|report| report.problems, |loaded| loaded.warnings);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn good_configs_load_with_nothing_but_notes_on_this_version() {
    for (name, text) in fixtures("config_good") {
        let loaded =
            load_texts(&[(&name, &text)], &Fake::new()).unwrap_or_else(|report| panic!("{report}"));
        for warning in &loaded.warnings {
            assert!(
                warning.message.contains("has no effect in this version"),
                "{warning}"
            );
        }
        assert_eq!(loaded.hash.len(), 8);
        // A token from a file is in the config, and in nothing that is printed.
        assert!(!format!("{loaded:?}").contains("verysecret"), "{name}");
    }
}

#[test]
fn values_are_what_was_written() {
    let text = &fixtures("config_good")[1].1;
    let config = loaded(text).unwrap().config;
    let api = &config.services["api"];
    assert_eq!(api.env["NUMBER"], "1.10");
    assert_eq!(api.env["TRUTH"], "yes");
    assert_eq!(api.env["NESTED"], "c");
    assert_eq!(api.env["DOLLARS"], "$HOME $HOME 5$");
    assert_eq!(api.stop.signal.number(), 3);
    assert!(
        api.shell
            .as_deref()
            .unwrap()
            .contains("\"${f%.conf} ${HOME}\"")
    );
    let startup = api.startup_probe.as_ref().unwrap();
    assert_eq!((startup.period_seconds, startup.failure_threshold), (5, 30));
    let podvisor::config::probe::Check::HttpGet(http) = &startup.check else {
        panic!("{startup:?}");
    };
    assert_eq!((http.port, http.path.as_deref()), (8080, Some("/healthz")));
    assert!(config.services["worker"].args.is_empty());
}

#[test]
fn an_expansion_is_never_read_as_yaml() {
    let mut fake = Fake::new();
    fake.env
        .insert("EVIL".into(), "x\n  other: { command: [rm] }".into());
    fake.env.insert("NULL".into(), "~".into());
    let text = "services:\n  web: { command: [a, \"${EVIL}\", \"${NULL}\", '${EMPTY:-}'] }\n";
    let config = load_texts(&[("x", text)], &fake).unwrap().config;
    assert_eq!(config.services.len(), 1);
    assert_eq!(
        config.services["web"].command[1..],
        ["x\n  other: { command: [rm] }", "~", ""]
    );
}

#[test]
fn folders_are_merged_in_name_order() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "20-web.yml",
        "services: { web: { command: [a], dependsOn: [db] } }",
    );
    write(
        "10-db.yaml",
        "services: { db: { command: [a] } }\nhttp: { listen: off }",
    );
    write("..data.yaml", "not: { a: config");
    write("notes.txt", "not a config");
    std::fs::create_dir(folder.path().join("sub.yaml")).unwrap();
    let found = load(&[folder.path().to_owned()], &|_| None).unwrap();
    assert_eq!(found.config.services.len(), 2);
    assert!(found.sources[0].name.ends_with("10-db.yaml"));

    write(
        "30-more.yaml",
        "services: { db: { command: [b] } }\nhttp: { listen: off }",
    );
    let report = load(&[folder.path().to_owned()], &|_| None).unwrap_err();
    let lines: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(
        "30-more.yaml:1:13: error: services.db: `db` is defined a second time (first at"
    ));
    assert!(lines[0].contains("10-db.yaml:1:13)"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("latin1.yaml"), b"services: {}\n# \xe4\n").unwrap();
    std::fs::write(path("utf16.yaml"), b"\xff\xfes\0e\0").unwrap();
    std::fs::write(path("large.yaml"), "#".repeat(1024 * 1024 + 1)).unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    for (name, expected) in [
        ("none.yaml", "can't be read: no such file"),
        (
            "latin1.yaml",
            "the file is not UTF-8 (line 2); save it as UTF-8",
        ),
        ("utf16.yaml", "the file is UTF-16; save it as UTF-8"),
        ("large.yaml", "the file is larger than 1024 KiB"),
        ("empty", "the folder has no *.yaml or *.yml file"),
    ] {
        let lines = messages(load(&[path(name)], &|_| None));
        assert_eq!(
            lines,
            [format!("{}: error: {expected}", path(name).display())]
        );
    }
    assert_eq!(
        messages(load(&[], &|_| None)),
        ["error: there are no services"]
    );
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    let text = "\u{feff}services:\r\n  web:\r\n    command: [a]\r\n    comand: 1\r\n";
    let lines = messages(loaded(text));
    assert_eq!(
        lines,
        [
            "test.yaml:4:5: error: services.web.comand: unknown field `comand`; did you mean `command`?"
        ]
    );
}

#[test]
fn the_hash_follows_the_text() {
    let hash = |text: &str| load_str("x", text, &|_| None).unwrap().hash;
    let one = hash("services: { a: { command: [a] } }");
    assert_eq!(one, hash("services: { a: { command: [a] } }"));
    assert_ne!(one, hash("services: { a: { command: [b] } }"));
}

#[test]
fn problems_are_shown_with_their_line_and_secrets_are_starred() {
    let text = "\
services:
  web:
    command: [/app/web]
    env: { API_TOKEN: hunter2, PLAIN: [x] }
logs:
  sinks:
    v: { type: http, endpoint: \"http://v/\", auth: { bearer: hunter3, basic: { username: a } } }
";
    let report = loaded(text).unwrap_err();
    let plain = report.render(false);
    assert!(!plain.contains("hunter"), "{plain}");
    assert!(
        plain.contains("env: { API_TOKEN: *******, PLAIN: [x] }"),
        "{plain}"
    );
    assert!(plain.contains(" --> test.yaml:4:32"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert!(report.render(true).contains('\u{1b}'));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let keys: Vec<&String> = json[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "severity", "file", "line", "column", "path", "message", "help"
        ]
    );
    assert_eq!(json[0]["severity"], "error");
}

#[test]
fn no_more_problems_than_a_reader_can_bear() {
    let mut text = "services:\n".to_owned();
    for number in 0..500 {
        let _ = writeln!(text, "  s{number}: {{ comand: [a], nice: x }}");
    }
    let report = loaded(&text).unwrap_err();
    assert_eq!(report.problems.len(), 101);
    assert_eq!(
        report.problems[100].message,
        "there are more errors, which are not shown"
    );
}

/// Hostile texts end in an error, soon and in little memory.
#[test]
fn bombs_are_refused_quickly() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let all = vec![format!("*{from}"); 9].join(", ");
        let _ = writeln!(laughs, "{to}: &{to} [{all}]");
    }
    let long_key = format!("services: {{ {}: 1 }}", "k".repeat(100_000));
    for (name, text) in [
        ("laughs", laughs),
        ("lists", "[".repeat(100_000)),
        ("maps", "{a: ".repeat(100_000)),
        ("block lists", "- ".repeat(50_000)),
        (
            "indented",
            (0..1000).fold(String::new(), |text, depth| {
                text + &" ".repeat(depth) + "a:\n"
            }),
        ),
        ("itself", "a: &a [*a]".to_owned()),
        ("merge of itself", "services: &a { <<: *a }".to_owned()),
        ("long key", long_key),
        (
            "many keys",
            (0..60_000).fold(String::new(), |text, key| text + &format!("k{key}: 1\n")),
        ),
        (
            "many dollars",
            format!(
                "services: {{ a: {{ shell: \"{}\" }} }}",
                "${A:-".repeat(1000)
            ),
        ),
        ("nothing but anchors", "&a &b &c".to_owned()),
    ] {
        let start = Instant::now();
        assert!(loaded(&text).is_err(), "{name}");
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_file_that_is_named_many_times_does_not_fill_the_memory() {
    let mut fake = Fake::new();
    fake.files.insert("/big".into(), "x".repeat(60_000));
    let words = vec!["\"${file:/big}\""; 1000].join(", ");
    let text = format!("services: {{ a: {{ command: [{words}] }} }}");
    let report = load_texts(&[("x", &text)], &fake).unwrap_err();
    assert!(report.problems[0].message.contains("exceed"), "{report}");
}

/// Whatever a text looks like: an answer, no panic. The seed is fixed, so that a failure can be looked at.
#[test]
fn mutated_configs_never_panic() {
    let mut random = fastrand::Rng::with_seed(4747);
    let mut texts = fixtures("config_good");
    texts.extend(fixtures("config"));
    let pieces = [
        "",
        " ",
        "\n",
        "\t",
        ":",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "<<: ",
        "~",
        "\"",
        "'",
        "${",
        "}",
        "$$",
        "|\n",
        ">",
        "#",
        "!!str ",
        "0x",
        "-1",
        "99999999999999999999",
        "1e999",
        "é",
        "\u{0}",
        "\u{feff}",
        "---\n",
        "null",
        "true",
        "services:",
    ];
    let mut good = 0;
    for round in 0..6_000 {
        let (name, text) = &texts[round % texts.len()];
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..=chars.len());
            match random.u8(0..4) {
                0 => {
                    let piece = pieces[random.usize(0..pieces.len())];
                    chars.splice(at..at, piece.chars());
                }
                1 => {
                    let end = (at + random.usize(0..12)).min(chars.len());
                    chars.drain(at..end);
                }
                2 => chars.truncate(at),
                _ => {
                    let end = (at + random.usize(0..200)).min(chars.len());
                    let copy: Vec<char> = chars[at..end].to_vec();
                    chars.splice(at..at, copy);
                }
            }
        }
        let mutated: String = chars.into_iter().collect();
        match load_texts(&[(name, &mutated)], &Fake::new()) {
            Ok(_) => good += 1,
            Err(report) => {
                assert!(
                    report
                        .problems
                        .iter()
                        .any(|it| it.severity == Severity::Error)
                );
                let _ = report.render(round % 2 == 0);
            }
        }
    }
    assert!(good > 50, "{good}");
}

/// A thousand services, each with a dependency, two probes, variables and a stop time.
fn thousand() -> String {
    let mut text = "services:\n".to_owned();
    for number in 0..1000 {
        let _ = write!(
            text,
            "  service-{number}:
    command: [/app/run, --name, service-{number}]
    env: {{ A: \"${{HOME}}\", B: \"{number}\", C: text }}
    readinessProbe: {{ httpGet: {{ path: /ready, port: {port} }}, periodSeconds: 5 }}
    livenessProbe: {{ tcpSocket: {{ port: {port} }} }}
    stop: {{ timeout: 5s }}
",
            port = 10_000 + number,
        );
        if number > 0 {
            let _ = writeln!(text, "    dependsOn: [service-{}]", number / 2);
        }
        if number % 10 == 9 {
            let _ = writeln!(
                text,
                "    conflictsWith: [service-{}]\n    required: false",
                number - 1
            );
        }
    }
    text
}

#[test]
fn a_thousand_services_load_in_a_blink() {
    let text = thousand();
    let start = Instant::now();
    let found = loaded(&text).unwrap_or_else(|report| panic!("{report}"));
    let took = start.elapsed();
    println!("1000 services, {} bytes: {took:?}", text.len());
    assert_eq!(found.config.services.len(), 1000);
    let most = if cfg!(debug_assertions) { 5_000 } else { 100 };
    assert!(took < Duration::from_millis(most), "{took:?}");
}
