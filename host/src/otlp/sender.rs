//! Who sends messages: to a collector, trying again as far as that may do, or to standard output.
//!
//! A message is sent or it is not: nothing is kept of one that could not be. None takes longer than the
//! variables let it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{Again, Taken, Untaken};
use super::client::CollectorClient;
use super::variables::{Protocol, Signal, Target};
use crate::advice::Advice;
use crate::output;

/// How often a message is tried again.
const MORE_TRIES: u32 = 3;
/// How long until it is tried again first; twice as long each time after that.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// What is added to each wait at the most, so that not all exporters come back at once.
const JITTER: u32 = 100;

/// Sends messages of one signal.
#[derive(Debug)]
pub(crate) struct OtlpSender(To);

#[derive(Debug)]
enum To {
    Console,
    Collector(Box<CollectorClient>),
}

impl OtlpSender {
    /// Who sends to there; nobody if it is nowhere. Files that are needed have been read then.
    ///
    /// # Errors
    ///
    /// When a file holds not what it is to hold.
    pub(crate) fn new(target: &Target, signal: Signal) -> Result<Option<Self>, Advice> {
        Ok(match target {
            Target::Nowhere(_) => None,
            Target::Console => Some(Self(To::Console)),
            Target::Collector(collector) => {
                let client = CollectorClient::new(collector, signal)?;
                Some(Self(To::Collector(Box::new(client))))
            }
        })
    }

    /// Where messages go, for other messages.
    pub(crate) fn place(&self) -> String {
        match &self.0 {
            To::Console => "standard output".to_owned(),
            To::Collector(client) => client.collector().endpoint.to_string(),
        }
    }

    /// Sends a message. Drop the future, and it is not known whether it was taken.
    ///
    /// # Errors
    ///
    /// Why it was not taken, or, if no answer came, why that is not known.
    pub(crate) async fn send<M: Message + Serialize>(&self, message: &M) -> Result<Taken, Untaken> {
        match &self.0 {
            To::Console => {
                let line = serde_json::to_string(message);
                let line = line.map_err(|error| Untaken::never(error.to_string()))?;
                let printed = output::print(&(line + "\n"));
                printed.map_err(|error| Untaken::never(error.to_string()))?;
                Ok(Taken::default())
            }
            To::Collector(client) => {
                let bytes = match client.collector().protocol {
                    Protocol::HttpJson => serde_json::to_vec(message),
                    Protocol::HttpProtobuf | Protocol::Grpc => Ok(message.encode_to_vec()),
                };
                let bytes = bytes.map_err(|error| Untaken::never(error.to_string()))?;
                tries(client, client.packed(bytes)).await
            }
        }
    }
}

/// Makes a request, again and again as far as that may do.
async fn tries(client: &CollectorClient, body: Bytes) -> Result<Taken, Untaken> {
    let timeout = client.collector().timeout;
    let until = Instant::now() + timeout;
    let mut wait = FIRST_WAIT;
    for _ in 0..MORE_TRIES {
        let untaken = match one_try(client, body.clone(), until).await {
            Err(untaken) if untaken.again != Again::Never => untaken,
            settled => return settled,
        };
        let rest = untaken.rest().unwrap_or_default().max(wait) + jitter();
        if Instant::now() + rest >= until {
            return Err(untaken);
        }
        sleep(rest).await;
        wait *= 2;
    }
    one_try(client, body, until).await
}

async fn one_try(client: &CollectorClient, body: Bytes, until: Instant) -> Result<Taken, Untaken> {
    let timeout = client.collector().timeout;
    let late = |_| Err(Untaken::soon(format!("it did not answer within {timeout:?}")));
    timeout_at(until, client.exchange(body)).await.unwrap_or_else(late)
}

/// Some milliseconds that nobody foresees.
fn jitter() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(u64::from(now.subsec_micros() % JITTER))
}
