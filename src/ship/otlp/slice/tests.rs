//! Slices of requests that we make, and of those that we don't. See also [`crate::ship::split`].

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;

use super::*;

/// Resources with scopes with that many records, every text of them different.
fn request(shape: &[Vec<usize>]) -> ExportLogsServiceRequest {
    let mut seen = 0;
    let mut scope = |records: &usize| ScopeLogs {
        schema_url: format!("scope {seen}"),
        log_records: (0..*records)
            .map(|_| {
                seen += 1;
                LogRecord {
                    severity_text: format!("record {seen}"),
                    ..LogRecord::default()
                }
            })
            .collect(),
        ..ScopeLogs::default()
    };
    let mut resources = 0;
    let mut resource = |scopes: &Vec<usize>| {
        resources += 1;
        ResourceLogs {
            schema_url: format!("resource {resources}"),
            scope_logs: scopes.iter().map(&mut scope).collect(),
            ..ResourceLogs::default()
        }
    };
    ExportLogsServiceRequest {
        resource_logs: shape.iter().map(&mut resource).collect(),
    }
}

/// Every record with where it is from.
fn flat(bytes: &[u8]) -> Vec<(String, String, LogRecord)> {
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|r| {
        let url = r.schema_url;
        r.scope_logs.into_iter().map(move |s| (url.clone(), s))
    });
    scopes
        .flat_map(|(url, s)| {
            let scope = s.schema_url;
            let with = move |r| (url.clone(), scope.clone(), r);
            s.log_records.into_iter().map(with)
        })
        .collect()
}

proptest! {
    #[test]
    fn a_slice_is_those_records_and_no_others(
        shape in prop::collection::vec(prop::collection::vec(0usize..4, 0..4), 0..4),
        from in 0u32..50,
        len in 0u32..50,
    ) {
        let bytes = request(&shape).encode_to_vec();
        let all = flat(&bytes);
        prop_assert_eq!(count(&bytes) as usize, all.len());
        let got = slice(&bytes, from..from + len);
        prop_assert_eq!(count(&got) as usize, flat(&got).len());
        let want: Vec<_> = all.into_iter().skip(from as usize).take(len as usize).collect();
        prop_assert_eq!(flat(&got), want);
        let request = ExportLogsServiceRequest::decode(got.as_slice()).unwrap();
        for scopes in request.resource_logs.iter().map(|r| &r.scope_logs) {
            prop_assert!(!scopes.is_empty() && scopes.iter().all(|s| !s.log_records.is_empty()));
        }
    }

    #[test]
    fn any_bytes_are_sliced_to_an_end(bytes in prop::collection::vec(prop_oneof![0u8..0x30, any::<u8>()], 0..300)) {
        let records = count(&bytes);
        prop_assert_eq!(count(&slice(&bytes, 0..records)), records);
    }
}
