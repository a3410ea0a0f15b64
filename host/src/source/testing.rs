//! A map in a test's hands: it holds what the test says, and may fail.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Chunk, ReadError, Source, Way, Why};

/// A map of keys of `K` bytes, each with `N` values, one for each CPU. Its clones are the same map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held<const K: usize, const N: usize>(Arc<Mutex<Content<K, N>>>);

/// The entries in the map's order; none if it cannot be read.
type Content<const K: usize, const N: usize> = Option<Vec<([u8; K], [u64; N])>>;

impl<const K: usize, const N: usize> Held<K, N> {
    /// Holds these from now on, or cannot be read.
    pub(crate) fn hold(&self, content: Content<K, N>) {
        *self.lock() = content;
    }

    fn lock(&self) -> MutexGuard<'_, Content<K, N>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const K: usize, const N: usize> Source for Held<K, N> {
    fn name(&self) -> &str {
        "held"
    }

    fn kind(&self) -> &str {
        if N == 1 { "hash" } else { "percpu_hash" }
    }

    fn key_size(&self) -> usize {
        K
    }

    fn cpus(&self) -> usize {
        N
    }

    fn max_entries(&self) -> usize {
        64
    }

    fn way(&self) -> (Way, Why) {
        (Way::Batch, Why::Type)
    }

    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let content = self.lock();
        let Some(entries) = &*content else {
            let source = io::Error::from_raw_os_error(libc::EPERM);
            return Err(ReadError { map: self.name().to_owned(), way: Way::Batch, source });
        };
        entries.iter().for_each(|(key, values)| visit(Chunk::new(key, K, values, N)));
        Ok(())
    }

    fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
        let content = self.lock();
        let found = content.iter().flatten().find(|(known, _)| known == key);
        found.into_iter().for_each(|(_, known)| values.copy_from_slice(known));
        Ok(found.is_some())
    }
}
