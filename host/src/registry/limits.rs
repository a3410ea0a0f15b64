//! What a registry may take of whoever asks it: the numbers, and nothing else.

use std::time::Duration;

/// Bytes of a page of tags.
pub(super) const LARGEST_PAGE: u64 = 4 << 20;
/// Pages of tags.
pub(super) const MOST_PAGES: usize = 100;
/// Tags of a repository.
pub(super) const MOST_TAGS: usize = 50_000;
/// Tags that a page is asked for.
pub(super) const PAGE: usize = 1000;
/// Pages of what refers to a manifest.
pub(super) const MOST_REFERRER_PAGES: usize = 10;
/// Signatures of a manifest that are asked for, and bytes of each: as many and as large as are looked at.
pub(super) const MOST_SIGNATURES: usize = crate::signature::MOST_BUNDLES;
pub(super) const LARGEST_SIGNATURE: u64 = crate::signature::LARGEST_BUNDLE as u64;
/// Bytes of what a token service answers.
pub(super) const LARGEST_TOKEN: u64 = 256 << 10;
/// Bytes of a refusal that are read. What follows is left.
pub(super) const LARGEST_REFUSAL: usize = 16 << 10;
/// Characters of a text of the registry's that are shown.
pub(super) const LONGEST_TEXT: usize = 200;
/// Redirects of one request.
pub(super) const MOST_REDIRECTS: usize = 5;
/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of a file with credentials.
pub(super) const LARGEST_FILE: u64 = 4 << 20;
/// Bytes of what a credential helper says.
pub(super) const LARGEST_ANSWER: u64 = 64 << 10;
/// How long a credential helper may take. It may ask a person.
pub(super) const HELPER: Duration = Duration::from_secs(60);
