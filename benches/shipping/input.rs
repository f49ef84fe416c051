//! The input: lines as a fleet writes them, the same in every run. Half are an application's JSON, three tenths a proxy's
//! access log, two tenths plain text; 244 bytes a line on average, as in the measurements of other shippers that
//! docs/benchmarks.md cites.

use std::io::Write;

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const PATHS: [&str; 6] = [
    "/api/v1/orders",
    "/api/v1/users/profile",
    "/healthz",
    "/static/js/main.3f9a1c.js",
    "/api/v1/cart/items",
    "/search?q=red+shoes&page=2",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "curl/8.5.0",
    "okhttp/4.12.0",
];
const WORDS: [&str; 12] = [
    "connection",
    "pool",
    "order",
    "created",
    "cache",
    "miss",
    "retrying",
    "upstream",
    "worker",
    "finished",
    "batch",
    "committed",
];
const LEVELS: [&str; 5] = ["debug", "info", "info", "info", "warn"];

/// About `bytes` of lines.
pub fn generate(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(4747);
    let mut out = Vec::with_capacity(bytes + 512);
    let mut millis: u64 = 1_790_000_000_000;
    while out.len() < bytes {
        millis += random.u64(0..5);
        match random.u8(0..10) {
            0..5 => json(&mut out, &mut random, millis),
            5..8 => access(&mut out, &mut random, millis),
            _ => text(&mut out, &mut random, millis),
        }
    }
    out
}

fn json(out: &mut Vec<u8>, random: &mut fastrand::Rng, millis: u64) {
    let line = writeln!(
        out,
        r#"{{"ts":{}.{:03},"level":"{}","logger":"com.example.shop.orders.OrderService","thread":"http-nio-8080-exec-{}","msg":"{} {} {} for customer","request_id":"{:016x}","user_id":{},"duration_ms":{}.{},"region":"eu-central-1","version":"1.42.0"}}"#,
        millis / 1000,
        millis % 1000,
        LEVELS[random.usize(..LEVELS.len())],
        random.u8(1..40),
        WORDS[random.usize(..WORDS.len())],
        WORDS[random.usize(..WORDS.len())],
        WORDS[random.usize(..WORDS.len())],
        random.u64(..),
        random.u32(1..200_000),
        random.u32(0..900),
        random.u8(0..10),
    );
    line.unwrap();
}

fn access(out: &mut Vec<u8>, random: &mut fastrand::Rng, millis: u64) {
    let line = writeln!(
        out,
        r#"10.{}.{}.{} - - [{}] "{} {} HTTP/1.1" {} {} "https://shop.example.com/checkout/confirm" "{}" rt=0.{:03} ua="10.2.1.{}:8080" us=200"#,
        random.u8(0..8),
        random.u8(..),
        random.u8(..),
        millis,
        METHODS[random.usize(..METHODS.len())],
        PATHS[random.usize(..PATHS.len())],
        [200, 200, 200, 304, 404, 500][random.usize(..6)],
        random.u32(100..50_000),
        AGENTS[random.usize(..AGENTS.len())],
        random.u32(1..999),
        random.u8(1..20),
    );
    line.unwrap();
}

fn text(out: &mut Vec<u8>, random: &mut fastrand::Rng, millis: u64) {
    write!(out, "{millis} INFO worker-{:02} ", random.u8(0..32)).unwrap();
    for _ in 0..random.usize(16..36) {
        out.extend_from_slice(WORDS[random.usize(..WORDS.len())].as_bytes());
        out.push(b' ');
    }
    writeln!(out, "id={:08x}", random.u32(..)).unwrap();
}
