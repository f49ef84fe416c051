//! One command that ends at once: what an init adds to it.

use std::process::Command;
use std::time::Duration;

use super::LIMIT;
use crate::Bench;
use crate::harness::place::{Place, program};
use crate::harness::process::Running;
use crate::harness::{ms, pass};
use crate::peers::podvisor::binary;

/// Each in its turn, this often.
const ROUNDS: usize = 50;

/// `run -- true` beside the small inits.
pub fn single(bench: &mut Bench) {
    let inits: [(&str, &[&str], &str); 3] = [
        ("tini", &["-s", "--"], "-s"),
        ("dumb-init", &["--"], ""),
        ("catatonit", &["--"], ""),
    ];
    let mut subjects = vec![
        ("no init", None, &[][..], ""),
        (
            "podvisor",
            Some(binary()),
            &["run", "--"][..],
            "with its endpoint",
        ),
        (
            "podvisor",
            Some(binary()),
            &["run", "--"][..],
            "listen: off",
        ),
    ];
    for (name, words, note) in inits {
        match program(name) {
            Some(path) => subjects.push((name, Some(path), words, note)),
            None => println!("{name}: not installed, skipped (benches/peers.sh installs it)"),
        }
    }
    let place = Place::new();
    let mut times = vec![Vec::new(); subjects.len()];
    bench.calm.wait();
    for _ in 0..ROUNDS {
        for ((_, path, words, note), times) in subjects.iter().zip(&mut times) {
            let mut command = match path {
                Some(path) => Command::new(path),
                None => Command::new("/bin/true"),
            };
            command.args(*words);
            if path.is_some() {
                command.arg("/bin/true");
            }
            let listen = if *note == "listen: off" {
                "off"
            } else {
                "127.0.0.1:0"
            };
            command.env("XDG_RUNTIME_DIR", place.path());
            let mut running = Running::start_with(command, &place.join("log"), listen);
            let (status, at) = running.wait(LIMIT).expect("it ends");
            assert!(status.success(), "{path:?}: {status}");
            times.push(ms(running.began, at));
            drop(running);
            pass(Duration::from_millis(2));
        }
    }
    for ((name, _, _, note), times) in subjects.into_iter().zip(times) {
        bench
            .table
            .add("single", name, "run -- true", "ms", times, None, note);
    }
}
