//! The surveyor itself: it gives up all rights but one, and then answers again and again what the kernel has.
//!
//! Every byte that it reads is the same question, every line that it writes an answer. It ends when nobody
//! can ask any more. Then it puts back the switch of the kernel's statistics, if the exporter has moved it:
//! that way it is put back however the exporter ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use caps::{Capability, CapsHashSet};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use crate::advice;
use crate::bpf::inventory::{self, Inventory, Walker};
use crate::bpf::{close_inherited, stats};
use crate::privileges::{Keep, Needs, Privileges, Readable, Sandbox};
use crate::workers::Hired;

/// The subcommand's name. Not for people.
pub(crate) const SUBCOMMAND: &str = "survey-host";

/// What the surveyor is to do beside answering, and what holds it in, as arguments of a hidden subcommand.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Charge {
    /// Put the switch of the kernel's statistics back in the end
    #[arg(long)]
    restore: bool,
    /// As for the exporter
    #[arg(long)]
    no_new_privs: bool,
    /// As for the exporter
    #[arg(long)]
    seccomp: bool,
    /// As for the exporter
    #[arg(long)]
    landlock: bool,
}

impl Charge {
    /// To be held in by these walls, and to put the switch of the kernel's statistics back if `restore`.
    pub fn new(sandbox: Sandbox, restore: bool) -> Self {
        let Sandbox { no_new_privs, seccomp, landlock } = sandbox;
        Self { restore, no_new_privs, seccomp, landlock }
    }

    pub(super) fn args(&self) -> Vec<String> {
        let flags = [
            (self.restore, "--restore"),
            (self.no_new_privs, "--no-new-privs"),
            (self.seccomp, "--seccomp"),
            (self.landlock, "--landlock"),
        ];
        let flags = flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag);
        std::iter::once(SUBCOMMAND).chain(flags).map(str::to_owned).collect()
    }

    /// Does as it is told, as the only thing that this process does.
    pub fn obey(&self) -> ExitCode {
        match self.work() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{SUBCOMMAND}: {}", advice::words(&error));
                ExitCode::FAILURE
            }
        }
    }

    fn work(&self) -> io::Result<()> {
        close_inherited();
        // It would be called after the link that it was started by.
        let _ = rustix::thread::set_name(c"survey-host");
        // Who stops the exporter may stop its whole group: this process ends with it, and not before.
        let _ = rustix::process::setsid();
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            flag::register(signal, Arc::default())?;
        }
        let switch = self.restore.then(|| OpenOptions::new().write(true).open(stats::SWITCH));
        let switch = switch.transpose()?;
        let walker = Walker::new();
        let confined = self.confine();
        let answered = confined.and_then(|()| answer(walker));
        switch.map_or(Ok(()), restore)?;
        answered
    }

    /// Gives up everything but what it takes to look.
    fn confine(&self) -> io::Result<()> {
        let Self { no_new_privs, seccomp, landlock, .. } = *self;
        let privileges = Privileges {
            keep: Keep::Only(CapsHashSet::from([Capability::CAP_SYS_ADMIN])),
            user: None,
            sandbox: Sandbox { no_new_privs, seccomp, landlock },
        };
        let files = ["/proc/self/fdinfo", inventory::TYPES];
        let readable = files.map(|file| Readable::Content(file.into())).to_vec();
        let needs = Needs { readable, surveys: true, ..Needs::default() };
        privileges.give_up(&needs, &Hired::default()).map_err(io::Error::other).map(drop)
    }
}

/// Answers until nobody asks any more.
fn answer(mut walker: Walker) -> io::Result<()> {
    let (mut questions, mut answers) = (io::stdin().lock(), io::stdout().lock());
    let mut question = [0];
    loop {
        match questions.read(&mut question) {
            Ok(0) => return Ok(()),
            Ok(_) => {
                let found: Result<Inventory, String> =
                    walker.walk().map_err(|error| advice::words(&error));
                let mut line = serde_json::to_vec(&found)?;
                line.push(b'\n');
                // Nobody listens any more: that is its end too.
                if answers.write_all(&line).and_then(|()| answers.flush()).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn restore(mut switch: File) -> io::Result<()> {
    switch.write_all(b"0\n")
}
