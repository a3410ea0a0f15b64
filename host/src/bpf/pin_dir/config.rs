//! What is pinned of one config: taking it over, keeping it, letting it go.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use tracing::{debug, info};

use super::{KINDS, Kind, PinDir, names, names_in};
use crate::advice::{Advice, words};
use crate::bpf::attach::{Attachment, HookPlace};
use crate::bpf::pin_file::{LinkPin, PinFile};
use crate::bpf::{stats, sys};

mod marks;
mod taken;

pub(in crate::bpf) use taken::Taken;

use marks::{parts, pin_of};

/// The pins of a config.
#[derive(Clone, Debug)]
pub(in crate::bpf) struct ConfigPins {
    dir: PinDir,
    config: String,
}

impl ConfigPins {
    pub(super) fn new(dir: PinDir, config: &str) -> Self {
        Self { dir, config: config.to_owned() }
    }

    /// Takes all of them away. That one cannot be is said.
    pub(in crate::bpf) fn remove(&self) {
        for kind in KINDS {
            let found = self.found(kind);
            let own = found.iter().filter(|name| read_name(kind, name).is_some());
            own.for_each(|name| self.file(kind, name).remove());
            self.file(kind, "").remove_dir();
        }
        self.dir.file(&self.config, "").remove_dir();
    }

    /// Takes its directories away, if nothing is in them.
    fn remove_if_empty(&self) {
        let dirs = KINDS.map(|kind| self.file(kind, ""));
        for dir in dirs.iter().chain([&self.dir.file(&self.config, "")]) {
            // The kernel refuses it of one that is not empty.
            let _ = fs::remove_dir(dir.path());
        }
    }

    fn file(&self, kind: Kind, name: &str) -> PinFile {
        self.dir.file(&self.config, Path::new(kind.name()).join(name))
    }

    /// What is pinned of this kind; nothing if nothing is.
    fn found(&self, kind: Kind) -> Vec<String> {
        names_in(&self.file(kind, "").path()).unwrap_or_default()
    }

    /// The programs that run on, each with its link. What is half there is taken away.
    pub(in crate::bpf) fn links(&self) -> Vec<Attachment> {
        let mut links = Vec::new();
        for name in self.found(Kind::Links) {
            let file = self.file(Kind::Links, &name);
            match self.link(&name, &file) {
                Some(link) => links.push(link),
                None => {
                    debug!(config = self.config, "took away the pin {}", file.shown().display());
                    file.remove();
                }
            }
        }
        links
    }

    fn link(&self, name: &str, file: &PinFile) -> Option<Attachment> {
        let (program, place) = parts(name)?;
        let place = HookPlace::parse(&place)?;
        let link = file.open().ok()?;
        let own = self.file(Kind::Programs, &names::part(&program));
        let fd = own.open().ok()?;
        let id = stats::info(fd.as_fd()).ok()?.info.id;
        // Where an exporter ended before it had replaced both, the link's program is another one.
        (sys::program_of(link.as_fd()).ok()? == id).then(|| {
            let pin = LinkPin { link: file.clone(), program: own };
            Attachment::found(program, fd, place, link).staying(pin)
        })
    }

    /// Has a program stay attached when this process ends, if that can be.
    pub(in crate::bpf) fn hold(&self, link: Attachment) -> Attachment {
        if link.pin.is_some() {
            return link;
        }
        let name = pin_of(&link.program, &link.place.to_string());
        let program = self.file(Kind::Programs, &names::part(&link.program));
        let pin = LinkPin { link: self.file(Kind::Links, &name), program };
        let why = match link.link() {
            None => String::new(),
            Some(fd) => {
                pin.remove();
                // The program first: a link without one would run on and be nobody's.
                let pinned = pin.program.pin(link.fd.as_fd()).and_then(|()| pin.link.pin(fd));
                match pinned {
                    Ok(()) => return link.staying(pin),
                    Err(error) => {
                        pin.remove();
                        format!(" ({})", words(&error))
                    }
                }
            }
        };
        info!(
            config = self.config,
            "program `{}` stops counting when the exporter ends: its link cannot be pinned{why}",
            link.program
        );
        link
    }

    /// What could not be done with a file.
    fn failed(&self, what: &str, file: &PinFile, error: &io::Error) -> Advice {
        Advice::plain(format!("failed to {what} {}: {}", file.shown().display(), words(error)))
    }
}

/// What a pin is of, if an exporter has named it.
pub(super) fn read_name(kind: Kind, file: &str) -> Option<String> {
    match kind {
        Kind::Programs => names::text(file),
        Kind::Links => {
            parts(file).filter(|(_, at)| HookPlace::parse(at).is_some()).map(|(name, _)| name)
        }
        Kind::Maps => parts(file).map(|(name, _)| name),
    }
}
