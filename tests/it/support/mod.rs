//! The binary, run on a config, with a hard deadline: what every test here is made of.
#![expect(
    clippy::disallowed_types,
    reason = "the tests are outside of podvisor's own process"
)]

pub mod receiver;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Past this a test has hung, and fails by name.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How often a condition from outside the process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// The binary.
pub fn podvisor() -> &'static str {
    env!("CARGO_BIN_EXE_podvisor")
}

/// The scriptable test process, `examples/child.rs`.
pub fn child() -> PathBuf {
    let path = Path::new(podvisor())
        .parent()
        .unwrap()
        .join("examples/child");
    assert!(
        path.exists(),
        "{} is missing: cargo build --examples",
        path.display()
    );
    path
}

/// A folder of a test's own.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn exists(&self, name: &str) -> bool {
        Path::new(&self.path(name)).exists()
    }

    /// What was marked, in order of time.
    pub fn marks(&self, name: &str) -> Vec<(String, u128)> {
        let mut marks: Vec<(String, u128)> = self
            .read(name)
            .lines()
            .map(|line| {
                let (text, at) = line.rsplit_once(' ').unwrap();
                (text.to_owned(), at.parse().unwrap())
            })
            .collect();
        marks.sort_by_key(|(_, at)| *at);
        marks
    }

    /// The names of the marks, in order of time.
    pub fn order(&self, name: &str) -> Vec<String> {
        self.marks(name).into_iter().map(|(text, _)| text).collect()
    }

    /// Writes a config in which `CHILD` stands for the test process and `DIR` for this folder.
    pub fn config(&self, yaml: &str) -> String {
        let path = self.path("podvisor.yaml");
        let yaml = yaml
            .replace("CHILD", &child().display().to_string())
            .replace("DIR", &self.0.path().display().to_string());
        std::fs::write(&path, yaml).unwrap();
        path
    }

    /// Runs podvisor on a config; the endpoint is off unless the config says otherwise.
    pub fn run(&self, yaml: &str) -> Running {
        let says = yaml.lines().any(|line| line.starts_with("http:"));
        let config = self.config(yaml);
        let listen = if says {
            &[][..]
        } else {
            &["--listen", "off"][..]
        };
        Running::start(self, &[&["run", "-c", &config], listen].concat())
    }
}

/// Runs a client command against the podvisor of this place, to its end.
pub fn client(place: &Place, args: &[&str]) -> Done {
    let mut command = Command::new(podvisor());
    command.args(args);
    Running::spawn(place, command).wait()
}

/// As [`client`], as another user. Only root may do that.
pub fn client_of(uid: u32, place: &Place, args: &[&str]) -> Done {
    let mut command = Command::new(podvisor());
    command.args(args).uid(uid).gid(uid);
    Running::spawn(place, command).wait()
}

/// How it ended, and what it wrote.
pub struct Done {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Done {
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 1000 + self.status.signal().unwrap_or(0))
    }
}

/// A podvisor that runs.
pub struct Running {
    child: Child,
    began: Instant,
    stdout: Option<thread::JoinHandle<Vec<u8>>>,
    stderr: Option<thread::JoinHandle<Vec<u8>>>,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = Command::new(podvisor());
        command.args(args);
        Self::spawn(place, command)
    }

    pub fn spawn(place: &Place, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("TERMINATION_LOG_PATH", place.path("termination"))
            .env("XDG_RUNTIME_DIR", place.path(""))
            .env("PODVISOR_SOCKET", place.path("control.sock"))
            .env_remove("PODVISOR_CONFIG")
            .env_remove("PODVISOR_LISTEN")
            .env_remove("PODVISOR_LOG")
            .env_remove("KUBERNETES_SERVICE_HOST");
        std::fs::write(place.path("termination"), "").unwrap();
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::sync_channel(100_000);
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdout = collect(out, sender.clone(), "");
        let stderr = collect(err, sender, "! ");
        let began = Instant::now();
        Self {
            child,
            began,
            stdout: Some(stdout),
            stderr: Some(stderr),
            lines,
            seen: Vec::new(),
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for a line of stdout, or of stderr behind `! `, that contains the text.
    pub fn wait_line(&mut self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!(
                    "no line with {text:?}; there was:\n{}",
                    self.seen.join("\n")
                ),
            }
        }
    }

    /// Waits until the condition holds.
    pub fn wait_until(&mut self, what: &str, condition: impl FnMut() -> bool) {
        wait_until(what, condition, || {
            let mut text = self.seen.join("\n");
            while let Ok(line) = self.lines.try_recv() {
                text.push('\n');
                text.push_str(&line);
            }
            text
        });
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Done {
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                let text: Vec<String> = self.lines.try_iter().collect();
                drop(self.child.kill());
                panic!(
                    "it does not end:\n{}\n{}",
                    self.seen.join("\n"),
                    text.join("\n")
                );
            }
            pause();
        };
        let took = self.began.elapsed();
        let text = |handle: Option<thread::JoinHandle<Vec<u8>>>| {
            String::from_utf8_lossy(&handle.unwrap().join().unwrap()).into_owned()
        };
        let stdout = text(self.stdout.take());
        let stderr = text(self.stderr.take());
        Done {
            status,
            stdout,
            stderr,
            took,
        }
    }

    /// TERM, then its end.
    pub fn stop(self) -> Done {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Looks again and again until the condition holds: what happens in other processes tells nobody here.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no event to wait for from outside"
)]
fn pause() {
    thread::sleep(LOOK);
}

/// Waits until the condition holds, or fails by name.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool, more: impl FnOnce() -> String) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        if Instant::now() > until {
            panic!("waited in vain: {what}\n{}", more());
        }
        pause();
    }
}

fn collect(
    mut from: impl Read + Send + 'static,
    lines: mpsc::SyncSender<String>,
    prefix: &'static str,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let mut told = 0;
        let mut buffer = [0; 65536];
        while let Ok(size) = from.read(&mut buffer) {
            if size == 0 {
                break;
            }
            all.extend_from_slice(&buffer[..size]);
            while let Some(end) = all[told..].iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(&all[told..told + end]);
                drop(lines.try_send(format!("{prefix}{line}")));
                told += end + 1;
            }
        }
        all
    })
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// One GET on a new connection, as the kubelet does it; status and body, or None when nobody answers.
pub fn get(port: u16, target: &str) -> Option<(u16, String)> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut peer = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    peer.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    peer.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}

/// Whether a process with that pid lives (a zombie does not).
pub fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Whether the tests may make namespaces and switch users.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
