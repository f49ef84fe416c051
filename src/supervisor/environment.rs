//! The environment of a service: the container's, then `envFrom`, then `env`, then what podvisor itself says.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use crate::config::model::{EnvFile, Service};

/// The largest env file that is read.
const MAX_ENV_FILE: u64 = 1 << 20;

/// Variables that speak to podvisor's own process and would mislead a service.
const NOT_INHERITED: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "PODVISOR_RUN",
];

/// An env file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvError {
    #[error("reading env file {file}: {error}")]
    Read { file: String, error: std::io::Error },
    #[error("env file {file} is larger than {MAX_ENV_FILE} bytes")]
    TooLarge { file: String },
    #[error("env file {file}, line {line}: not NAME=value")]
    Line { file: String, line: usize },
}

/// An environment that is being put together: later values beat earlier ones.
#[derive(Debug, Default)]
pub(super) struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// The environment of one start of a service, without what podvisor adds for itself.
    pub(super) fn of(
        service: &Service,
        container: &[(OsString, OsString)],
    ) -> Result<Self, EnvError> {
        let mut env = Self::default();
        if service.inherit_env {
            let kept = |name: &OsStr| !NOT_INHERITED.iter().any(|other| name == OsStr::new(other));
            env.0
                .extend(container.iter().filter(|(name, _)| kept(name)).cloned());
        }
        for file in &service.env_from {
            env.read(file)?;
        }
        for (name, value) in &service.env {
            env.set(name, value);
        }
        Ok(env)
    }

    pub(super) fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let (name, value) = (name.as_ref(), value.as_ref().to_owned());
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets it in the first place of all, where whoever searches an environment finds it soonest.
    pub(super) fn set_first(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.retain(|(known, _)| known != OsStr::new(name));
        self.0.insert(0, (name.into(), value.as_ref().to_owned()));
    }

    /// Sets it unless the user did.
    pub(super) fn set_default(&mut self, name: &str, value: impl AsRef<OsStr>) {
        if !self.0.iter().any(|(known, _)| known == OsStr::new(name)) {
            self.set(name, value);
        }
    }

    pub(super) fn into_vec(self) -> Vec<(OsString, OsString)> {
        self.0
    }

    fn read(&mut self, from: &EnvFile) -> Result<(), EnvError> {
        let Some(text) = load(from)? else {
            return Ok(());
        };
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let pair = line
                .split_once('=')
                .filter(|(name, _)| is_name(name.trim_end()));
            let Some((name, value)) = pair else {
                return Err(EnvError::Line {
                    file: from.file.clone(),
                    line: at + 1,
                });
            };
            self.set(name.trim_end(), unquote(value.trim_start()));
        }
        Ok(())
    }
}

fn load(from: &EnvFile) -> Result<Option<String>, EnvError> {
    let read = |error| EnvError::Read {
        file: from.file.clone(),
        error,
    };
    // O_NONBLOCK: a FIFO in the place of the file must not stop PID 1.
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&from.file);
    let file = match opened {
        Err(error) if from.optional && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        opened => opened.map_err(read)?,
    };
    let mut text = String::new();
    let size = file
        .take(MAX_ENV_FILE + 1)
        .read_to_string(&mut text)
        .map_err(read)?;
    if size as u64 > MAX_ENV_FILE {
        return Err(EnvError::TooLarge {
            file: from.file.clone(),
        });
    }
    Ok(Some(text))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Takes one pair of quotes off, as `docker run --env-file` does not but every dotenv does.
fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|v| v.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(OsString, OsString)>, EnvError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut env = Environment::default();
        env.set("A", "old");
        env.read(&EnvFile {
            file: file.path().display().to_string(),
            optional: false,
        })?;
        Ok(env.into_vec())
    }

    #[test]
    fn env_file_values_beat_earlier_ones_and_lose_their_quotes() {
        let env = read("# a comment\n\nexport A=new\nB = \"two words\"\nC='x=y'\nD=\n").unwrap();
        let text: Vec<String> = env
            .iter()
            .map(|(n, v)| format!("{}={}", n.to_string_lossy(), v.to_string_lossy()))
            .collect();
        assert_eq!(text, ["A=new", "B=two words", "C=x=y", "D="]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read("A=1\nnonsense\n").unwrap_err().to_string();
        assert!(error.ends_with("line 2: not NAME=value"), "{error}");
    }

    #[test]
    fn an_optional_file_may_be_missing() {
        let missing = EnvFile {
            file: "/nonexistent/env".to_owned(),
            optional: true,
        };
        assert!(Environment::default().read(&missing).is_ok());
        let needed = EnvFile {
            optional: false,
            ..missing
        };
        assert!(Environment::default().read(&needed).is_err());
    }
}
