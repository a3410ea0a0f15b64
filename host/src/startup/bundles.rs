//! The bundles that were asked for, as configs with all that they name.
//!
//! Each file's digests are checked when it is read. What is served is made of those bytes: nothing of a
//! bundle is looked for on disk again. Its recording is not replayed here: see `bundle verify`.

use std::io;
use std::path::Path;

use bytes::Bytes;
use tracing::warn;

use super::plugins;
use crate::advice::{Advice, Advise as _};
use crate::bundle::{self, Bundle, BundleError, BundleId, BundlePlace, LARGEST_TAR};
use crate::config::{self, Config, ConfigFile, Fault};
use crate::files::{self, Unread};
use crate::scrape;
use crate::signature::{LARGEST_BUNDLE, MOST_BUNDLES, Policy, SignedAs, Signer};

/// The configs of these bundles, and what is wrong with those that cannot be used.
pub fn configs(places: &[BundlePlace]) -> (Vec<ConfigFile>, Vec<Fault>) {
    let (mut configs, mut faults) = (Vec::new(), Vec::new());
    for place in places {
        match place.open() {
            Ok(bundle) => {
                let named = place.reference.as_ref();
                let repository = named.map(|named| &named.reference().repository);
                configs.push(bundle.config(&place.file, repository));
            }
            Err(error) => faults.push(Fault::of_file(&place.file, error.advice())),
        }
    }
    (configs, faults)
}

/// Says that bundles are used whoever has signed them, if there are any.
pub(super) fn warn(configs: &[Config]) {
    if configs.iter().any(|config| config.file.bundle().is_some()) {
        warn!(
            "bundles are used whoever has signed them; say who may in a file of --plugins.policy"
        );
    }
}

/// Those of these configs that are of no bundle, or of one that is signed as the policy wants; and what is wrong with
/// the others. In a bundle that nobody needs to have signed, each plugin is held against the policy. Nothing of them
/// was compiled or opened yet.
pub(super) fn signed(configs: Vec<Config>, policy: Option<&Policy>) -> (Vec<Config>, Vec<Fault>) {
    let Some(policy) = policy else { return (configs, Vec::new()) };
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for config in configs {
        let file = config.file.folder().to_owned();
        let checked = config.file.bundle().map(|held| signer(policy, &file, held.id()));
        match checked.transpose() {
            // Nobody vouches for what is in it.
            Ok(Some(Signer::Nobody)) => match plugins::untrusted_in_bundle(&config, policy) {
                found if found.is_empty() => good.push(config),
                found => faults.extend(found),
            },
            Ok(_) => good.push(config),
            Err(advice) => faults.push(Fault::of_file(&file, advice)),
        }
    }
    (good, faults)
}

/// What is wrong with the plugins of a bundle that nobody needs to have signed: as when it is served. A config that is
/// none is told of where it is checked.
pub(crate) fn untrusted(file: ConfigFile, policy: &Policy) -> Vec<Fault> {
    let (configs, _) = config::load(vec![file], &scrape::own_series());
    configs.iter().flat_map(|config| plugins::untrusted_in_bundle(config, policy)).collect()
}

/// Who has signed a bundle. The file is read again for it, and has to be the same bundle.
///
/// # Errors
///
/// When the policy refuses it, or a file cannot be read.
pub(crate) fn signer(policy: &Policy, file: &Path, id: &BundleId) -> Result<Signer, Advice> {
    let bytes = files::read(file, LARGEST_TAR);
    let bytes = Bytes::from(bytes.map_err(|unread| BundleError::Unreadable(unread.why()))?);
    let bundle = Bundle::read(&bytes)?;
    if bundle.digest() != id.digest {
        return Err(BundleError::Pin { wanted: id.digest, found: bundle.digest() }.into());
    }
    match &id.repository {
        None => plugins::signer_of_file(policy, file, &bytes),
        Some(repository) => {
            let (manifest, signatures) = (&bundle.manifest().bytes, fetched_signatures(file)?);
            Ok(policy.check(SignedAs::Repository(repository), manifest, &signatures)?)
        }
    }
}

/// The signatures that `bundle pull` has put beside a bundle.
fn fetched_signatures(bundle: &Path) -> Result<Vec<Vec<u8>>, Advice> {
    let file = bundle::signatures_of(bundle);
    match files::read(&file, (MOST_BUNDLES * LARGEST_BUNDLE) as u64) {
        Ok(lines) => Ok(lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .take(MOST_BUNDLES)
            .map(<[u8]>::to_vec)
            .collect()),
        Err(Unread::Refused(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(unread) => {
            let problem = format!("{} {}", file.display(), unread.why());
            Err(Advice::new(problem, "remove it, and run `ebpf_wasm_exporter bundle pull` again"))
        }
    }
}
