//! The termination message: one JSON line in which Kubernetes shows why the container ended.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use serde_json::{Value, json};

/// The kubelet keeps at most this much per container
/// (<https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>).
const MAX_BYTES: usize = 4096;

/// Where the kubelet reads it, unless `TERMINATION_LOG_PATH` says otherwise.
const PATH: &str = "/dev/termination-log";

/// Why the container ends.
#[derive(Debug)]
pub struct Message<'a> {
    /// The service that decided, if one did.
    pub service: Option<&'a str>,
    /// Why, in words.
    pub reason: &'a str,
    /// The exit code.
    pub code: u8,
    /// The service's last lines, oldest first.
    pub lines: &'a [String],
}

impl Message<'_> {
    /// The line, at most [`MAX_BYTES`] long: the oldest log lines give way, then the newest is cut.
    fn render(&self) -> String {
        let mut skip = 0;
        loop {
            let lines: Vec<&str> = self.lines.iter().skip(skip).map(String::as_str).collect();
            let text = self.object(&lines);
            if text.len() <= MAX_BYTES {
                return text;
            }
            if lines.len() <= 1 {
                let mut last = lines.first().copied().unwrap_or_default().to_owned();
                while self.object(&[&last]).len() > MAX_BYTES && !last.is_empty() {
                    let keep = last.len() / 2;
                    last.truncate(last.floor_char_boundary(keep));
                }
                return self.object(&[&last]);
            }
            skip += 1;
        }
    }

    fn object(&self, lines: &[&str]) -> String {
        let mut object =
            json!({ "service": self.service, "reason": self.reason, "code": self.code });
        if !lines.is_empty()
            && let Value::Object(fields) = &mut object
        {
            fields.insert("log".to_owned(), json!(lines));
        }
        format!("{object}\n")
    }

    /// Writes it, if the file is there. It never decides anything: a failure is only noted.
    pub fn write(&self) {
        let path = std::env::var_os("TERMINATION_LOG_PATH").unwrap_or_else(|| PATH.into());
        // Never made: where nobody reads it, it is litter. O_NONBLOCK: a FIFO must not hold the end up.
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path);
        let written = opened.and_then(|mut file| file.write_all(self.render().as_bytes()));
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "termination message not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(lines: &[String]) -> String {
        Message {
            service: Some("web"),
            reason: "exit code 3",
            code: 3,
            lines,
        }
        .render()
    }

    #[test]
    fn it_is_one_line_of_json() {
        let text = message(&["starting".to_owned(), "no \"db\"\n".to_owned()]);
        assert_eq!(text.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["service"], "web");
        assert_eq!(value["code"], 3);
        assert_eq!(value["log"][1], "no \"db\"\n");
    }

    #[test]
    fn the_oldest_lines_give_way() {
        let lines: Vec<String> = (0..100)
            .map(|n| format!("line {n} {}", "x".repeat(100)))
            .collect();
        let text = message(&lines);
        assert!(text.len() <= MAX_BYTES);
        assert!(text.contains("line 99 ") && !text.contains("line 1 "));
    }

    #[test]
    fn one_huge_line_is_cut() {
        let text = message(&["\u{1}ä".repeat(10_000)]);
        assert!(text.len() <= MAX_BYTES);
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }
}
