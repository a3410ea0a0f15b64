//! The built-in decoders: the only place where a decoder's name meets its code.
//!
//! Adding one is a file in `builtin/` and a line in [`ALL`].

use std::fmt;

use crate::advice::Advice;
use crate::decode::Decoder;
use crate::system::System;

mod cgroup;
mod dname;
mod errno;
pub mod hex;
mod holds;
mod ifname;
mod inet_ip;
mod kstack;
mod ksym;
mod majorminor;
mod number;
mod pci;
mod pci_class;
mod pci_device;
mod pci_subclass;
mod pci_vendor;
mod regexp;
mod static_map;
mod string;
mod syscall;
#[cfg(test)]
mod testing;
mod uint;

pub use regexp::{Patterns, Regexp, Room};
pub use static_map::StaticMap;

/// What a config may say to a built-in decoder, as text.
#[derive(Clone, Debug, Default)]
pub struct DecoderSettings {
    /// `static_map`: pairs of input text and output text, in the file's order; later ones win.
    pub static_map: Vec<(String, String)>,
    /// `regexps`: patterns in RE2 syntax, unanchored.
    pub regexps: Vec<String>,
    /// `allow_unknown`: whether an input that `static_map` lacks is passed on as it is.
    pub allow_unknown: bool,
    /// What patterns may still take.
    pub room: Room,
}

/// What is wrong with a decoder's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The place below the decoder: `regexps[1]`, `static_map`.
    pub path: String,
    /// What is wrong and what to do.
    pub advice: Advice,
}

/// The input sizes, in bytes, that a decoder takes as the first of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Any number of bytes.
    Any,
    /// One of these.
    OneOf(&'static [usize]),
    /// This many or more.
    AtLeast(usize),
    /// A multiple of this many.
    MultipleOf(usize),
}

/// What passes between the decoders of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The key's bytes as they are.
    Bytes,
    /// A whole number in decimal text.
    Decimal,
    /// A text that is no number.
    Text,
    /// Any of these: nothing is known of it, or all are taken.
    Any,
}

/// How a decoder is made.
#[derive(Clone, Copy)]
pub enum Make {
    /// Of nothing that a config says. Does no I/O: tables are read when first asked.
    Plain(fn(&System) -> Box<dyn Decoder>),
    /// Of settings, or all that is wrong with them.
    Set(fn(&DecoderSettings) -> Result<Setup, Vec<SettingsError>>),
}

/// What a decoder is made of, checked and ready.
#[derive(Clone, Debug)]
pub enum Setup {
    /// Of nothing that a config says.
    Plain(fn(&System) -> Box<dyn Decoder>),
    /// Of `static_map`.
    StaticMap(StaticMap),
    /// Of `regexp`.
    Regexp(Regexp),
}

/// A step of a chain that is built in: which decoder, with which settings. Plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    builtin: &'static Builtin,
    setup: Setup,
}

/// Of one decoder, those without settings are equal.
impl PartialEq for Setup {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(_), Self::Plain(_)) => true,
            (Self::StaticMap(one), Self::StaticMap(other)) => one == other,
            (Self::Regexp(one), Self::Regexp(other)) => one == other,
            _ => false,
        }
    }
}

impl Spec {
    /// The decoder's name.
    pub fn name(&self) -> &'static str {
        self.builtin.name
    }

    /// The sizes of key bytes that it takes. Of more than it needs it takes the first.
    pub fn sizes(&self) -> Sizes {
        self.builtin.sizes
    }

    /// Has the system get what the decoder will ask it.
    pub fn want(&self, system: &System) {
        (self.builtin.wants)(system);
    }

    /// Makes the decoder for one label.
    pub fn decoder(&self, system: &System) -> Box<dyn Decoder> {
        match &self.setup {
            Setup::Plain(make) => make(system),
            Setup::StaticMap(map) => Box::new(map.clone()),
            Setup::Regexp(regexp) => Box::new(regexp.clone()),
        }
    }
}

/// What a decoder does, in words for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// What it is given.
    pub input: &'static str,
    /// What it makes of that.
    pub gives: &'static str,
    /// What it gives if it cannot; empty if it always can.
    pub otherwise: &'static str,
}

/// A built-in decoder as the config stage knows it.
pub struct Builtin {
    /// Its name in a config.
    pub name: &'static str,
    /// The sizes of key bytes it can take.
    pub sizes: Sizes,
    /// What it can make sense of.
    pub takes: Form,
    /// What it answers.
    pub gives: Form,
    /// The same for people.
    pub about: Behaviour,
    /// Has the system get what it will ask.
    wants: fn(&System),
    make: Make,
}

impl Builtin {
    /// The decoder with these settings, which most take no notice of.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn with(&'static self, settings: &DecoderSettings) -> Result<Spec, Vec<SettingsError>> {
        let setup = match self.make {
            Make::Plain(make) => Setup::Plain(make),
            Make::Set(check) => check(settings)?,
        };
        Ok(Spec { builtin: self, setup })
    }

    /// Whether its answer can be the decimal number that a histogram's bucket has to be.
    pub fn is_numeric(&self) -> bool {
        matches!(self.gives, Form::Decimal | Form::Any)
    }
}

impl PartialEq for Builtin {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every built-in decoder, sorted by name.
pub static ALL: &[Builtin] = &[
    cgroup::BUILTIN,
    dname::BUILTIN,
    errno::BUILTIN,
    hex::BUILTIN,
    ifname::BUILTIN,
    inet_ip::BUILTIN,
    kstack::BUILTIN,
    ksym::BUILTIN,
    majorminor::BUILTIN,
    pci_class::BUILTIN,
    pci_device::BUILTIN,
    pci_subclass::BUILTIN,
    pci_vendor::BUILTIN,
    regexp::BUILTIN,
    static_map::BUILTIN,
    string::BUILTIN,
    syscall::BUILTIN,
    uint::BUILTIN,
];

/// The built-in decoder of this name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|builtin| builtin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_sorted_and_found() {
        assert_eq!(ALL.len(), 18);
        assert!(ALL.is_sorted_by_key(|builtin| builtin.name));
        for builtin in ALL {
            assert_eq!(find(builtin.name).map(|found| found.name), Some(builtin.name));
        }
        assert!(find("uint64").is_none());
    }

    #[test]
    fn only_these_can_be_buckets() {
        let numeric = ALL.iter().filter(|builtin| builtin.is_numeric()).map(|builtin| builtin.name);
        assert_eq!(numeric.collect::<Vec<_>>(), ["regexp", "static_map", "string", "uint"]);
    }
}
