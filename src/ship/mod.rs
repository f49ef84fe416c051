//! Shipping: every record encoded once, compressed once, kept until a sink has taken it, and sent.
//!
//! ```text
//!  pv-logs                          pv-pack            pv-ship
//!  lines ─► event ─► encoder ─► arena ─► compress ─► parcel ─► desk ─► delivery ─► send ─► sink
//!            (parse, merge,                                  │  ▲     (pure: order, retry,
//!             filter, redact)                                ▼  │      split, back off)
//!                                                            spool
//! ```
//!
//! - [`intake`] is the tap on the log thread: [`event`] makes records of lines, an [`encoder`] per lane writes them into
//!   an [`arena`].
//! - [`pack`] compresses an arena into a [`parcel`], which all sinks of the lane share.
//! - The desk (`desk`) gives a parcel to each sink's [`delivery`], through memory or through the [`spool`]; [`send`]
//!   makes one attempt and says what it came to (a [`verdict`]).
//! - [`flow`] is what the threads tell each other: how much memory is in use, and whether a flood may be slowed.

mod announce;
pub mod arena;
mod compose;
pub mod compress;
pub mod counters;
pub mod delivery;
mod desk;
pub mod encoder;
pub mod event;
pub mod flow;
pub mod identity;
pub mod intake;
pub mod json;
pub mod memory;
pub mod ndjson;
pub mod options;
pub mod otlp;
pub mod pack;
pub mod parcel;
pub mod plan;
pub mod record;
#[cfg(test)]
mod samples;
pub mod send;
mod sink;
pub mod split;
pub mod spool;
mod store;
pub mod table;
mod thread;
mod urls;
pub mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::config::sink as config;
use crate::logs::Tap;
use announce::Announcer;
use arena::Shelf;
use compress::Packer;
use counters::{Cell, ServiceCounters, ShipCounters, SinkCounters, SinkInfo, SpoolCounters};
use delivery::Delivery;
use desk::Desk;
use encoder::{Encoder, Framer};
use flow::Flow;
use identity::Identity;
use intake::{Intake, Service};
use pack::Press;
use parcel::{Budget, Codec, Encoding};
use plan::Plan;
use send::Sender;
use sink::Sink;
use spool::Spool;
use store::Store;

/// Parcels that may wait for the shipper: each is counted in the budget too.
const PARCELS: usize = 1024;

/// An arena is at most this part of the budget, ...
const ARENAS_OF_BUDGET: usize = 24;
/// ... but not smaller than this.
const LEAST_ARENA: usize = 16 * 1024;

/// What is to be shipped, and where.
pub struct Settings {
    /// Lanes and sinks.
    pub plan: Plan,
    /// The services, by their numbers.
    pub services: Vec<Service>,
    /// The disk buffer.
    pub spool: Option<config::Spool>,
    /// Bytes of memory for all that waits.
    pub budget: usize,
    /// Who we are.
    pub identity: Identity,
}

/// Why shipping can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A sink's certificates, or its address.
    #[error("logs.sinks.{sink}: {error}")]
    Sink {
        /// Which.
        sink: String,
        /// What is wrong with it.
        error: send::SetupError,
    },
    /// The compressor.
    #[error("compression: {0}")]
    Pack(#[from] compress::PackError),
    /// A thread or a runtime.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What the thread is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// To send all, and say what was left at the deadline.
    Flush {
        deadline: Instant,
        reply: oneshot::Sender<FlushReport>,
    },
}

/// How shipping ended. Counts are records over all sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlushReport {
    /// Everything was sent before the deadline.
    pub in_time: bool,
    /// Kept in the spool for the next start.
    pub spooled: u64,
    /// Lost, and counted.
    pub lost: u64,
}

/// The handle. Cheap to clone, never blocking.
#[derive(Debug, Clone)]
pub struct Shipper {
    asked: mpsc::Sender<Asked>,
    flow: Arc<Flow>,
    counters: Arc<ShipCounters>,
}

impl Shipper {
    /// Starts the threads. The tap belongs to the log plane.
    ///
    /// # Errors
    /// See [`StartError`]. A spool that can't be used is none: it is said in the log, and memory serves alone.
    pub fn start(settings: Settings) -> Result<(Self, Box<dyn Tap>), StartError> {
        let Settings {
            mut plan,
            services,
            spool,
            budget,
            identity,
        } = settings;
        let source = identity.source_id;
        // What is on its way to the sinks' queues must be small beside what they may hold.
        let most = (budget / ARENAS_OF_BUDGET).max(LEAST_ARENA);
        for lane in &mut plan.lanes {
            lane.max_bytes = lane.max_bytes.min(most);
        }
        let flow = Flow::new(Budget::new(budget));
        let opened = spool.and_then(|config| Some((open_spool(&config, source)?, config.mode)));
        let counters = Arc::new(counters(&plan, &services, opened.is_some(), &flow));
        let shelf = Arc::<Shelf>::default();

        let senders = plan
            .sinks
            .iter()
            .map(|sink| {
                Sender::new(sink.target.clone()).map_err(|error| StartError::Sink {
                    sink: sink.name.clone(),
                    error,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut encoders = Vec::new();
        for lane in &plan.lanes {
            let mut encoder = Encoder::new(lane.form.encoding, &identity);
            encoder.set_max_line(lane.max_line);
            encoders.push((lane.clone(), encoder));
        }
        let (parcels_in, parcels_out) = mpsc::channel(PARCELS);
        let (asked, asked_out) = mpsc::channel(4);
        let jobs = pack::start(
            presses(&plan)?,
            Arc::clone(&shelf),
            Arc::clone(&flow),
            Arc::clone(&counters),
            parcels_in,
            source,
        )?;
        let announcer = Announcer::new(identity, plan.lanes.clone(), plan.sinks.len());
        let build = {
            let (flow, counters) = (Arc::clone(&flow), Arc::clone(&counters));
            move || desk(plan, senders, opened, source, flow, counters)
        };
        thread::start(build, announcer, parcels_out, asked_out)?;
        let intake = Intake::new(
            services,
            encoders,
            jobs,
            shelf,
            Arc::clone(&flow),
            Arc::clone(&counters),
        );
        let shipper = Self {
            asked,
            flow,
            counters,
        };
        Ok((shipper, Box::new(intake)))
    }

    /// Sends what is left, once the log plane has been drained (its tap flushed), until the deadline at the latest.
    /// Resolves within 100 ms of it even if the thread hangs.
    pub fn flush(&self, deadline: Instant) -> impl Future<Output = FlushReport> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .asked
            .try_send(Asked::Flush { deadline, reply })
            .is_ok();
        async move {
            if !sent {
                return FlushReport::default();
            }
            let grace = tokio::time::Instant::from_std(deadline) + Duration::from_millis(100);
            match tokio::time::timeout_at(grace, answer).await {
                Ok(Ok(report)) => report,
                Ok(Err(_)) | Err(_) => FlushReport::default(),
            }
        }
    }

    /// The end has begun: records wait for company no longer than a fifth of a second.
    pub fn hurry(&self) {
        self.flow.drain();
    }

    /// What is counted, for a scrape. Takes no lock.
    #[must_use]
    pub fn counters(&self) -> &Arc<ShipCounters> {
        &self.counters
    }
}

fn open_spool(config: &config::Spool, source: u64) -> Option<Spool> {
    let mut options =
        spool::Options::new(config.path.clone().into(), config.max_bytes.get(), source);
    options.fsync = match config.fsync {
        config::Fsync::Never => spool::Fsync::Never,
        config::Fsync::EverySecond => spool::Fsync::Interval(Duration::from_secs(1)),
        config::Fsync::Always => spool::Fsync::Always,
    };
    match Spool::open(options) {
        Ok(spool) => {
            let found = spool.recovered();
            if found.records > 0 || found.damaged > 0 {
                tracing::info!(
                    records = found.records,
                    bytes = found.bytes,
                    damaged = found.damaged,
                    "the spool holds records of an earlier run"
                );
            }
            Some(spool)
        }
        Err(error) => {
            tracing::warn!(%error, "no spool: memory serves alone");
            None
        }
    }
}

fn counters(plan: &Plan, services: &[Service], spool: bool, flow: &Flow) -> ShipCounters {
    let sinks = plan.sinks.iter().map(|sink| {
        let form = plan.lanes[sink.lane].form;
        SinkInfo {
            name: sink.name.clone(),
            lane: sink.lane,
            kind: match form.encoding {
                Encoding::Ndjson => "http",
                Encoding::Otlp | Encoding::OtlpMap => "otlp",
            },
            compression: match form.codec {
                Codec::Identity => "none",
                Codec::Gzip => "gzip",
                Codec::Zstd => "zstd",
            },
            counters: SinkCounters::default(),
        }
    });
    let services = services
        .iter()
        .map(|service| ServiceCounters::new(Arc::clone(&service.name)));
    ShipCounters {
        services: services.collect(),
        own_records: Cell::default(),
        sinks: sinks.collect(),
        spool: spool.then(SpoolCounters::default),
        budget: Arc::clone(&flow.budget),
    }
}

fn presses(plan: &Plan) -> Result<Vec<Press>, StartError> {
    let press = |lane: &plan::LanePlan| {
        Ok(Press {
            form: lane.form,
            framer: Framer::default(),
            packer: Packer::new(lane.form.codec, lane.level)?,
        })
    };
    plan.lanes.iter().map(press).collect()
}

fn desk(
    plan: Plan,
    senders: Vec<Sender>,
    spool: Option<(Spool, config::SpoolMode)>,
    source: u64,
    flow: Arc<Flow>,
    counters: Arc<ShipCounters>,
) -> Desk {
    let forms: Vec<_> = plan
        .sinks
        .iter()
        .map(|sink| (sink.name.as_str(), plan.lanes[sink.lane].form))
        .collect();
    let store = spool
        .map(|(spool, mode)| Store::new(spool, &forms, mode == config::SpoolMode::Always, source));
    if let Some(store) = &store {
        // What an earlier run left has been taken in too, by now.
        for (at, sink) in counters.sinks.iter().enumerate() {
            sink.counters.taken.add(store.unread(at));
        }
    }
    let sinks = plan.sinks.iter().zip(senders).map(|(sink, sender)| {
        let mut limits = sink.limits.clone();
        // What is under way can't be given up: not all of the memory may be.
        let share = flow.budget.limit() / 4 / plan.sinks.len() / limits.concurrency.max(1);
        limits.max_bytes = limits.max_bytes.min(share);
        let delivery = Delivery::new(limits, fastrand::u64(..));
        let form = plan.lanes[sink.lane].form;
        Sink::new(
            &sink.name,
            (sink.lane, form),
            delivery,
            sender,
            sink.timeout,
        )
    });
    Desk::new(sinks.collect(), store, flow, counters)
}
