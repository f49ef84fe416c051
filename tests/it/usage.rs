//! What a service uses is shown as it is, with its descendants, and a restart loses nothing of it.

use crate::ship::metric;
use crate::support::{Place, free_port, get, wait_until};

fn config(port: u16, command: &str) -> String {
    format!(
        "http: {{ listen: '127.0.0.1:{port}', collectInterval: 1s }}\nservices:\n  other: {{ command: [CHILD, wait] }}\n  a: {{ command: [CHILD, {command}], restart: {{ initialDelay: 10ms }} }}\n"
    )
}

fn scrape(port: u16) -> String {
    get(port, "/metrics").unwrap_or_default().1
}

fn of_a(text: &str, name: &str) -> f64 {
    metric(text, name, &["name=\"a\""])
}

fn cpu(text: &str) -> f64 {
    metric(
        text,
        "podvisor_process_cpu_seconds_total",
        &["name=\"a\"", "mode=\"user\""],
    )
}

fn near(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() <= wanted / 10.0
}

#[test]
fn a_tree_is_shown_as_large_as_it_is() {
    let (place, port) = (Place::new(), free_port());
    // Itself, and three children with 32 MiB and a second of CPU time among them.
    let command = "'fork:1', wait, 'fork:1', wait, 'fork:3', 'hold:33554432', 'burn:1000', wait, 'open:100', 'hold:33554432', 'burn:1000', 'touch:DIR/done', wait";
    let running = place.run(&config(port, command));
    let mut text = String::new();
    wait_until(
        "the figures are right",
        || {
            text = scrape(port);
            of_a(&text, "podvisor_processes") == 4.0
                && near(cpu(&text), 2.0)
                && near(
                    of_a(&text, "podvisor_process_resident_memory_bytes"),
                    f64::from(64 << 20) + 12.0e6,
                )
        },
        String::new,
    );
    // Three descriptors each of their own, and few more.
    let open = of_a(&text, "podvisor_process_open_fds");
    assert!((112.0..130.0).contains(&open), "{open}");
    assert_eq!(of_a(&text, "podvisor_process_threads"), 4.0);
    let ratio = of_a(&text, "podvisor_process_fd_usage_ratio_max");
    assert!(ratio > 0.0 && ratio < 1.0, "{ratio}");
    let other = |name: &str| metric(&text, name, &["name=\"other\""]);
    assert_eq!(other("podvisor_processes"), 1.0);
    assert!(other("podvisor_process_resident_memory_bytes") < f64::from(16 << 20));
    running.stop();
}

#[test]
fn a_restart_loses_nothing_and_nothing_shrinks() {
    let (place, port) = (Place::new(), free_port());
    // Each life burns a quarter of a second, half of it in a child that is left behind and killed.
    let command =
        "'fork:2', 'burn:125', wait, 'burn:125', 'mark:DIR/lives:x', 'sleep:1200', 'exit:1'";
    let running = place.run(&config(port, command));
    let mut before = 0.0;
    wait_until(
        "five lives",
        || {
            let text = scrape(port);
            let now = cpu(&text);
            assert!(now >= before, "{now} after {before}");
            before = now;
            place.marks("lives").len() >= 5
        },
        String::new,
    );
    let lives = || place.marks("lives").len() as f64;
    wait_until(
        "it is all in the books",
        || cpu(&scrape(port)) >= 0.25 * (lives() - 1.0) * 0.9,
        || format!("{} of {} lives", cpu(&scrape(port)), lives()),
    );
    let (burnt, lives) = (cpu(&scrape(port)), lives());
    assert!(
        burnt <= 0.25 * (lives + 1.0) * 1.1,
        "{burnt} of {lives} lives"
    );
    running.stop();
}
