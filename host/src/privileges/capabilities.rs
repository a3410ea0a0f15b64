//! Capabilities that the calling thread gives up, and the user that it becomes meanwhile.
//!
//! Nothing here ever adds a capability.

use std::fmt;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

use super::UserError;
use super::user::User;
use crate::advice::{Advise, near};

/// Which capabilities to keep: the value of `--capabilities.keep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All that the process has.
    All,
    /// These, as far as the process has them; none of them if empty.
    Only(CapsHashSet),
}

/// What is wrong with the value of `--capabilities.keep`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepError {
    /// No such capability.
    #[error("--capabilities.keep names no capability by {name:?}{}", hint(name))]
    Unknown {
        /// The name, as it was typed.
        name: String,
    },
    /// `all` or `none` in a list.
    #[error("--capabilities.keep takes {0:?} only alone")]
    NotAlone(String),
}

/// Why capabilities could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// The kernel refuses.
    #[error("failed to drop capabilities from the {set} set: {reason}")]
    Set {
        /// The set of capabilities.
        set: &'static str,
        /// What the kernel says.
        reason: String,
    },
    /// The process cannot become the user.
    #[error(transparent)]
    User(#[from] UserError),
}

impl Advise for KeepError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Unknown { .. } => "see capabilities(7)",
            Self::NotAlone(_) => "name capabilities, or all, or none",
        };
        Some(remedy.to_owned())
    }
}

impl Advise for DropError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Set { .. } => Some("--capabilities.keep=all leaves them as they are".to_owned()),
            Self::User(error) => error.remedy(),
        }
    }
}

/// What [`Keep::apply`] did; displays as a line for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum CapabilityChange {
    /// Everything was kept.
    Unchanged,
    /// What is left.
    Dropped {
        /// Held and kept, sorted by name.
        kept: Vec<String>,
        /// To be kept, but not held, sorted by name.
        lacking: Vec<String>,
        /// Whether the bounding set was left alone, which only CAP_SETPCAP may shrink.
        bounding_left: bool,
    },
}

/// Whether this process may load BPF programs: with CAP_BPF, or CAP_SYS_ADMIN as before 5.8.
pub fn can_load() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    has(Capability::CAP_BPF) || has(Capability::CAP_SYS_ADMIN)
}

impl Keep {
    /// Reads `all`, `none` or a comma separated list of names, in either case.
    ///
    /// # Errors
    ///
    /// See [`KeepError`].
    pub fn parse(text: &str) -> Result<Self, KeepError> {
        match text.trim().to_lowercase().as_str() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Only(CapsHashSet::new())),
            list => list
                .split(',')
                .map(|name| capability(name.trim()))
                .collect::<Result<_, _>>()
                .map(Self::Only),
        }
    }

    /// Whether it keeps what it takes to load BPF programs: see [`can_load`]. For another user `all` are none.
    pub(super) fn loads(&self, another_user: bool) -> bool {
        match self {
            Self::All => !another_user,
            Self::Only(kept) => {
                kept.contains(&Capability::CAP_BPF) || kept.contains(&Capability::CAP_SYS_ADMIN)
            }
        }
    }

    /// Gives up all other capabilities of the calling thread: effective, permitted, inheritable,
    /// ambient, and, where CAP_SETPCAP is held, bounding.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; what was given up until then stays so.
    pub fn apply(&self) -> Result<CapabilityChange, DropError> {
        match self {
            Self::All => Ok(CapabilityChange::Unchanged),
            Self::Only(keep) => apply(keep, None),
        }
    }

    /// As [`Keep::apply`], and becomes `user`, who has those capabilities alone that are named:
    /// for another user than root, `all` are none.
    ///
    /// # Errors
    ///
    /// As [`Keep::apply`], and when the thread may not become that user.
    pub fn apply_as(&self, user: &User) -> Result<CapabilityChange, DropError> {
        match self {
            Self::All => apply(&CapsHashSet::new(), Some(user)),
            Self::Only(keep) => apply(keep, Some(user)),
        }
    }
}

fn apply(keep: &CapsHashSet, user: Option<&User>) -> Result<CapabilityChange, DropError> {
    let (held, effective) = (read(CapSet::Permitted)?, read(CapSet::Effective)?);
    // This one first: it needs a capability that the others take away.
    let bounding_left = !shrink_bounding(keep)?;
    if let Some(user) = user {
        // Which empties the effective set, and without capabilities to keep all sets.
        user.switch(!keep.is_empty())?;
    }
    shrink_ambient(keep)?;
    let inheritable = read(CapSet::Inheritable)?;
    for (set, had) in [
        (CapSet::Inheritable, &inheritable),
        (CapSet::Effective, &effective),
        (CapSet::Permitted, &held),
    ] {
        let left = had.intersection(keep).copied().collect();
        caps::set(None, set, &left).map_err(|error| refused(set, &error))?;
    }
    Ok(CapabilityChange::Dropped {
        kept: names(keep.intersection(&held)),
        lacking: names(keep.difference(&held)),
        bounding_left,
    })
}

/// Whether it was allowed, or needless.
fn shrink_bounding(keep: &CapsHashSet) -> Result<bool, DropError> {
    let surplus = surplus(CapSet::Bounding, keep)?;
    if !surplus.is_empty() && !read(CapSet::Effective)?.contains(&Capability::CAP_SETPCAP) {
        return Ok(false);
    }
    drop_each(CapSet::Bounding, &surplus)?;
    Ok(true)
}

fn shrink_ambient(keep: &CapsHashSet) -> Result<(), DropError> {
    drop_each(CapSet::Ambient, &surplus(CapSet::Ambient, keep)?)
}

fn surplus(set: CapSet, keep: &CapsHashSet) -> Result<Vec<Capability>, DropError> {
    Ok(read(set)?.difference(keep).copied().collect())
}

fn drop_each(set: CapSet, surplus: &[Capability]) -> Result<(), DropError> {
    let mut each = surplus.iter();
    each.try_for_each(|&cap| caps::drop(None, set, cap)).map_err(|error| refused(set, &error))
}

fn read(set: CapSet) -> Result<CapsHashSet, DropError> {
    caps::read(None, set).map_err(|error| refused(set, &error))
}

fn refused(set: CapSet, error: &CapsError) -> DropError {
    let set = match set {
        CapSet::Ambient => "ambient",
        CapSet::Bounding => "bounding",
        CapSet::Effective => "effective",
        CapSet::Inheritable => "inheritable",
        CapSet::Permitted => "permitted",
    };
    DropError::Set { set, reason: error.to_string() }
}

fn capability(name: &str) -> Result<Capability, KeepError> {
    match name {
        "all" | "none" => Err(KeepError::NotAlone(name.to_owned())),
        _ => name.to_uppercase().parse().map_err(|_| KeepError::Unknown { name: name.to_owned() }),
    }
}

fn hint(name: &str) -> String {
    let all = names(&caps::all());
    let without = all.iter().find(|other| other.strip_prefix("cap_") == Some(name));
    match without {
        Some(near) => format!(", did you mean {near:?}"),
        None => near::hint(name, all.iter().map(String::as_str)),
    }
}

fn names<'a>(caps: impl IntoIterator<Item = &'a Capability>) -> Vec<String> {
    let mut names: Vec<_> = caps.into_iter().map(|cap| cap.to_string().to_lowercase()).collect();
    names.sort_unstable();
    names
}

impl fmt::Display for CapabilityChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Dropped { kept, lacking, bounding_left } = self else {
            return f.write_str("kept all capabilities");
        };
        let kept = if kept.is_empty() { "no capability".to_owned() } else { kept.join(",") };
        write!(f, "kept {kept}")?;
        if !lacking.is_empty() {
            write!(f, "; not held, so not kept: {}", lacking.join(","))?;
        }
        if *bounding_left {
            write!(f, "; the bounding set stays, for want of cap_setpcap")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
