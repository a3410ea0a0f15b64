//! Why a kubelet gives no list of its pods, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

use super::list::LARGEST_LIST;
use crate::advice::{Advise, quote};
use crate::trust::{Trouble, TrustError};

/// Why a kubelet gives no list of its pods.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// What was typed is no address.
    #[error("--kubelet.url: {} is no address of a kubelet", quote(.0))]
    Address(String),
    /// The token cannot be had.
    #[error("{} {why}", file.display())]
    Token {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be had, or nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No answer, or not all of it.
    #[error("failed to ask the kubelet at {host}: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// What failed, as far as something can be done about it.
        trouble: Trouble,
        /// What failed.
        why: String,
    },
    /// No end within the time that it may take.
    #[error("the kubelet at {host} took longer than {time:?}")]
    TooLong {
        /// Who was asked.
        host: String,
        /// How long it may take.
        time: Duration,
    },
    /// It does not know who asks.
    #[error("the kubelet at {host} does not know {}{said}", asker.words())]
    Unknown {
        /// Who was asked.
        host: String,
        /// Who asked.
        asker: Asker,
        /// Its words, behind a colon.
        said: String,
    },
    /// It knows who asks, who may not.
    #[error("the kubelet at {host} forbids {} to list pods{said}", asker.words())]
    Forbidden {
        /// Who was asked.
        host: String,
        /// Who asked.
        asker: Asker,
        /// Its words, behind a colon.
        said: String,
    },
    /// Any other answer.
    #[error("the kubelet at {host} answers {status}{said}")]
    Status {
        /// Who was asked.
        host: String,
        /// The answer.
        status: StatusCode,
        /// Its words, behind a colon.
        said: String,
    },
    /// Too much of it.
    #[error("the kubelet at {host} answers with more than {LARGEST_LIST} bytes")]
    TooLarge {
        /// Who was asked.
        host: String,
    },
    /// Something else.
    #[error("the kubelet at {host} gives no list of pods: {why}")]
    NoList {
        /// Who was asked.
        host: String,
        /// What is wrong with it.
        why: String,
    },
}

/// By what a kubelet is to know who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Neither of the others.
    Nobody,
    /// A token.
    Token,
    /// A certificate.
    Certificate,
}

impl Asker {
    fn words(self) -> &'static str {
        match self {
            Self::Nobody => "somebody without a token",
            Self::Token => "who has this token",
            Self::Certificate => "who has this certificate",
        }
    }

    /// What to do if he is not known.
    fn if_unknown(self) -> &'static str {
        match self {
            Self::Nobody => {
                "name a file with a token in --kubelet.token-file, or a certificate in --kubelet.cert-file"
            }
            Self::Token => {
                "see whether the token is one of this cluster, and whether the kubelet takes tokens: \
                 authentication.webhook.enabled in its configuration"
            }
            Self::Certificate => {
                "see whether the certificate is signed by the authority that the kubelet trusts: \
                 authentication.x509.clientCAFile in its configuration"
            }
        }
    }
}

impl Advise for KubeletError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Address(_) => "write one such as https://127.0.0.1:10250",
            Self::Token { .. } => "name a file with a token in --kubelet.token-file",
            Self::Trust(TrustError::File { remedy: Some(remedy), .. }) => remedy,
            Self::Trust(TrustError::File { .. }) => {
                "name a file in PEM format in --kubelet.ca-file, --kubelet.cert-file and --kubelet.key-file"
            }
            Self::Trust(_) => "name a file of authorities in --kubelet.ca-file",
            Self::Unreachable { trouble, .. } => match trouble {
                Trouble::Certificate => {
                    "name who has signed its certificate in --kubelet.ca-file; a certificate that it has made \
                     itself lies at /var/lib/kubelet/pki/kubelet.crt of its node"
                }
                Trouble::OtherName => {
                    "write in --kubelet.url a name that its certificate is for, as a rule the node's"
                }
                Trouble::NoTls => {
                    "write http:// in --kubelet.url if it is the port that only reads"
                }
                Trouble::Other => "see whether the kubelet listens there: --kubelet.url",
            },
            Self::TooLong { .. } => "see whether the kubelet is well, or raise --timeout",
            Self::Unknown { asker, .. } => asker.if_unknown(),
            Self::Forbidden { .. } => {
                "bind who asks to a ClusterRole that may `get` the resource `nodes/pods`; before Kubernetes 1.33 that \
                 is `nodes/proxy`, which lets it do far more"
            }
            Self::Status { status, .. } if status.is_server_error() => {
                "see whether the kubelet is well"
            }
            Self::Status { .. } | Self::NoList { .. } => {
                "see whether --kubelet.url is that of a kubelet"
            }
            Self::TooLarge { .. } => "see whether it is a kubelet: no node runs so many pods",
        };
        Some(remedy.to_owned())
    }
}
