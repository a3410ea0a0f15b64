//! What a new plugin begins as, and the contract: files that travel in the binary. They lie in `decoders-wasm/templates`,
//! `decoders-wasm/sdk-c` and `wit` as what they become.
//!
//! Never writes a file.

use std::borrow::Cow;

use crate::cli::{Language, Shape};

/// A file, by its path in the directory that it is for.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Relative, without `..`.
    pub path: &'static str,
    /// What it holds. In a template, names stand for what [`Words`] says.
    pub bytes: &'static [u8],
}

/// Files of a directory of the repository, with what their paths begin with once they are written.
macro_rules! files {
    ($to:literal from $from:literal: $($path:literal),+ $(,)?) => {
        &[$(Template {
            path: concat!($to, $path),
            bytes: include_bytes!(concat!("../../", $from, $path)),
        }),+]
    };
}

/// The files of the contract, with what their paths begin with once they are written.
macro_rules! contract {
    ($to:literal) => {
        files!($to from "wit/0.1.0/": "data.wit", "decoding.wit", "log.wit", "transforming.wit",
            "worlds.wit")
    };
}

/// The contract between the exporter and plugins.
pub const CONTRACT: &[Template] = contract!("");

/// What stands in a README where the language's own words go.
const BUILD: &str = "<!-- build -->\n";

/// What an interpreter wants in a config. A compiled plugin is content with less.
const ROOM: &str = "    limits: {memory: 64MiB, deadline: 1s}\n";

/// What a template's words become.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// `my-plugin`; `my_plugin` is the same as a Rust crate's name.
    pub name: &'a str,
    /// `Apache-2.0`.
    pub license: &'a str,
}

/// The files that a plugin of this language and shape begins as, by their paths.
pub fn plugin(
    language: Language,
    shape: Shape,
    words: Words<'_>,
) -> Vec<(&'static str, Cow<'static, [u8]>)> {
    let build = about_building(language);
    let filled = |text: &str| {
        let (world, export) = match shape {
            Shape::Decoder => ("decoder", "decoding"),
            Shape::Transform => ("transform", "transforming"),
        };
        let text = match language {
            Language::Rust | Language::C => text.replace(ROOM, ""),
            Language::JavaScript | Language::Python => text.to_owned(),
        };
        text.replace(BUILD, build)
            .replace("my-world", world)
            .replace("my-export", export)
            .replace("my-plugin", words.name)
            .replace("my_plugin", &words.name.replace('-', "_"))
            .replace("Apache-2.0", words.license)
    };
    let ours = of_language(language).iter().chain(of_shape(shape)).chain(source(language, shape));
    let ours = ours.map(|file| {
        let text = String::from_utf8_lossy(file.bytes);
        (file.path, Cow::Owned(filled(&text).into_bytes()))
    });
    let given = given(language, shape).iter().copied().flatten();
    ours.chain(given.map(|file| (file.path, Cow::Borrowed(file.bytes)))).collect()
}

fn about_building(language: Language) -> &'static str {
    match language {
        Language::Rust => include_str!("../../decoders-wasm/templates/rust/build.md"),
        Language::C => include_str!("../../decoders-wasm/templates/c/build.md"),
        Language::JavaScript => include_str!("../../decoders-wasm/templates/javascript/build.md"),
        Language::Python => include_str!("../../decoders-wasm/templates/python/build.md"),
    }
}

fn of_language(language: Language) -> &'static [Template] {
    match language {
        Language::Rust => files!("" from "decoders-wasm/templates/rust/":
            ".github/workflows/test.yml", ".gitignore", "Cargo.toml", "Makefile",
            "rust-toolchain.toml", "rustc-reproducible"),
        Language::C => files!("" from "decoders-wasm/templates/c/":
            ".github/workflows/test.yml", ".gitignore", "Makefile"),
        Language::JavaScript => files!("" from "decoders-wasm/templates/javascript/":
            ".github/workflows/test.yml", ".gitignore", "Makefile", "package.json"),
        Language::Python => files!("" from "decoders-wasm/templates/python/":
            ".github/workflows/test.yml", ".gitignore", "Makefile", "requirements.txt"),
    }
}

fn of_shape(shape: Shape) -> &'static [Template] {
    match shape {
        Shape::Decoder => files!("" from "decoders-wasm/templates/decoder/":
            "README.md", "settings.schema.json", "tests/answers", "tests/arguments",
            "tests/settings.yaml"),
        Shape::Transform => files!("" from "decoders-wasm/templates/transform/":
            "README.md", "settings.schema.json", "tests/answers", "tests/arguments",
            "tests/settings.yaml"),
    }
}

fn source(language: Language, shape: Shape) -> &'static [Template] {
    use Language::{C, JavaScript, Python, Rust};
    use Shape::{Decoder, Transform};
    match (language, shape) {
        (Rust, Decoder) => files!("" from "decoders-wasm/templates/rust/decoder/": "src/lib.rs"),
        (Rust, Transform) => {
            files!("" from "decoders-wasm/templates/rust/transform/": "src/lib.rs")
        }
        (C, Decoder) => files!("" from "decoders-wasm/templates/c/decoder/": "plugin.c"),
        (C, Transform) => files!("" from "decoders-wasm/templates/c/transform/": "plugin.c"),
        (JavaScript, Decoder) => {
            files!("" from "decoders-wasm/templates/javascript/decoder/": "plugin.js")
        }
        (JavaScript, Transform) => {
            files!("" from "decoders-wasm/templates/javascript/transform/": "plugin.js")
        }
        (Python, Decoder) => {
            files!("" from "decoders-wasm/templates/python/decoder/": "plugin.py")
        }
        (Python, Transform) => {
            files!("" from "decoders-wasm/templates/python/transform/": "plugin.py")
        }
    }
}

/// What a language needs of ours to build, as it is: lists of files. No registry has it yet.
fn given(language: Language, shape: Shape) -> &'static [&'static [Template]] {
    match (language, shape) {
        (Language::Rust, _) => &[
            // Of the crate's own, most lines say that they are those of the workspace.
            files!("sdk/" from "decoders-wasm/templates/rust/sdk/": "Cargo.toml"),
            files!("sdk/" from "decoders-wasm/sdk/":
                "README.md", "src/bindings.rs", "src/data.rs", "src/decoder.rs", "src/export.rs",
                "src/lib.rs", "src/log.rs", "src/testing.rs", "src/testing/schema.rs",
                "src/transform.rs"),
            contract!("sdk/wit/0.1.0/"),
        ],
        (Language::C, Shape::Decoder) => &[files!("sdk/" from "decoders-wasm/sdk-c/":
            "decoder.c", "decoder.h", "decoder_component_type.o", "format.c", "json.h")],
        (Language::C, Shape::Transform) => &[files!("sdk/" from "decoders-wasm/sdk-c/":
            "format.c", "json.h", "transform.c", "transform.h", "transform_component_type.o")],
        (Language::JavaScript | Language::Python, _) => &[contract!("wit/")],
    }
}
