//! Which files the exporter may still read once it serves; it may write none.
//!
//! Landlock goes by places, not by owners: it holds for root too. Beside files it keeps the process
//! from TCP ports (Linux 6.7), but for those that it is to connect to, and from signals to and abstract sockets of others (6.12). It never
//! takes what is open already: the listening socket, the log, the maps.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::Needs;
use crate::files::Readable;

/// The newest that was tried.
const TRIED: ABI = ABI::V6;

/// What the C library may look at.
const LIBC: [&str; 2] = ["/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu/online"];

/// How much of it this kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Files,
    FilesAndTcp,
    All,
}

/// Leaves the calling thread, and threads that it starts, with what it `needs`; files that are not
/// there are passed over. Needs `no_new_privs`, or CAP_SYS_ADMIN.
///
/// # Errors
///
/// Says why this kernel has it not, or what failed.
pub(super) fn restrict(needs: &Needs) -> Result<Scale, String> {
    let status = apply(needs).map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (_, LandlockStatus::NotImplemented) => Err("this kernel does not have it".to_owned()),
        (RulesetStatus::NotEnforced, _) | (_, LandlockStatus::NotEnabled) => {
            Err("this kernel was booted without it (lsm=)".to_owned())
        }
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(match effective_abi {
            abi if abi >= ABI::V6 => Scale::All,
            abi if abi >= ABI::V4 => Scale::FilesAndTcp,
            _ => Scale::Files,
        }),
    }
}

fn apply(needs: &Needs) -> Result<landlock::RestrictionStatus, RulesetError> {
    let content = AccessFs::ReadFile | AccessFs::ReadDir;
    let ports = needs.ports.iter().map(|port| NetPort::new(*port, AccessNet::ConnectTcp));
    let rules = needs.readable.iter().flat_map(|readable| {
        let (path, access): (_, BitFlags<AccessFs>) = match readable {
            Readable::Content(path) => (path, content),
            Readable::Names(path) => (path, AccessFs::ReadDir.into()),
        };
        path_beneath_rules([path], access)
    });
    Ruleset::default()
        .handle_access(AccessFs::from_all(TRIED))?
        .handle_access(AccessNet::from_all(TRIED))?
        .scope(Scope::from_all(TRIED))?
        .create()?
        .add_rules(rules)?
        .add_rules(path_beneath_rules(LIBC, content))?
        .add_rules(ports.map(Ok::<_, RulesetError>))?
        .restrict_self()
}

impl Scale {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::FilesAndTcp => "files, TCP",
            Self::All => "files, TCP, signals",
        }
    }
}
