//! Who sends messages: to a collector, trying again as far as that may do, or to standard output.
//!
//! A message is sent or it is not: nothing is kept of one that could not be. None takes longer than the
//! variables let it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Uri;
use prost::Message;
use serde::Serialize;
use serde_json::Value;
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
            To::Collector(client) => shown(&client.collector().endpoint),
        }
    }

    /// Sends a message, in no more time than the variables give one, and before `until`. Drop the future, and it is
    /// not known whether it was taken.
    ///
    /// # Errors
    ///
    /// Why it was not taken, or, if no answer came, why that is not known.
    pub(crate) async fn send<M: Message + Serialize>(
        &self,
        message: &M,
        until: Instant,
    ) -> Result<Taken, Untaken> {
        match &self.0 {
            To::Console => {
                let printed = output::print(&(json(message)? + "\n"));
                printed.map_err(|error| Untaken::never(error.to_string()))?;
                Ok(Taken::default())
            }
            To::Collector(client) => {
                let bytes = match client.collector().protocol {
                    Protocol::HttpJson => json(message)?.into_bytes(),
                    Protocol::HttpProtobuf | Protocol::Grpc => message.encode_to_vec(),
                };
                let until = until.min(Instant::now() + client.collector().timeout);
                tries(client, client.packed(bytes), until).await
            }
        }
    }
}

/// A URL without who asks and the password, which it may have.
fn shown(endpoint: &Uri) -> String {
    let (scheme, host) = (endpoint.scheme_str().unwrap_or_default(), endpoint.host());
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}{}", host.unwrap_or_default(), endpoint.path())
}

/// A message in JSON. What is not set is left out: collectors do not take a `null` for it. So is a point that is
/// infinite, for which JSON has no number.
fn json(message: &impl Serialize) -> Result<String, Untaken> {
    let mut value = serde_json::to_value(message);
    if let Ok(value) = &mut value {
        leave_out_nulls(value);
    }
    value.map(|value| value.to_string()).map_err(|error| Untaken::never(error.to_string()))
}

/// A message is no deeper than its types say, but for attributes that we make.
fn leave_out_nulls(value: &mut Value) {
    match value {
        Value::Array(values) => {
            values.retain(|value| !value.get("asDouble").is_some_and(Value::is_null));
            values.iter_mut().for_each(leave_out_nulls);
        }
        Value::Object(values) => {
            values.retain(|_, value| !value.is_null());
            values.values_mut().for_each(leave_out_nulls);
        }
        _ => {}
    }
}

/// Makes a request, again and again as far as that may do.
async fn tries(client: &CollectorClient, body: Bytes, until: Instant) -> Result<Taken, Untaken> {
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
    let late = |_| Err(Untaken::soon("it did not answer in time"));
    timeout_at(until, client.exchange(body)).await.unwrap_or_else(late)
}

/// Some milliseconds that nobody foresees.
fn jitter() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(u64::from(now.subsec_micros() % JITTER))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint};

    use super::*;

    #[test]
    fn json_has_neither_nulls_nor_points_without_a_number() {
        let point = |value| NumberDataPoint {
            value: Some(Number::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        let gauge = Gauge { data_points: [f64::INFINITY, 0.5, f64::NAN].map(point).into() };
        insta::assert_snapshot!(json(&gauge).unwrap(), @r#"{"dataPoints":[{"asDouble":0.5,"attributes":[],"exemplars":[],"flags":0,"startTimeUnixNano":"0","timeUnixNano":"0"}]}"#);
    }

    #[test]
    fn no_password_is_shown() {
        let shown = |url: &str| shown(&url.parse().unwrap());
        insta::assert_snapshot!(shown("https://us:secret@host:4318/v1/metrics?key=secret"), @"https://host:4318/v1/metrics");
        insta::assert_snapshot!(shown("http://[::1]/x"), @"http://[::1]/x");
    }
}
