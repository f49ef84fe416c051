//! The services' lines on podvisor's own stdout.

use crate::support::Place;

fn run(format: &str, words: &str) -> String {
    let place = Place::new();
    let done = place
        .run(&format!(
            "http: {{ listen: off }}\nlogs: {{ console: {{ format: {format} }} }}
services:
  web: {{ type: oneshot, command: [CHILD, {words}] }}
  a: {{ type: oneshot, command: [CHILD, 'exit:0'] }}
"
        ))
        .wait();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done.stdout
}

#[test]
fn raw_is_bytes_as_they_are() {
    assert_eq!(run("raw", "'say:one', 'raw:two'"), "one\ntwo");
}

#[test]
fn prefixed_names_the_service() {
    assert_eq!(
        run("prefixed", "'say:one', 'err:two'")
            .matches("web | ")
            .count(),
        2
    );
}

#[test]
fn json_is_one_object_a_line() {
    let text = run("json", "'say:one \"quoted\"'");
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["service"], "web");
    assert_eq!(line["stream"], "stdout");
    assert_eq!(line["message"], "one \"quoted\"");
}

#[test]
fn none_is_nothing() {
    assert_eq!(run("none", "'say:one'"), "");
}

#[test]
fn a_large_output_arrives_whole() {
    let text = run("raw", "'spew:5000000'");
    assert_eq!(text.len(), 5_000_000);
    assert!(text.lines().all(|line| line.len() == 99 || line.len() < 99));
}
