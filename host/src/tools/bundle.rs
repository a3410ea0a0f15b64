//! `ebpf_wasm_exporter bundle …`: makes bundles, proves them, shows what is in them, and shares them.
//!
//! A bundle is proved without a kernel: its digests hold, its config fits its object and its plugins, and its
//! recording becomes what was packed. Guests run within the bounds that its config sets. `remote` alone uses
//! the network.

use std::path::{Path, PathBuf};

use super::points::{Broken, Points};
use super::{ToolError, remote as registry};
use crate::bundle::{Bundle, BundleError, BundlePlace};
use crate::cli::{BundleTool, RegistryFlags};
use crate::plugin::Compiler;
use crate::reference::SCHEME;

mod inspect;
mod pack;
mod proof;
mod remote;

use proof::Subject;

/// Does what was asked, and says what there is to be said.
///
/// # Errors
///
/// See [`ToolError`].
pub fn run(tool: &BundleTool, compiler: &Compiler) -> Result<String, ToolError> {
    match tool {
        BundleTool::Pack(order) => pack::pack(order, compiler),
        BundleTool::Verify { bundle, registry } => verify(bundle, registry, compiler),
        BundleTool::Inspect { bundle, json, registry } => {
            let manifest = match bundle.strip_prefix(SCHEME) {
                Some(reference) => remote::manifest(reference, registry)?,
                None => open(Path::new(bundle))?.manifest().clone(),
            };
            Ok(if *json { inspect::json(&manifest) } else { inspect::text(&manifest) })
        }
        BundleTool::Push { file, reference, move_tags, force, registry } => {
            let way = registry::Way::of(registry)?;
            let reference = reference.parse()?;
            let rules = registry::rules(registry::tag_of(&reference)?, *force, *move_tags)?;
            remote::push(&open(file)?, &reference, rules, &way)
        }
        BundleTool::Pull { reference, output, plugins_dir, registry } => {
            let to = remote::Goal { output: output.as_deref(), store: plugins_dir.as_deref() };
            remote::pull(reference, to, registry)
        }
    }
}

/// `bundle verify`.
fn verify(
    bundle: &str,
    registry: &RegistryFlags,
    compiler: &Compiler,
) -> Result<String, ToolError> {
    let (called, bundle) = match bundle.strip_prefix(SCHEME) {
        Some(reference) => (PathBuf::from(reference), remote::fetch(reference, registry)?.1),
        None => (PathBuf::from(bundle), open(Path::new(bundle))?),
    };
    let mut points = Points::default();
    let count = bundle.files().len();
    points.note("digests", Ok(format!("{count} files of {}", bundle.digest().tagged())));
    Subject { bundle: &bundle, called: &called, compiler }.prove(&mut points);
    points.finish().map_err(|Broken { report, faults, points }| ToolError::Proof {
        report,
        faults,
        points,
    })
}

/// The bundle in this file, whose digests were checked.
fn open(file: &Path) -> Result<Bundle, ToolError> {
    let place = BundlePlace { file: file.to_owned(), reference: None };
    place.open().map_err(|fault| refused(file, fault))
}

fn refused(called: &Path, fault: BundleError) -> ToolError {
    ToolError::Bundle { file: called.to_owned(), fault }
}
