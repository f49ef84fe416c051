//! Whole, halved and damaged.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::logs::ServiceId;
use crate::ship::compress::Packer;
use crate::ship::ndjson::Ndjson;
use crate::ship::otlp::encode::Otlp;
use crate::ship::otlp::read;
use crate::ship::otlp::resource::Assembler;
use crate::ship::samples::{Sample, any_sample, identity};

/// The records as a body, as the lanes make it.
fn body(encoding: Encoding, samples: &[Sample]) -> Vec<u8> {
    let (mut arena, mut runs, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let mut ndjson = Ndjson::new(&identity());
    let mut otlp = Otlp::new(identity(), false);
    otlp.set_service(ServiceId(1), "web", &BTreeMap::new());
    for sample in samples {
        let before = arena.len();
        match encoding {
            Encoding::Ndjson => ndjson.encode(&sample.record(), &mut arena),
            Encoding::Otlp | Encoding::OtlpMap => otlp.encode(&sample.record(), &mut arena),
        }
        runs.push((sample.record.service, (arena.len() - before) as u32));
    }
    match encoding {
        Encoding::Ndjson => arena,
        Encoding::Otlp | Encoding::OtlpMap => {
            Assembler::default().assemble(&otlp.resources(), &arena, &runs, &mut out);
            out
        }
    }
}

/// The records, each as bytes, after the attributes of their resource.
fn records(encoding: Encoding, raw: &[u8]) -> Vec<Vec<u8>> {
    match encoding {
        Encoding::Ndjson => raw
            .split_inclusive(|b| *b == b'\n')
            .map(Vec::from)
            .collect(),
        Encoding::Otlp | Encoding::OtlpMap => {
            let mut found = Vec::new();
            for resource in read::resources(raw).map(Result::unwrap) {
                let names: Vec<_> = resource.attributes().map(Result::unwrap).collect();
                let who = format!("{names:?}");
                for scope in resource.scopes().map(Result::unwrap) {
                    assert_eq!(scope.name(), Ok("podvisor"));
                    let records = scope.records().map(Result::unwrap);
                    found.extend(records.map(|r| [who.as_bytes(), r.as_bytes()].concat()));
                }
            }
            found
        }
    }
}

proptest! {
    #[test]
    fn halves_make_a_whole(
        samples in prop::collection::vec(any_sample(), 0..12),
        cuts in prop::collection::vec(0u32..14, 0..4),
    ) {
        let mut cuts = cuts;
        cuts.extend([0, samples.len() as u32]);
        cuts.sort_unstable();
        for encoding in [Encoding::Ndjson, Encoding::Otlp] {
            let raw = body(encoding, &samples);
            prop_assert_eq!(count(encoding, &raw) as usize, samples.len());
            let mut parts = Vec::new();
            for pair in cuts.windows(2) {
                let part = slice(encoding, &raw, pair[0]..pair[1]);
                let end = pair[1].min(samples.len() as u32);
                prop_assert_eq!(count(encoding, &part), end.saturating_sub(pair[0]));
                parts.extend(records(encoding, &part));
            }
            prop_assert_eq!(parts, records(encoding, &raw));
        }
    }

    #[test]
    fn damage_is_found_or_does_no_harm(at in any::<prop::sample::Index>(), byte in any::<u8>(), junk in prop::collection::vec(any::<u8>(), 0..40)) {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let mut out = Vec::new();
            Packer::new(codec, None).unwrap().pack(&[b'x'; 3000], &mut out).unwrap();
            let at = at.index(out.len());
            out[at] = byte;
for bytes in [&out, &junk] {
                let raw = decompress(codec, bytes, 3000).unwrap_or_default();
                prop_assert!(raw.len() <= 3000);
            }
        }
    }
}

#[test]
fn what_is_cut_off_or_too_long_is_refused() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let mut out = Vec::new();
        let raw = b"some text ".repeat(1000);
        Packer::new(codec, None)
            .unwrap()
            .pack(&raw, &mut out)
            .unwrap();
        let cut = decompress(codec, &out[..out.len() - 1], raw.len());
        assert!(matches!(cut, Err(UnpackError::Damaged(_))), "{cut:?}");
        let long = decompress(codec, &out, raw.len() - 1);
        assert!(
            matches!(long, Err(UnpackError::TooLong(n)) if n == raw.len() - 1),
            "{long:?}"
        );
        assert_eq!(decompress(codec, &out, raw.len()).unwrap(), raw);
    }
    assert!(matches!(
        decompress(Codec::Identity, b"ab", 1),
        Err(UnpackError::TooLong(1))
    ));
}

#[test]
fn empty_lines_are_no_records() {
    let raw = b"\n{\"a\":1}\n  \r\n{\"b\":2}";
    assert_eq!(count(Encoding::Ndjson, raw), 2);
    assert_eq!(slice(Encoding::Ndjson, raw, 1..9), b"{\"b\":2}");
}
