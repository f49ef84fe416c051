//! Reading OTLP log requests: a walk over the bytes that copies nothing, allocates nothing and
//! believes nothing.
//!
//! `opentelemetry/proto/collector/logs/v1/logs_service.proto` and what it imports. Strings that are
//! not UTF-8 and fields of a wrong type are errors, as they are to every protobuf library; unknown
//! fields are skipped. Every iterator ends after its first error.

pub use super::value::{AnyValue, Array, Entries, MAX_DEPTH, Map};
use super::wire::{self, Fields, Malformed};

/// The `ResourceLogs` of an `ExportLogsServiceRequest`.
#[must_use]
pub fn resources(request: &[u8]) -> Messages<'_, ResourceLogs<'_>> {
    Messages::new(request, 1, |bytes| Ok(ResourceLogs { bytes }))
}

/// Walks through the whole request, every attribute and value of it, and counts its records.
///
/// # Errors
/// When any part can't be read.
pub fn check(request: &[u8]) -> Result<u64, Malformed> {
    let mut records = 0;
    for resource in resources(request) {
        let resource = resource?;
        resource.attributes().try_for_each(walk)?;
        for scope in resource.scopes() {
            let scope = scope?;
            scope.name()?;
            scope.version()?;
            for record in scope.records() {
                let record = record?;
                record.attributes().try_for_each(walk)?;
                walk(Ok(("", record.body)))?;
                records += 1;
            }
        }
    }
    Ok(records)
}

/// Ends: every level of a value knows its depth.
fn walk(entry: Result<(&str, AnyValue<'_>), Malformed>) -> Result<(), Malformed> {
    match entry?.1 {
        AnyValue::Array(items) => items.iter().try_for_each(|v| walk(v.map(|v| ("", v)))),
        AnyValue::Map(entries) => entries.iter().try_for_each(walk),
        _ => Ok(()),
    }
}

/// The occurrences of one message field, each read by one function.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a, T> {
    fields: Fields<'a>,
    number: u32,
    read: fn(&'a [u8]) -> Result<T, Malformed>,
}

impl<'a, T> Messages<'a, T> {
    fn new(bytes: &'a [u8], number: u32, read: fn(&'a [u8]) -> Result<T, Malformed>) -> Self {
        Messages {
            fields: wire::fields(bytes),
            number,
            read,
        }
    }
}

impl<T> Iterator for Messages<'_, T> {
    type Item = Result<T, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let read = match self.fields.next()? {
                Ok(field) if field.number != self.number => continue,
                Ok(field) => field.value.bytes().and_then(self.read),
                Err(error) => Err(error),
            };
            if read.is_err() {
                self.fields = Fields::default();
            }
            return Some(read);
        }
    }
}

/// What one resource has logged.
#[derive(Debug, Clone, Copy)]
pub struct ResourceLogs<'a> {
    bytes: &'a [u8],
}

impl<'a> ResourceLogs<'a> {
    /// The resource's attributes.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            outer: wire::fields(self.bytes),
            inner: Entries::new(&[], 1, 0),
        }
    }

    /// Its `ScopeLogs`.
    #[must_use]
    pub fn scopes(&self) -> Messages<'a, ScopeLogs<'a>> {
        Messages::new(self.bytes, 2, |bytes| Ok(ScopeLogs { bytes }))
    }
}

/// The attributes of a resource. Should the `Resource` occur more than once, all count, as protobuf
/// has it.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    outer: Fields<'a>,
    inner: Entries<'a>,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, AnyValue<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.inner.next() {
                if entry.is_err() {
                    self.outer = Fields::default();
                }
                return Some(entry);
            }
            let resource = match self.outer.next()? {
                Ok(field) if field.number != 1 => continue,
                Ok(field) => field.value.bytes(),
                Err(error) => Err(error),
            };
            match resource {
                Ok(bytes) => self.inner = Entries::new(bytes, 1, 0),
                Err(error) => {
                    self.outer = Fields::default();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// What one instrumentation scope has logged.
#[derive(Debug, Clone, Copy)]
pub struct ScopeLogs<'a> {
    bytes: &'a [u8],
}

impl<'a> ScopeLogs<'a> {
    /// The scope's name, empty if it has none.
    ///
    /// # Errors
    /// When the scope can't be read.
    pub fn name(&self) -> Result<&'a str, Malformed> {
        self.scope_field(1)
    }

    /// The scope's version, empty if it has none.
    ///
    /// # Errors
    /// When the scope can't be read.
    pub fn version(&self) -> Result<&'a str, Malformed> {
        self.scope_field(2)
    }

    /// Its records.
    #[must_use]
    pub fn records(&self) -> Messages<'a, LogRecord<'a>> {
        Messages::new(self.bytes, 2, LogRecord::read)
    }

    fn scope_field(&self, number: u32) -> Result<&'a str, Malformed> {
        let mut found = "";
        for field in wire::fields(self.bytes) {
            let field = field?;
            if field.number == 1 {
                for field in wire::fields(field.value.bytes()?) {
                    let field = field?;
                    if field.number == number {
                        found = field.value.str()?;
                    }
                }
            }
        }
        Ok(found)
    }
}

/// One log record. What is not set is zero or empty, as protobuf has it.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    bytes: &'a [u8],
    /// When it happened: nanoseconds since the Unix epoch, 0 if unknown.
    pub time_unix_nano: u64,
    /// When it was first seen by a collector.
    pub observed_time_unix_nano: u64,
    /// 1 (finest) to 24 (fatal), 0 if unknown.
    pub severity_number: i32,
    /// The record's own word for it.
    pub severity_text: &'a str,
    /// What it says.
    pub body: AnyValue<'a>,
    /// W3C trace flags in the low byte.
    pub flags: u32,
    /// 16 bytes, or none.
    pub trace_id: &'a [u8],
    /// 8 bytes, or none.
    pub span_id: &'a [u8],
    /// The kind of event, if it is one.
    pub event_name: &'a str,
}

impl<'a> LogRecord<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut record = LogRecord {
            bytes,
            time_unix_nano: 0,
            observed_time_unix_nano: 0,
            severity_number: 0,
            severity_text: "",
            body: AnyValue::Empty,
            flags: 0,
            trace_id: &[],
            span_id: &[],
            event_name: "",
        };
        for field in wire::fields(bytes) {
            let field = field?;
            let value = field.value;
            match field.number {
                1 => record.time_unix_nano = value.fixed64()?,
                // An enum on the wire is an int32, which is sign-extended to 64 bits.
                2 => record.severity_number = value.varint()? as i32,
                3 => record.severity_text = value.str()?,
                5 => record.body = AnyValue::read(value.bytes()?, 0)?,
                8 => record.flags = value.fixed32()?,
                9 => record.trace_id = value.bytes()?,
                10 => record.span_id = value.bytes()?,
                11 => record.observed_time_unix_nano = value.fixed64()?,
                12 => record.event_name = value.str()?,
                _ => {}
            }
        }
        Ok(record)
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> Entries<'a> {
        Entries::new(self.bytes, 6, 0)
    }

    /// Its encoded bytes, without tag and length.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
