//! What OpenTelemetry's own types make of the requests.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::ship::otlp::encode::Otlp;
use crate::ship::record::Record;
use crate::ship::samples::{Sample, any_sample, identity, labels, plain};

/// Three services; those numbered from 3 are not known.
fn encoder() -> Otlp {
    let mut encoder = Otlp::new(identity(), false);
    encoder.set_service(ServiceId(0), "db", &BTreeMap::new());
    encoder.set_service(ServiceId(1), "web", &labels());
    encoder.set_process(ServiceId(1), Some(9), Some("nginx"));
    encoder.set_service(
        ServiceId(2),
        "job",
        &[("service.name".into(), "mine".into())].into(),
    );
    encoder
}

fn assembled(encoder: &Otlp, records: &[Record<'_>]) -> ExportLogsServiceRequest {
    let (mut arena, mut runs) = (Vec::new(), Vec::new());
    for record in records {
        let before = arena.len();
        encoder.encode(record, &mut arena);
        runs.push((record.service, (arena.len() - before) as u32));
    }
    let mut out = Vec::new();
    Assembler::default().assemble(&encoder.resources(), &arena, &runs, &mut out);
    ExportLogsServiceRequest::decode(out.as_slice()).unwrap()
}

fn resource(of: &ResourceLogs) -> BTreeMap<String, String> {
    let attributes = &of.resource.as_ref().unwrap().attributes;
    let map: BTreeMap<_, _> = attributes
        .iter()
        .map(|a| match a.value.clone().unwrap().value {
            Some(Value::StringValue(text)) => (a.key.clone(), text),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(map.len(), attributes.len(), "a name occurs twice");
    map
}

#[test]
fn a_resource_says_who_it_is() {
    let request = assembled(&encoder(), &[plain(b"x")]);
    let want = [
        ("service.name", "shop-web"),
        ("service.instance.id", "shop.web-1"),
        ("podvisor.service", "web"),
        ("process.executable.name", "nginx"),
        ("host.name", "box"),
        ("k8s.pod.name", "web-1"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.uid", "u-1"),
        ("k8s.node.name", "node \"7\""),
        ("deployment.environment.name", "prod"),
        ("team", "web"),
        ("a \"b\"", "\n"),
    ];
    let want = want.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(resource(&request.resource_logs[0]), want.into());
    let scope = request.resource_logs[0].scope_logs[0]
        .scope
        .clone()
        .unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), SCOPE);
}

#[test]
fn labels_have_the_last_word_and_the_unknown_have_a_name() {
    let name = |id| {
        let record = Record {
            service: ServiceId(id),
            ..plain(b"x")
        };
        resource(&assembled(&encoder(), &[record]).resource_logs[0])["service.name"].clone()
    };
    assert_eq!(
        (name(2).as_str(), name(3).as_str()),
        ("mine", "shop-unknown")
    );
}

#[test]
fn what_was_handed_on_does_not_change() {
    let mut encoder = encoder();
    let before = encoder.resources();
    encoder.set_process(ServiceId(1), None, Some("apache"));
    encoder.remove_service(ServiceId(0));
    let has = |resources: &Resources, id, what: &str| {
        let bytes = resources.encoded(ServiceId(id));
        bytes.windows(what.len()).any(|w| w == what.as_bytes())
    };
    assert!(has(&before, 1, "nginx") && has(&before, 0, "db"));
    assert!(has(&encoder.resources(), 1, "apache") && has(&encoder.resources(), 0, UNKNOWN));
}

#[test]
fn what_runs_and_arena_do_not_both_have_is_left_out() {
    let encoder = encoder();
    let mut arena = Vec::new();
    encoder.encode(&plain(b"x"), &mut arena);
    let len = arena.len() as u32;
    let (one, two) = (ServiceId(0), ServiceId(1));
    let mut assembler = Assembler::default();
    let mut records = |runs: &[_]| {
        let mut out = Vec::new();
        assembler.assemble(&encoder.resources(), &arena, runs, &mut out);
        let request = ExportLogsServiceRequest::decode(out.as_slice()).unwrap();
        request.resource_logs.len()
    };
    assert_eq!(records(&[(one, len), (two, 1)]), 1);
    assert_eq!(records(&[(one, len + 1), (two, 1)]), 0);
    assert_eq!(records(&[]), 0);
}

proptest! {
    #[test]
    fn one_resource_each_in_order(samples in prop::collection::vec(any_sample(), 0..12)) {
        let encoder = encoder();
        let records: Vec<_> = samples.iter().map(Sample::record).collect();
        let request = assembled(&encoder, &records);
        let mut want: BTreeMap<ServiceId, ScopeLogs> = BTreeMap::new();
        for record in &records {
            let mut out = Vec::new();
            encoder.encode(record, &mut out);
            want.entry(record.service).or_default().merge(out.as_slice()).unwrap();
        }
        prop_assert_eq!(request.resource_logs.len(), want.len());
        for (got, want) in request.resource_logs.iter().zip(want.values()) {
            prop_assert_eq!(got.scope_logs.len(), 1);
            prop_assert_eq!(&got.scope_logs[0].log_records, &want.log_records);
        }
    }
}
