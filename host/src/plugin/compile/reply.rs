//! What a child gives back: one line of JSON, and behind it the machine code.

use serde::{Deserialize, Serialize};

use super::CompileError;
use super::weigh::Weight;
use crate::plugin::inspect::Inspection;

/// What a component is, and what is needed to run it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugin) struct Facts {
    pub(in crate::plugin) inspection: Inspection,
    pub(in crate::plugin) weight: Weight,
    /// Everything that it imports beside the log.
    pub(in crate::plugin) stubs: Vec<Stub>,
}

/// Something that is imported by this name, and that the contract does not give.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugin) struct Stub {
    pub(in crate::plugin) name: String,
    pub(in crate::plugin) item: Item,
}

/// What of imports has to be there, be it to trap.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugin) enum Item {
    Function,
    Resource,
    Instance(Vec<Stub>),
}

/// A child's answer.
#[derive(Debug)]
pub(in crate::plugin) struct Reply {
    pub(in crate::plugin) facts: Result<Facts, CompileError>,
    /// Empty if none was asked for.
    pub(in crate::plugin) code: Vec<u8>,
}

impl Reply {
    /// That there is no code, and why.
    pub(super) fn refused(error: CompileError) -> Self {
        Self { facts: Err(error), code: Vec::new() }
    }

    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = serde_json::to_vec(&self.facts).unwrap_or_default();
        head.push(b'\n');
        head
    }

    #[cfg(test)]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [self.head(), self.code.clone()].concat()
    }

    /// The facts of a reply, and its code.
    pub(in crate::plugin) fn parse(bytes: &[u8]) -> Result<(Facts, &[u8]), CompileError> {
        let garbled = || CompileError::Crashed("what it replied cannot be read".to_owned());
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(garbled)?;
        let facts: Result<Facts, CompileError> =
            serde_json::from_slice(&bytes[..end]).map_err(|_| garbled())?;
        Ok((facts?, &bytes[end + 1..]))
    }
}
