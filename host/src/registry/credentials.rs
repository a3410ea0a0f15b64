//! Who asks a registry, as `docker login`, `podman login` and credential helpers have noted it.
//!
//! Files are only read, within bounds. No secret is ever printed, logged or part of an error: a [`Secret`]
//! shows nothing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::limits::LARGEST_FILE;
use crate::advice::Advise;
use crate::files::{self, Unread};
use crate::reference::Repository;

mod helper;

/// The host that docker means by `docker.io`, as its files name it.
const DOCKER_HUB: &str = "index.docker.io";

/// A text that only its reader sees.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Secret(pub(super) String);

/// What lets somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A name and a password.
    Password { user: String, secret: Secret },
    /// What a token service gives tokens for.
    Identity(Secret),
    /// A token that the registry itself takes.
    Token(Secret),
}

/// The files that may know who asks, the first one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keychain {
    files: Vec<PathBuf>,
    /// Whether the file was named, and has to be there.
    named: bool,
}

/// Why it is not known who asks.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file that was named, or that is there, and cannot be used.
    #[error("{} {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it; nothing of what it holds.
        why: String,
    },
    /// A program that a file names.
    #[error("{} names the credential helper `{program}`, which {why}", file.display())]
    Helper {
        /// The file.
        file: PathBuf,
        /// The program.
        program: String,
        /// What is wrong with it; nothing of what it answers.
        why: String,
    },
}

impl Advise for CredentialsError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::File { .. } => {
                "correct it, or write it anew with `docker login` or `podman login`"
            }
            Self::Helper { .. } => "install it or repair it, or take it out of that file",
        };
        Some(remedy.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A file of docker's or podman's, as far as it is about registries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Noted {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

/// What is noted of a registry.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Entry {
    /// Name and password in one, in base64.
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl Keychain {
    /// The files that this environment leads to.
    pub fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(file) = path("REGISTRY_AUTH_FILE") {
            return Self { files: vec![file], named: true };
        }
        let docker =
            path("DOCKER_CONFIG").or_else(|| path("HOME").map(|home| home.join(".docker")));
        let docker = docker.map(|dir| dir.join("config.json"));
        let podman = path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
        Self { files: docker.into_iter().chain(podman).collect(), named: false }
    }

    /// What lets into a repository, by the first file that knows.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, or a helper that it names.
    pub(super) async fn look_up(
        &self,
        repository: &Repository,
    ) -> Result<Option<Credentials>, CredentialsError> {
        for file in &self.files {
            let Some(noted) = self.read(file)? else { continue };
            if let Some(found) = noted.look_up(file, repository).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What a file notes; nothing if there is none.
    fn read(&self, file: &Path) -> Result<Option<Noted>, CredentialsError> {
        let unusable = |why: String| CredentialsError::File { file: file.to_owned(), why };
        let text = match files::read(file, LARGEST_FILE) {
            Ok(text) => text,
            Err(Unread::Refused(error))
                if error.kind() == io::ErrorKind::NotFound && !self.named =>
            {
                return Ok(None);
            }
            Err(unread) => return Err(unusable(unread.why())),
        };
        // What the reader says may repeat what it read: only the place is told.
        let bad = |error: serde_json::Error| {
            unusable(format!(
                "is not what it should be at line {}, column {}",
                error.line(),
                error.column()
            ))
        };
        serde_json::from_slice(&text).map(Some).map_err(bad)
    }
}

impl Noted {
    async fn look_up(
        &self,
        file: &Path,
        repository: &Repository,
    ) -> Result<Option<Credentials>, CredentialsError> {
        let host = repository.host();
        let own = self.cred_helpers.iter().find(|(key, _)| place(key) == place(host));
        let helper = own.map(|(_, name)| name).or(Some(&self.creds_store));
        if let Some(name) = helper.filter(|name| !name.is_empty()) {
            let server =
                if place(host) == DOCKER_HUB { "https://index.docker.io/v1/" } else { host };
            if let Some(found) = helper::ask(file, name, server).await? {
                return Ok(Some(found));
            }
        }
        let entry = places(repository).find_map(|wanted| {
            self.auths.iter().find(|(key, _)| place(key) == wanted).map(|(_, entry)| entry)
        });
        let bad = || CredentialsError::File {
            file: file.to_owned(),
            why: format!("has an `auth` of {host} that is not NAME:PASSWORD in base64"),
        };
        entry.map_or(Ok(None), |entry| entry.credentials().ok_or_else(bad))
    }
}

impl Entry {
    /// What it holds, which may be nothing; none if it is damaged.
    fn credentials(&self) -> Option<Option<Credentials>> {
        let filled = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.0.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Some(Some(Credentials::Token(token)));
        }
        if let Some(token) = filled(&self.identitytoken) {
            return Some(Some(Credentials::Identity(token)));
        }
        if let Some(auth) = filled(&self.auth) {
            return decoded(&auth).map(Some);
        }
        let user = self.username.clone().filter(|user| !user.is_empty());
        Some(
            user.zip(self.password.clone())
                .map(|(user, secret)| Credentials::Password { user, secret }),
        )
    }
}

/// The name and the password that one text holds.
fn decoded(auth: &Secret) -> Option<Credentials> {
    let bytes = BASE64_STANDARD.decode(auth.0.trim_end()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, secret) = text.split_once(':')?;
    let secret = Secret(secret.trim_end_matches('\0').to_owned());
    Some(Credentials::Password { user: user.to_owned(), secret })
}

/// What a key of these files names: a host, and podman's may have a path. Old ones are addresses.
fn place(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = match key.trim_end_matches('/').split_once('/') {
        Some((host, "v1" | "v2")) => host,
        _ => key.trim_end_matches('/'),
    };
    if key == "docker.io" { DOCKER_HUB } else { key }
}

/// The places whose credentials are good for a repository, the nearest first.
fn places(repository: &Repository) -> impl Iterator<Item = String> {
    let whole = format!("{}/{}", repository.host(), repository.path());
    let cuts: Vec<_> = whole.rmatch_indices('/').map(|(at, _)| whole[..at].to_owned()).collect();
    std::iter::once(whole).chain(cuts).map(|all| place(&all).to_owned())
}

#[cfg(test)]
mod tests;
