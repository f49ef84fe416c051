//! How podvisor says who it is: the `Authorization` header, made once, or again when its file changes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

use super::SetupError;
use super::clean::Clean;
use super::files::{self, Watch};
use crate::config::sink::Secret;

/// How podvisor says who it is.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all (but user and password in the URL are used).
    None,
    /// RFC 7617.
    Basic {
        /// The user, without colon.
        username: String,
        /// The password.
        password: Secret,
    },
    /// RFC 6750.
    Bearer(Secret),
    /// The same with a token from a file, read anew when it changes; white space around it is no part of it.
    BearerFile(PathBuf),
}

/// The header as it is at present.
pub(super) struct Authorization {
    value: Option<HeaderValue>,
    file: Option<(PathBuf, Watch)>,
}

impl Authorization {
    pub(super) fn new(
        auth: &Auth,
        every: Duration,
        now: Instant,
        clean: &mut Clean,
    ) -> Result<Self, SetupError> {
        let mut file = None;
        let value = match auth {
            Auth::None => None,
            Auth::Basic { username, password } => {
                clean.hide(password.expose());
                let pair = format!("{username}:{}", password.expose());
                let pair = BASE64_STANDARD.encode(pair);
                clean.hide(&pair);
                Some(header("Basic", &pair)?)
            }
            Auth::Bearer(token) => {
                clean.hide(token.expose());
                Some(header("Bearer", token.expose())?)
            }
            Auth::BearerFile(path) => {
                let watch = Watch::new(vec![path.clone()], every, now);
                file = Some((path.clone(), watch));
                Some(from_file(path, clean)?)
            }
        };
        Ok(Self { value, file })
    }

    /// The header's value, from the file if that has changed.
    pub(super) fn value(
        &mut self,
        sink: &str,
        now: Instant,
        clean: &mut Clean,
    ) -> Option<HeaderValue> {
        if let Some((path, watch)) = &mut self.file
            && watch.changed(now)
        {
            match from_file(path, clean) {
                Ok(value) => {
                    self.value = Some(value);
                    watch.good();
                }
                Err(error) => watch.bad(sink, &error.to_string()),
            }
        }
        self.value.clone()
    }

    /// The receiver doesn't take it: the file is looked at before the next attempt.
    pub(super) fn refused(&mut self) {
        if let Some((_, watch)) = &mut self.file {
            watch.soon();
        }
    }
}

fn from_file(path: &Path, clean: &mut Clean) -> Result<HeaderValue, SetupError> {
    let content = files::read(path).map_err(|source| SetupError::File {
        path: path.to_owned(),
        source,
    })?;
    let token = String::from_utf8(content).unwrap_or_default();
    match token.trim() {
        "" => Err(SetupError::Nothing {
            path: path.to_owned(),
            what: "token",
        }),
        token => {
            clean.hide_token(token);
            header("Bearer", token)
        }
    }
}

fn header(scheme: &str, credentials: &str) -> Result<HeaderValue, SetupError> {
    let value = format!("{scheme} {credentials}");
    let mut value = HeaderValue::try_from(value).map_err(|_| SetupError::Credentials)?;
    value.set_sensitive(true);
    Ok(value)
}
