//! OTLP: messages to a collector of OpenTelemetry, whatever they tell of.
//!
//! `known` lists the variables that are read. `variables` says where messages go, as the environment has it. `sender` is who sends them, and tries again; `client`
//! makes one request; `answer` knows what a collector has said. `end` is when who sends is to have ended.
//!
//! Never knows what a message holds, and never keeps one that could not be sent.

use std::net::ToSocketAddrs as _;
use std::path::PathBuf;

use tracing::debug;

mod answer;
mod client;
mod end;
mod known;
mod sender;
mod variables;

pub(crate) use answer::{Again, Taken, Untaken};
pub(crate) use end::{End, LAST, over};
pub use known::{VARIABLES, Variable};
pub(crate) use sender::OtlpSender;
pub use variables::Signal;
pub(crate) use variables::{Environment, Target};

use crate::files::Readable;

/// The files that who sends reads while it works: those that names are looked up in.
pub fn readable() -> Vec<Readable> {
    const FILES: [&str; 5] = ["resolv.conf", "hosts", "nsswitch.conf", "host.conf", "gai.conf"];
    FILES.map(|name| Readable::Content(PathBuf::from("/etc").join(name))).to_vec()
}

/// The ports of a collector and of who knows its address. The name is looked up once before rights are
/// given up: the C library loads what it looks names up with, which it may not do later.
pub(crate) fn ports(target: &Target) -> Vec<u16> {
    const DNS: u16 = 53;
    let Target::Collector(collector) = target else { return Vec::new() };
    let endpoint = &collector.endpoint;
    let default = if endpoint.scheme_str() == Some("https") { 443 } else { 80 };
    let port = endpoint.port_u16().unwrap_or(default);
    let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
    if let Err(error) = (host, port).to_socket_addrs() {
        debug!("{host} is not known yet: {error}");
    }
    vec![port, DNS]
}
