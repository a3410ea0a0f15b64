//! Programs that know credentials: `docker-credential-NAME get`, the host on standard input, JSON on standard
//! output.
//!
//! One is ended if it takes too long or says too much. What it says is never shown. Never asks two at once, whoever
//! pulls: one may ask a person.

use std::io;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Credentials, CredentialsError, Secret};
use crate::advice::words;
use crate::registry::limits::{HELPER, LARGEST_ANSWER};

/// What every helper says of a host that it does not know, whatever its language.
const UNKNOWN: &[u8] = b"credentials not found in native keychain";
/// The name in place of a user's of who has a token.
const TOKEN: &str = "<token>";

/// Held while one is asked.
static TURN: Mutex<()> = Mutex::const_new(());

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    username: String,
    secret: Secret,
}

/// Asks the helper `name`, which `file` names.
///
/// # Errors
///
/// When it cannot be started, fails, or says something else.
pub(super) async fn ask(
    file: &Path,
    name: &str,
    server: &str,
) -> Result<Option<Credentials>, CredentialsError> {
    let program = format!("docker-credential-{name}");
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let _turn = TURN.lock().await;
    let answered = match name.bytes().all(inner) {
        true => ask_program(program.as_ref(), server).await,
        false => Err("is no name of a program".to_owned()),
    };
    answered.map_err(|why| CredentialsError::Helper { file: file.to_owned(), program, why })
}

/// What a program says of a server, or what is wrong with it.
pub(super) async fn ask_program(
    program: &Path,
    server: &str,
) -> Result<Option<Credentials>, String> {
    let started = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn();
    let mut child = started.map_err(|error| format!("cannot be started: {}", words(&error)))?;
    let ended = timeout(HELPER, exchange(&mut child, server)).await;
    let ended = ended.map_err(|_| format!("took longer than {HELPER:?}"))?;
    let (good, said) = ended.map_err(|error| format!("cannot be asked: {}", words(&error)))?;
    match (good, serde_json::from_slice::<Told>(&said)) {
        (false, _) if said.trim_ascii() == UNKNOWN => Ok(None),
        (false, _) => Err("failed".to_owned()),
        (true, Ok(told)) => Ok(told.credentials()),
        (true, Err(_)) => Err("says nothing that can be read".to_owned()),
    }
}

/// Whether it ended well, and what it has said.
async fn exchange(child: &mut Child, server: &str) -> io::Result<(bool, Vec<u8>)> {
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(server.as_bytes()).await {
            // It may know without reading.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
    }
    let said = match child.stdout.take() {
        Some(output) => bounded(output).await?,
        None => Vec::new(),
    };
    Ok((child.wait().await?.success(), said))
}

async fn bounded(output: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    output.take(LARGEST_ANSWER + 1).read_to_end(&mut said).await?;
    if said.len() as u64 > LARGEST_ANSWER {
        return Err(io::Error::other("it says too much"));
    }
    Ok(said)
}

impl Told {
    fn credentials(self) -> Option<Credentials> {
        let Self { username, secret } = self;
        match &*username {
            _ if secret.0.is_empty() => None,
            TOKEN => Some(Credentials::Identity(secret)),
            _ => Some(Credentials::Password { user: username, secret }),
        }
    }
}
