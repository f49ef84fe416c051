//! Making untrusted bytes safe to embed: in a JSON string, and on a terminal beside a prefix.

/// Appends `bytes` as the inside of a JSON string (without the quotes).
///
/// Always strict JSON and valid UTF-8: every control character is escaped, every invalid sequence
/// becomes one U+FFFD. Runs that need nothing, which is nearly everything, are found eight bytes
/// at a time and copied whole.
pub fn json(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.utf8_chunks() {
        json_str(part.valid().as_bytes(), out);
        if !part.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

fn json_str(mut s: &[u8], out: &mut Vec<u8>) {
    loop {
        let run = clean_run(s);
        out.extend_from_slice(&s[..run]);
        let Some(&b) = s.get(run) else { return };
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(b));
            }
        }
        s = &s[run + 1..];
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks bytes below 0x20. The classic bit tricks, here and in [`eq`]: a borrow can only mark bytes
/// above a true hit, and callers take the lowest, so the first mark is exact.
fn control(w: u64) -> u64 {
    w.wrapping_sub(ONES * 0x20) & !w
}

/// Marks bytes equal to `b`.
fn eq(w: u64, b: u8) -> u64 {
    let x = w ^ (ONES * u64::from(b));
    x.wrapping_sub(ONES) & !x
}

/// How many bytes lie before the first that `word` marks. The last few are padded with `a`.
fn run(s: &[u8], word: impl Fn(u64) -> u64) -> usize {
    let (words, rest) = s.as_chunks::<8>();
    let first = |w: &[u8; 8]| {
        let hit = word(u64::from_le_bytes(*w)) & HIGHS;
        (hit != 0).then(|| hit.trailing_zeros() as usize / 8)
    };
    for (i, w) in words.iter().enumerate() {
        if let Some(at) = first(w) {
            return i * 8 + at;
        }
    }
    let mut last = [b'a'; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.len() * 8 + first(&last).unwrap_or(rest.len())
}

/// How many leading bytes need no escape in JSON.
fn clean_run(s: &[u8]) -> usize {
    run(s, |w| control(w) | eq(w, b'"') | eq(w, b'\\'))
}

/// Appends one line's text so that it can't leave its line or its colour on a terminal.
///
/// A service beside others must not be able to fake another's prefix, move the cursor, clear the
/// screen or retitle the window. So of all control characters only the tab and colour sequences
/// (`ESC [ digits m`) pass; the others are shown in caret notation as `cat -v` does (`\r` as `^M`,
/// ESC as `^[`), C1 controls as `\x9b`. If a colour was set, it is reset at the end.
pub fn terminal(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    let mut coloured = false;
    loop {
        // DEL, and the first byte of a C1 control in UTF-8, beside the C0 controls.
        let clean = run(rest, |w| control(w) | eq(w, 0x7F) | eq(w, 0xC2));
        out.extend_from_slice(&rest[..clean]);
        rest = &rest[clean..];
        let Some(&b) = rest.first() else { break };
        let mut used = 1;
        match b {
            0x1B => match sgr_len(rest) {
                Some(len) => {
                    out.extend_from_slice(&rest[..len]);
                    coloured = true;
                    used = len;
                }
                None => out.extend_from_slice(b"^["),
            },
            0xC2 => match rest.get(1) {
                Some(c @ 0x80..=0x9F) => {
                    out.extend_from_slice(b"\\x");
                    out.extend_from_slice(&hex(*c));
                    used = 2;
                }
                _ => out.push(b),
            },
            0x7F => out.extend_from_slice(b"^?"),
            b'\t' => out.push(b),
            _ => out.extend_from_slice(&[b'^', b + 0x40]),
        }
        rest = &rest[used..];
    }
    if coloured {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// Length of the colour sequence at the start of `s`, if it is one.
fn sgr_len(s: &[u8]) -> Option<usize> {
    let params = s.strip_prefix(b"\x1b[")?;
    let end = params
        .iter()
        .position(|b| !matches!(b, b'0'..=b'9' | b';' | b':'))?;
    // No terminal reads more parameters than this; a longer run is not a colour.
    (params[end] == b'm' && end <= 64).then_some(end + 3)
}

fn hex(b: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]
}

/// Appends `n` in decimal.
pub fn decimal(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(b: &[u8]) -> Vec<u8> {
        let mut out = vec![b'"'];
        json(b, &mut out);
        out.push(b'"');
        out
    }

    fn shown(b: &[u8]) -> String {
        let mut out = Vec::new();
        terminal(b, &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn serde_reads_back_what_was_escaped(bytes in prop::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), 0u8..0x30, any::<u8>(), Just(b'a')], 0..100)) {
            let back: String = serde_json::from_slice(&escaped(&bytes)).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn unicode_survives(s in "\\PC{0,60}") {
            let back: String = serde_json::from_slice(&escaped(s.as_bytes())).unwrap();
            prop_assert_eq!(back, s);
        }

        #[test]
        fn no_control_reaches_the_terminal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            terminal(&bytes, &mut out);
            let bad = out.iter().enumerate().find(|(i, b)| match b {
                b'\t' => false,
                0x1B => sgr_len(&out[*i..]).is_none(),
                0..0x20 | 0x7F => true,
                _ => false,
            });
            prop_assert!(bad.is_none(), "{:?}", out);
        }

        #[test]
        fn decimals(n in any::<u64>()) {
            let mut out = Vec::new();
            decimal(n, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_word() {
        for b in 0..=255u8 {
            for at in 0..17 {
                let mut s = vec![b'a'; 17];
                s[at] = b;
                let want = if b < 0x20 || b == b'"' || b == b'\\' {
                    at
                } else {
                    17
                };
                assert_eq!(clean_run(&s), want, "byte {b:#x} at {at}");
            }
        }
    }

    #[test]
    fn colours_pass_and_are_reset() {
        assert_eq!(shown(b"\x1b[1;31mred\tx"), "\x1b[1;31mred\tx\x1b[0m");
        assert_eq!(shown("gr\u{fc}\u{df}e".as_bytes()), "gr\u{fc}\u{df}e");
    }

    #[test]
    fn tricks_are_shown_not_done() {
        assert_eq!(shown(b"50%\rdb | fake"), "50%^Mdb | fake");
        assert_eq!(shown(b"\x1b[2J\x1b]0;title\x07"), "^[[2J^[]0;title^G");
        assert_eq!(shown(b"\x1b[1A\x1b[G\0\x7f"), "^[[1A^[[G^@^?");
        assert_eq!(shown("\u{9b}2J".as_bytes()), "\\x9b2J");
        assert_eq!(shown(b"\x1b["), "^[[");
    }
}
