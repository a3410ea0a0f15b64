//! What clients may take.

use std::time::Duration;

use crate::advice::Advise;
use crate::config::size;

/// What is wrong with the value of `--web.max-unsent`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--web.max-unsent={0} is no size of 1MiB or more")]
pub struct UnsentError(String);

impl Advise for UnsentError {
    fn remedy(&self) -> Option<String> {
        Some("write one such as 64MiB".to_owned())
    }
}

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections that are kept. For one more, one goes that waits for a request, or whose client
    /// does not take its answer.
    pub connections: usize,
    /// Connections while none can go, for each is being answered. What comes then is turned away.
    pub most: usize,
    /// Requests that are answered at once, not counting those whose clients are slow to take it.
    pub answers: usize,
    /// How many of these may be of clients that ask again as soon as they have their answer.
    pub busy: usize,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
    /// About so many bytes of an answer that are given to its connection at a time.
    pub buffer_bytes: usize,
    /// Bytes of answers that clients have not taken yet, of all connections together. One answer
    /// may always be under way.
    pub unsent_bytes: usize,
    /// Time for a request's line and headers to arrive.
    pub header_time: Duration,
    /// Time without a request, behind one that was answered.
    pub idle_time: Duration,
    /// Time for an answer to be taken, from when its client first made it wait.
    pub response_time: Duration,
    /// Time without a byte taken, after which an answer stalls.
    pub stall_time: Duration,
    /// Time for what was asked to be answered once the end has come.
    pub drain_time: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            most: 2048,
            answers: 64,
            busy: 16,
            header_bytes: 16 << 10,
            buffer_bytes: 512 << 10,
            unsent_bytes: 64 << 20,
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(120),
            response_time: Duration::from_secs(60),
            stall_time: Duration::from_secs(1),
            drain_time: Duration::from_secs(10),
        }
    }
}

impl ClientLimits {
    /// The default ones, but for this much that clients have not taken yet: the value of
    /// `--web.max-unsent`.
    ///
    /// # Errors
    ///
    /// When it is no size.
    pub fn with_unsent(text: &str) -> Result<Self, UnsentError> {
        let size = size::parse(text).filter(|size| *size >= 1 << 20);
        let unsent_bytes = size.ok_or_else(|| UnsentError(text.to_owned()))?;
        Ok(Self { unsent_bytes, ..Self::default() })
    }

    /// The same for a process that may have so many file descriptors: half of them are left for
    /// what else it does.
    pub fn within(self, descriptors: u64) -> Self {
        let half = usize::try_from(descriptors / 2).unwrap_or(usize::MAX).max(1);
        Self { connections: self.connections.min(half), most: self.most.min(half), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_size() {
        let unsent = |text| ClientLimits::with_unsent(text).map(|limits| limits.unsent_bytes);
        assert_eq!(unsent("64MiB"), Ok(ClientLimits::default().unsent_bytes));
        assert_eq!(unsent("1048576"), Ok(1 << 20));
        insta::assert_snapshot!(
            unsent("64M").unwrap_err().advice(),
            @"--web.max-unsent=64M is no size of 1MiB or more; write one such as 64MiB"
        );
        for text in ["", "0", "-1MiB", "1023KiB", "99999999999GiB", "x"] {
            unsent(text).unwrap_err();
        }
    }

    #[test]
    fn half_of_the_descriptors_are_left() {
        let numbers = |descriptors| {
            let limits = ClientLimits::default().within(descriptors);
            (limits.connections, limits.most)
        };
        assert_eq!(numbers(u64::MAX), (512, 2048));
        assert_eq!(numbers(1024), (512, 512));
        assert_eq!(numbers(256), (128, 128));
        assert_eq!(numbers(0), (1, 1));
    }
}
