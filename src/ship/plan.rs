//! From the config to what is built: which lanes there are, and where each sink sends.
//!
//! A lane is one way of writing and compressing records. Sinks of the same form share a lane, so that every record is
//! encoded and compressed once for all of them.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::delivery::Limits;
use super::parcel::{Codec, Encoding, Form};
use super::send::{Auth, Protocol, Target, Tls};
use super::urls;
use crate::config::logs::Logs;
use crate::config::sink::{self, Body, Compression, OtlpProtocol, Preset, Sink, SinkKind};

/// What a request says of itself; the second half is the form that OTLP asks for.
const USER_AGENT: &str = concat!(
    "podvisor/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request may take when the user does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// VictoriaLogs answers 200 and drops a line of 256 KiB or more, and those after it (measured, 1.51).
const VICTORIALOGS_LINE: usize = 256 * 1024 - 1;

/// One way of writing and compressing records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanePlan {
    /// Its number.
    pub index: usize,
    /// What it makes.
    pub form: Form,
    /// How hard it is compressed; the codec's own default if none.
    pub level: Option<u8>,
    /// A parcel closes at this age of its first record.
    pub max_age: Duration,
    /// A parcel closes at so many records.
    pub max_records: u32,
    /// A parcel closes at so many bytes, before compression.
    pub max_bytes: usize,
    /// Bytes of one record as it is written.
    pub max_line: usize,
}

/// One sink.
pub struct SinkPlan {
    /// Its name.
    pub name: String,
    /// The lane whose parcels it takes.
    pub lane: usize,
    /// Where it sends.
    pub target: Target,
    /// How much at once.
    pub limits: Limits,
    /// How long one request may take.
    pub timeout: Duration,
}

/// All that is to be built.
#[derive(Default)]
pub struct Plan {
    /// The lanes.
    pub lanes: Vec<LanePlan>,
    /// The sinks, in the order of their names.
    pub sinks: Vec<SinkPlan>,
    /// What is odd about the environment.
    pub warnings: Vec<String>,
}

/// Why the sinks can't be built.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An address that is none.
    #[error("logs.sinks.{sink}: {error}")]
    Url {
        /// Which sink.
        sink: String,
        /// What is wrong.
        error: urls::UrlError,
    },
    /// A header that can't be sent.
    #[error("logs.sinks.{sink}.headers.{header}: its value can't be sent in a header")]
    Header {
        /// Which sink.
        sink: String,
        /// Which header.
        header: String,
    },
}

/// Plans the sinks of the config. `env` fills what it leaves open of an OTLP sink (the `OTEL_*` variables).
///
/// # Errors
/// See [`PlanError`].
pub fn plan(logs: &Logs, env: &dyn Fn(&str) -> Option<String>) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    for (name, sink) in &logs.sinks {
        let otel = Otel { env };
        let compression = compression(sink, &otel, &mut plan.warnings);
        let form = form(sink, compression);
        let lane = lane(&mut plan.lanes, form, sink);
        let target = target(name, sink, &otel, form, &mut plan.warnings)?;
        let timeout = target.timeout;
        let grpc = target.protocol == Protocol::OtlpGrpc;
        let limits = Limits {
            max_raw: usize::try_from(sink.batch.max_bytes.get()).unwrap_or(usize::MAX),
            max_records: sink.batch.max_records,
            // A gRPC message is one gzip member: receivers read no further (Vector's `GzDecoder`).
            join: !grpc || form.codec == Codec::Identity,
            concurrency: sink.concurrency as usize,
            ..Limits::default()
        };
        plan.sinks.push(SinkPlan {
            name: name.clone(),
            lane,
            target,
            limits,
            timeout,
        });
    }
    Ok(plan)
}

fn form(sink: &Sink, compression: Compression) -> Form {
    let encoding = match (sink.kind, sink.body.unwrap_or_default()) {
        (SinkKind::Http, _) => Encoding::Ndjson,
        (SinkKind::Otlp, Body::Text) => Encoding::Otlp,
        (SinkKind::Otlp, Body::Map) => Encoding::OtlpMap,
    };
    let codec = match compression {
        Compression::Gzip => Codec::Gzip,
        Compression::Zstd => Codec::Zstd,
        Compression::None => Codec::Identity,
    };
    Form { encoding, codec }
}

/// As the user says, else as the encoding suggests: what OTLP leaves to gain is little, and a second level costs a third
/// more CPU for it.
fn level(sink: &Sink, form: Form) -> Option<u8> {
    let said = sink.level.and_then(|level| u8::try_from(level).ok());
    let fast = form.codec == Codec::Gzip && form.encoding != Encoding::Ndjson;
    said.or(fast.then_some(1))
}

/// The lane of this form, made or tightened: what is shared has the smallest bounds of those who share it.
fn lane(lanes: &mut Vec<LanePlan>, form: Form, sink: &Sink) -> usize {
    let wanted = LanePlan {
        index: lanes.len(),
        form,
        level: level(sink, form),
        max_age: sink.batch.max_age.get(),
        max_records: sink.batch.max_records,
        max_bytes: usize::try_from(sink.batch.max_bytes.get())
            .unwrap_or(usize::MAX)
            .min(super::arena::ARENA_BYTES),
        max_line: match (sink.kind, sink.preset) {
            (SinkKind::Http, Some(Preset::Victorialogs)) => VICTORIALOGS_LINE,
            _ => usize::MAX,
        },
    };
    if let Some(found) = lanes.iter().position(|lane| lane.form == form) {
        let lane = &mut lanes[found];
        lane.level = lane.level.into_iter().chain(wanted.level).min();
        lane.max_age = lane.max_age.min(wanted.max_age);
        lane.max_records = lane.max_records.min(wanted.max_records);
        lane.max_bytes = lane.max_bytes.min(wanted.max_bytes);
        lane.max_line = lane.max_line.min(wanted.max_line);
        return found;
    }
    lanes.push(wanted);
    lanes.len() - 1
}

/// The `OTEL_EXPORTER_OTLP_*` variables, those for logs before the general ones.
struct Otel<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Otel<'_> {
    fn logs(&self, what: &str) -> Option<String> {
        self.get(&format!("OTEL_EXPORTER_OTLP_LOGS_{what}"))
    }

    fn general(&self, what: &str) -> Option<String> {
        self.get(&format!("OTEL_EXPORTER_OTLP_{what}"))
    }

    fn either(&self, what: &str) -> Option<String> {
        self.logs(what).or_else(|| self.general(what))
    }

    /// An empty variable is one that is not set, as the specification says.
    fn get(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.trim().is_empty())
    }
}

/// The variables fill only what the file leaves open, and only where it names no endpoint: they are set for the whole
/// pod, and mean the applications.
fn open(sink: &Sink) -> bool {
    sink.kind == SinkKind::Otlp && sink.endpoint.is_none()
}

fn compression(sink: &Sink, otel: &Otel<'_>, warnings: &mut Vec<String>) -> Compression {
    if let Some(written) = sink.compression {
        return written;
    }
    let said = open(sink).then(|| otel.either("COMPRESSION")).flatten();
    match said.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("gzip") => Compression::Gzip,
        Some("none") => Compression::None,
        Some(other) => {
            warnings.push(format!(
                "OTEL_EXPORTER_OTLP_COMPRESSION: `{other}` is neither gzip nor none; gzip is used"
            ));
            Compression::Gzip
        }
    }
}

fn protocol(sink: &Sink, otel: &Otel<'_>, warnings: &mut Vec<String>) -> Protocol {
    if sink.kind == SinkKind::Http {
        return Protocol::HttpNdjson;
    }
    let said = open(sink).then(|| otel.either("PROTOCOL")).flatten();
    match (
        sink.protocol,
        said.map(|text| text.to_ascii_lowercase()).as_deref(),
    ) {
        (Some(OtlpProtocol::Grpc), _) | (None, Some("grpc")) => Protocol::OtlpGrpc,
        (Some(OtlpProtocol::HttpProtobuf), _) | (None, None | Some("http/protobuf")) => {
            Protocol::OtlpHttp
        }
        (None, Some(other)) => {
            warnings.push(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL: `{other}` is not spoken here; http/protobuf is used"
            ));
            Protocol::OtlpHttp
        }
    }
}

fn target(
    name: &str,
    sink: &Sink,
    otel: &Otel<'_>,
    form: Form,
    warnings: &mut Vec<String>,
) -> Result<Target, PlanError> {
    let protocol = protocol(sink, otel, warnings);
    let insecure = otel
        .either("INSECURE")
        .is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let asked = urls::Asked {
        protocol,
        written: sink.endpoint.as_deref(),
        preset: sink.preset,
        query: &sink.query,
        env_logs: otel.logs("ENDPOINT"),
        env_base: otel.general("ENDPOINT"),
        insecure,
    };
    let url = urls::url(&asked).map_err(|error| PlanError::Url {
        sink: name.to_owned(),
        error,
    })?;
    let mut headers = Vec::new();
    for (header, value) in &sink.headers {
        let name_of = HeaderName::from_bytes(header.as_bytes());
        let value = HeaderValue::from_str(value.expose());
        let (Ok(name_of), Ok(mut value)) = (name_of, value) else {
            return Err(PlanError::Header {
                sink: name.to_owned(),
                header: header.clone(),
            });
        };
        value.set_sensitive(true);
        headers.push((name_of, value));
    }
    let (mut tls, mut timeout) = (files(&sink.tls), sink.timeout.map(|it| it.get()));
    if open(sink) {
        if headers.is_empty()
            && let Some(text) = otel.either("HEADERS")
        {
            headers = urls::headers(&text, warnings);
        }
        let path = |what: &str| otel.either(what).map(PathBuf::from);
        tls.ca_file = tls.ca_file.or_else(|| path("CERTIFICATE"));
        tls.cert_file = tls.cert_file.or_else(|| path("CLIENT_CERTIFICATE"));
        tls.key_file = tls.key_file.or_else(|| path("CLIENT_KEY"));
        timeout = timeout.or_else(|| {
            let text = otel.either("TIMEOUT")?;
            let millis = text.trim().parse().ok().filter(|millis| *millis > 0);
            if millis.is_none() {
                warnings.push(format!(
                    "OTEL_EXPORTER_OTLP_TIMEOUT: `{text}` is no number of milliseconds"
                ));
            }
            millis.map(Duration::from_millis)
        });
    }
    Ok(Target {
        name: name.to_owned(),
        protocol,
        url,
        headers,
        auth: auth(sink.auth.as_ref()),
        tls,
        codec: form.codec,
        connect_timeout: CONNECT_TIMEOUT,
        timeout: timeout.unwrap_or(TIMEOUT),
        user_agent: USER_AGENT.to_owned(),
    })
}

fn files(tls: &sink::Tls) -> Tls {
    Tls {
        ca_file: tls.ca_file.as_ref().map(PathBuf::from),
        cert_file: tls.cert_file.as_ref().map(PathBuf::from),
        key_file: tls.key_file.as_ref().map(PathBuf::from),
        server_name: tls.server_name.clone(),
        insecure_skip_verify: tls.insecure_skip_verify,
    }
}

fn auth(auth: Option<&sink::Auth>) -> Auth {
    let Some(auth) = auth else { return Auth::None };
    if let Some(basic) = &auth.basic {
        return Auth::Basic {
            username: basic.username.clone(),
            password: basic.password.clone(),
        };
    }
    match (&auth.bearer, &auth.bearer_file) {
        (Some(token), _) => Auth::Bearer(token.clone()),
        (None, Some(file)) => Auth::BearerFile(PathBuf::from(file)),
        (None, None) => Auth::None,
    }
}
