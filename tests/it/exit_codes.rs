//! Every exit code of the contract's table, and the termination message that goes with it.

use crate::support::{Done, Place, Running};

const OFF: &str = "http: { listen: off }\n";

fn run(yaml: &str) -> (Done, Place) {
    let place = Place::new();
    let done = place.run(&format!("{OFF}{yaml}")).wait();
    (done, place)
}

fn code(yaml: &str) -> i32 {
    let (done, _) = run(yaml);
    done.code()
}

#[test]
fn all_work_completed_is_0() {
    assert_eq!(
        code("services:\n  a: { type: oneshot, command: [CHILD, 'exit:0'] }\n"),
        0
    );
}

#[test]
fn the_code_of_the_first_required_service_that_failed_for_good() {
    for wanted in [1, 3, 42, 255] {
        let yaml = format!(
            "services:\n  a: {{ command: [CHILD, 'exit:{wanted}'], restartPolicy: Never }}\n  b: {{ command: [CHILD, wait] }}\n"
        );
        assert_eq!(code(&yaml), wanted);
    }
}

#[test]
fn a_signal_is_128_and_its_number() {
    for (name, number) in [("KILL", 9), ("SEGV", 11), ("TERM", 15), ("USR1", 10)] {
        let yaml =
            format!("services:\n  a: {{ command: [CHILD, 'die:{name}'], restartPolicy: Never }}\n");
        assert_eq!(code(&yaml), 128 + number, "{name}");
    }
}

#[test]
fn the_first_failure_decides_later_ones_do_not() {
    let yaml = "services:
  first: { command: [CHILD, 'sleep:100', 'exit:7'], restartPolicy: Never }
  second: { command: [CHILD, 'on:TERM:9', wait] }
";
    assert_eq!(code(yaml), 7);
}

#[test]
fn not_found_is_127_and_not_executable_126() {
    assert_eq!(
        code("services:\n  a: { command: [/nonexistent/program] }\n"),
        127
    );
    assert_eq!(
        code("services:\n  a: { command: [no-such-program-anywhere] }\n"),
        127
    );
    assert_eq!(code("services:\n  a: { command: [/etc/passwd] }\n"), 126);
}

#[test]
fn a_missing_working_directory_is_named_as_such() {
    let (done, _) =
        run("services:\n  a: { command: [CHILD, wait], workingDir: /nonexistent/dir }\n");
    assert!(done.stderr.contains("working directory"), "{}", done.stderr);
    assert_ne!(done.code(), 0);
}

#[test]
fn usage_is_64() {
    let place = Place::new();
    assert_eq!(
        Running::start(&place, &["run", "--no-such-flag"])
            .wait()
            .code(),
        64
    );
    assert_eq!(
        Running::start(&place, &["no-such-command"]).wait().code(),
        64
    );
}

#[test]
fn a_refused_config_is_78_and_nothing_runs() {
    let (done, place) =
        run("services:\n  a: { command: [CHILD, 'touch:DIR/ran'] }\n  b: { comand: [x] }\n");
    assert_eq!(done.code(), 78);
    assert!(
        done.stderr.contains("comand") && done.stderr.contains("command"),
        "{}",
        done.stderr
    );
    assert!(!place.exists("ran"));
    let place = Place::new();
    assert_eq!(
        Running::start(&place, &["run", "-c", "/nonexistent.yaml"])
            .wait()
            .code(),
        78
    );
}

#[test]
fn not_ready_in_time_is_100() {
    let yaml = "services:
  a:
    command: [CHILD, wait]
    restartPolicy: Never
    startupProbe: { fileExists: DIR/never, periodSeconds: 1, failureThreshold: 1 }
";
    assert_eq!(code(yaml), 100);
    let yaml = "services:
  a:
    command: [CHILD, wait]
    restartPolicy: Never
    startTimeout: 100ms
    readinessProbe: { fileExists: DIR/never }
";
    assert_eq!(code(yaml), 100);
}

#[test]
fn a_failed_dependency_is_101() {
    let yaml = "services:
  helper: { type: oneshot, command: [CHILD, 'exit:5'], required: false, restartPolicy: Never }
  web: { command: [CHILD, wait], dependsOn: [helper] }
";
    assert_eq!(code(yaml), 101);
}

#[test]
fn a_failed_required_dependency_gives_its_own_code() {
    let yaml = "services:
  migrate: { type: oneshot, command: [CHILD, 'exit:5'], restartPolicy: Never }
  web: { command: [CHILD, wait], dependsOn: [migrate] }
";
    assert_eq!(code(yaml), 5);
}

#[test]
fn failing_liveness_for_good_is_102() {
    let yaml = "services:
  a:
    command: [CHILD, wait]
    restartPolicy: Never
    livenessProbe: { fileExists: DIR/never, periodSeconds: 1, failureThreshold: 1 }
";
    assert_eq!(code(yaml), 102);
}

#[test]
fn killed_at_the_deadline_is_137_for_a_required_service_only() {
    for (required, wanted) in [(true, 137), (false, 0)] {
        let place = Place::new();
        let mut running = place.run(&format!(
            "{OFF}shutdown: {{ deadline: 600ms, flushTimeout: 100ms }}
services:
  a: {{ command: [CHILD, 'ignore:TERM', 'say:here', wait], required: {required} }}
  b: {{ command: [CHILD, wait] }}
"
        ));
        running.wait_line("here");
        let done = running.stop();
        assert_eq!(done.code(), wanted, "required: {required}\n{}", done.stderr);
    }
}

#[test]
fn asked_to_stop_is_0_whatever_the_way_a_service_takes_its_signal() {
    for words in ["wait", "on:TERM:0', 'wait", "on:TERM:143', 'wait"] {
        let place = Place::new();
        let mut running = place.run(&format!(
            "{OFF}services:\n  a: {{ command: [CHILD, '{words}'], startupProbe: {{ exec: {{ command: [CHILD, 'exit:0'] }} }} }}\n"
        ));
        running.wait_line("all required services are up");
        let done = running.stop();
        assert_eq!(done.code(), 0, "{words}\n{}", done.stderr);
    }
}

#[test]
fn an_unclean_end_when_asked_to_stop_is_told() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a: {{ command: [CHILD, 'on:TERM:6', 'say:here', wait] }}\n"
    ));
    running.wait_line("here");
    assert_eq!(running.stop().code(), 6);
}

#[test]
fn a_job_with_helpers_ends_with_0() {
    let yaml = "services:
  job: { type: oneshot, command: [CHILD, 'sleep:100', 'exit:0'], onSuccess: shutdown, dependsOn: [proxy] }
  proxy: { command: [CHILD, 'on:TERM:9', wait] }
";
    assert_eq!(code(yaml), 0);
}

#[test]
fn an_optional_failure_is_only_reported() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  web: {{ command: [CHILD, wait] }}
  extra: {{ command: [CHILD, 'exit:4'], required: false, restartPolicy: Never }}
"
    ));
    running.wait_line("failed for good");
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn an_address_in_use_is_78_before_anything_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (done, place) = {
        let place = Place::new();
        let yaml = format!(
            "http: {{ listen: '127.0.0.1:{port}' }}\nservices:\n  a: {{ command: [CHILD, 'touch:DIR/ran', wait] }}\n"
        );
        (place.run(&yaml).wait(), place)
    };
    assert_eq!(done.code(), 78, "{}", done.stderr);
    assert!(!place.exists("ran"));
}

#[test]
fn the_termination_message_tells_service_reason_code_and_last_lines() {
    let (done, place) = run(
        "services:\n  web: { command: [CHILD, 'say:one', 'err:no database', 'sleep:50', 'exit:3'], restartPolicy: Never }\n",
    );
    assert_eq!(done.code(), 3);
    let text = place.read("termination");
    assert!(
        text.len() <= 4096 && text.ends_with('\n') && text.matches('\n').count() == 1,
        "{text}"
    );
    let message: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(message["service"], "web");
    assert_eq!(message["reason"], "exit code 3");
    assert_eq!(message["code"], 3);
    let log: Vec<&str> = message["log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_str().unwrap())
        .collect();
    assert!(
        log.contains(&"one") && log.contains(&"no database"),
        "{log:?}"
    );
}

#[test]
fn a_clean_end_writes_no_termination_message() {
    let (done, place) = run("services:\n  a: { type: oneshot, command: [CHILD, 'exit:0'] }\n");
    assert_eq!(done.code(), 0);
    assert_eq!(place.read("termination"), "");
}
