//! How a line looks on the console: raw, prefixed or JSON.
//!
//! A record is always written in one piece, whatever its length. Container runtimes cut lines at
//! 16 KiB in their own files; podvisor does not do it for them.

use super::escape;
use super::record::{Chunk, Line, ServiceId, Stream};
use super::stamp::{now_ns, rfc3339_ns};

/// What the console shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The bytes exactly as written: CRLF, control characters and a missing last newline are kept.
    /// The one addition: if a line of one service is unfinished (it ended without a newline, or is
    /// longer than `maxLine`) and another service's line comes next, a newline goes between.
    Raw,
    /// `name | line`, aligned to the longest name, as `docker compose` has it (stderr looks the
    /// same as stdout). Control characters are neutralised, see [`escape::terminal`]. The second and
    /// later pieces of a line longer than `maxLine` have `|+` in place of `|`.
    Prefixed,
    /// One strict JSON object a line: `timestamp`, `service`, `stream`, `seq`, `message`, and for
    /// the pieces of a line longer than `maxLine` also `part` and `partial`. Invalid UTF-8 becomes
    /// U+FFFD.
    Json,
    /// Nothing.
    None,
}

/// The colours of `docker compose`, in its order.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

/// The name under which podvisor itself speaks on the console.
const OWN_NAME: &str = "podvisor";

/// Renders records. Its buffers are reused: nothing is allocated per line.
#[derive(Debug)]
pub struct Formatter {
    format: Format,
    colour: bool,
    /// Widest registered name, in bytes (names are ASCII by the config's rule).
    width: usize,
    /// What all lines of the current chunk start with.
    head: Vec<u8>,
}

impl Formatter {
    /// `colour` is for prefixes only and is the caller's decision (a terminal, no `NO_COLOR`).
    #[must_use]
    pub fn new(format: Format, colour: bool) -> Self {
        Formatter {
            format,
            colour,
            width: 0,
            head: Vec::new(),
        }
    }

    /// The format that was chosen.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Aligns prefixes to names of this many bytes.
    pub fn set_width(&mut self, width: usize) {
        self.width = width;
    }

    /// Prepares for the lines of one chunk.
    pub fn begin(&mut self, chunk: &Chunk<'_>) {
        self.head.clear();
        match self.format {
            Format::Raw | Format::None => {}
            Format::Prefixed => prefix(
                &mut self.head,
                chunk.name,
                self.width,
                self.colour.then_some(chunk.service),
            ),
            Format::Json => {
                json_head(
                    &mut self.head,
                    chunk.ts_ns,
                    chunk.name,
                    chunk.stream.as_str(),
                );
                self.head.extend_from_slice(b",\"seq\":");
            }
        }
    }

    /// Appends one line of the chunk that [`Formatter::begin`] was given.
    pub fn line(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        match self.format {
            Format::None => {}
            Format::Raw => out.extend_from_slice(line.raw),
            Format::Prefixed => {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(if line.part > 0 { b"+ " } else { b" " });
                escape::terminal(line.text, out);
                out.push(b'\n');
            }
            Format::Json => {
                out.extend_from_slice(&self.head);
                escape::decimal(line.seq, out);
                if line.part > 0 || line.partial {
                    out.extend_from_slice(b",\"part\":");
                    escape::decimal(u64::from(line.part), out);
                    out.extend_from_slice(b",\"partial\":");
                    out.extend_from_slice(if line.partial { b"true" } else { b"false" });
                }
                out.extend_from_slice(b",\"message\":\"");
                escape::json(line.text, out);
                out.extend_from_slice(b"\"}\n");
            }
        }
    }

    /// Everything that [`notice`] needs, for the console's own thread.
    #[must_use]
    pub fn notice_style(&self) -> NoticeStyle {
        NoticeStyle {
            format: self.format,
            width: self.width,
        }
    }
}

/// How podvisor's own line looks on the console.
#[derive(Debug, Clone, Copy)]
pub struct NoticeStyle {
    format: Format,
    width: usize,
}

/// Appends podvisor's line about `dropped` lines that the console was too slow for.
pub fn notice(style: NoticeStyle, dropped: u64, out: &mut Vec<u8>) {
    match style.format {
        Format::None => return,
        Format::Raw => out.extend_from_slice(b"podvisor:"),
        Format::Prefixed => prefix(out, OWN_NAME, style.width, None),
        Format::Json => {
            json_head(out, now_ns(), OWN_NAME, Stream::Stderr.as_str());
            out.extend_from_slice(b",\"dropped\":");
            escape::decimal(dropped, out);
            out.extend_from_slice(b",\"message\":\"");
        }
    }
    if style.format != Format::Json {
        out.push(b' ');
    }
    escape::decimal(dropped, out);
    out.extend_from_slice(b" lines dropped here: the console was blocked");
    out.extend_from_slice(if style.format == Format::Json {
        b"\"}\n"
    } else {
        b"\n"
    });
}

/// `name  |`, without the space that follows.
fn prefix(out: &mut Vec<u8>, name: &str, width: usize, colour: Option<ServiceId>) {
    if let Some(ServiceId(id)) = colour {
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(COLOURS[id as usize % COLOURS.len()].as_bytes());
        out.push(b'm');
    }
    out.extend_from_slice(name.as_bytes());
    out.resize(out.len() + width.saturating_sub(name.len()), b' ');
    out.extend_from_slice(b" |");
    if colour.is_some() {
        out.extend_from_slice(b"\x1b[0m");
    }
}

fn json_head(out: &mut Vec<u8>, ts_ns: u64, name: &str, stream: &str) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    out.extend_from_slice(&rfc3339_ns(ts_ns));
    out.extend_from_slice(b"\",\"service\":\"");
    escape::json(name.as_bytes(), out);
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::lines::Framer;
    use super::super::record::LineMeta;
    use super::*;

    fn render(format: Format, colour: bool, name: &str, max: usize, data: &[u8]) -> Vec<u8> {
        let mut f = Formatter::new(format, colour);
        f.set_width(6);
        let mut out = Vec::new();
        let mut seq = 40;
        let mut emit = |bytes: &[u8], lines: &[LineMeta]| {
            let chunk = Chunk {
                bytes,
                lines,
                first_seq: seq,
                ts_ns: 1_700_000_000_000_000_001,
                service: ServiceId(1),
                name,
                stream: Stream::Stdout,
                incarnation: 1,
                pid: 1,
            };
            seq += lines.len() as u64;
            f.begin(&chunk);
            chunk.iter().for_each(|l| f.line(&l, &mut out));
        };
        let mut framer = Framer::new(max);
        framer.feed(data, &mut Vec::new(), &mut emit);
        framer.finish(&mut emit);
        out
    }

    #[test]
    fn raw_is_what_was_written() {
        let data = b"a\r\n\0\x1b[2Jb\n\xff\xfe\n\nlast";
        assert_eq!(render(Format::Raw, true, "web", 3, data), data);
    }

    #[test]
    fn prefixed_is_aligned() {
        let got = render(Format::Prefixed, false, "web", 100, b"a\r\n\nlast");
        assert_eq!(
            String::from_utf8(got).unwrap(),
            "web    | a\nweb    | \nweb    | last\n"
        );
    }

    #[test]
    fn prefixed_pieces_are_told_from_lines() {
        let got = render(Format::Prefixed, false, "web", 3, b"abcdef\ng\n");
        assert_eq!(
            String::from_utf8(got).unwrap(),
            "web    | abc\nweb    |+ def\nweb    | g\n"
        );
    }

    #[test]
    fn prefixed_in_colour() {
        let got = render(Format::Prefixed, true, "web", 100, b"\x1b[31mx\n");
        assert_eq!(
            String::from_utf8(got).unwrap(),
            "\x1b[33mweb    |\x1b[0m \x1b[31mx\x1b[0m\n"
        );
    }

    #[test]
    fn a_prefix_cannot_be_faked() {
        let tricks = b"x\rdb     | pwned\n\x1b[2K\x1b[1Gdb     | pwned\n\x0bdb | p\n\x08\x08db |\n";
        let got = String::from_utf8(render(Format::Prefixed, false, "web", 9, tricks)).unwrap();
        for line in got.lines() {
            assert!(line.starts_with("web    |"), "{line:?}");
            assert!(!line.contains(['\r', '\x1b', '\x0b', '\x08']), "{line:?}");
        }
    }

    #[test]
    fn json_is_strict() {
        let data = b"a\"b\\\r\n\xff\xfe\0\n\nlong line\nend";
        let got = render(Format::Json, true, "we\"b", 5, data);
        let lines: Vec<serde_json::Value> = String::from_utf8(got)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        let messages: Vec<&str> = lines
            .iter()
            .map(|l| l["message"].as_str().unwrap())
            .collect();
        assert_eq!(
            messages,
            ["a\"b\\", "\u{fffd}\u{fffd}\0", "", "long ", "line", "end"]
        );
        assert_eq!(lines[0]["timestamp"], "2023-11-14T22:13:20.000000001Z");
        assert_eq!(
            (&lines[0]["service"], &lines[0]["seq"]),
            (&"we\"b".into(), &40.into())
        );
        assert_eq!(
            (&lines[3]["part"], &lines[3]["partial"]),
            (&0.into(), &true.into())
        );
        assert_eq!(
            (&lines[4]["part"], &lines[4]["partial"]),
            (&1.into(), &false.into())
        );
        assert!(lines[5].get("part").is_none());
    }

    #[test]
    fn the_notice_fits_each_format() {
        let show = |format| {
            let mut out = Vec::new();
            notice(NoticeStyle { format, width: 10 }, 7, &mut out);
            String::from_utf8(out).unwrap()
        };
        let text = "7 lines dropped here: the console was blocked\n";
        assert_eq!(show(Format::Raw), format!("podvisor: {text}"));
        assert_eq!(show(Format::Prefixed), format!("podvisor   | {text}"));
        let json: serde_json::Value = serde_json::from_str(&show(Format::Json)).unwrap();
        assert_eq!(
            (&json["dropped"], &json["service"]),
            (&7.into(), &"podvisor".into())
        );
        assert_eq!(show(Format::None), "");
    }
}
