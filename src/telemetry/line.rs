//! One line of podvisor's own log: `TIME podvisor: level message key=value`.
//!
//! One line per fact, whatever the values contain: control characters are escaped, a value with
//! blanks is quoted, and the whole is at most [`MAX_LINE`] bytes, which a pipe takes in one piece.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::logs::stamp::rfc3339_ns;

/// Bytes of one line with its newline: `PIPE_BUF`, so that a write is atomic.
pub const MAX_LINE: usize = 4096;

/// Renders an event of `ts_ns` (nanoseconds since the Unix epoch).
#[must_use]
pub fn event(event: &Event<'_>, ts_ns: u64, colour: bool) -> String {
    let meta = event.metadata();
    let mut line = start(*meta.level(), ts_ns, colour);
    let mut fields = Fields {
        message: String::new(),
        rest: String::new(),
    };
    event.record(&mut fields);
    line.push_str(&fields.message);
    line.push_str(&fields.rest);
    // Others' words (a library's) are told from our own.
    if meta.target().split("::").next() != Some("podvisor") {
        pair(&mut line, "target", meta.target());
    }
    end(line)
}

/// Renders podvisor's own remark about its log.
#[must_use]
pub fn remark(text: &str, ts_ns: u64, colour: bool) -> String {
    end(start(Level::WARN, ts_ns, colour) + text)
}

fn start(level: Level, ts_ns: u64, colour: bool) -> String {
    let (name, code) = match level {
        Level::ERROR => ("error", "1;31"),
        Level::WARN => ("warn", "33"),
        Level::INFO => ("info", "32"),
        Level::DEBUG => ("debug", "34"),
        Level::TRACE => ("trace", "35"),
    };
    let stamp = rfc3339_ns(ts_ns);
    // Milliseconds are enough to read: the first 23 characters.
    let stamp = String::from_utf8_lossy(&stamp[..23]);
    if colour {
        format!("\x1b[2m{stamp}Z\x1b[0m podvisor: \x1b[{code}m{name}\x1b[0m ")
    } else {
        format!("{stamp}Z podvisor: {name} ")
    }
}

fn end(mut line: String) -> String {
    const CUT: &str = "...";
    if line.len() >= MAX_LINE {
        line.truncate(line.floor_char_boundary(MAX_LINE - 1 - CUT.len()));
        line.push_str(CUT);
    }
    line.push('\n');
    line
}

struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }
}

impl Fields {
    fn add(&mut self, key: &str, value: &str) {
        if key == "message" {
            escape(&mut self.message, value);
        } else {
            pair(&mut self.rest, key, value);
        }
    }
}

fn pair(out: &mut String, key: &str, value: &str) {
    out.push(' ');
    out.push_str(key);
    out.push('=');
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
    if quoted(value) || !value.is_empty() && value.chars().all(plain) {
        out.push_str(value);
    } else {
        // Writing into a String can't fail.
        let _ = write!(out, "{value:?}");
    }
}

/// True for what Debug has made of a string: it stays as it is.
fn quoted(value: &str) -> bool {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return false;
    };
    let mut escaped = false;
    for c in inner.chars() {
        if c.is_control() || (c == '"' && !escaped) {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !escaped
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_one_word() {
        let show = |v| {
            let mut out = String::new();
            pair(&mut out, "k", v);
            out
        };
        assert_eq!(show("web"), " k=web");
        assert_eq!(show(""), r#" k="""#);
        assert_eq!(show("a b"), r#" k="a b""#);
        assert_eq!(show(r#""a b""#), r#" k="a b""#);
        assert_eq!(show("a=b"), r#" k="a=b""#);
        // Neither a newline nor a clever value makes another field or line.
        assert_eq!(show(r#""x" pid=1 "y""#), r#" k="\"x\" pid=1 \"y\"""#);
        assert_eq!(show("a\nb"), r#" k="a\nb""#);
        assert_eq!(show("\""), r#" k="\"""#);
    }
}
