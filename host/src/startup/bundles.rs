//! The bundles that were asked for, as configs with all that they name.
//!
//! Each file is read once, and its digests are checked. What is served is made of those bytes: nothing of a
//! bundle is looked for on disk again. Its recording is not replayed here: see `bundle verify`.

use std::path::Path;

use bytes::Bytes;

use super::plugins;
use crate::advice::{Advice, Advise as _};
use crate::bundle::{Bundle, BundleError, BundleId, BundlePlace, LARGEST_TAR};
use crate::config::{Config, ConfigFile, Fault, Severity};
use crate::files;
use crate::signature::Policy;

/// The configs of these bundles, and what is wrong with those that cannot be used.
pub fn configs(places: &[BundlePlace]) -> (Vec<ConfigFile>, Vec<Fault>) {
    let (mut configs, mut faults) = (Vec::new(), Vec::new());
    for place in places {
        match place.open() {
            Ok(bundle) => configs.push(bundle.config(&place.file)),
            Err(error) => faults.push(fault(&place.file, error.advice())),
        }
    }
    (configs, faults)
}

/// Those of these configs that are of no bundle, or of one that is signed as the policy wants; and what is wrong with
/// the others. Nothing of them was compiled or opened yet.
pub(super) fn signed(configs: Vec<Config>, policy: Option<&Policy>) -> (Vec<Config>, Vec<Fault>) {
    let Some(policy) = policy else { return (configs, Vec::new()) };
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for config in configs {
        let file = config.file.folder().to_owned();
        let checked = match config.file.bundle() {
            Some(held) => signature(policy, &file, held.id()),
            None => Ok(()),
        };
        match checked {
            Ok(()) => good.push(config),
            Err(advice) => faults.push(fault(&file, advice)),
        }
    }
    (good, faults)
}

/// Looks for the signature of a bundle beside its file. The file is read again for it, and has to be the same bundle.
fn signature(policy: &Policy, file: &Path, id: &BundleId) -> Result<(), Advice> {
    let bytes = files::read(file, LARGEST_TAR);
    let bytes = Bytes::from(bytes.map_err(|unread| BundleError::Unreadable(unread.why()))?);
    let found = Bundle::read(&bytes)?.digest();
    if found != id.digest {
        return Err(BundleError::Pin { wanted: id.digest, found }.into());
    }
    plugins::signer_of_file(policy, file, &bytes).map(drop)
}

fn fault(file: &Path, advice: Advice) -> Fault {
    let (severity, path) = (Severity::Error, String::new());
    Fault { severity, file: file.to_owned(), line: None, path, advice, count: 1 }
}
