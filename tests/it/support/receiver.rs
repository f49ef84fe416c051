//! A receiver inside the test: every record at hand, faults and the port under control.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use podvisor::receive::decode::Seen;
use podvisor::receive::faults::Faults;
use podvisor::receive::ledger::Counts;
use podvisor::receive::{self, Output};
use serde_json::Value;

use super::DEADLINE;

/// What has come in.
#[derive(Default)]
struct Kept {
    records: Mutex<Vec<Value>>,
    refused: Mutex<Vec<String>>,
    changed: Condvar,
}

struct Keeper(Arc<Kept>);

impl Output for Keeper {
    fn record(&mut self, seen: &Seen<'_>) {
        let record = serde_json::from_str(&seen.json()).unwrap();
        self.0.records.lock().unwrap().push(record);
    }

    fn refused(&mut self, path: &str, status: Option<http::StatusCode>, why: &str) {
        let status = status.map_or(0, |status| status.as_u16());
        let refused = format!("{status} {path}: {why}");
        self.0.refused.lock().unwrap().push(refused);
    }

    fn end(&mut self) -> std::io::Result<()> {
        // Taken, so that nobody is between looking and waiting.
        drop(self.0.records.lock().unwrap());
        self.0.changed.notify_all();
        Ok(())
    }
}

/// A receiver on a port of its own, until it is dropped.
pub struct Receiver {
    inner: receive::Receiver,
    kept: Arc<Kept>,
}

impl Receiver {
    /// With faults as `--fail` has them.
    pub fn start(faults: &[&str]) -> Self {
        let kept = Arc::new(Kept::default());
        let inner = receive::Receiver::start(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            Faults::parse(faults.iter().copied()).unwrap(),
            Box::new(Keeper(kept.clone())),
        );
        Self {
            inner: inner.unwrap(),
            kept,
        }
    }

    pub fn port(&self) -> u16 {
        self.inner.address().port()
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.inner.address())
    }

    pub fn counts(&self) -> Counts {
        self.inner.counts()
    }

    /// All that was kept so far, in order, those that came twice among them.
    pub fn records(&self) -> Vec<Value> {
        self.kept.records.lock().unwrap().clone()
    }

    /// The requests that failed, as `STATUS PATH: WHY`; status 0 if there was no answer.
    pub fn refused(&self) -> Vec<String> {
        self.kept.refused.lock().unwrap().clone()
    }

    /// Waits until the condition holds for the records, or fails by name; gives them.
    pub fn wait(&self, what: &str, mut condition: impl FnMut(&[Value]) -> bool) -> Vec<Value> {
        let records = self.kept.records.lock().unwrap();
        let not_yet = |records: &mut Vec<Value>| !condition(records);
        let (records, waited) = self
            .kept
            .changed
            .wait_timeout_while(records, DEADLINE, not_yet)
            .unwrap();
        if waited.timed_out() {
            let (count, last) = (records.len(), records.last().cloned());
            drop(records);
            let (refused, counts) = (self.refused(), self.counts());
            panic!(
                "waited in vain: {what}\n{count} records, last {last:?}\n{counts:?}\n{refused:?}"
            );
        }
        records.clone()
    }

    /// Waits for so many records at least.
    pub fn wait_count(&self, count: usize) -> Vec<Value> {
        self.wait(&format!("{count} records"), |records| {
            records.len() >= count
        })
    }

    /// Other faults from now on.
    pub fn fail(&self, faults: &[&str]) {
        self.inner
            .set_faults(Faults::parse(faults.iter().copied()).unwrap());
    }

    /// Refuses connections, and cuts those that are open.
    pub fn down(&self) {
        self.inner.down();
    }

    /// Back again, on the same port.
    pub fn up(&self) {
        self.inner.up();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One POST on a new connection, with `name: value` headers; an error if no answer comes.
pub fn post(port: u16, path: &str, headers: &[&str], body: &[u8]) -> std::io::Result<Answer> {
    post_for(DEADLINE, port, path, headers, body)
}

/// As [`post`], with patience of one's own.
pub fn post_for(
    patience: Duration,
    port: u16,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut peer = TcpStream::connect(("127.0.0.1", port))?;
    peer.set_read_timeout(Some(patience))?;
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    peer.write_all(head.as_bytes())?;
    peer.write_all(body)?;
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n");
    let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    Ok(Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: answer[end + 4..].to_vec(),
    })
}
