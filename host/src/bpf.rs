//! BPF

pub mod read;
mod sys;
