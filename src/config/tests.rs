//! The rooms of the config together: text in, config or problems out.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::*;

/// A machine of the test's own.
#[derive(Default)]
pub(super) struct Fake {
    pub env: BTreeMap<&'static str, &'static str>,
    pub files: BTreeMap<&'static str, &'static str>,
    pub euid: u32,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            files: BTreeMap::from([
                ("/bin/sh", "#!"),
                (
                    "/etc/passwd",
                    "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n",
                ),
                ("/etc/group", "root:x:0:\nstaff:x:50:\n"),
            ]),
            ..Self::default()
        }
    }
}

impl Machine for Fake {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).map(|value| (*value).to_owned())
    }

    fn read(&self, path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
        self.files
            .get(path.to_str().unwrap())
            .map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn is_executable(&self, path: &Path) -> bool {
        self.files.contains_key(path.to_str().unwrap())
    }

    fn euid(&self) -> u32 {
        self.euid
    }
}

/// The config of a text that must be right.
pub(super) fn good(text: &str) -> Config {
    match load_texts(&[("test.yaml", text)], &Fake::new()) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

/// The problems of a text that must be wrong, one line each.
pub(super) fn bad(text: &str) -> Vec<String> {
    match load_texts(&[("test.yaml", text)], &Fake::new()) {
        Ok(_) => panic!("it was taken"),
        Err(report) => report.problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_sample_of_the_docs_loads() {
    let config = good(
        r#"
services:
  redis:
    command: [redis-server, --port, "6379", --save, ""]
    readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 }
  migrate:
    type: oneshot
    command: [/app/migrate]
    dependsOn: [redis]
  web:
    command: [/app/web]
    args: [--port, 8080, 1.10, yes]
    dependsOn:
      migrate: { condition: completed }
      redis: { condition: ready, required: false }
    env: { PORT: 8080, DB: "${DB_URL:-redis://127.0.0.1:6379}", COST: "$$5 a$b" }
    limits: { nofile: 65536, core: 0, memlock: unlimited, stack: { soft: 8Mi, hard: unlimited } }
    stop: { timeout: 5s, signal: int }
http: { listen: "127.0.0.1:0" }
shutdown: { deadline: 20s }
"#,
    );
    let web = &config.services["web"];
    assert_eq!(web.args, ["--port", "8080", "1.10", "yes"]);
    assert_eq!(web.env["DB"], "redis://127.0.0.1:6379");
    assert_eq!(web.env["COST"], "$5 a$b");
    assert_eq!(web.stop.signal.number(), 2);
    assert!(!web.depends_on["redis"].required);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:0");
}

#[test]
fn every_mistake_is_reported_in_one_go() {
    let problems = bad(r#"
services:
  web:
    comand: [a]
    command: [a]
    readinessProbe: { httpGet: { port: 80800 } }
    restart: { maxDelay: 10 }
    autostart: yes
  db:
    command: ~x
    stop: { signal: SIGTREM }
lgos: {}
"#);
    assert_eq!(
        problems,
        [
            "test.yaml:4:5: error: services.web.comand: unknown field `comand`; did you mean `command`?",
            "test.yaml:6:40: error: services.web.readinessProbe.httpGet.port: `80800` is no port: 1 to 65535",
            "test.yaml:7:26: error: services.web.restart.maxDelay: `10` has no unit: write `10s`, `500ms` or `5m`",
            "test.yaml:8:16: error: services.web.autostart: expected true or false, found `yes`; write true, without quotes",
            "test.yaml:10:14: error: services.db.command: expected a list, found `~x`",
            "test.yaml:11:21: error: services.db.stop.signal: `SIGTREM` is no signal: write a name such as `SIGTERM`, `INT` or `SIGRTMIN+3`, or a number from 1 to 64",
            "test.yaml:12:1: error: lgos: unknown section `lgos`; did you mean `logs`?",
        ]
    );
}
