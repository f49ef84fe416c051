//! `podvisor status`: how the services are.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};

use super::live;
use crate::control::client::{Client, ClientError};
use crate::control::status::{ServiceStatus, Status};
use crate::exit;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns
    Table,
    /// More of them
    Wide,
    /// As the API has it
    Json,
}

/// `podvisor status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only these services
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
    /// Go on, and write it anew after each change
    #[arg(short, long)]
    pub watch: bool,
}

/// Shows the status.
pub fn run(args: &StatusArgs) -> u8 {
    live::report(show(args))
}

fn show(args: &StatusArgs) -> Result<u8, ClientError> {
    let client = Client::find()?;
    let mut after = None;
    loop {
        let status = client.status(after)?;
        live::only(status.clone(), &args.names)?;
        if after != Some(status.revision) {
            write_out(&status, args);
        }
        if !args.watch {
            return Ok(exit::OK);
        }
        after = Some(status.revision);
    }
}

fn write_out(status: &Status, args: &StatusArgs) {
    let shown =
        |service: &&ServiceStatus| args.names.is_empty() || args.names.contains(&service.name);
    let stdout = std::io::stdout();
    if args.output == Output::Json {
        let mut only = status.clone();
        only.services = status.services.iter().filter(shown).cloned().collect();
        // Strings and numbers: nothing that fails.
        let text = if args.watch {
            serde_json::to_string(&only)
        } else {
            serde_json::to_string_pretty(&only)
        };
        return live::print(&format!("{}\n", text.unwrap_or_default()));
    }
    let colour = crate::logs::colour_wanted(&stdout);
    let clear = if args.watch && stdout.is_terminal() {
        "\x1b[H\x1b[2J"
    } else {
        ""
    };
    let services: Vec<&ServiceStatus> = status.services.iter().filter(shown).collect();
    let text = table(&services, status.now, args.output == Output::Wide, colour);
    live::print(&format!("{clear}{text}\n{}", summary(status)));
}

/// The table, with a head.
fn table(services: &[&ServiceStatus], now: f64, wide: bool, colour: bool) -> String {
    let mut head = vec![
        "NAME",
        "STATE",
        "PID",
        "UPTIME",
        "RESTARTS",
        "LAST EXIT",
        "REASON",
    ];
    if wide {
        head.extend(["TYPE", "REQUIRED", "PROCESSES", "MEMORY", "CPU", "NEXT RUN"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<String>>()];
    rows.extend(services.iter().map(|service| row(service, now, wide)));
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|at| {
            rows.iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let padding = widths[at] - cell.chars().count() + 2;
            let painted = match (at, number) {
                (1, 1..) if colour => live::paint(cell, live::colour_of(cell)),
                _ => cell.clone(),
            };
            line.push_str(&painted);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn summary(status: &Status) -> String {
    let required = || status.services.iter().filter(|service| service.required);
    let (all, ready) = (
        required().count(),
        required().filter(|service| service.ready).count(),
    );
    let since = live::ago(status.now - status.began_at);
    format!(
        "podvisor {} is {}, up for {since}: {ready} of {all} required services ready\n",
        status.version, status.phase
    )
}

fn row(service: &ServiceStatus, now: f64, wide: bool) -> Vec<String> {
    let dash = || "-".to_owned();
    let exit = service.last_exit.as_ref().map_or_else(dash, |exit| {
        format!(
            "{}, {} ago",
            live::exit_text(exit),
            live::ago(now - exit.at)
        )
    });
    let mut cells = vec![
        service.name.clone(),
        service.state.clone(),
        service.pid.map_or_else(dash, |pid| pid.to_string()),
        service
            .started_at
            .map_or_else(dash, |at| live::ago(now - at)),
        service.restarts.to_string(),
        exit,
        service.reason.clone(),
    ];
    if wide {
        let used = service.usage.as_ref();
        cells.extend([
            service.kind.clone(),
            if service.required { "yes" } else { "no" }.to_owned(),
            used.map_or_else(dash, |used| used.processes.to_string()),
            used.map_or_else(dash, |used| live::bytes(used.memory_bytes)),
            used.map_or_else(dash, |used| format!("{:.1}s", used.cpu_seconds)),
            service
                .next_run
                .map_or_else(dash, |at| format!("in {}", live::ago(at - now))),
        ]);
    }
    cells
}
