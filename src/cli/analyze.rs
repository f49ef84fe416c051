//! `podvisor analyze`: where the time of the start-up went, as `systemd-analyze` tells it.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::live;
use crate::control::client::{Client, ClientError};
use crate::control::status::{ServiceStatus, Status};
use crate::exit;

/// `podvisor analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// What is to be told; without it, the whole in one line
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum What {
    /// Each service by the time that it took itself, the longest first
    Blame,
    /// The chain of services that the start-up had to wait for
    CriticalChain,
    /// A picture: an SVG on stdout
    Plot,
}

/// Tells where the time went.
pub fn run(args: &AnalyzeArgs) -> u8 {
    let tell = |client: Client| -> Result<u8, ClientError> {
        let status = client.status(None)?;
        live::print(&match args.what {
            None => summary(&status),
            Some(What::Blame) => blame(&status),
            Some(What::CriticalChain) => critical_chain(&status),
            Some(What::Plot) => plot(&status),
        });
        Ok(exit::OK)
    };
    live::report(Client::find().and_then(tell))
}

/// A service's first start, in seconds from podvisor's.
struct Boot<'a> {
    service: &'a ServiceStatus,
    start: f64,
    ready: Option<f64>,
}

impl Boot<'_> {
    fn took(&self) -> Option<f64> {
        Some((self.ready? - self.start).max(0.0))
    }
}

fn boots(status: &Status) -> Vec<Boot<'_>> {
    let boot = |service| {
        let service: &ServiceStatus = service;
        Some(Boot {
            service,
            start: service.first_started_at? - status.began_at,
            ready: service.first_ready_at.map(|at| at - status.began_at),
        })
    };
    status.services.iter().filter_map(boot).collect()
}

fn summary(status: &Status) -> String {
    match status.start_seconds {
        Some(took) => format!(
            "all required services were ready after {}\n",
            live::ago(took)
        ),
        None => "not all required services have been ready at once yet\n".to_owned(),
    }
}

fn blame(status: &Status) -> String {
    let mut took: Vec<(f64, &str)> = boots(status)
        .iter()
        .filter_map(|boot| Some((boot.took()?, boot.service.name.as_str())))
        .collect();
    took.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let mut out = String::new();
    for (seconds, name) in took {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{:>8} {name}", live::ago(seconds));
    }
    out
}

/// From the required service that was ready last, always to the dependency that was ready last.
fn chain<'a>(boots: &'a [Boot<'a>]) -> Vec<&'a Boot<'a>> {
    let last = |candidates: &mut dyn Iterator<Item = &'a Boot<'a>>| {
        candidates
            .filter_map(|boot| Some((boot.ready?, boot)))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, boot)| boot)
    };
    let mut chain = Vec::new();
    let mut at = last(&mut boots.iter().filter(|boot| boot.service.required));
    // No longer than there are services, whatever the view says.
    while let Some(boot) = at.filter(|_| chain.len() < boots.len()) {
        chain.push(boot);
        let on = &boot.service.depends_on;
        at = last(&mut boots.iter().filter(|other| {
            let earlier = other.ready.is_some_and(|ready| ready <= boot.start + 0.001);
            earlier && on.iter().any(|on| on.name == other.service.name)
        }));
    }
    chain
}

fn critical_chain(status: &Status) -> String {
    let boots = boots(status);
    let mut out = String::from("service @ready +took itself\n");
    for (depth, boot) in chain(&boots).into_iter().enumerate() {
        let (ready, took) = (boot.ready.unwrap_or(0.0), boot.took().unwrap_or(0.0));
        let indent = if depth == 0 {
            String::new()
        } else {
            format!("{}└─", "  ".repeat(depth - 1))
        };
        let _ = writeln!(
            out,
            "{indent}{} @{} +{}",
            boot.service.name,
            live::ago(ready),
            live::ago(took)
        );
    }
    out
}

/// Height of a row in pixels.
const ROW: f64 = 22.0;
/// Width of the column of names.
const NAMES: f64 = 160.0;
/// Width of the picture.
const WIDTH: f64 = 900.0;

fn plot(status: &Status) -> String {
    let mut boots = boots(status);
    boots.sort_by(|a, b| {
        a.start
            .total_cmp(&b.start)
            .then(a.service.name.cmp(&b.service.name))
    });
    let all = boots.iter().map(|boot| boot.ready.unwrap_or(boot.start));
    let end = all.fold(0.001, f64::max) * 1.05;
    let x = |time: f64| NAMES + (time / end).clamp(0.0, 1.0) * (WIDTH - NAMES - 70.0);
    let height = ROW * (boots.len() as f64 + 3.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"system-ui,sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"10\" y=\"18\" font-size=\"14\" font-weight=\"bold\">podvisor: {}</text>\n",
        escape(summary(status).trim_end())
    );
    let step = tick(end);
    for number in 0..=(end / step) as u32 {
        let time = f64::from(number) * step;
        let _ = writeln!(
            out,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/><text x=\"{0:.1}\" y=\"{3}\" fill=\"#666\" text-anchor=\"middle\">{4}</text>",
            x(time),
            ROW * 1.7,
            height - ROW * 0.8,
            height - 4.0,
            live::ago(time)
        );
    }
    let critical: Vec<&str> = chain(&boots)
        .iter()
        .map(|boot| boot.service.name.as_str())
        .collect();
    for (number, boot) in boots.iter().enumerate() {
        let y = ROW * (number as f64 + 1.7);
        let name = boot.service.name.as_str();
        let fill = match (boot.ready, critical.contains(&name)) {
            (None, _) => "#bf8700",
            (_, true) => "#cf222e",
            (_, false) => "#1a7f37",
        };
        let (from, to) = (x(boot.start), x(boot.ready.unwrap_or(end)));
        let took = boot
            .took()
            .map_or_else(|| "not ready".to_owned(), live::ago);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" rx=\"2\" fill=\"{fill}\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"#666\">{took}</text>",
            NAMES - 10.0,
            y + 14.0,
            escape(name),
            y + 4.0,
            (to - from).max(2.0),
            to.max(from + 2.0) + 5.0,
            y + 14.0
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A round step for about eight marks.
fn tick(end: f64) -> f64 {
    let rough = end / 8.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(power * 10.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
