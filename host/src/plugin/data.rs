//! Files of the host that configs name for plugins: of each the last content that could be read.
//!
//! [`watch`] looks at them, and guests are given what it found. A content stays until there is another: a
//! file that goes away, or cannot be read any more, costs a line in the log. A guest never names a path,
//! never has a file read, and never waits for one.
//!
//! Whoever writes into the directory of a file decides what is in the file, and of nothing else that is read: no
//! link is followed out of that directory, and nothing becomes readable because of one.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Seek as _};
use std::mem::discriminant;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::bindings::data::{DataContent, DataReading};
use crate::advice::{Advise, near};
use crate::config::DataPlan;
use crate::files::below::{self, Astray};
use crate::files::{self, Readable, Stamp, Unread};

pub(super) mod watch;

/// The files of one plugin of one config.
#[derive(Debug)]
pub(super) struct DataFiles {
    config: String,
    plugin: String,
    files: Vec<DataFile>,
    /// What a guest has asked for first.
    first: OnceLock<String>,
    /// How often any of them has changed.
    changes: AtomicU64,
}

/// A file, and what is known of it.
#[derive(Debug)]
struct DataFile {
    plan: DataPlan,
    /// Where its directory was at the start, behind all links, if it was there.
    dir: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    content: Option<DataContent>,
    /// Which file it was when the content was read, if another one would be told from it.
    stamp: Option<Stamp>,
    /// What is wrong with the file, if anything is.
    fault: Option<DataError>,
    counts: DataStats,
}

/// What has come of a file that a plugin reads.
#[derive(Clone, Debug, Default)]
pub struct DataStats {
    /// When it was last found to be readable, if it ever was.
    pub read: Option<SystemTime>,
    /// When it was last written, or marked as still right, as its file system says. The time of the last
    /// file that could be read.
    pub modified: Option<SystemTime>,
    /// Bytes of its content.
    pub bytes: usize,
    /// How often there was another content, the first included.
    pub changes: u64,
    /// How often it could not be read.
    pub failures: u64,
}

/// Why a file that a plugin reads could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error("{} is not there", file.display())]
    NotThere { file: PathBuf, refresh: Duration },
    #[error("the directory of {} is not there", file.display())]
    NoDirectory { file: PathBuf },
    #[error("{} lies in `/`, all of which would be readable", file.display())]
    InRoot { file: PathBuf },
    #[error("{} is a link that leads out of its directory, or begins with `/`", file.display())]
    LeadsOut { file: PathBuf },
    #[error("{} {}", file.display(), unread.why())]
    Unread { file: PathBuf, unread: Unread },
    #[error("{} was changed while it was read", file.display())]
    Torn { file: PathBuf },
}

impl DataError {
    /// Whether it is of the same kind, whatever its numbers are.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unread { unread, .. }, Self::Unread { unread: other, .. }) => {
                unread.is_like(other)
            }
            _ => discriminant(self) == discriminant(other),
        }
    }

    /// Whether it may come right by itself: a file that comes later.
    pub(crate) fn is_early(&self) -> bool {
        matches!(self, Self::NotThere { .. } | Self::Torn { .. })
    }
}

impl Advise for DataError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NotThere { refresh, .. } => {
                return Some(format!(
                    "see to it that it comes; it is looked for every {} s",
                    refresh.as_secs_f64()
                ));
            }
            Self::NoDirectory { .. } => {
                "make the directory first: an exporter that serves can read no other than those that \
                 were there at its start"
            }
            Self::InRoot { .. } => "put it into a directory of its own",
            Self::LeadsOut { .. } => "name the file that it leads to in its place",
            Self::Unread { unread: Unread::TooLarge(_), .. } => "shorten it, or raise its `size`",
            Self::Unread { unread: Unread::Refused(_), .. } => {
                "let the user read it whom the exporter runs as, or becomes with --user"
            }
            Self::Unread { .. } => "put a regular file there",
            Self::Torn { .. } => "write another file, and rename it to this one",
        };
        Some(remedy.to_owned())
    }
}

/// What a look at a file finds.
enum Look {
    /// The file that was read last.
    Same,
    Read(FileRead),
}

/// A file that was read.
struct FileRead {
    /// What is in it, if that is another content than before.
    content: Option<Arc<[u8]>>,
    /// As in [`Known::stamp`].
    stamp: Option<Stamp>,
    modified: Option<SystemTime>,
}

/// That it is another matter with a file than before.
#[derive(Debug)]
enum News {
    /// It was read for the first time.
    Come,
    /// It could not be read, and can again.
    Back,
    /// It cannot be read, for this reason.
    Fault(String),
}

impl DataFiles {
    /// The files of a plugin that a config calls so, each looked at once.
    pub(super) fn open(config: &str, plugin: &str, plans: &[DataPlan]) -> Self {
        let (config, plugin) = (config.to_owned(), plugin.to_owned());
        let files = plans.iter().map(DataFile::new).collect();
        let (first, changes) = (OnceLock::new(), AtomicU64::default());
        let all = Self { config, plugin, files, first, changes };
        all.files.iter().for_each(|file| drop(all.look(file)));
        all
    }

    /// What is wrong with those that could not be read yet, each with its place in the config.
    pub(super) fn faults<T>(&self, told: impl Fn(&str, &DataError) -> T) -> Vec<T> {
        let fault = |file: &DataFile| Some(told(&file.plan.path, file.known().fault.as_ref()?));
        self.files.iter().filter_map(fault).collect()
    }

    /// Those that nobody may be served with, as the sandbox would be none, each with its place in the config.
    pub(super) fn misplaced<T>(&self, told: impl Fn(&str, &DataError) -> T) -> Vec<T> {
        let in_root = self.files.iter().filter(|file| file.dir.as_deref() == Some(Path::new("/")));
        let error = |file: &DataFile| DataError::InRoot { file: file.plan.file.clone() };
        in_root.map(|file| told(&file.plan.path, &error(file))).collect()
    }

    /// How often any of them has changed: another number for other contents.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What is to be readable while they are watched: their directories.
    pub(super) fn readable(&self) -> Vec<Readable> {
        let mut places: Vec<_> = self.files.iter().filter_map(|file| file.dir.clone()).collect();
        places.sort();
        places.dedup();
        places.into_iter().map(Readable::Content).collect()
    }

    /// What the guest is given that has this version of a file.
    pub(super) fn read(&self, name: &str, known: Option<u64>) -> DataReading {
        let Some(file) = self.find(name) else { return DataReading::Unnamed };
        match &file.known().content {
            None => DataReading::Unread,
            Some(content) if known == Some(content.version) => DataReading::Unchanged,
            Some(content) => DataReading::Changed(content.clone()),
        }
    }

    /// The file that a guest calls so. The only one, if the config has not named it, is what is asked for first.
    fn find(&self, name: &str) -> Option<&DataFile> {
        match &*self.files {
            [file] if file.plan.unnamed => {
                let first = self.first.get_or_init(|| name.to_owned());
                (first == name).then_some(file)
            }
            files => files.iter().find(|file| file.plan.name == name),
        }
    }

    /// The name of a file that this one was probably meant for.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        let named = self.files.iter().filter(|file| !file.plan.unnamed);
        near::nearest(name, named.map(|file| &*file.plan.name))
    }

    /// What has come of each, by its name.
    pub(super) fn stats(&self) -> impl Iterator<Item = (&str, DataStats)> {
        self.files.iter().map(|file| (&*file.plan.name, file.known().counts.clone()))
    }

    /// Looks at a file. What there is to say of it, if that is another matter than before.
    fn look(&self, file: &DataFile) -> Option<News> {
        let (stamp, content) = {
            let known = file.known();
            (known.stamp, known.content.as_ref().map(|content| Arc::clone(&content.bytes)))
        };
        let now = SystemTime::now();
        // Nobody who is given the content waits for this.
        let looked = look(&file.plan, stamp, content.as_deref(), now);
        let mut known = file.known();
        let (is_first, before) = (known.content.is_none(), known.fault.take());
        match looked {
            Err(error) => {
                known.counts.failures += 1;
                known.stamp = None;
                let is_known = before.is_some_and(|before| before.is_like(&error));
                let news = (!is_known).then(|| News::Fault(error.advice().to_string()));
                known.fault = Some(error);
                return news;
            }
            Ok(Look::Same) => {}
            Ok(Look::Read(read)) => {
                (known.stamp, known.counts.modified) = (read.stamp, read.modified);
                read.content.into_iter().for_each(|content| self.take(&mut known, content));
            }
        }
        known.counts.read = Some(now);
        before.map(|_| if is_first { News::Come } else { News::Back })
    }

    /// Notes another content.
    fn take(&self, known: &mut Known, bytes: Arc<[u8]>) {
        known.counts.bytes = bytes.len();
        known.counts.changes += 1;
        known.content = Some(DataContent { version: known.counts.changes, bytes });
        // Whoever sees the number sees the content.
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Looks at a file, and says if it is another matter than before.
    fn look_and_tell(&self, file: &DataFile) {
        let Self { config, plugin, .. } = self;
        let (name, path) = (&file.plan.name, file.plan.file.display());
        match self.look(file) {
            None => {}
            Some(News::Come) => info!(config, plugin, "its data `{name}` has come: {path}"),
            Some(News::Back) => {
                info!(config, plugin, "its data `{name}` is read from {path} again")
            }
            Some(News::Fault(fault)) if file.known().content.is_some() => {
                warn!(config, plugin, "its data `{name}` stays as it was: {fault}");
            }
            Some(News::Fault(fault)) => warn!(config, plugin, "it has no data `{name}`: {fault}"),
        }
    }
}

impl DataFile {
    fn new(plan: &DataPlan) -> Self {
        let dir = files::directory(&plan.file).canonicalize().ok();
        Self { plan: plan.clone(), dir, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in a file that was last read with this stamp and content.
fn look(
    plan: &DataPlan,
    stamp: Option<Stamp>,
    content: Option<&[u8]>,
    now: SystemTime,
) -> Result<Look, DataError> {
    let DataPlan { file, refresh, size, .. } = plan;
    let failed = |unread: Unread| match unread {
        Unread::Refused(error) if error.kind() == ErrorKind::NotFound => {
            match files::directory(file).is_dir() {
                true => DataError::NotThere { file: file.clone(), refresh: *refresh },
                false => DataError::NoDirectory { file: file.clone() },
            }
        }
        unread => DataError::Unread { file: file.clone(), unread },
    };
    let name = file.file_name().unwrap_or_default();
    let found = below::find(files::directory(file), name).map_err(|astray| match astray {
        Astray::LeadsOut => DataError::LeadsOut { file: file.clone() },
        Astray::Unread(unread) => failed(unread),
    })?;
    if stamp == Some(Stamp::of(found.metadata())) {
        return Ok(Look::Same);
    }
    let open = found.open(*size as u64).map_err(failed)?;
    let torn = || DataError::Torn { file: file.clone() };
    let whole = || whole(&open, *size as u64).map_err(failed);
    // One that was only marked as still right meanwhile is whole the second time.
    let (bytes, is) = match whole()? {
        Some(read) => read,
        None => whole()?.ok_or_else(torn)?,
    };
    let is_new = content != Some(&*bytes);
    Ok(Look::Read(FileRead {
        content: is_new.then(|| bytes.into()),
        stamp: Some(Stamp::of(&is)).filter(|stamp| stamp.is_settled(now)),
        modified: is.modified().ok(),
    }))
}

/// All of a file, and what it is then, unless it was changed while it was read.
fn whole(mut file: &File, most: u64) -> Result<Option<(Vec<u8>, Metadata)>, Unread> {
    file.rewind()?;
    let before = Stamp::of(&file.metadata()?);
    let bytes = files::read_open(file, most)?;
    let is = file.metadata()?;
    let after = Stamp::of(&is);
    Ok(before.has_same_bytes(&after).then_some((bytes, is)))
}

#[cfg(test)]
mod tests;
