//! The list of pods as the host gives it, read anew when it has changed.
//!
//! A file that is no list changes nothing: the one before stays, and the log says so. An instance that takes the
//! place of one that failed has none before, and knows no pod then. It answers no error: what is left out brings all
//! of its counts once there is a list, and what was counted as an error would stay there.

use ebpf_exporter_plugin::{Data, log};

use crate::list::Index;

/// What the config calls the list under `data`.
const NAME: &str = "pods";

/// The list of pods.
pub(crate) struct Pods {
    data: Data,
    index: Index,
}

impl Pods {
    /// What is known so far, which may be nothing.
    ///
    /// # Errors
    ///
    /// When the config names no list.
    pub(crate) fn new() -> Result<Self, String> {
        Ok(Self { data: Data::required(NAME)?, index: Index::default() })
    }

    /// As it is now.
    pub(crate) fn list(&mut self) -> &Index {
        if let Some(bytes) = self.data.changed() {
            match Index::read(&bytes) {
                Ok(index) => self.index = index,
                Err(error) => log::warn(&format!(
                    "data {NAME}: it is no list of pods: {error}; the one before stays, have \
                     `ebpf_wasm_exporter pods` write it"
                )),
            }
        }
        &self.index
    }
}
