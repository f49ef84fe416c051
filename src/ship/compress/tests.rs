//! That what was packed can be unpacked, parcel by parcel and joined.

use proptest::prelude::*;

use super::*;
use crate::ship::split::decompress;

const CODECS: [Codec; 3] = [Codec::Identity, Codec::Gzip, Codec::Zstd];

/// Text that neither shrinks to nothing nor stays as it is.
fn text(len: usize) -> Vec<u8> {
    let mut n = 1u32;
    let words = std::iter::repeat_with(|| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("word{} ", n >> 22).into_bytes()
    });
    words.flatten().take(len).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn joined_parcels_are_joined_records(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..4),
        level in prop::option::of(any::<u8>()),
    ) {
        for codec in CODECS {
            // A level above 9 is costly to set up for zstd, and the same to us.
            let mut packer = Packer::new(codec, level.map(|l| l % 12)).unwrap();
            let (mut joined, mut out) = (Vec::new(), Vec::new());
            for part in &parts {
                packer.pack(part, &mut out).unwrap();
                prop_assert_eq!(&decompress(codec, &out, 2000).unwrap(), part);
                joined.extend_from_slice(&out);
            }
            prop_assert_eq!(decompress(codec, &joined, 8000).unwrap(), parts.concat());
        }
    }
}

#[test]
fn large_parcels_and_those_that_do_not_shrink() {
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(300_000)
        .collect();
    for codec in CODECS {
        let (mut packer, mut out) = (Packer::new(codec, None).unwrap(), Vec::new());
        for raw in [
            text(1_500_000),
            noise.clone(),
            vec![b'a'; 3_000_000],
            Vec::new(),
        ] {
            packer.pack(&raw, &mut out).unwrap();
            assert_eq!(
                decompress(codec, &out, raw.len()).unwrap(),
                raw,
                "{codec:?}"
            );
        }
    }
}

#[test]
fn a_parcel_is_one_plain_gzip_member() {
    let (mut packer, mut out) = (Packer::new(Codec::Gzip, None).unwrap(), Vec::new());
    let raw = text(100_000);
    packer.pack(&raw, &mut out).unwrap();
    assert_eq!(out[..3], [0x1f, 0x8b, 8]);
    let mut single = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(out.as_slice());
    std::io::Read::read_to_end(&mut decoder, &mut single).unwrap();
    assert_eq!(single, raw);
    assert!(out.len() < raw.len() / 2);
}

#[test]
fn the_same_bytes_every_time() {
    for codec in CODECS {
        let mut packer = Packer::new(codec, None).unwrap();
        let [mut first, mut other, mut again] = [const { Vec::new() }; 3];
        packer.pack(&text(50_000), &mut first).unwrap();
        packer.pack(&text(7), &mut other).unwrap();
        packer.pack(&text(50_000), &mut again).unwrap();
        assert_eq!(first, again, "{codec:?}");
    }
}

#[test]
fn a_window_that_receivers_take() {
    let raw = vec![b'a'; 20_000_000];
    let (mut packer, mut out) = (Packer::new(Codec::Zstd, Some(u8::MAX)).unwrap(), Vec::new());
    packer.pack(&raw, &mut out).unwrap();
    assert_eq!(decompress(Codec::Zstd, &out, raw.len()).unwrap(), raw);
}
