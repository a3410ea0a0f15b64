//! A bundle as a file: an OCI image layout in a tar, which tools of registries read too.
//!
//! ```text
//! oci-layout           that it is one
//! index.json           the one manifest
//! blobs/sha256/HEX     the manifest, and all that it names
//! ```
//!
//! What is written has no times and no owners, and its order is that of names. What is read may have nothing
//! else in it: no links, no extended headers, no second artifact. So all who read it see the same.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

use super::error::BundleError;
use super::form::{Bundle, BundleManifest, EMPTY_BYTES, blob, parse};
use super::part::{LARGEST_JSON, LARGEST_TAR, LONGEST_TEXT, MOST_FILES};
use crate::advice::plain;
use crate::digest::Digest;
use crate::manifest::{Descriptor, INDEX, MANIFEST};
use crate::reference::Tag;

const LAYOUT: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const BLOBS: &str = "blobs/sha256/";
/// What is in every `oci-layout`.
const LAYOUT_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The annotation by which tools find an artifact in a layout, and its text for one without a version.
const REFERENCE: &str = "org.opencontainers.image.ref.name";
const LATEST: &str = "latest";
/// Bytes that the beginning of each entry of a tar is a multiple of.
const BLOCK: usize = 512;
/// The directories of a layout, which a tar may name.
const DIRECTORIES: [&str; 3] = ["", "blobs", "blobs/sha256"];
/// Entries of a tar: files, the manifest, the empty config, two texts, and directories.
const MOST_ENTRIES: usize = MOST_FILES + 8;

/// What names the manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    manifests: Vec<Descriptor>,
}

impl Bundle {
    /// As a tar.
    ///
    /// # Errors
    ///
    /// Never: it is written to memory.
    pub fn to_tar(&self) -> io::Result<Vec<u8>> {
        let manifest = self.manifest();
        let tag = Tag::parse(&manifest.version().replace('+', "_"));
        let tag = tag.as_ref().map_or(LATEST, Tag::text).to_owned();
        let named = [(REFERENCE.to_owned(), tag)].into();
        let descriptor = Descriptor { annotations: named, ..blob(MANIFEST, &manifest.bytes) };
        let media_type = INDEX.to_owned();
        let index = Index { schema_version: 2, media_type, manifests: vec![descriptor] };
        let mut tar = Builder::new(Vec::new());
        add(&mut tar, LAYOUT, LAYOUT_TEXT)?;
        add(&mut tar, INDEX_FILE, &serde_json::to_vec(&index)?)?;
        let blobs = self.blobs().chain([manifest.bytes.clone()]);
        let blobs: BTreeMap<_, _> =
            blobs.map(|bytes| (Digest::of(&bytes).to_string(), bytes)).collect();
        for (hex, bytes) in &blobs {
            add(&mut tar, &format!("{BLOBS}{hex}"), bytes)?;
        }
        tar.into_inner()
    }

    /// Reads a tar.
    ///
    /// # Errors
    ///
    /// When it is none of a bundle, or anything in it is not what the manifest says.
    pub fn read(tar: &Bytes) -> Result<Self, BundleError> {
        if tar.len() as u64 > LARGEST_TAR {
            return Err(BundleError::all_too_large());
        }
        let Entries { layout, index, mut blobs } = Entries::read(tar)?;
        let missing = |name: &str| BundleError::Missing(name.to_owned());
        layout.ok_or_else(|| missing(LAYOUT))?;
        let listed = manifest_of(&index.ok_or_else(|| missing(INDEX_FILE))?)?;
        let wanted = Digest::parse_tagged(&listed.digest).ok_or_else(|| {
            let why = "a manifest has no digest of SHA-256".to_owned();
            BundleError::Damaged { what: INDEX_FILE, why }
        })?;
        let manifest = blobs.remove(&wanted).ok_or_else(|| missing("manifest"))?;
        let manifest = BundleManifest::read(manifest)?;
        if manifest.digest != wanted {
            let (what, found) = ("the manifest".to_owned(), manifest.digest);
            return Err(BundleError::Changed { what, wanted, found });
        }
        let bundle = manifest.fill(&blobs)?;
        if blobs.get(&Digest::of(EMPTY_BYTES)).is_none_or(|bytes| bytes != EMPTY_BYTES) {
            return Err(missing("empty config"));
        }
        let named = bundle.manifest().blobs();
        blobs.retain(|digest, _| !named.contains(digest));
        blobs
            .into_keys()
            .min_by_key(Digest::to_string)
            .map_or(Ok(bundle), |unnamed| Err(BundleError::Unnamed(unnamed)))
    }
}

/// The manifest that an index names.
fn manifest_of(index: &Bytes) -> Result<Descriptor, BundleError> {
    if index.len() as u64 > LARGEST_JSON {
        let what = INDEX_FILE.to_owned();
        return Err(BundleError::TooLarge { what, most: LARGEST_JSON });
    }
    let Index { mut manifests, .. } = parse(index, INDEX_FILE)?;
    match (manifests.pop(), manifests.len()) {
        (Some(one), 0) => Ok(one),
        (last, more) => Err(BundleError::Artifacts(more + usize::from(last.is_some()))),
    }
}

fn add(tar: &mut Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    tar.append(&header, bytes)
}

/// What a tar holds: parts of its bytes, of which no digest was checked yet.
#[derive(Default)]
struct Entries {
    layout: Option<Bytes>,
    index: Option<Bytes>,
    /// By what their names say.
    blobs: HashMap<Digest, Bytes>,
}

impl Entries {
    fn read(tar: &Bytes) -> Result<Self, BundleError> {
        // Its own words name fields of headers.
        let no_tar = |_: io::Error| BundleError::NoTar;
        let (mut entries, mut count, mut last) = (Self::default(), 0, 0);
        let mut archive = Archive::new(Cursor::new(&tar[..]));
        // As they are: nothing that a header says of another one is followed.
        for entry in archive.entries().map_err(no_tar)?.raw(true) {
            let entry = entry.map_err(no_tar)?;
            count += 1;
            if count > MOST_ENTRIES {
                return Err(BundleError::TooMany);
            }
            let path = entry.path_bytes();
            let name = String::from_utf8_lossy(&path).into_owned();
            let at = usize::try_from(entry.raw_file_position()).ok();
            let size = usize::try_from(entry.size()).ok();
            let end = at.zip(size).and_then(|(at, size)| at.checked_add(size));
            let kind = entry.header().entry_type();
            let cut = || BundleError::Cut(plain(&name, LONGEST_TEXT));
            let is_there = |(_, end): &(usize, usize)| {
                end.checked_next_multiple_of(BLOCK).is_some_and(|end| end <= tar.len())
            };
            let range = at.zip(end).filter(is_there).ok_or_else(cut)?;
            entries.take(&name, kind, tar.slice(range.0..range.1))?;
            last = range.1;
        }
        // Some readers go on behind the end.
        if count == 0 || tar[last..].iter().any(|byte| *byte != 0) {
            return Err(BundleError::NoTar);
        }
        Ok(entries)
    }

    /// Takes in an entry, if a bundle may have it.
    fn take(&mut self, name: &str, kind: EntryType, bytes: Bytes) -> Result<(), BundleError> {
        let refuse = |what| Err(BundleError::Entry { name: plain(name, LONGEST_TEXT), what });
        let path = name.strip_prefix("./").unwrap_or(name);
        match kind {
            EntryType::Regular => {}
            EntryType::Directory if DIRECTORIES.contains(&path.trim_end_matches('/')) => {
                return Ok(());
            }
            EntryType::Directory => return refuse("a directory that no bundle has"),
            EntryType::Link | EntryType::Symlink => return refuse("a link"),
            EntryType::GNUSparse => return refuse("a sparse file"),
            EntryType::XHeader
            | EntryType::XGlobalHeader
            | EntryType::GNULongName
            | EntryType::GNULongLink => return refuse("an extended header"),
            _ => return refuse("no regular file"),
        }
        let before = match path.strip_prefix(BLOBS) {
            None if path == LAYOUT => self.layout.replace(bytes),
            None if path == INDEX_FILE => self.index.replace(bytes),
            None => return refuse("no part of a bundle"),
            Some(hex) => match Digest::parse_tagged(&format!("sha256:{hex}")) {
                Some(digest) => self.blobs.insert(digest, bytes),
                None => return refuse("no blob by its digest"),
            },
        };
        if before.is_some() { refuse("there twice") } else { Ok(()) }
    }
}
