//! What a sink lost is said in its own stream: one record, once it takes records again.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::arena::Arena;
use super::compress::Packer;
use super::counters::Loss;
use super::desk::Desk;
use super::encoder::{Encoder, Framer};
use super::identity::Identity;
use super::intake::{OWN, OWN_NAME, own_record};
use super::pack::PARCEL_OVERHEAD;
use super::parcel::{Class, Parcel};
use super::plan::LanePlan;

/// At most this often for one sink.
const EVERY: Duration = Duration::from_secs(5);

/// Announcements count their records from here, apart from those of the intake.
const FIRST_SEQ: u64 = 1 << 32;

/// Makes the records. Its encoder and compressor live only as long as one is made: it is rare.
pub(super) struct Announcer {
    identity: Identity,
    lanes: Vec<LanePlan>,
    said: Vec<Option<Instant>>,
    next: u64,
}

impl Announcer {
    pub fn new(identity: Identity, lanes: Vec<LanePlan>, sinks: usize) -> Self {
        Self {
            identity,
            lanes,
            said: vec![None; sinks],
            next: 0,
        }
    }

    /// Puts one record into the sink's queue if it lost something and is not failing. If it is too early, says when.
    pub fn tell_losses(&mut self, desk: &mut Desk, at: usize) -> Option<Instant> {
        let sink = &mut desk.sinks[at];
        sink.hear_of_losses(&desk.counters.sinks[at].counters);
        let nothing = sink.unsaid.iter().all(|lost| *lost == 0);
        if nothing || sink.delivery.failing() {
            return None;
        }
        let now = Instant::now();
        let due = self.said[at].map_or(now, |said| said + EVERY);
        if due > now && !desk.draining {
            return Some(due);
        }
        self.said[at] = Some(now);
        let unsaid = std::mem::take(&mut sink.unsaid);
        let reasons: Vec<String> = Loss::ALL
            .iter()
            .zip(unsaid)
            .filter(|(_, lost)| *lost > 0)
            .map(|(loss, lost)| format!("{lost} {}", loss.as_str()))
            .collect();
        let all: u64 = unsaid.iter().sum();
        let text = format!(
            "{all} records were lost for sink {}: {}",
            sink.name,
            reasons.join(", ")
        );
        let lane = sink.lane;
        if let Some(parcel) = self.parcel(lane, &text, desk) {
            desk.give(at, parcel);
        }
        None
    }

    fn parcel(&mut self, lane: usize, text: &str, desk: &Desk) -> Option<Parcel> {
        let plan = self.lanes.get(lane)?;
        let mut encoder = Encoder::new(plan.form.encoding, &self.identity);
        encoder.set_service(OWN, OWN_NAME, &BTreeMap::new());
        let record = own_record(text, FIRST_SEQ + self.next);
        let mut arena = Arena::default();
        encoder.encode(&record, &mut arena.bytes);
        arena.wrote(OWN, 0, record.ts_ns);
        let (mut framer, mut packed) = (Framer::default(), Vec::new());
        let raw = framer.frame(&arena, encoder.resources().as_deref());
        let mut packer = Packer::new(plan.form.codec, plan.level).ok()?;
        packer.pack(raw, &mut packed).ok()?;
        let parcel = Parcel {
            seq: (1 << 62) + self.next,
            source: self.identity.source_id,
            form: plan.form,
            // Else what it tells of would be lost with it. There is at most one while a sink fails.
            class: Class::Held,
            records: 1,
            raw_len: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            first_ts_ns: record.ts_ns,
            held: desk
                .flow
                .budget
                .take(packed.len() + PARCEL_OVERHEAD, Class::Held),
            bytes: Bytes::from(packed),
            per_service: Box::default(),
            mourned: AtomicBool::new(true),
        };
        self.next += 1;
        Some(parcel)
    }
}
