//! Which trace and span a record belongs to, if it says so.
//!
//! Ids are hexadecimal as in W3C Trace Context: 32 digits for a trace, 16 for a span, not all zero. A trace id of 16
//! digits, as Jaeger and Zipkin write it, is padded on the left. Datadog's decimal ids are not taken: they are only half
//! of an id.

use memchr::memmem::Finder;

use crate::ship::json::Object;

/// A trace further from the start of its line than this many bytes is not found.
pub const REACH: usize = 4096;

/// Hits of a needle that are looked at in one line, so that none can be made slow.
const MAX_HITS: usize = 8;

/// A trace id and a span id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ids {
    /// The trace.
    pub trace: Option<[u8; 16]>,
    /// The span.
    pub span: Option<[u8; 8]>,
}

/// The ids in the values of a JSON object. `traceparent` counts where there is no trace id.
#[must_use]
pub fn object(object: &Object<'_>) -> Ids {
    match (object.trace_id.and_then(trace), object.traceparent) {
        (None, Some(text)) => parent(text).unwrap_or_default(),
        (trace, _) => Ids {
            trace,
            span: object.span_id.and_then(span),
        },
    }
}

/// Looks for ids in plain text: `trace_id=…`, `traceId: …`, `"trace.id":"…"`, `traceparent=00-…`.
#[derive(Debug, Clone)]
pub struct Finders {
    /// Without the first letter, which may be a capital.
    trace: Finder<'static>,
    span: Finder<'static>,
}

impl Default for Finders {
    fn default() -> Self {
        Finders {
            trace: Finder::new(b"race"),
            span: Finder::new(b"pan"),
        }
    }
}

impl Finders {
    /// The ids in `text`. A span is taken only beside a trace.
    #[must_use]
    pub fn text(&self, text: &[u8]) -> Ids {
        let text = text.get(..REACH).unwrap_or(text);
        for at in self.trace.find_iter(text).take(MAX_HITS) {
            let Some(rest) = behind(text, at, b't', 4) else {
                continue;
            };
            if let Some(ids) = rest
                .strip_prefix(b"parent")
                .and_then(value)
                .and_then(parent)
            {
                return ids;
            }
            if let Some(trace) = id(rest).and_then(value).and_then(trace) {
                let spans = self.span.find_iter(text).take(MAX_HITS);
                let span = spans
                    .filter_map(|at| behind(text, at, b's', 3))
                    .find_map(|rest| id(rest).and_then(value).and_then(span));
                return Ids {
                    trace: Some(trace),
                    span,
                };
            }
        }
        Ids::default()
    }
}

/// What follows a needle of `len` bytes at `at`, if `first` stands before it, in either case, and begins a word.
fn behind(text: &[u8], at: usize, first: u8, len: usize) -> Option<&[u8]> {
    let start = at.checked_sub(1)?;
    if text.get(start)?.to_ascii_lowercase() != first {
        return None;
    }
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if start > 0 && text.get(start - 1).is_some_and(inside) {
        return None;
    }
    text.get(at + len..)
}

/// Behind `_id`, `Id`, `ID` or `.id`.
fn id(rest: &[u8]) -> Option<&[u8]> {
    [&b"_id"[..], b"Id", b"ID", b".id"]
        .iter()
        .find_map(|name| rest.strip_prefix(*name))
}

/// What stands behind `=` or `:`, whatever quotes and blanks are around that.
fn value(rest: &[u8]) -> Option<&[u8]> {
    let quote = |b: u8| matches!(b, b'"' | b'\\' | b'\'' | b' ');
    let sign = rest.iter().take(4).position(|&b| !quote(b))?;
    if !matches!(rest.get(sign), Some(b'=' | b':')) {
        return None;
    }
    let rest = rest.get(sign + 1..)?;
    let start = rest.iter().take(4).position(|&b| !quote(b))?;
    let rest = rest.get(start..)?;
    let inside = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let end = rest.iter().position(|b| !inside(b)).unwrap_or(rest.len());
    rest.get(..end)
}

/// W3C's `version-trace-span-flags`: later versions may add more behind it.
fn parent(text: &[u8]) -> Option<Ids> {
    let mut parts = text.split(|&b| b == b'-');
    let version = parts.next()?;
    let (trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &[u8]| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit);
    if !hex(version) || version == b"ff" || !hex(flags) || trace_id.len() != 32 {
        return None;
    }
    let (trace, span) = (trace(trace_id)?, span(span_id)?);
    Some(Ids {
        trace: Some(trace),
        span: Some(span),
    })
}

fn trace(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() == 16 {
        let low: [u8; 8] = span(text)?;
        let mut id = [0; 16];
        id.last_chunk_mut::<8>()?.copy_from_slice(&low);
        return Some(id);
    }
    hex(text)
}

fn span(text: &[u8]) -> Option<[u8; 8]> {
    hex(text)
}

/// `N` bytes in hexadecimal, not all zero.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut id = [0; N];
    let (pairs, _) = text.as_chunks::<2>();
    for (byte, &[high, low]) in id.iter_mut().zip(pairs) {
        let digit = |b: u8| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    (id != [0; N]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::json::scan;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn text(line: &str) -> (bool, bool) {
        let ids = Finders::default().text(line.as_bytes());
        assert!(
            ids.trace
                .is_none_or(|id| id == hex::<16>(TRACE.as_bytes()).unwrap())
        );
        assert!(
            ids.span
                .is_none_or(|id| id == hex::<8>(SPAN.as_bytes()).unwrap())
        );
        (ids.trace.is_some(), ids.span.is_some())
    }

    #[test]
    fn finds_ids_in_text() {
        for form in [
            "level=info trace_id=@t span_id=@s msg=x",
            "traceId=@t spanId=@s",
            "traceID=\"@t\" spanID=\"@s\"",
            "TraceId: @t, SpanId: @s",
            "[trace.id=@t span.id=@s] hello",
            r#"x {"trace_id":"@t","span_id":"@s"}"#,
            r#"x {\"trace_id\": \"@t\", \"span_id\": \"@s\"}"#,
            "span_id=@s trace_id=@t",
            "traceparent=00-@t-@s-01",
            r#"GET / "traceparent": "00-@t-@s-00" 200"#,
            "embrace the race, trace_id=@t span_id=@s",
        ] {
            let line = form.replace("@t", TRACE).replace("@s", SPAN);
            assert_eq!(text(&line), (true, true), "{line}");
        }
        assert_eq!(text(&format!("trace_id={TRACE}")), (true, false));
    }

    #[test]
    fn refuses_what_is_no_id() {
        for line in [
            "trace_id=123 span_id=00f067aa0ba902b7",
            "trace_id=00000000000000000000000000000000",
            "trace_id=4bf92f3577b34da6a3ce929d0e0e473g",
            "trace_id=4bf92f3577b34da6a3ce929d0e0e47361",
            "dd.trace_id=4bf92f3577b34da6a3ce929d0e0e4736",
            "stack_trace_id=4bf92f3577b34da6a3ce929d0e0e4736",
            "trace_id 4bf92f3577b34da6a3ce929d0e0e4736",
            "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "traceparent=ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "race",
            "trace_id",
            "trace_id=",
        ] {
            assert_eq!(text(line), (false, false), "{line}");
        }
    }

    #[test]
    fn short_trace_ids_are_padded() {
        let ids = Finders::default().text(b"traceId=00f067aa0ba902b7");
        assert_eq!(
            ids.trace.map(u128::from_be_bytes),
            Some(0x00f0_67aa_0ba9_02b7)
        );
    }

    #[test]
    fn json_values() {
        let ids = |line: &str| object(&scan(line.as_bytes()).unwrap());
        let both = ids(&format!(r#"{{"traceId":"{TRACE}","spanId":"{SPAN}"}}"#));
        assert_eq!(both.trace, hex(TRACE.as_bytes()));
        assert_eq!(both.span, hex(SPAN.as_bytes()));
        assert_eq!(
            ids(&format!(r#"{{"traceparent":"00-{TRACE}-{SPAN}-01"}}"#)),
            both
        );
        assert_eq!(ids(r#"{"traceId":"x","spanId":7}"#), Ids::default());
    }
}
