//! Configs that are started some at a time.
//!
//! Never decides what a failure means.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Arriving, Checked, Running};
use crate::bpf::LoadError;
use crate::system::System;

/// Objects that are loaded at a time.
const LOADERS: usize = 4;

/// Starts all of them, some at a time: for each type that an object names libbpf looks through all of the
/// kernel's, which takes longer than the kernel takes to load it. What came of each, in their order: see
/// [`Checked::start`].
pub fn start(checked: Vec<Checked>, system: &System) -> Vec<Result<Running, LoadError>> {
    side_by_side(checked, Checked::size, |config| config.start(system))
}

/// The same with a way back, and in two steps: if one does not load, none is attached.
///
/// # Errors
///
/// Those of all that do not load: one at the least.
pub fn start_strictly(
    checked: Vec<Checked>,
    system: &System,
) -> Result<Vec<Arriving>, Vec<LoadError>> {
    let (mut ready, mut refused) = (Vec::new(), Vec::new());
    for result in side_by_side(checked, Checked::size, |config| config.load(&[])) {
        match result {
            Ok(config) => ready.push(config),
            Err(error) => refused.push(error),
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    Ok(side_by_side(ready, |_| 0, |config| config.attach_strictly(system)))
}

/// Has some at a time of them made something else. The largest comes first, so that no thread is left with it alone at
/// the end. What came of each, in their order.
fn side_by_side<T: Send, U: Send>(
    all: Vec<T>,
    size: impl Fn(&T) -> usize,
    make: impl Fn(T) -> U + Sync,
) -> Vec<U> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let workers = cpus.min(LOADERS).min(all.len());
    let mut queue: Vec<_> = all.into_iter().enumerate().collect();
    queue.sort_by_key(|(_, one)| Reverse(size(one)));
    let queue = Mutex::new(queue.into_iter());
    let made = Mutex::new(BTreeMap::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((n, one)) = next() {
            let result = make(one);
            made.lock().unwrap_or_else(PoisonError::into_inner).insert(n, result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            // Without another thread it only takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    made.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
