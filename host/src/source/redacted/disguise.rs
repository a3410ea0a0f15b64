//! The texts that stand for others: letters that say nothing, and no two texts have the same as far as there is room.
//!
//! Whoever has the secret can find out by trying which text it was. It is kept nowhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

/// What letters are taken of.
const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
/// Short texts that are known apart. Behind them, two may become equal by chance, and nobody counts it.
const MOST: usize = 1 << 20;
/// How often other letters are tried for a text whose letters another one has.
const TRIES: u32 = 256;

/// What texts of a recording become.
pub struct Disguise {
    secret: [u8; 32],
    short: Mutex<Short>,
}

/// Texts in fields with room for few letters.
#[derive(Default)]
struct Short {
    /// Whose letters are taken: the text's digest.
    taken: HashMap<Vec<u8>, [u8; 32]>,
    /// What those have become that had to take others than their own, by their digests and sizes.
    moved: HashMap<([u8; 32], usize), Vec<u8>>,
    /// Texts for which there were none left.
    equal: u64,
}

impl Disguise {
    /// Letters that no two texts share.
    pub(super) const LETTERS: usize = 16;

    /// One with this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, short: Mutex::default() }
    }

    /// So many letters for a text, [`Self::LETTERS`] at most. Fewer are the beginning of more, unless another text has
    /// them.
    pub(super) fn letters(&self, text: &[u8], count: usize) -> Vec<u8> {
        let digest = self.digest(text, 0);
        let own = spelled(&digest, count);
        if count >= Self::LETTERS {
            return own;
        }
        let short = &mut *self.short();
        if let Some(letters) = short.moved.get(&(digest, count)) {
            return letters.clone();
        }
        if short.take(&own, digest) {
            return own;
        }
        let others = (1..TRIES).map(|nth| spelled(&self.digest(text, nth), count));
        let free = others.into_iter().find(|letters| short.take(letters, digest));
        if free.is_none() {
            short.equal += 1;
        }
        let letters = free.unwrap_or(own);
        if short.moved.len() < MOST {
            short.moved.insert((digest, count), letters.clone());
        }
        letters
    }

    /// How many texts have become equal to others, as there are fewer letters than texts.
    pub fn equal(&self) -> u64 {
        self.short().equal
    }

    fn digest(&self, text: &[u8], nth: u32) -> [u8; 32] {
        let hash = Sha256::new_with_prefix(self.secret);
        hash.chain_update(nth.to_le_bytes()).chain_update(text).finalize().into()
    }

    fn short(&self) -> MutexGuard<'_, Short> {
        self.short.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Short {
    /// Whether these letters are those of the text with this digest from now on.
    fn take(&mut self, letters: &[u8], digest: [u8; 32]) -> bool {
        match self.taken.get(letters) {
            Some(of) => *of == digest,
            None => {
                if self.taken.len() < MOST {
                    self.taken.insert(letters.to_vec(), digest);
                }
                true
            }
        }
    }
}

fn spelled(digest: &[u8; 32], count: usize) -> Vec<u8> {
    digest.iter().take(count).map(|byte| ALPHABET[usize::from(byte % 64)]).collect()
}

/// The secret is nobody's to read.
impl fmt::Debug for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disguise").finish_non_exhaustive()
    }
}
