//! Constants of an object that is not loaded yet: `const volatile __u64 NAME` in `.rodata`, among
//! them `kaddr_SYMBOL`, which gets the address of a kernel symbol.

use libbpf_rs::AsRawLibbpf;
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::{DataSec, Var};

use super::Opened;
use crate::config::near::nearest;
use crate::config::{Config, Fault, Kaddr};

/// Where constants live: `.rodata`, `.rodata.str` and so on.
const SECTION: &str = ".rodata";

/// A place in the object's constants.
struct Place {
    section: String,
    offset: usize,
    size: usize,
}

/// Gives a kernel symbol's address, 0 if the kernel hides it.
pub type Addresses<'a> = &'a dyn Fn(&str) -> Option<u64>;

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
    /// `address` knows the kernel's symbols; without it nothing is set that could be loaded, and
    /// only the object's variables are looked for.
    ///
    /// Gives the faults: symbols that the kernel lacks or hides, variables that the object lacks.
    pub fn set_kaddrs(&mut self, config: &Config, address: Option<Addresses<'_>>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for Kaddr { symbol, path } in &config.kaddrs {
            let mut fault = |problem: String, remedy: String| {
                faults.push(config.fault(path, problem, remedy));
            };
            let name = format!("kaddr_{symbol}");
            // Address 0 is what a kernel shows that hides its addresses.
            let known = address.and_then(|of| of(symbol)).filter(|address| *address != 0);
            if let Err(error) = self.set_constant(&name, known.unwrap_or_default()) {
                fault(error.to_string(), self.advise(&name));
            }
            if address.is_some() && known.is_none() {
                fault(
                    format!("the address of kernel symbol `{symbol}` is not known"),
                    "check its name in /proc/kallsyms; addresses shown there as 0 need CAP_SYSLOG \
                     and kernel.kptr_restrict below 2"
                        .to_owned(),
                );
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
        let missing = || NoSuchConstant::Missing(name.to_owned());
        let constants = self.constants();
        let (_, place) = constants.iter().find(|(known, _)| known == name).ok_or_else(missing)?;
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

    /// What to do about a constant that is not there.
    fn advise(&self, name: &str) -> String {
        let constants = self.constants();
        match nearest(name, constants.iter().map(|(name, _)| name.as_str())) {
            Some(near) if near != name => format!("did you mean the object's `{near}`?"),
            _ => format!("declare `const volatile __u64 {name} = 0;` in the BPF source"),
        }
    }

    /// All constants by name.
    fn constants(&self) -> Vec<(String, Place)> {
        // SAFETY: the object is alive for as long as `btf`.
        let raw = unsafe { self.object.as_libbpf_object().as_ref() };
        let Ok(Some(btf)) = Btf::from_bpf_object(raw) else { return Vec::new() };
        let mut found = Vec::new();
        for section in btf.type_by_kind::<DataSec<'_>>() {
            let section_name = section.name().unwrap_or_default().to_string_lossy();
            if !section_name.starts_with(SECTION) {
                continue;
            }
            for info in section.iter() {
                let name = btf.type_by_id::<Var<'_>>(info.ty).and_then(|var| var.name());
                let Some(name) = name else { continue };
                let place = Place {
                    section: section_name.clone().into_owned(),
                    offset: info.offset as usize,
                    size: info.size,
                };
                found.push((name.to_string_lossy().into_owned(), place));
            }
        }
        found
    }
}
