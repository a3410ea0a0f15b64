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

/// The one import.
pub(super) mod log {
    pub(crate) use super::decoder_0_1_0::ebpf_exporter::plugin::log::*;
}
