//! What ran where a program was to run, and how it comes to run again.
//!
//! Never decides whether it has to.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use libbpf_rs::{Object, ProgramMut};

use super::super::attach::{AttachError, Attachment, HookPlace, attach, failure};
use super::super::{sys, text};
use crate::advice::Advice;

/// What ran where a program was to run.
#[derive(Debug)]
pub(super) enum Predecessor {
    Nothing,
    /// The same program.
    Same(Former),
    /// One that its link can be given back to.
    Updated(Former),
    /// One that was detached.
    Detached(Former),
    /// One that runs on until all is settled: the place is another one, whatever its name.
    Aside(Attachment),
}

/// A program that ran before.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) program: String,
    fd: Arc<OwnedFd>,
    place: HookPlace,
}

/// What is at a place that was given back.
pub(super) enum Back {
    Free,
    /// What ran there before.
    Runs(Attachment),
    /// Nothing: this has to be attached again.
    Detached(Former),
}

impl Predecessor {
    /// Takes the place from what has come to run there, if anything has.
    pub(super) fn back(self, mut link: Option<Attachment>) -> Back {
        let (former, runs) = match self {
            Self::Nothing => (Back::Free, false),
            Self::Aside(aside) => (Back::Runs(aside), false),
            Self::Detached(former) => (Back::Detached(former), false),
            Self::Same(former) => (Back::Detached(former), true),
            Self::Updated(former) => {
                let updated = link.as_mut().is_some_and(|link| link.update(&former.fd));
                (Back::Detached(former), updated)
            }
        };
        match (former, link) {
            (Back::Detached(former), Some(link)) if runs => Back::Runs(link.of(former.program)),
            (back, link) => {
                link.into_iter().for_each(Attachment::detach);
                back
            }
        }
    }
}

impl Former {
    pub(super) fn of(link: &Attachment) -> Self {
        Self { program: link.program.clone(), fd: Arc::clone(&link.fd), place: link.place }
    }

    /// Has it run again, by way of its object, or of the program `own` that was to run in its place.
    pub(super) fn attach(
        self,
        own: &str,
        object: &mut Object,
        old: Option<&mut Object>,
    ) -> Result<Attachment, AttachError> {
        let Self { program, fd, place } = self;
        // What libbpf has written into maps for a USDT is its own object's.
        let former = old.and_then(|old| named(old, &program));
        let Some(by) = former.or_else(|| named(object, own)) else {
            let (section, advice) = (String::new(), Advice::plain("its object is gone"));
            return Err(AttachError { program, section, advice });
        };
        // libbpf knows a program by the number of its descriptor, and the section is the same one.
        let held = sys::standing_for(by.as_fd(), fd.as_fd(), || attach(&by));
        match held.unwrap_or_else(|error| Err(failure(&by, &error, &[]))) {
            Ok(held) => Ok(Attachment::new(program, fd, place, held)),
            Err(error) => Err(AttachError { program, ..error }),
        }
    }
}

/// The program of this name.
fn named<'o>(object: &'o mut Object, name: &str) -> Option<ProgramMut<'o>> {
    object.progs_mut().find(|program| text(program.name()) == name)
}

/// Whether what runs at a link is this program: the same instructions, which use the same maps.
pub(super) fn is_same(link: &Attachment, program: &OwnedFd) -> bool {
    let of = |fd: &OwnedFd| sys::instructions(fd.as_fd()).unwrap_or_default();
    let own = of(program);
    !own.is_empty() && own == of(&link.fd)
}
