//! Registries: plugins as OCI artifacts, pushed, listed and pulled.
//!
//! ```text
//! artifact     manifest and config, as they are pushed
//! credentials  who asks: docker's and podman's files, helpers
//! http         requests, redirects, bounds
//! access       what a registry wants to let somebody in
//! session      one repository, asked: manifests, tags
//! pull, push   components; partial is a file on its way
//! referrers    signatures
//! ```
//!
//! Only tools use this room, and whoever runs them waits for it. Neither the exporter that starts or serves nor
//! the child that compiles ever does: they need no network. What a registry answers is hostile: sizes, pages,
//! redirects and time are bounded (`limits`), and nothing is used before its digest was checked.

use std::time::Duration;

mod access;
mod artifact;
mod credentials;
mod error;
mod http;
mod limits;
mod partial;
mod pull;
mod push;
mod referrers;
mod session;

pub use access::Purpose;
pub use artifact::{Artifact, ArtifactError, Description, OURS, timestamp};
pub use credentials::{CredentialsError, Keychain};
pub use error::{RegistryError, Wanted};
pub use http::Reach;
pub use partial::{Partial, Parts};
pub use pull::Blob;
pub use push::{PushRules, Pushed};
pub use session::Session;

/// Does what a registry is needed for, within this time.
///
/// # Errors
///
/// Those of `work`, and [`RegistryError::TooLong`].
pub fn run<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(RegistryError::Runtime)?;
    let done = runtime.block_on(async { tokio::time::timeout(timeout, work).await });
    // A name that is still looked up is not waited for.
    runtime.shutdown_background();
    done.unwrap_or(Err(RegistryError::TooLong(timeout)))
}
