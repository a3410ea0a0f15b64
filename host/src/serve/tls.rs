//! TLS as the server speaks it: what a plan and the texts that it names come to.
//!
//! Reads no file, and remembers no client: who comes again shows its certificate again.

mod clients;
mod greeting;
mod names;
mod own;

pub(super) use greeting::{Greeting, Secure, greet};

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::advice::{Advice, Advise};
use crate::config::web::{CurvePlan, PemPlan, SuitePlan, TlsPlan};
use crate::trust::{self, PemError};
use own::{Doubt, Unshown};

/// Why TLS cannot be spoken as a plan says.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file that cannot be read.
    #[error("{} {why}", file.display())]
    Unread {
        /// The file.
        file: PathBuf,
        /// The end of the sentence.
        why: String,
    },
    /// A text that is not what it is to be.
    #[error("{what} {why}")]
    Bad {
        /// What it is called.
        what: String,
        /// The end of the sentence.
        why: PemError,
    },
    /// A certificate of another key.
    #[error("{what} is the certificate of another key than the one that is named")]
    OtherKey {
        /// What the certificate is called.
        what: String,
    },
    /// A certificate that cannot be shown.
    #[error("{what} {why}")]
    Unshown {
        /// What the certificate is called.
        what: String,
        /// The end of the sentence.
        why: Unshown,
    },
    /// Something else that rustls does not do.
    #[error("TLS cannot be spoken so: {0}")]
    Other(#[from] rustls::Error),
}

impl Advise for TlsError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Unread { .. } => {
                "let it be a file that the exporter can read, as the user whom it becomes"
            }
            Self::Bad { why, .. } => why.remedy(),
            Self::OtherKey { .. } => "write a certificate and the key that it was made with",
            Self::Unshown { why, .. } => why.remedy(),
            Self::Other(_) => return None,
        };
        Some(remedy.to_owned())
    }
}

/// A text in PEM format, and what it is called.
pub(super) struct Pem<'a> {
    /// Where it comes from.
    pub(super) plan: &'a PemPlan,
    /// Its bytes, or why its file cannot be read.
    pub(super) bytes: Result<&'a [u8], &'a str>,
}

/// The texts that a plan names.
pub(super) struct Texts<'a> {
    pub(super) certificate: Pem<'a>,
    pub(super) key: Pem<'a>,
    pub(super) authorities: Option<Pem<'a>>,
}

/// What is wrong, and where in the web config it stands.
pub(super) type Faults = Vec<(String, TlsError)>;

/// What TLS is spoken with.
pub(super) struct Spoken {
    pub(super) config: ServerConfig,
    /// Why clients will turn away, and where in the web config that stands.
    pub(super) doubt: Option<(String, Advice)>,
}

impl Pem<'_> {
    /// What it holds.
    fn read<T>(&self, of: fn(&[u8]) -> Result<T, PemError>) -> Result<T, TlsError> {
        let file = || self.plan.file.clone().unwrap_or_default();
        let unread = |why: &str| TlsError::Unread { file: file(), why: why.to_owned() };
        of(self.bytes.map_err(unread)?).map_err(|why| TlsError::Bad { what: self.name(), why })
    }

    fn name(&self) -> String {
        match &self.plan.file {
            Some(file) => file.display().to_string(),
            None => "it".to_owned(),
        }
    }

    fn at(&self) -> String {
        self.plan.path.to_owned()
    }
}

/// What TLS is spoken with. `http2` is whether clients get HTTP/2 that ask for it.
///
/// # Errors
///
/// Everything that is wrong with the texts.
pub(super) fn config(plan: &TlsPlan, texts: &Texts<'_>, http2: bool) -> Result<Spoken, Faults> {
    let mut faults = Faults::new();
    let mut told = |pem: &Pem<'_>, error| faults.push((pem.at(), error));
    let Texts { certificate, key, authorities } = texts;
    let chain = certificate.read(trust::chain).map_err(|error| told(certificate, error)).ok();
    let secret = key.read(trust::secret).map_err(|error| told(key, error)).ok();
    let both = |pem: &Pem<'_>| Ok((pem.read(trust::authorities)?, pem.read(trust::chain)?));
    let roots = authorities.as_ref().map(|pem| both(pem).map_err(|error| told(pem, error)).ok());
    let (Some(chain), Some(secret), None | Some(Some(_))) = (chain, secret, &roots) else {
        return Err(faults);
    };
    let whole = |error| vec![("tls_server_config".to_owned(), error)];
    let provider = Arc::new(provider(plan));
    let clients = clients::verifier(plan, roots.flatten(), &provider);
    let clients = clients.map_err(|error| match authorities {
        Some(pem) => vec![(pem.at(), error)],
        None => whole(error),
    })?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(plan))
        .map_err(|error| whole(error.into()))?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let shown = chain[0].clone();
    let unfit = |error| {
        let what = certificate.name();
        let unfit = match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey { what },
            error => TlsError::Unshown { what, why: Unshown::of(&shown, error) },
        };
        vec![(certificate.at(), unfit)]
    };
    let mut config = builder.with_single_cert(chain, secret).map_err(unfit)?;
    config.ignore_client_order = plan.prefers;
    config.alpn_protocols =
        if http2 { vec![H2.to_vec(), HTTP1.to_vec()] } else { vec![HTTP1.to_vec()] };
    // Whoever is let in by its certificate is looked at each time, and no client takes room while it is away.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let doubt = Doubt::about(&shown, UnixTime::now());
    let doubt = doubt.map(|doubt| (certificate.at(), doubt.advice(&certificate.name())));
    Ok(Spoken { config, doubt })
}

/// What clients and the server call HTTP/2.
pub(super) const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

fn versions(plan: &TlsPlan) -> Vec<&'static SupportedProtocolVersion> {
    let (old, new) = plan.versions;
    let new = new.then_some(&version::TLS13);
    new.into_iter().chain(old.then_some(&version::TLS12)).collect()
}

/// Suites of TLS 1.2 where a plan names none, the best first: as in Go, 128 bits of AES are enough, and they are
/// quicker than 256.
const OLD_SUITES: [SuitePlan; 6] = [
    SuitePlan::EcdsaAes128,
    SuitePlan::RsaAes128,
    SuitePlan::EcdsaAes256,
    SuitePlan::RsaAes256,
    SuitePlan::EcdsaChacha,
    SuitePlan::RsaChacha,
];

/// What is usual, but for the suites and curves that the plan names.
fn provider(plan: &TlsPlan) -> CryptoProvider {
    use ring::cipher_suite as known;
    let usual = ring::default_provider();
    let mut suites = vec![
        known::TLS13_AES_128_GCM_SHA256,
        known::TLS13_AES_256_GCM_SHA384,
        known::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let old = if plan.suites.is_empty() { &OLD_SUITES[..] } else { &plan.suites };
    suites.extend(old.iter().map(|suite| old_suite(*suite)));
    let curves: Vec<_> = plan.curves.iter().map(|curve| group(*curve)).collect();
    let kx_groups = if curves.is_empty() { usual.kx_groups.clone() } else { curves };
    CryptoProvider { cipher_suites: suites, kx_groups, ..usual }
}

fn old_suite(suite: SuitePlan) -> SupportedCipherSuite {
    use ring::cipher_suite as known;
    match suite {
        SuitePlan::EcdsaAes128 => known::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        SuitePlan::EcdsaAes256 => known::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        SuitePlan::EcdsaChacha => known::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        SuitePlan::RsaAes128 => known::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        SuitePlan::RsaAes256 => known::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        SuitePlan::RsaChacha => known::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn group(curve: CurvePlan) -> &'static dyn SupportedKxGroup {
    match curve {
        CurvePlan::X25519 => ring::kx_group::X25519,
        CurvePlan::P256 => ring::kx_group::SECP256R1,
        CurvePlan::P384 => ring::kx_group::SECP384R1,
    }
}
