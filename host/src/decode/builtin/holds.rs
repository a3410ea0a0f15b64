//! How long names that the host gives hold. No decoder of its own.
//!
//! Whoever asks again pays for looking it up, not for reading a table anew: [`crate::system`] sees
//! to that.

use std::time::Duration;

use crate::decode::Outcome;

/// A name whose number may be given to something else at any time: interfaces, block devices.
pub(super) const REUSED: Outcome = Outcome::LabelFor(Duration::from_secs(5));
/// A name that changes only when kernel modules come and go.
pub(super) const MODULES: Outcome = Outcome::LabelFor(Duration::from_secs(600));
/// That there is no name now.
pub(super) const UNKNOWN: Outcome = Outcome::NoName(Duration::from_secs(1));
/// That there is no database to look into.
pub(super) const NO_DATABASE: Outcome = Outcome::LabelFor(Duration::from_secs(60));
