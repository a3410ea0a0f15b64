//! What is pinned of one config: taking it over, keeping it, letting it go.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{debug, info, warn};

use super::{Kind, PinDir, names, names_in};
use crate::advice::{Advice, words};
use crate::bpf::attach::{Attachment, HookPlace};
use crate::bpf::{stats, sys};

mod marks;
mod taken;

pub(in crate::bpf) use taken::Taken;

use marks::{parts, pin_of};

/// The pins of a config.
#[derive(Debug)]
pub(in crate::bpf) struct ConfigPins {
    dir: PinDir,
    config: String,
}

/// What has a program stay attached.
#[derive(Debug)]
pub(in crate::bpf) struct LinkPin {
    pins: Arc<ConfigPins>,
    link: String,
    program: String,
}

impl LinkPin {
    /// Takes it away. What it has held goes with the last descriptor.
    pub(in crate::bpf) fn remove(self) {
        self.pins.remove(Kind::Links, &self.link);
        self.pins.remove(Kind::Programs, &self.program);
    }
}

impl ConfigPins {
    pub(super) fn new(dir: PinDir, config: &str) -> Self {
        Self { dir, config: config.to_owned() }
    }

    fn place(&self, kind: Kind) -> PathBuf {
        self.dir.place().join(names::directory(&self.config)).join(kind.name())
    }

    /// Where a pin is, for a person.
    fn shown(&self, kind: Kind, name: &str) -> String {
        let dir = self.dir.path.join(names::directory(&self.config)).join(kind.name());
        dir.join(name).display().to_string()
    }

    /// What is pinned of this kind; nothing if nothing is.
    fn found(&self, kind: Kind) -> Vec<String> {
        names_in(&self.place(kind)).unwrap_or_default()
    }

    /// The programs that run on, each with its link. What is half there is taken away.
    pub(in crate::bpf) fn links(self: &Arc<Self>) -> Vec<Attachment> {
        let mut links = Vec::new();
        for file in self.found(Kind::Links) {
            match self.link(&file) {
                Some(link) => links.push(link),
                None => {
                    debug!(
                        config = self.config,
                        "took away the pin {}",
                        self.shown(Kind::Links, &file)
                    );
                    self.remove(Kind::Links, &file);
                }
            }
        }
        links
    }

    fn link(self: &Arc<Self>, file: &str) -> Option<Attachment> {
        let (program, place) = parts(file)?;
        let place = HookPlace::parse(&place)?;
        let link = sys::pinned(&self.place(Kind::Links).join(file)).ok()?;
        let own = names::part(&program);
        let fd = sys::pinned(&self.place(Kind::Programs).join(&own)).ok()?;
        let id = stats::info(fd.as_fd()).ok()?.info.id;
        // Of one that was replaced while the exporter was ended the pin may be older than the link's program.
        (sys::program_of(link.as_fd()).ok()? == id).then(|| {
            let pin = LinkPin { pins: Arc::clone(self), link: file.to_owned(), program: own };
            Attachment::found(program, fd, place, link).staying(pin)
        })
    }

    /// Has a program stay attached when this process ends, if that can be.
    pub(in crate::bpf) fn hold(self: &Arc<Self>, link: Attachment) -> Attachment {
        if link.pin.is_some() {
            return link;
        }
        let program = names::part(&link.program);
        let file = pin_of(&link.program, &link.place.to_string());
        match self.pin_link(&link, &program, &file) {
            Ok(()) => {
                let pins = Arc::clone(self);
                link.staying(LinkPin { pins, link: file, program })
            }
            Err(error) => {
                self.remove(Kind::Programs, &program);
                let why = error.map(|error| format!(" ({})", words(&error))).unwrap_or_default();
                info!(
                    config = self.config,
                    program = link.program,
                    "program `{}` stops counting when the exporter ends: its link cannot be pinned{why}",
                    link.program
                );
                link
            }
        }
    }

    /// Pins a link and its program.
    fn pin_link(
        &self,
        link: &Attachment,
        program: &str,
        file: &str,
    ) -> Result<(), Option<io::Error>> {
        let fd = link.link().ok_or(None)?;
        self.remove(Kind::Programs, program);
        self.remove(Kind::Links, file);
        // The program first: a link without one would run on and be nobody's.
        sys::pin(link.fd.as_fd(), &self.place(Kind::Programs).join(program)).map_err(Some)?;
        sys::pin(fd, &self.place(Kind::Links).join(file)).map_err(Some)
    }

    /// Takes a pin away, if it is there.
    fn remove(&self, kind: Kind, file: &str) {
        match fs::remove_file(self.place(kind).join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let at = self.shown(kind, file);
                warn!(config = self.config, "failed to remove the pin {at}: {}", words(&error));
            }
            _ => {}
        }
    }

    fn failed(&self, what: &str, kind: Kind, file: &str, error: &io::Error) -> Advice {
        Advice::plain(format!("failed to {what} {}: {}", self.shown(kind, file), words(error)))
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
