//! Services in dependency order, and what their stamps say about that order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What a service does.
#[derive(Clone)]
pub enum Mode {
    Idle,
    Slow(u32),
    Crash,
    Orphans(u32),
}

/// When it is checked for being ready.
#[derive(Clone, Copy, PartialEq)]
pub enum Probe {
    None,
    /// It says so on a descriptor.
    Notify,
    /// A file that is there.
    File,
    /// A port that is open.
    Tcp(u16),
}

/// One service.
#[derive(Clone)]
pub struct Service {
    pub name: String,
    pub layer: usize,
    pub needs: Vec<usize>,
    pub mode: Mode,
    pub probe: Probe,
}

/// All services of a run, and where they stamp.
#[derive(Clone)]
pub struct Plan {
    pub services: Vec<Service>,
    pub program: PathBuf,
    pub stamps: PathBuf,
    /// Services are restarted after this long, always the same.
    pub restart_ms: u32,
    /// The largest delay; the same as `restart_ms` if zero.
    pub restart_max_ms: u32,
    /// Where podvisor's endpoint listens, if at all.
    pub port: Option<u16>,
}

impl Plan {
    /// Layers of services, each of which needs `needs` of the layer before (all of them if there are fewer).
    pub fn layers(
        program: &Path,
        folder: &Path,
        layers: usize,
        width: usize,
        needs: usize,
        mode: &Mode,
    ) -> Self {
        let mut services = Vec::new();
        for layer in 0..layers {
            for place in 0..width {
                let before = |k: usize| (layer - 1) * width + (place + k) % width;
                let needs = if layer == 0 {
                    Vec::new()
                } else {
                    (0..needs.min(width)).map(before).collect()
                };
                services.push(Service {
                    name: format!("l{layer}s{place}"),
                    layer,
                    needs,
                    mode: mode.clone(),
                    probe: Probe::None,
                });
            }
        }
        Self {
            services,
            program: program.to_owned(),
            stamps: folder.join("stamps"),
            restart_ms: 1,
            restart_max_ms: 0,
            port: None,
        }
    }

    /// The same with this probe for all.
    pub fn probed(mut self, probe: Probe) -> Self {
        for service in &mut self.services {
            service.probe = probe;
        }
        self
    }

    /// The words of a service's command.
    pub fn command(&self, service: &Service) -> Vec<String> {
        let mut words = vec![
            self.program.display().to_string(),
            self.stamps.display().to_string(),
            service.name.clone(),
        ];
        match service.mode {
            Mode::Idle => words.push("idle".to_owned()),
            Mode::Slow(ms) => words.extend(["slow".to_owned(), ms.to_string()]),
            Mode::Crash => words.push("crash".to_owned()),
            Mode::Orphans(n) => words.extend(["orphans".to_owned(), n.to_string()]),
        }
        words
    }

    /// What was stamped until now.
    pub fn read(&self) -> Stamps {
        let text = std::fs::read_to_string(&self.stamps).unwrap_or_default();
        Stamps(text.lines().filter_map(Stamp::read).collect())
    }

    /// How many stamps there are: cheap to ask often.
    pub fn lines(&self) -> usize {
        let bytes = std::fs::read(&self.stamps).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Starts that were stamped before those of what they need, as milliseconds.
    pub fn early_starts(&self, stamps: &Stamps) -> Vec<f64> {
        let starts = stamps.first("start");
        self.edges()
            .filter_map(|(service, need)| {
                let (service, need) = (starts.get(service)?, starts.get(need)?);
                (service < need).then(|| crate::harness::ms(*service, *need))
            })
            .collect()
    }

    /// Services told to stop before all that need them had ended, as milliseconds.
    pub fn early_stops(&self, stamps: &Stamps) -> Vec<f64> {
        let (terms, ends) = (stamps.first("term"), stamps.first("end"));
        self.edges()
            .filter_map(|(service, need)| {
                let (end, term) = (ends.get(service)?, terms.get(need)?);
                (term < end).then(|| crate::harness::ms(*term, *end))
            })
            .collect()
    }

    fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.services.iter().flat_map(|service| {
            service
                .needs
                .iter()
                .map(|need| (service.name.as_str(), self.services[*need].name.as_str()))
        })
    }
}

/// A line of a service.
pub struct Stamp {
    pub name: String,
    pub what: String,
    pub at: u64,
    pub pid: i32,
}

impl Stamp {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            name: words.next()?.to_owned(),
            what: words.next()?.to_owned(),
            at: words.next()?.parse().ok()?,
            pid: words.next()?.parse().ok()?,
        })
    }
}

/// All lines, in the order they were written.
pub struct Stamps(pub Vec<Stamp>);

impl Stamps {
    pub fn count(&self, what: &str) -> usize {
        self.0.iter().filter(|s| s.what == what).count()
    }

    /// When the last one of a kind was stamped.
    pub fn last(&self, what: &str) -> Option<u64> {
        self.0.iter().filter(|s| s.what == what).map(|s| s.at).max()
    }

    fn first(&self, what: &str) -> HashMap<&str, u64> {
        let mut first = HashMap::new();
        for stamp in self.0.iter().filter(|s| s.what == what) {
            first.entry(stamp.name.as_str()).or_insert(stamp.at);
        }
        first
    }
}
