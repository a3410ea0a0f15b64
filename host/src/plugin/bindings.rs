//! What the contract is in Rust: generated, and behind this one door.

#![allow(unreachable_pub, reason = "generated code cannot know who sees it")]

mod decoder_0_1_0 {
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "decoder",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

mod transform_0_1_0 {
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "transform",
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "ebpf-exporter:plugin/data@0.1.0": super::decoder_0_1_0::ebpf_exporter::plugin::data,
            "ebpf-exporter:plugin/log@0.1.0": super::decoder_0_1_0::ebpf_exporter::plugin::log,
        },
    });
}

/// A decoder of 0.1.0.
pub(super) mod decoder {
    pub(crate) use super::decoder_0_1_0::exports::ebpf_exporter::plugin::decoding::*;
    pub(crate) use super::decoder_0_1_0::{Decoder, DecoderPre};
}

/// A transform of 0.1.0.
pub(super) mod transform {
    pub(crate) use super::transform_0_1_0::exports::ebpf_exporter::plugin::transforming::*;
    pub(crate) use super::transform_0_1_0::{Transform, TransformPre};
}

/// Files of the host. By hand, so that bytes go into a guest from where all instances share them.
pub(super) mod data {
    use std::sync::Arc;

    use wasmtime::component::{ComponentType, Lower};

    /// What a file holds.
    #[derive(Clone, Debug, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct DataContent {
        pub(crate) version: u64,
        pub(crate) bytes: Arc<[u8]>,
    }

    /// What `read` gives.
    #[derive(Clone, Debug, ComponentType, Lower)]
    #[component(variant)]
    pub(crate) enum DataReading {
        #[component(name = "unnamed")]
        Unnamed,
        #[component(name = "unread")]
        Unread,
        #[component(name = "unchanged")]
        Unchanged,
        #[component(name = "changed")]
        Changed(DataContent),
    }
}

/// Lines for the log.
pub(super) mod log {
    pub(crate) use super::decoder_0_1_0::ebpf_exporter::plugin::log::*;
}
