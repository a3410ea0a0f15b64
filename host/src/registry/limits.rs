//! What a registry may take of whoever asks it: the numbers, and nothing else.

use std::time::Duration;

/// Bytes of a manifest.
pub(super) const LARGEST_MANIFEST: u64 = 4 << 20;
/// Bytes of a component: as large as a plugin's file may be.
pub(super) const LARGEST_COMPONENT: u64 = crate::plugin::limits::LARGEST_FILE;
/// Bytes of a page of tags.
pub(super) const LARGEST_PAGE: u64 = 4 << 20;
/// Pages of tags.
pub(super) const MOST_PAGES: usize = 100;
/// Tags of a repository.
pub(super) const MOST_TAGS: usize = 50_000;
/// Tags that a page is asked for.
pub(super) const PAGE: usize = 1000;
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
