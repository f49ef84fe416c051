//! Some records of an OTLP request as a request of their own: when a batch is halved.

use std::ops::Range;

use super::wire::{close, fields, open};

/// How many records a request holds. After a place that can't be read none are counted.
#[must_use]
pub fn count(request: &[u8]) -> u32 {
    let scope_logs = messages(request, 1).flat_map(|bytes| messages(bytes, 2));
    let records = scope_logs.flat_map(|bytes| messages(bytes, 2)).count();
    u32::try_from(records).unwrap_or(u32::MAX)
}

/// The message fields `number`, until something can't be read.
fn messages(bytes: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let readable = fields(bytes).map_while(Result::ok);
    readable.filter_map(move |f| (f.number == number).then_some(f.value.bytes().ok()?))
}

/// The records numbered `range`, counted from 0 as they lie in the request, with their resources and
/// scopes as they are, byte by byte. Resources and scopes without a record among them are left out.
#[must_use]
pub fn slice(request: &[u8], range: Range<u32>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen = 0;
    for field in fields(request).map_while(Result::ok) {
        if let (1, Ok(resource_logs)) = (field.number, field.value.bytes()) {
            let start = out.len();
            let message = open(1, resource_logs.len(), &mut out);
            if slice_resource(resource_logs, &range, &mut seen, &mut out) {
                close(message, &mut out);
            } else {
                out.truncate(start);
            }
        }
    }
    out
}

/// Copies the chosen records of one `ResourceLogs` with everything around them. False if none are.
fn slice_resource(bytes: &[u8], range: &Range<u32>, seen: &mut u32, out: &mut Vec<u8>) -> bool {
    let mut any = false;
    for field in fields(bytes).map_while(Result::ok) {
        match (field.number, field.value.bytes()) {
            (2, Ok(scope_logs)) => {
                let start = out.len();
                let message = open(2, scope_logs.len(), out);
                if slice_scope(scope_logs, range, seen, out) {
                    any = true;
                    close(message, out);
                } else {
                    out.truncate(start);
                }
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    any
}

/// Copies the chosen records of one `ScopeLogs` with everything around them. False if none are.
fn slice_scope(bytes: &[u8], range: &Range<u32>, seen: &mut u32, out: &mut Vec<u8>) -> bool {
    let mut any = false;
    for field in fields(bytes).map_while(Result::ok) {
        if field.number == 2 && field.value.bytes().is_ok() {
            let chosen = range.contains(seen);
            *seen = seen.saturating_add(1);
            if !chosen {
                continue;
            }
            any = true;
        }
        out.extend_from_slice(field.raw);
    }
    any
}

#[cfg(test)]
mod tests;
