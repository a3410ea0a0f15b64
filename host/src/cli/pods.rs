//! What a kubelet is asked for, as it was typed: `pods`.

use std::path::PathBuf;

use clap::Args;

/// Which kubelet is asked, how, and where to its list goes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Pods {
    /// Where the kubelet listens
    #[arg(long = "kubelet.url", value_name = "URL", default_value = "https://127.0.0.1:10250")]
    pub url: String,

    /// File with a token to show the kubelet; default: that of the service account, if there is one
    #[arg(long = "kubelet.token-file", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// File of authorities to trust instead of those of this host, in PEM format; default: that of the
    /// service account, if there is one
    #[arg(long = "kubelet.ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// File with a certificate to show the kubelet, in PEM format
    #[arg(long = "kubelet.cert-file", value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,

    /// File with the private key of that certificate, in PEM format
    #[arg(long = "kubelet.key-file", value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,

    /// Take any certificate of the kubelet: whoever is between may then read the token, and name pods
    #[arg(long = "kubelet.insecure-skip-verify", conflicts_with = "ca_file")]
    pub insecure_skip_verify: bool,

    /// File to keep the list in; without it, it is printed once
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Ask once, and exit
    #[arg(long)]
    pub once: bool,

    /// How often to ask
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub refresh: String,

    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub timeout: String,
}
