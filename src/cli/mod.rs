//! The command line: arguments and one file per command.

pub mod analyze;
pub mod args;
pub mod check;
pub mod graph;
pub mod install;
mod live;
pub mod logs;
pub mod order;
pub mod receive;
pub mod run;
pub mod schema;
mod shipping;
mod single;
pub mod sink;
pub mod status;
pub mod termination;
pub mod validate;
pub mod why;

use clap::Parser;

use crate::exit;
use args::{Cli, Command};
use order::Order;

/// Does what the command line says. The exit code is podvisor's.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            };
        }
    };
    match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Validate(args) => validate::run(&args.config.config, args.output),
        Command::Schema(args) => schema::run(&args),
        Command::Graph(args) => graph::run(&args.config.config, args.output),
        Command::Status(args) => status::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Start(args) => order::run(Order::Start, &args),
        Command::Stop(args) => order::run(Order::Stop, &args),
        Command::Restart(args) => order::run(Order::Restart, &args),
        Command::Signal(args) => order::signal(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Sink(args) => sink::run(&args),
        Command::Install(args) => install::run(&args),
        Command::Receive(args) => receive::run(&args),
    }
}
