//! Constants of an object that is not loaded yet: `const volatile __u64 NAME` in `.rodata`, among
//! them `kaddr_SYMBOL`, which gets the address of a kernel symbol.

use std::collections::BTreeMap;

use super::Opened;
use super::variables::{self, Place};
use crate::advice::near::nearest;
use crate::config::error::SHOWN;
use crate::config::{Config, Fault, Kaddr};

/// Where constants live: `.rodata`, `.rodata.str` and so on.
const SECTION: &str = ".rodata";

/// Gives the addresses of kernel symbols, in their order: 0 for one that the kernel hides or lacks.
pub type Addresses<'a> = &'a dyn Fn(&[&str]) -> Vec<u64>;

/// The object has no such constant of 8 bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchConstant {
    /// None of this name.
    #[error("the object has no constant `{0}`")]
    Missing(String),
    /// One, but of another size in bytes.
    #[error("the object's constant `{0}` has {1} bytes, not 8")]
    Size(String, usize),
}

impl Opened {
    /// Sets `kaddr_SYMBOL` to the symbol's address for each of the config's `kaddrs`.
    /// `addresses` knows the kernel's symbols; without it nothing is set that could be loaded, and
    /// only the object's variables are looked for.
    ///
    /// Gives the faults: symbols that the kernel lacks or hides, variables that the object lacks.
    /// Of those that are not shown anyhow, only the problem is told.
    pub fn set_kaddrs(&mut self, config: &Config, addresses: Option<Addresses<'_>>) -> Vec<Fault> {
        if config.kaddrs.is_empty() {
            return Vec::new();
        }
        let symbols: Vec<_> = config.kaddrs.iter().map(|kaddr| kaddr.symbol.as_str()).collect();
        let known = addresses.map_or_else(|| vec![0; symbols.len()], |of| of(&symbols));
        let constants = self.constants();
        let mut faults = Vec::new();
        for (Kaddr { symbol, path }, address) in config.kaddrs.iter().zip(known) {
            let name = format!("kaddr_{symbol}");
            if let Err(error) = self.set(&constants, &name, address) {
                let remedy = match faults.len() {
                    ..SHOWN => advise(&constants, &name),
                    _ => DECLARE.to_owned(),
                };
                faults.push(config.fault(path, error.to_string(), remedy));
            }
            // Address 0 is what a kernel shows that hides its addresses.
            if addresses.is_some() && address == 0 {
                let problem = format!("the address of kernel symbol `{symbol}` is not known");
                faults.push(config.fault(path, problem, NOT_KNOWN));
            }
        }
        faults
    }

    /// Sets the constant `name`, an unsigned 64-bit number, before the object is loaded.
    ///
    /// # Errors
    ///
    /// When the object has no such constant.
    pub fn set_constant(&mut self, name: &str, value: u64) -> Result<(), NoSuchConstant> {
        let constants = self.constants();
        self.set(&constants, name, value)
    }

    fn set(
        &mut self,
        constants: &BTreeMap<String, Place>,
        name: &str,
        value: u64,
    ) -> Result<(), NoSuchConstant> {
        let missing = || NoSuchConstant::Missing(name.to_owned());
        let place = constants.get(name).ok_or_else(missing)?;
        if place.size != size_of::<u64>() {
            return Err(NoSuchConstant::Size(name.to_owned(), place.size));
        }
        let mut map = self
            .object
            .maps_mut()
            .find(|map| map.name().as_encoded_bytes().ends_with(place.section.as_bytes()))
            .ok_or_else(missing)?;
        let data = map.initial_value_mut().ok_or_else(missing)?;
        data.get_mut(place.offset..place.offset + place.size)
            .ok_or_else(missing)?
            .copy_from_slice(&value.to_ne_bytes());
        Ok(())
    }

    /// All constants by name.
    fn constants(&self) -> BTreeMap<String, Place> {
        variables::of(&self.object, SECTION)
    }
}

const DECLARE: &str = "declare it as `const volatile __u64` in the BPF source";
const NOT_KNOWN: &str = "check its name in /proc/kallsyms; addresses shown there as 0 need CAP_SYSLOG \
                         and kernel.kptr_restrict below 2";

/// What to do about a constant that is not there.
fn advise(constants: &BTreeMap<String, Place>, name: &str) -> String {
    match nearest(name, constants.keys().map(String::as_str)) {
        Some(near) if near != name => format!("did you mean the object's `{near}`?"),
        _ => format!("declare `const volatile __u64 {name} = 0;` in the BPF source"),
    }
}
