//! The names under which loggers write what matters to us.

use super::{Object, Scalar};

/// What a top-level key means, and which comes first among those that mean the same: the smaller rank.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Level(u8),
    Message(u8),
    Time(u8),
    TraceId(u8),
    SpanId(u8),
    TraceParent,
}

const SEVERITY: u8 = 3;
/// Of `log.level`, also when nested.
pub(super) const LOG_LEVEL: u8 = 5;
/// Of `log`.
pub(super) const LOG_MESSAGE: u8 = 3;

/// By length first: nearly every key fails at that.
pub(super) fn key(name: &[u8]) -> Option<Key> {
    use Key::{Level, Message, SpanId, Time, TraceId, TraceParent};
    Some(match name.len() {
        2 => match name {
            b"ts" => Time(2),
            b"@l" => Level(8),
            b"@m" => Message(2),
            b"@t" => Time(4),
            _ => return None,
        },
        3 => match name {
            b"msg" => Message(1),
            b"lvl" => Level(4),
            b"log" => Message(LOG_MESSAGE),
            _ => return None,
        },
        4 if name == b"time" => Time(0),
        5 => match name {
            b"level" => Level(2),
            b"event" => Message(4),
            _ => return None,
        },
        6 => match name {
            b"spanId" => SpanId(1),
            b"spanID" => SpanId(2),
            _ => return None,
        },
        7 => match name {
            b"message" => Message(0),
            b"span_id" => SpanId(0),
            b"span.id" => SpanId(3),
            b"traceId" => TraceId(1),
            b"traceID" => TraceId(2),
            _ => return None,
        },
        8 => match name {
            b"severity" => Level(SEVERITY),
            b"trace_id" => TraceId(0),
            b"trace.id" => TraceId(3),
            b"loglevel" => Level(6),
            _ => return None,
        },
        9 => match name {
            b"timestamp" => Time(1),
            b"log.level" => Level(LOG_LEVEL),
            b"levelname" => Level(1),
            _ => return None,
        },
        10 => match name {
            b"@timestamp" => Time(3),
            b"level_name" => Level(0),
            _ => return None,
        },
        11 if name == b"traceparent" => TraceParent,
        12 if name == b"severityText" => Level(7),
        _ => return None,
    })
}

/// The best value for one meaning so far, with its rank.
type Best<'a> = Option<(u8, Scalar<'a>)>;

#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    level: Best<'a>,
    message: Best<'a>,
    time: Best<'a>,
    trace_id: Best<'a>,
    span_id: Best<'a>,
    traceparent: Best<'a>,
}

impl<'a> Found<'a> {
    pub(super) fn offer(&mut self, key: Key, value: Scalar<'a>) {
        let (best, rank) = match key {
            Key::Level(rank) => (&mut self.level, rank),
            Key::Time(rank) => (&mut self.time, rank),
            // The others are strings, or not ours: ECS' `event` is an object, Datadog's ids are numbers.
            _ if value.text().is_none() => return,
            Key::Message(rank) => (&mut self.message, rank),
            Key::TraceId(rank) => (&mut self.trace_id, rank),
            Key::SpanId(rank) => (&mut self.span_id, rank),
            Key::TraceParent => (&mut self.traceparent, 0),
        };
        if best.is_none_or(|(held, _)| rank < held) {
            *best = Some((rank, value));
        }
    }

    pub(super) fn object(&self) -> Object<'a> {
        let text = |best: Best<'a>| best.and_then(|(_, value)| value.text());
        Object {
            level: self.level.map(|(_, value)| value),
            under_severity: self.level.is_some_and(|(rank, _)| rank == SEVERITY),
            message: text(self.message),
            time: self.time.map(|(_, value)| value),
            trace_id: text(self.trace_id),
            span_id: text(self.span_id),
            traceparent: text(self.traceparent),
        }
    }
}
