//! The commands that talk to a running podvisor, each with what can go wrong.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::support::{Done, Place, Running, client, client_of, free_port, get, is_root};

const SERVICES: &str = "services:
  db: { command: [CHILD, 'say:db here', wait], readinessProbe: { fileExists: DIR/db, periodSeconds: 1 } }
  web: { command: [CHILD, 'say:web here', wait], dependsOn: [db] }
  api: { command: [CHILD, 'say:one', 'err:two', 'say:three', 'on:HUP:0:0:DIR/hup:x', wait], required: false }
";

fn start(place: &Place) -> Running {
    let mut running = place.run(SERVICES);
    running.wait_until("the socket is there and api is up", || {
        let done = client(place, &["status", "-o", "json"]);
        done.stdout.contains("\"api\"") && state(&json(&done), "api") == "ready"
    });
    running
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap()
}

fn service<'a>(status: &'a Value, name: &str) -> &'a Value {
    let services = status["services"].as_array().unwrap();
    services
        .iter()
        .find(|service| service["name"] == name)
        .unwrap()
}

fn state(status: &Value, name: &str) -> String {
    service(status, name)["state"].as_str().unwrap().to_owned()
}

fn status(place: &Place) -> Value {
    json(&client(place, &["status", "-o", "json"]))
}

#[test]
fn status_is_a_table_or_json() {
    let place = Place::new();
    let running = start(&place);
    let done = client(&place, &["status"]);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("NAME  STATE"), "{}", done.stdout);
    assert!(lines[1].starts_with("api   ready"), "{}", done.stdout);
    assert!(done.stdout.contains("waits for db"), "{}", done.stdout);
    assert!(done.stdout.contains("0 of 2 required services ready"));
    let wide = client(&place, &["status", "-o", "wide", "api"]).stdout;
    assert!(wide.contains("REQUIRED") && !wide.contains("web"), "{wide}");
    let status = status(&place);
    assert_eq!(status["phase"], "starting");
    assert_eq!(status["pid"], i64::from(running.pid().as_raw()));
    assert_eq!(service(&status, "web")["dependsOn"][0]["waits"], true);
    running.stop();
}

#[test]
fn why_goes_down_to_the_first_cause() {
    let place = Place::new();
    let running = start(&place);
    let done = client(&place, &["why", "web"]);
    assert_eq!(done.code(), 0);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], "web waits for db");
    assert!(
        lines[1].starts_with("  db runs and is not ready"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("readiness probe"), "{}", done.stdout);
    running.stop();
}

#[test]
fn stop_start_and_restart_wait_until_it_is_so() {
    let place = Place::new();
    let running = start(&place);
    let pid = service(&status(&place), "api")["pid"].clone();
    let restarted = client(&place, &["restart", "api"]);
    assert_eq!(restarted.code(), 0, "{}", restarted.stderr);
    assert!(
        restarted.stderr.contains("api: ready"),
        "{}",
        restarted.stderr
    );
    assert_ne!(service(&status(&place), "api")["pid"], pid);
    for _ in 0..2 {
        // Twice: it is the same to be asked again.
        assert_eq!(client(&place, &["stop", "api"]).code(), 0);
        assert_eq!(state(&status(&place), "api"), "stopped");
    }
    for _ in 0..2 {
        assert_eq!(client(&place, &["start", "api"]).code(), 0);
        assert_eq!(state(&status(&place), "api"), "ready");
    }
    running.stop();
}

#[test]
fn what_takes_too_long_is_explained() {
    let place = Place::new();
    let running = start(&place);
    let done = client(&place, &["start", "web", "--timeout", "100ms"]);
    assert_eq!(done.code(), 1);
    assert!(
        done.stderr.contains("not done after 100ms"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("web waits for db"), "{}", done.stderr);
    assert_eq!(client(&place, &["start", "web", "--no-wait"]).code(), 0);
    std::fs::write(place.path("db"), "").unwrap();
    assert_eq!(client(&place, &["start", "web"]).code(), 0);
    assert_eq!(state(&status(&place), "web"), "ready");
    running.stop();
}

#[test]
fn a_signal_goes_to_the_main_process() {
    let place = Place::new();
    let mut running = start(&place);
    let unknown = client(&place, &["signal", "NOPE", "api"]);
    assert_eq!(unknown.code(), 1);
    assert!(unknown.stderr.contains("NOPE"), "{}", unknown.stderr);
    assert_eq!(client(&place, &["signal", "HUP", "api"]).code(), 0);
    running.wait_until("it got it", || place.exists("hup"));
    let none = client(&place, &["signal", "HUP", "web"]);
    assert_eq!(none.code(), 1);
    assert!(none.stderr.contains("has no process"), "{}", none.stderr);
    running.stop();
}

#[test]
fn logs_come_from_memory_and_go_on() {
    let place = Place::new();
    let running = start(&place);
    let raw = client(&place, &["logs", "api", "-o", "raw"]);
    let mut lines: Vec<&str> = raw.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "three", "two"]);
    let last = client(
        &place,
        &["logs", "api", "-n", "1", "--stream", "stderr", "-o", "json"],
    );
    let line: Value = serde_json::from_str(&last.stdout).unwrap();
    assert_eq!(
        (&line["service"], &line["text"]),
        (&"api".into(), &"two".into())
    );
    let all = client(&place, &["logs"]).stdout;
    assert!(
        all.contains("db | db here") && all.contains("api ! two"),
        "{all}"
    );
    assert_eq!(client(&place, &["logs", "--since", "0s"]).stdout, "");
    let args = ["logs", "-f", "-n", "0", "-o", "raw"];
    let mut follower = Running::start(&place, &args);
    // What db said was before; what web says comes once db is ready.
    std::fs::write(place.path("db"), "").unwrap();
    follower.wait_line("web here");
    running.stop();
    assert_eq!(follower.wait().code(), 0);
}

#[test]
fn analyze_tells_where_the_time_went() {
    let place = Place::new();
    let running = start(&place);
    let done = client(&place, &["analyze"]);
    assert!(
        done.stdout.starts_with("not all required"),
        "{}",
        done.stdout
    );
    std::fs::write(place.path("db"), "").unwrap();
    assert_eq!(client(&place, &["start", "web"]).code(), 0);
    let blame = client(&place, &["analyze", "blame"]).stdout;
    assert!(blame.lines().next().unwrap().ends_with(" db"), "{blame}");
    let chain = client(&place, &["analyze", "critical-chain"]).stdout;
    let lines: Vec<&str> = chain.lines().collect();
    assert!(
        lines[1].starts_with("web @") && lines[2].starts_with("└─db @"),
        "{chain}"
    );
    let plot = client(&place, &["analyze", "plot"]).stdout;
    assert!(
        plot.starts_with("<svg") && plot.matches("<rect").count() == 4,
        "{plot}"
    );
    running.stop();
}

#[test]
fn errors_have_their_codes() {
    let place = Place::new();
    let nobody = client(&place, &["status"]);
    assert_eq!(nobody.code(), 69);
    assert!(
        nobody.stderr.contains("no podvisor answers"),
        "{}",
        nobody.stderr
    );
    let running = start(&place);
    for args in [
        &["why", "wbe"][..],
        &["restart", "wbe"],
        &["status", "wbe"],
        &["logs", "wbe"],
    ] {
        let done = client(&place, args);
        assert_eq!(done.code(), 1, "{args:?}");
        assert!(
            done.stderr.contains("did you mean `web`?"),
            "{}",
            done.stderr
        );
    }
    assert_eq!(client(&place, &["start"]).code(), 64);
    if is_root() {
        // Nobody else may connect; and who gets hold of the socket all the same is told so.
        let path = place.path("control.sock");
        for folder in [place.path(""), path] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(folder, open).unwrap();
        }
        let done = client_of(65534, &place, &["status"]);
        assert_eq!(done.code(), 1, "{}", done.stderr);
        assert!(done.stderr.contains("only root"), "{}", done.stderr);
    }
    running.stop();
    assert!(!place.exists("control.sock"));
}

/// Says this to the socket, and gives what comes back until it is closed.
fn say(place: &Place, text: &[u8]) -> String {
    let mut peer = UnixStream::connect(place.path("control.sock")).unwrap();
    // It may be closed on us in the middle.
    let _ = peer.write_all(text);
    let _ = peer.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = peer.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn nonsense_is_refused_and_nobody_else_notices() {
    let (place, port) = (Place::new(), free_port());
    let yaml = format!("http: {{ listen: '127.0.0.1:{port}' }}\n{SERVICES}");
    let mut running = place.run(&yaml);
    running.wait_until("it listens", || place.exists("control.sock"));
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    for (said, wanted) in [
        (
            "GET /v1/nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "404",
        ),
        (
            "DELETE /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "405",
        ),
        (
            "GET /v1/logs?lines=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "400",
        ),
        (post("/v1/start", "{"), "400"),
        (post("/v1/start", "{\"services\":[\"nix\"]}"), "404"),
        (post("/v1/start", "{\"services\":[],\"more\":1}"), "400"),
        (post("/v1/signal", "{\"services\":[\"api\"]}"), "400"),
        (post("/v1/start", &" ".repeat(1_100_000)), "413"),
    ] {
        let answer = say(&place, said.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, wanted, "{}", &said[..said.len().min(80)]);
        assert!(answer.contains("\"error\":"), "{answer}");
    }
    let mut random = 7_u64;
    for length in [0, 1, 10, 1000, 100_000] {
        let garbage: Vec<u8> = (0..length)
            .map(|_| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        say(&place, &garbage);
    }
    // A thousand that say nothing, and podvisor answers the others.
    let idle: Vec<UnixStream> = (0..1000)
        .map(|_| UnixStream::connect(place.path("control.sock")).unwrap())
        .collect();
    assert_eq!(client(&place, &["status"]).code(), 0);
    assert_eq!(get(port, "/livez").unwrap().0, 200);
    drop(idle);
    running.stop();
}
