//! The generated bindings of both worlds. Private: the rest of the crate is their curated front,
//! and only the export macros reach them by name.
//!
//! Never used outside a component except for their types: natively there is no host to call.

#![allow(missing_docs, unreachable_pub, dead_code, unused_imports)]
#![allow(clippy::undocumented_unsafe_blocks, clippy::all)]

pub mod decoder {
    wit_bindgen::generate!({
        path: "wit/0.1.0",
        world: "decoder",
        pub_export_macro: true,
        export_macro_name: "__export_decoder_world",
        runtime_path: "::ebpf_exporter_plugin::__private::rt",
    });
}

pub mod transform {
    wit_bindgen::generate!({
        path: "wit/0.1.0",
        world: "transform",
        pub_export_macro: true,
        export_macro_name: "__export_transform_world",
        runtime_path: "::ebpf_exporter_plugin::__private::rt",
    });
}
