//! When who sends is to have ended: nothing that it waits for lasts longer.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long what is left may take to be sent when the exporter ends.
pub(crate) const LAST: Duration = Duration::from_secs(3);

/// When a worker is to have ended; nothing while it is to go on.
pub(crate) type End = Option<Instant>;

/// Waits until the worker is to have ended.
pub(crate) async fn over(mut end: watch::Receiver<End>) {
    let at = end.wait_for(Option::is_some).await.map_or(None, |end| *end);
    // Who would have told is gone: now.
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}
