//! `podvisor receive`: a small receiver of what the sinks send, for trying things out.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit;
use crate::logs::colour_wanted;
use crate::receive::faults::{Fault, Faults, HELP};
use crate::receive::ledger::Counts;
use crate::receive::show::{Form, Printer, totals};
use crate::receive::{Desk, Door, serve};
use crate::units::HumanDuration;

/// Where it listens unless told otherwise.
const DEFAULT: &str = "127.0.0.1:8686";

/// What is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    /// A line for each record, and the totals at the end
    Pretty,
    /// Each record as JSON on a line of its own; the totals go to stderr
    Json,
    /// The totals alone, as JSON, at the end
    Counts,
}

/// `podvisor receive`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ReceiveArgs {
    /// Where to listen; with port 0 the system chooses
    #[arg(long, value_name = "ADDR", default_value = DEFAULT)]
    pub listen: SocketAddr,
    /// Show no records, only the totals
    #[arg(long)]
    pub quiet: bool,
    /// What to write to stdout
    #[arg(short, long, value_enum, value_name = "FORM", default_value = "pretty")]
    pub output: Shown,
    /// A fault to play, see below; may be given more than once
    #[arg(long = "fail", value_name = "FAULT", value_parser = fault)]
    pub faults: Vec<String>,
    /// When asked to end, go on until nothing has come for so long: senders have something left to say at the end
    #[arg(long, value_name = "DURATION", value_parser = super::args::parse::<HumanDuration>)]
    pub linger: Option<HumanDuration>,
    /// Write every record to the end of this file, as JSON on a line of its own
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A fault is no value that can be copied, as it counts; so its text is kept.
fn fault(text: &str) -> Result<String, String> {
    super::args::parse::<Fault>(text).map(|_| text.to_owned())
}

/// Receives until TERM or INT, then tells the totals. Gives the exit code: 0, or 1 if it could not
/// listen or write.
pub fn run(args: &ReceiveArgs) -> u8 {
    let told = receive(args).and_then(|counts| tell(args.output, &counts));
    match told {
        Ok(()) => exit::OK,
        Err(error) => {
            // Nobody to tell if stderr is closed.
            drop(writeln!(io::stderr(), "podvisor receive: {error}"));
            exit::FAILED
        }
    }
}

fn receive(args: &ReceiveArgs) -> io::Result<Counts> {
    let specs = args.faults.iter().map(String::as_str);
    let faults = Faults::parse(specs).map_err(io::Error::other)?;
    let named = |what: String| move |error: io::Error| io::Error::other(format!("{what}: {error}"));
    let open = |path: &PathBuf| {
        let file = File::options().append(true).create(true).open(path);
        file.map_err(named(path.display().to_string()))
    };
    let file = args.out.as_ref().map(open).transpose()?;
    let form = match args.output {
        _ if args.quiet => Form::Nothing,
        Shown::Pretty => Form::Pretty {
            colour: colour_wanted(&io::stdout()),
        },
        Shown::Json => Form::Json,
        Shown::Counts => Form::Nothing,
    };
    let desk = Desk::new(Box::new(Printer::new(form, file, !args.quiet)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let asked = asked_to_stop()?;
        let door = Door::bind(args.listen).map_err(named(args.listen.to_string()))?;
        drop(writeln!(
            io::stderr(),
            "listening on http://{}",
            door.address()
        ));
        // Never used: nobody commands it from here.
        let (_commands, commands) = mpsc::channel(1);
        tokio::select! {
            ended = serve(door, desk.clone(), faults, commands) => ended,
            () = async {
                asked.await;
                linger(&desk, args.linger.map_or(Duration::ZERO, HumanDuration::get)).await;
            } => Ok(()),
        }
    })?;
    Ok(desk.counts())
}

/// Goes on until nobody has sent anything for so long.
async fn linger(desk: &Desk, silence: Duration) {
    let mut before = None;
    while !silence.is_zero() && before != Some(desk.counts().requests) {
        before = Some(desk.counts().requests);
        tokio::time::sleep(silence).await;
    }
}

fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

fn tell(shown: Shown, counts: &Counts) -> io::Result<()> {
    match shown {
        Shown::Pretty => io::stdout().write_all(totals(counts).as_bytes()),
        Shown::Json => io::stderr().write_all(totals(counts).as_bytes()),
        Shown::Counts => {
            let mut text = serde_json::to_vec_pretty(counts)?;
            text.push(b'\n');
            io::stdout().write_all(&text)
        }
    }
}
