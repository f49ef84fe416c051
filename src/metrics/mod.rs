//! The metric families, built from the view at scrape time.
//!
//! Nothing is counted here and no family is kept: a scrape reads the published view and the log plane's counters, and
//! builds what METRICS in `docs/metrics.md` lists. So there are no stale labels, no lock, and no lookup on any hot
//! path. One model (`prometheus::proto`), two encoders.

mod family;
mod logs;
mod openmetrics;
mod own;
mod services;
mod ship;
mod supervisor;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};

use crate::logs::LogPlane;
use crate::ship::counters::ShipCounters;
use crate::usage::Watcher;
use crate::view::View;

/// Which text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The paths that requests are counted by.
const PATHS: [&str; 5] = ["livez", "readyz", "startupz", "metrics", "other"];
/// The status codes that they are counted by; what is none of them counts as the last.
const CODES: [u16; 5] = [200, 404, 405, 503, 500];

/// Requests to the endpoint, by path and code.
#[derive(Debug, Default)]
struct Requests([[AtomicU64; CODES.len()]; PATHS.len()]);

/// Where a scrape reads.
pub struct Metrics {
    view: Arc<ArcSwap<View>>,
    logs: Option<LogPlane>,
    ship: Option<Arc<ShipCounters>>,
    usage: Option<Watcher>,
    requests: Requests,
}

impl Metrics {
    /// Reads from this view, and from the counters of the log plane and of the sinks if there are any.
    pub fn new(
        view: Arc<ArcSwap<View>>,
        logs: Option<LogPlane>,
        ship: Option<Arc<ShipCounters>>,
    ) -> Self {
        Self {
            view,
            logs,
            ship,
            usage: None,
            requests: Requests::default(),
        }
    }

    /// Shows what the services and the container use, too.
    #[must_use]
    pub fn with_usage(mut self, usage: Option<Watcher>) -> Self {
        self.usage = usage;
        self
    }

    /// Counts one request to the endpoint.
    pub fn count_request(&self, path: &str, code: u16) {
        let path = match path {
            "/livez" | "/healthz" => 0,
            "/startupz" => 2,
            "/metrics" => 3,
            path if path.starts_with("/readyz") => 1,
            _ => 4,
        };
        let code = CODES
            .iter()
            .position(|known| *known == code)
            .unwrap_or(CODES.len() - 1);
        self.requests.0[path][code].fetch_add(1, Ordering::Relaxed);
    }

    /// Every family, in the order of its name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        let view = self.view.load();
        let mut families = Vec::with_capacity(64);
        services::families(&view, &mut families);
        supervisor::families(&view, &self.requests, &mut families);
        if let Some(logs) = &self.logs {
            logs::families(logs, self.ship.as_ref(), &mut families);
        }
        if let Some(ship) = &self.ship {
            ship::families(ship, &mut families);
        }
        if let Some(usage) = &self.usage {
            usage::families(&usage.scrape(), &mut families);
        }
        own::families(&mut families);
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
    }

    /// Every family, as text.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        let families = self.gather();
        match format {
            Format::OpenMetrics => openmetrics::encode(&families).into_bytes(),
            Format::Text => {
                let mut text = Vec::with_capacity(16 * 1024);
                // It fails on empty families only, and those were taken out.
                drop(TextEncoder::new().encode(&families, &mut text));
                text
            }
        }
    }
}

#[cfg(test)]
mod tests;
