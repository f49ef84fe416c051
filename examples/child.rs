//! A process that does what its arguments say, one after the other: what the tests run as services.
//!
//! | word | does |
//! |---|---|
//! | `say:TEXT`, `err:TEXT` | writes a line to stdout, stderr |
//! | `raw:TEXT` | writes it to stdout without a newline |
//! | `sleep:MS` | waits |
//! | `mark:FILE:TEXT` | appends `TEXT NANOSECONDS` (monotonic) to a file, in one write |
//! | `touch:FILE`, `rm:FILE` | makes or removes a file |
//! | `ignore:SIG` | ignores a signal |
//! | `on:SIG:CODE[:MS[:FILE:TEXT]]` | exits with CODE, MS after that signal, having marked |
//! | `exit:CODE`, `die:SIG` | ends |
//! | `once:FILE` | goes on if the file is not there (and makes it), else skips the rest but the last word |
//! | `fork:N` | starts this program again with the next N words, and goes on |
//! | `daemon:N` | the same, in a session of its own, its parent gone |
//! | `orphans:N` | leaves N processes behind that end at once |
//! | `listen:PORTFILE` | accepts TCP on a free port and writes the port to the file |
//! | `http:PORTFILE:FLAGFILE` | answers HTTP: 200 while the flag file is there, else 503 |
//! | `notify:TEXT` | sends a datagram to NOTIFY_SOCKET (`|` for newlines) |
//! | `fd:N:TEXT` | writes to a descriptor |
//! | `env:NAME` | says `NAME=value` |
//! | `cat:FILE` | says what is in a file |
//! | `spew:BYTES` | writes that many bytes in lines of 100 |
//! | `lines:COUNT[:MICROS]` | writes numbered lines, as fast as it can, or one every so many microseconds |
//! | `burn:MS` | computes until it has used that much CPU time in user mode |
//! | `hold:BYTES` | keeps that much memory, written to |
//! | `open:N` | keeps N files open |
//! | `wait` | waits for ever |
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test process, not PID 1"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test process that cannot do its part must say so"
)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, exit};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, Signal, kill, raise, signal};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut place = 0;
    while place < words.len() {
        let word = &words[place];
        place += 1;
        let (verb, rest) = word.split_once(':').unwrap_or((word, ""));
        let fields: Vec<&str> = rest.split(':').collect();
        match verb {
            "say" => println!("{rest}"),
            "err" => eprintln!("{rest}"),
            "raw" => {
                print!("{rest}");
                std::io::stdout().flush().unwrap();
            }
            "sleep" => thread::sleep(millis(rest)),
            "mark" => mark(fields[0], fields[1]),
            "touch" => drop(File::create(rest).unwrap()),
            "rm" => drop(std::fs::remove_file(rest)),
            "ignore" => ignore(by_name(rest)),
            "on" => on(&fields),
            "burn" => burn(millis(rest)),
            "hold" => std::mem::forget(vec![1_u8; rest.parse().unwrap()]),
            "open" => {
                let opened = (0..rest.parse().unwrap()).map(|_| File::open("/dev/null").unwrap());
                std::mem::forget(opened.collect::<Vec<_>>());
            }
            "exit" => exit(rest.parse().unwrap()),
            "die" => die(by_name(rest)),
            "once" => {
                if Path::new(rest).exists() {
                    place = words.len() - 1;
                } else {
                    File::create(rest).unwrap();
                }
            }
            "fork" | "daemon" => {
                let count: usize = rest.parse().unwrap();
                again(&words[place..place + count], verb == "daemon");
                place += count;
            }
            "orphans" => orphans(rest.parse().unwrap()),
            "listen" => drop(thread::spawn(listen(rest, |_| ()))),
            "http" => {
                let flag = fields[1].to_owned();
                drop(thread::spawn(listen(fields[0], move |peer| {
                    answer(peer, &flag)
                })));
            }
            "notify" => notify(&rest.replace('|', "\n")),
            "fd" => {
                let path = format!("/proc/self/fd/{}", fields[0]);
                let mut file = OpenOptions::new().write(true).open(path).unwrap();
                writeln!(file, "{}", fields[1]).unwrap();
            }
            "env" => println!("{rest}={}", std::env::var(rest).unwrap_or_default()),
            "cat" => println!("{}", std::fs::read_to_string(rest).unwrap().trim_end()),
            "lines" => {
                let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
                lines(number(0).unwrap(), number(1));
            }
            "spew" => spew(rest.parse().unwrap()),
            "wait" => loop {
                thread::park();
            },
            other => panic!("unknown word {other}"),
        }
    }
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap())
}

fn by_name(name: &str) -> Signal {
    Signal::from_str(&format!("SIG{name}")).unwrap()
}

fn burn(time: Duration) {
    use nix::sys::resource::{UsageWho, getrusage};
    let used = || {
        let user = getrusage(UsageWho::RUSAGE_SELF).unwrap().user_time();
        Duration::from_micros(u64::try_from(user.tv_sec() * 1_000_000 + user.tv_usec()).unwrap())
    };
    let until = used() + time;
    let mut number = 1_u64;
    while used() < until {
        for _ in 0..100_000 {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005) + 1);
        }
    }
}

fn mark(file: &str, text: &str) {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    let line = format!(
        "{text} {}\n",
        i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec())
    );
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

#[expect(
    unsafe_code,
    reason = "signal(2) has no safe form; SIG_IGN runs no code"
)]
fn ignore(which: Signal) {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { signal(which, SigHandler::SigIgn) }.unwrap();
}

/// Blocks the signal in every thread and waits for it in one.
fn on(fields: &[&str]) {
    let mut set = SigSet::empty();
    set.add(by_name(fields[0]));
    set.thread_block().unwrap();
    let fields: Vec<String> = fields.iter().map(|f| (*f).to_owned()).collect();
    thread::spawn(move || {
        set.wait().unwrap();
        if let Some(delay) = fields.get(2) {
            thread::sleep(millis(delay));
        }
        if let (Some(file), Some(text)) = (fields.get(3), fields.get(4)) {
            mark(file, text);
        }
        exit(fields[1].parse().unwrap());
    });
}

fn die(which: Signal) {
    raise(which).unwrap();
    kill(Pid::this(), which).unwrap();
    thread::sleep(Duration::from_secs(5));
}

fn again(words: &[String], daemon: bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if !daemon {
        drop(command.args(words).spawn().unwrap());
        return;
    }
    // `setsid` by way of a process group of its own and a parent that ends at once.
    let script = "setsid \"$0\" \"$@\" & exit 0";
    command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(words);
    command.process_group(0);
    command.spawn().unwrap().wait().unwrap();
}

fn orphans(count: usize) {
    let script = format!("i=0; while [ $i -lt {count} ]; do (:) & i=$((i+1)); done; exit 0");
    Command::new("/bin/sh")
        .args(["-c", &script])
        .spawn()
        .unwrap()
        .wait()
        .unwrap();
}

fn listen<S: Fn(TcpStream) + Send + 'static>(
    port_file: &str,
    serve: S,
) -> impl FnOnce() + Send + use<S> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let part = format!("{port_file}.part");
    std::fs::write(&part, port.to_string()).unwrap();
    std::fs::rename(part, port_file).unwrap();
    move || {
        for peer in listener.incoming().flatten() {
            serve(peer);
        }
    }
}

fn answer(mut peer: TcpStream, flag: &str) {
    let mut request = [0; 4096];
    if peer.read(&mut request).unwrap_or(0) == 0 {
        return;
    }
    let status = if Path::new(flag).exists() {
        "200 OK"
    } else {
        "503 Service Unavailable"
    };
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    drop(peer.write_all(text.as_bytes()));
}

fn notify(text: &str) {
    let socket = UnixDatagram::unbound().unwrap();
    socket
        .send_to(text.as_bytes(), std::env::var("NOTIFY_SOCKET").unwrap())
        .unwrap();
}

fn spew(bytes: usize) {
    let line = format!("{}\n", "x".repeat(99));
    let block = line.repeat(600);
    let mut out = std::io::stdout().lock();
    let mut left = bytes;
    while left > 0 {
        let size = left.min(block.len());
        if out.write_all(&block.as_bytes()[..size]).is_err() {
            return;
        }
        left -= size;
    }
    drop(out.flush());
}

/// Numbered lines; buffered unless they are paced.
fn lines(count: u64, micros: Option<u64>) {
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    for number in 0..count {
        writeln!(out, "line {number} of {count}, as the service wrote it").unwrap();
        if let Some(micros) = micros {
            out.flush().unwrap();
            thread::sleep(Duration::from_micros(micros));
        }
    }
}
