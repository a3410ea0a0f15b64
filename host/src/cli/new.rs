//! What a plugin may begin as, as it was typed: `plugin new`.

use clap::{Args, ValueEnum};

/// A plugin that is begun.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct New {
    /// What it is called, and its directory too: lowercase letters, digits, and single `-` or `_` between them
    pub name: String,

    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", value_enum)]
    pub lang: Language,

    /// What it is: a decoder makes a label's text of bytes, a transform makes labels of labels
    #[arg(long, value_name = "WORLD", value_enum)]
    pub world: Shape,

    /// Its licence, as an SPDX expression
    #[arg(long, value_name = "SPDX", default_value = "Apache-2.0")]
    pub license: String,
}

/// A language that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// 130 KB, and the quickest; the compiler has to know Wasm
    #[value(alias = "rs")]
    Rust,
    /// 20 KB; clang and a C library for Wasm build it
    C,
    /// 1.6 MB; QuickJS runs it
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    /// 18 MB; CPython runs it
    #[value(alias = "py")]
    Python,
}

/// What a plugin is, as its template has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Makes a label's text of the bytes of a key
    Decoder,
    /// Makes other labels of a row's labels
    Transform,
}
