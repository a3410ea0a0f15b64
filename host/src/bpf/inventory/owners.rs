//! Which processes hold BPF programs, maps and links: a small program in the kernel goes through the
//! descriptors of all of them.
//!
//! Needs Linux 5.8. Never looks at what a descriptor is open on if that is no BPF object.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _};

use libbpf_rs::{Link, MapCore as _, ObjectBuilder};

use super::Owner;
use crate::bpf::{log, sys};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/owners.bpf.o"));

/// Bytes of a descriptor that is told: its kind, the number of what it holds, its process and that one's name.
const RECORD: usize = 28;
/// Descriptors of BPF objects that are listened to; a host has some thousands at the most.
const MOST: u64 = 1 << 18;

/// The program that lists them, in the kernel.
#[derive(Debug)]
pub(super) struct Owners(Link);

/// A descriptor of a BPF object.
#[derive(Debug)]
pub(super) struct Holder {
    /// What it holds.
    pub(super) kind: sys::Numbered,
    /// The number of that.
    pub(super) id: u32,
    /// Whose it is.
    pub(super) owner: Owner,
}

impl Owners {
    /// Hands the program to the kernel.
    ///
    /// # Errors
    ///
    /// When the kernel does not take it.
    pub(super) fn load() -> io::Result<Self> {
        let (link, _) = log::capture(attach);
        Ok(Self(link?))
    }

    /// Every descriptor of a BPF object on this host.
    ///
    /// # Errors
    ///
    /// When the kernel does not run the program.
    pub(super) fn list(&self) -> io::Result<Vec<Holder>> {
        let mut records = Vec::new();
        let list = File::from(sys::iterate(self.0.as_fd())?);
        list.take(MOST * RECORD as u64).read_to_end(&mut records)?;
        Ok(records.chunks_exact(RECORD).filter_map(Holder::parse).collect())
    }
}

/// The program at work, which has learnt from descriptors of this process what it looks for.
fn attach() -> io::Result<Link> {
    let lacks = || io::Error::other("its object is damaged");
    let object =
        ObjectBuilder::default().name("ewe_owners").and_then(|builder| builder.open_memory(OBJECT));
    let object = object.and_then(libbpf_rs::OpenObject::load).map_err(io::Error::other)?;
    let program = object.progs_mut().next().ok_or_else(lacks)?;
    let link = program.attach().map_err(io::Error::other)?;
    let is_known = |name: &OsStr| name.as_encoded_bytes().ends_with(b".bss");
    let known = object.maps().find(|map| is_known(map.name())).ok_or_else(lacks)?;
    let own = [program.as_fd(), known.as_fd(), link.as_fd()].map(|fd| fd.as_raw_fd());
    let mut value = vec![0; known.value_size() as usize];
    let own: Vec<u8> = own.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
    value.get_mut(..own.len()).ok_or_else(lacks)?.copy_from_slice(&own);
    sys::update(known.as_fd().as_raw_fd(), &0u32.to_ne_bytes(), &value)?;
    // What it lists meanwhile is not all yet.
    io::copy(&mut File::from(sys::iterate(link.as_fd())?), &mut io::sink())?;
    Ok(link)
}

impl Holder {
    fn parse(record: &[u8]) -> Option<Self> {
        let (numbers, name) = record.split_at_checked(12)?;
        let mut numbers = numbers
            .chunks_exact(4)
            .map(|number| number.try_into().map(u32::from_ne_bytes).unwrap_or_default());
        let kind = match numbers.next()? {
            0 => sys::Numbered::Program,
            1 => sys::Numbered::Map,
            2 => sys::Numbered::Link,
            _ => return None,
        };
        let (id, process) = (numbers.next()?, numbers.next()?);
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        Some(Self { kind, id, owner: Owner { process, name } })
    }
}
