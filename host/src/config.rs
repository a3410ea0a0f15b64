//! From the bytes of `NAME.yaml` to a checked [`Config`], or to every fault found.
//!
//! Nothing here touches the kernel or a BPF object: `bpf/check.rs` holds a plan against those.

pub mod buckets;
pub mod error;
pub mod name;
pub mod plan;

pub use error::{Fault, Severity, Source};
pub use plan::{Config, Kind, Label, Metric};
