//! What the user said: YAML text to checked types, every error with its place.

mod assemble;
mod check;
mod decode;
mod decode_error;
mod expand;
mod forms;
pub mod http;
mod keys;
mod load;
pub mod logs;
mod machine;
pub mod model;
mod node;
pub mod probe;
mod probe_form;
mod problem;
pub mod reference;
mod render;
mod root;
pub mod schema;
pub mod sink;
pub mod telemetry;
#[cfg(test)]
mod tests;
mod tree;
mod words;
mod yaml_error;

pub use http::{Http, Listen, ListenError};
pub use load::{DEFAULT_PATH, Loaded, load, load_str, load_texts};
pub use machine::{Machine, ThisMachine};
pub use problem::{Problem, Related, Report, Severity, Source, problems_to_json};
pub use root::Config;
pub use words::suggest as suggest_name;
