//! The encoders behind one face: what a lane needs of NDJSON and of OTLP.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arena::Arena;
use super::identity::Identity;
use super::ndjson::Ndjson;
use super::otlp::encode::Otlp;
use super::otlp::resource::{Assembler, Resources};
use super::parcel::Encoding;
use super::record::Record;
use crate::logs::ServiceId;

/// Writes records of one encoding.
pub enum Encoder {
    /// JSON lines.
    Ndjson(Box<Ndjson>),
    /// OTLP log records.
    Otlp(Box<Otlp>),
}

impl Encoder {
    /// An encoder that knows no service yet.
    #[must_use]
    pub fn new(encoding: Encoding, identity: &Identity) -> Self {
        match encoding {
            Encoding::Ndjson => Self::Ndjson(Box::new(Ndjson::new(identity))),
            Encoding::Otlp => Self::Otlp(Box::new(Otlp::new(identity.clone(), false))),
            Encoding::OtlpMap => Self::Otlp(Box::new(Otlp::new(identity.clone(), true))),
        }
    }

    /// Bounds a record's length, where a receiver silently drops what is longer (NDJSON only).
    pub fn set_max_line(&mut self, bytes: usize) {
        if let Self::Ndjson(ndjson) = self {
            ndjson.set_max_line(bytes);
        }
    }

    /// Names a service and its labels.
    pub fn set_service(&mut self, id: ServiceId, name: &str, labels: &BTreeMap<String, String>) {
        match self {
            Self::Ndjson(ndjson) => ndjson.set_service(id, name, labels),
            Self::Otlp(otlp) => otlp.set_service(id, name, labels),
        }
    }

    /// Names the process that a service runs as from now on, and its program.
    pub fn set_process(&mut self, id: ServiceId, pid: Option<u32>, executable: Option<&str>) {
        if let Self::Otlp(otlp) = self {
            otlp.set_process(id, pid, executable);
        }
    }

    /// Appends one record.
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Ndjson(ndjson) => ndjson.encode(record, out),
            Self::Otlp(otlp) => otlp.encode(record, out),
        }
    }

    /// What surrounds the records that were written so far.
    #[must_use]
    pub fn resources(&self) -> Option<Arc<Resources>> {
        match self {
            Self::Ndjson(_) => None,
            Self::Otlp(otlp) => Some(otlp.resources()),
        }
    }
}

/// Makes one request of the records in an arena.
#[derive(Debug, Default)]
pub struct Framer {
    assembler: Assembler,
    runs: Vec<(ServiceId, u32)>,
    whole: Vec<u8>,
}

impl Framer {
    /// The request: the arena's own bytes, or what surrounds them too.
    pub fn frame<'a>(&'a mut self, arena: &'a Arena, resources: Option<&Resources>) -> &'a [u8] {
        let Some(resources) = resources else {
            return &arena.bytes;
        };
        self.runs.clear();
        let runs = arena.runs.iter();
        self.runs
            .extend(runs.map(|run| (run.service, u32::try_from(run.len).unwrap_or(u32::MAX))));
        self.whole.clear();
        self.assembler
            .assemble(resources, &arena.bytes, &self.runs, &mut self.whole);
        &self.whole
    }

    /// Gives the memory back.
    pub fn shrink(&mut self) {
        self.whole = Vec::new();
    }
}
