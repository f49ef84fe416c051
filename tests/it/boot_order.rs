//! Services start when what they depend on is as they need it, and not before.

use crate::support::Place;

const OFF: &str = "http: { listen: off }\n";

#[test]
fn each_condition_is_waited_for() {
    let place = Place::new();
    let mut running = place.run(&format!(
        r#"{OFF}
services:
  db:
    command: [CHILD, "mark:DIR/log:db-start", "sleep:150", "mark:DIR/log:db-ready", "touch:DIR/db", wait]
    readinessProbe: {{ fileExists: DIR/db, periodSeconds: 1 }}
  migrate:
    type: oneshot
    command: [CHILD, "mark:DIR/log:migrate-start", "sleep:100", "mark:DIR/log:migrate-end"]
    dependsOn: [db]
  side:
    command: [CHILD, "mark:DIR/log:side", wait]
    dependsOn: {{ db: {{ condition: started }} }}
  web:
    command: [CHILD, "mark:DIR/log:web", wait]
    dependsOn: [db, migrate]
"#
    ));
    running.wait_line("all required services are up");
    running.wait_until("all have left their marks", || {
        place.order("log").len() == 6
    });
    let done = running.stop();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let order = place.order("log");
    let at = |name: &str| {
        order
            .iter()
            .position(|n| n == name)
            .unwrap_or_else(|| panic!("{name}: {order:?}"))
    };
    assert!(at("db-ready") < at("migrate-start"), "{order:?}");
    assert!(at("side") < at("db-ready"), "{order:?}");
    assert!(at("migrate-end") < at("web"), "{order:?}");
}

#[test]
fn a_wanted_dependency_may_fail() {
    let place = Place::new();
    let mut running = place.run(&format!(
        r#"{OFF}
services:
  statsd: {{ command: [/nonexistent/statsd], required: false }}
  web:
    command: [CHILD, "say:web runs", wait]
    dependsOn: {{ statsd: {{ condition: ready, required: false }} }}
"#
    ));
    running.wait_line("web runs");
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn readiness_is_noticed_when_it_comes_not_a_period_later() {
    let place = Place::new();
    let mut running = place.run(&format!(
        r#"{OFF}
services:
  db:
    command: [CHILD, "sleep:200", "mark:DIR/log:ready", "touch:DIR/db", wait]
    readinessProbe: {{ fileExists: DIR/db, periodSeconds: 10 }}
  web: {{ command: [CHILD, "mark:DIR/log:web", wait], dependsOn: [db] }}
"#
    ));
    running.wait_until("web runs", || place.order("log").len() == 2);
    running.stop();
    let marks = place.marks("log");
    let gap = (marks[1].1 - marks[0].1) / 1_000_000;
    assert!(gap < 2_000, "noticed after {gap} ms, the period is 10 s");
}

#[test]
fn what_conflicts_does_not_run_beside() {
    let place = Place::new();
    let mut running = place.run(&format!(
        r#"{OFF}
services:
  web: {{ command: [CHILD, "say:web runs", wait] }}
  maintenance: {{ command: [CHILD, "touch:DIR/maintenance", wait], required: false, conflictsWith: [web] }}
"#
    ));
    running.wait_line("web runs");
    running.wait_line("not started: conflicts");
    assert_eq!(running.stop().code(), 0);
    assert!(!place.exists("maintenance"));
}

#[test]
fn a_service_that_does_not_start_by_itself_is_pulled_in_by_need() {
    let place = Place::new();
    let mut running = place.run(&format!(
        r#"{OFF}
services:
  cache: {{ command: [CHILD, "say:cache runs", wait], autostart: false }}
  idle: {{ command: [CHILD, "touch:DIR/idle", wait], autostart: false }}
  web: {{ command: [CHILD, "say:web runs", wait], dependsOn: [cache] }}
"#
    ));
    running.wait_line("cache runs");
    running.wait_line("web runs");
    assert_eq!(running.stop().code(), 0);
    assert!(!place.exists("idle"));
}
