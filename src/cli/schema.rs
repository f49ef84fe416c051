//! `podvisor schema`: the JSON Schema of the config, for editors and the chart.

use std::io::Write;

use crate::config::{reference, schema};
use crate::exit;

/// Arguments of `podvisor schema`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SchemaArgs {
    /// Print the reference as Markdown instead.
    #[arg(long)]
    pub markdown: bool,
}

/// Prints the schema on stdout.
///
/// Gives the exit code: 0, or 1 when stdout can't be written.
pub fn run(args: &SchemaArgs) -> u8 {
    let text = if args.markdown {
        reference::markdown()
    } else {
        format!("{:#}\n", schema::schema())
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => exit::OK,
        Err(_) => exit::FAILED,
    }
}
