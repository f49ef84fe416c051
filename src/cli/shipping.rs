//! From the config to what ships its services' lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::config::Config;
use crate::config::logs::ServiceLogs;
use crate::config::model::Service;
use crate::config::sink::{Preset, Sink, SinkKind};
use crate::logs::{ServiceId, Tap};
use crate::ship::event::Pipeline;
use crate::ship::identity::Identity;
use crate::ship::{Settings, Shipper, intake, memory, options, plan};

/// Bytes of a line of which VictoriaLogs takes the whole record, unless half of it has to be escaped.
const VICTORIALOGS_MESSAGE: usize = 160 * 1024;

/// What ships, and its place on the log thread.
type Shipping = (Shipper, Box<dyn Tap>);

/// Starts shipping, if the config has a sink.
///
/// # Errors
/// In words, for the user: a certificate that can't be read, an address in the environment that is none.
pub(super) fn start(config: &Config) -> Result<Option<Shipping>, String> {
    if config.logs.sinks.is_empty() {
        return Ok(None);
    }
    let env = |name: &str| std::env::var(name).ok();
    let plan = plan::plan(&config.logs, &env).map_err(|error| error.to_string())?;
    let (identity, bad) = Identity::find();
    for warning in plan
        .warnings
        .iter()
        .cloned()
        .chain(bad.map(|bad| bad.to_string()))
    {
        tracing::warn!("{warning}");
    }
    let services = config.services.iter().zip(0..);
    let services = services
        .map(|((name, service), id)| to_ship(name, service, ServiceId(id)))
        .collect::<Result<Vec<_>, _>>()?;
    let budget = config
        .logs
        .max_memory
        .map_or_else(memory::default_budget, |bytes| {
            usize::try_from(bytes.get()).unwrap_or(usize::MAX)
        });
    let settings = Settings {
        plan,
        services,
        spool: config.logs.spool.clone(),
        budget,
        identity,
    };
    Shipper::start(settings)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// Where a line is cut into pieces. VictoriaLogs drops what is 256 KiB long with all that surrounds it, so for its sake
/// lines are cut earlier: better in two than not at all.
pub(super) fn max_line(config: &Config, logs: &ServiceLogs) -> usize {
    let victoria =
        |sink: &Sink| sink.kind == SinkKind::Http && sink.preset == Some(Preset::Victorialogs);
    let most = match config.logs.sinks.values().any(victoria) {
        true => VICTORIALOGS_MESSAGE,
        false => usize::MAX,
    };
    usize::try_from(logs.max_line.get())
        .unwrap_or(usize::MAX)
        .min(most)
}

fn to_ship(name: &str, service: &Service, id: ServiceId) -> Result<intake::Service, String> {
    let options = options::options(&service.logs)
        .map_err(|error| format!("services.{name}.logs: {error}"))?;
    Ok(intake::Service {
        name: Arc::from(name),
        labels: service.logs.labels.clone(),
        executable: executable(service),
        pipeline: Pipeline::new(id, options),
        when_full: service.logs.when_full,
    })
}

/// The name of its program: the last part of the command's path.
fn executable(service: &Service) -> Option<String> {
    let program = match service.command.first() {
        Some(program) => program.as_str(),
        None => "sh",
    };
    program.rsplit('/').next().map(str::to_owned)
}

/// `--sink`: `http://…` for NDJSON, `otlp` for what the `OTEL_*` variables say, `otlp+http://…` and `otlp+grpc://…`.
///
/// # Errors
/// In words, for the user.
pub(super) fn sink_of_flag(text: &str) -> Result<BTreeMap<String, Sink>, String> {
    let sink = match text.split_once("://") {
        None if text == "otlp" => json!({ "type": "otlp" }),
        Some(("http" | "https", _)) => json!({ "type": "http", "endpoint": text }),
        Some((scheme, rest)) => {
            let (scheme, protocol) = match scheme {
                "otlp+http" => ("http", "http/protobuf"),
                "otlp+https" => ("https", "http/protobuf"),
                "otlp+grpc" => ("http", "grpc"),
                "otlp+grpcs" => ("https", "grpc"),
                _ => return Err(unknown(text)),
            };
            let endpoint = format!("{scheme}://{rest}");
            json!({ "type": "otlp", "endpoint": endpoint, "protocol": protocol })
        }
        None => return Err(unknown(text)),
    };
    let sink: Sink = serde_json::from_value(sink).map_err(|error| error.to_string())?;
    Ok(BTreeMap::from([("sink".to_owned(), sink)]))
}

fn unknown(text: &str) -> String {
    format!(
        "`{text}` is none of http://HOST:PORT/, otlp, otlp+http://HOST:4318, otlp+grpc://HOST:4317"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sink::{OtlpProtocol, SinkKind};

    #[test]
    fn a_flag_names_a_sink() {
        let sink = |text| sink_of_flag(text).unwrap().remove("sink").unwrap();
        assert_eq!(sink("http://v:1/x").kind, SinkKind::Http);
        assert_eq!(sink("otlp").endpoint, None);
        let grpc = sink("otlp+grpcs://c:4317");
        assert_eq!(grpc.protocol, Some(OtlpProtocol::Grpc));
        assert_eq!(grpc.endpoint.as_deref(), Some("https://c:4317"));
        assert!(sink_of_flag("vector:8080").is_err());
        assert!(sink_of_flag("ftp://x").is_err());
    }
}
