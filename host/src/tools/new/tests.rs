//! What a new plugin's directory holds, and what is refused.

use clap::ValueEnum as _;

use super::*;
use crate::advice::Advise as _;
use crate::cli::{Language, Shape};

fn order(name: &str) -> New {
    let license = "MIT OR Apache-2.0".to_owned();
    New { name: name.to_owned(), lang: Language::Rust, world: Shape::Decoder, license }
}

/// What a directory holds, by paths, sorted.
fn listed(dir: &Path) -> Vec<String> {
    let (mut folders, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_plugin_begins_with_all_it_needs() {
    let above = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(begin(&order("exec-kind"), above.path()).unwrap(), @"
    wrote 28 files to exec-kind
      cd exec-kind
      make        # builds exec-kind.wasm
      make test   # asks it
    README.md says what to do with it
    ");
    let dir = above.path().join("exec-kind");
    insta::assert_snapshot!(listed(&dir).join("\n"), @"
    .github/workflows/test.yml
    .gitignore
    Cargo.toml
    Makefile
    README.md
    rust-toolchain.toml
    rustc-reproducible
    sdk/Cargo.toml
    sdk/README.md
    sdk/src/bindings.rs
    sdk/src/data.rs
    sdk/src/decoder.rs
    sdk/src/export.rs
    sdk/src/lib.rs
    sdk/src/log.rs
    sdk/src/testing.rs
    sdk/src/testing/schema.rs
    sdk/src/transform.rs
    sdk/wit/0.1.0/data.wit
    sdk/wit/0.1.0/decoding.wit
    sdk/wit/0.1.0/log.wit
    sdk/wit/0.1.0/transforming.wit
    sdk/wit/0.1.0/worlds.wit
    settings.schema.json
    src/lib.rs
    tests/answers
    tests/arguments
    tests/settings.yaml
    ");
    let read = |path| fs::read_to_string(dir.join(path)).unwrap();
    assert!(read("Cargo.toml").contains("license = \"MIT OR Apache-2.0\""));
    assert!(read("Makefile").contains("release/exec_kind.wasm"));
    let mode = |path| fs::metadata(dir.join(path)).unwrap().permissions().mode();
    assert_eq!(mode("rustc-reproducible") & 0o100, 0o100);
    assert_eq!(mode("Makefile") & 0o111, 0);
}

#[test]
fn no_template_keeps_a_word_that_stands_for_another() {
    let words = Words { name: "kinds", license: "MIT" };
    for &language in Language::value_variants() {
        for &shape in Shape::value_variants() {
            let files = templates::plugin(language, shape, words);
            for (path, bytes) in &files {
                assert!(!path.starts_with('/') && !path.contains(".."), "{path}");
                if path.starts_with("sdk/") {
                    continue;
                }
                let text = String::from_utf8_lossy(bytes);
                let kept = ["my-plugin", "my_plugin", "my-world", "my-export", "<!--", "Apache"];
                let kept: Vec<_> = kept.iter().filter(|word| text.contains(**word)).collect();
                assert!(kept.is_empty(), "{language:?}: {path}: {kept:?}");
            }
            let named = |name| files.iter().any(|(path, _)| *path == name);
            assert!(named("README.md") && named("Makefile") && named(".gitignore"), "{language:?}");
        }
    }
}

/// What a template names, in the version that this repository has.
#[test]
fn templates_name_our_versions() {
    let (ours, toolchain, manifest) = (
        include_str!("../../../../Cargo.toml"),
        include_str!("../../../../decoders-wasm/templates/rust/rust-toolchain.toml"),
        include_str!("../../../../decoders-wasm/templates/rust/Cargo.toml"),
    );
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_matches([' ', '=', '"']).to_owned()
    };
    assert_eq!(value(toolchain, "channel"), format!("{}.0", value(ours, "rust-version")));
    assert_eq!(value(manifest, "edition"), value(ours, "edition"));
    let version = value(ours, "version");
    let minor = version.rsplit_once('.').unwrap().0;
    let dependency = format!("ebpf-exporter-plugin = {{ version = \"{minor}\", path = \"sdk\" }}");
    assert!(manifest.lines().any(|line| line == dependency), "{dependency}");
}

/// The copy of the guest crate says of itself what the crate says, most of which it has from the workspace.
#[test]
fn the_copy_of_the_guest_crate_is_that_crate() {
    let (ours, of_crate, copy) = (
        include_str!("../../../../Cargo.toml"),
        include_str!("../../../../decoders-wasm/sdk/Cargo.toml"),
        include_str!("../../../../decoders-wasm/templates/rust/sdk/Cargo.toml"),
    );
    let of_workspace = |key: &str| {
        let key = format!("{key} = ");
        ours.lines().find(|line| line.starts_with(&key)).unwrap()
    };
    let lines = of_crate.lines().filter(|line| {
        let key = line.split([' ', '.']).next().unwrap();
        !["documentation", "readme", "keywords", "categories", "include", "targets", "workspace"]
            .contains(&key)
    });
    let expected =
        lines.map(|line| line.strip_suffix(".workspace = true").map_or(line, of_workspace));
    for line in expected.filter(|line| line.contains(" = ")) {
        assert!(copy.lines().any(|is| is == line), "the copy does not say {line}");
    }
    // All sources are in it.
    let sources =
        listed(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../decoders-wasm/sdk/src")));
    let words = Words { name: "kinds", license: "MIT" };
    let files = templates::plugin(Language::Rust, Shape::Decoder, words);
    for source in sources {
        assert!(files.iter().any(|(path, _)| *path == format!("sdk/src/{source}")), "{source}");
    }
}

#[test]
fn an_interpreter_is_given_room_in_the_config_that_a_readme_shows() {
    let words = Words { name: "kinds", license: "MIT" };
    for &language in Language::value_variants() {
        for &shape in Shape::value_variants() {
            let files = templates::plugin(language, shape, words);
            let (_, readme) = files.iter().find(|(path, _)| *path == "README.md").unwrap();
            let given = String::from_utf8_lossy(readme).contains("\n    limits: {");
            let interpreted = matches!(language, Language::JavaScript | Language::Python);
            assert_eq!(given, interpreted, "{language:?}");
        }
    }
}

#[test]
fn names_are_those_of_crates() {
    let above = tempfile::tempdir().unwrap();
    let refused = |name: &str| begin(&order(name), above.path()).unwrap_err().advice().to_string();
    for name in ["", "Kind", "1st", "a--b", "a-", "-a", "a b", "a/b", "..", "é", "a\u{1b}"] {
        assert!(refused(name).contains("is no name of a plugin"), "{name:?}");
    }
    insta::assert_snapshot!(refused("../kind"), @"`../kind` is no name of a plugin; write lowercase letters and digits, a letter first, and single `-` or `_` between them");
    insta::assert_snapshot!(refused("proc_macro"), @"`proc_macro` is taken: Rust knows something by it; take another one");
    insta::assert_snapshot!(refused(&"a".repeat(65)), @"`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` is longer than 64 characters; take another one");
    let license = "MIT\"; rm -rf /".to_owned();
    let refused = begin(&New { license, ..order("kind") }, above.path()).unwrap_err();
    insta::assert_snapshot!(refused.advice(), @r#"--license: `MIT"; rm -rf /` is no SPDX expression; write one such as Apache-2.0 or `MIT OR Apache-2.0`"#);
    assert!(listed(above.path()).is_empty());
}

#[test]
fn nothing_is_written_over() {
    let above = tempfile::tempdir().unwrap();
    let place = above.path().display().to_string();
    let said = |error: ToolError| error.advice().to_string().replace(&place, "DIR");
    fs::create_dir_all(above.path().join("used/below")).unwrap();
    fs::create_dir(above.path().join("empty")).unwrap();
    fs::write(above.path().join("file"), "").unwrap();
    let begin = |name: &str| begin(&order(name), above.path()).map_err(said);
    assert!(begin("empty").is_ok());
    insta::assert_snapshot!(begin("used").unwrap_err(), @"DIR/used is there, and not empty; take another name, or another working directory");
    insta::assert_snapshot!(begin("file").unwrap_err(), @"DIR/file is there, and no directory; take another name, or another working directory");
    assert_eq!(listed(&above.path().join("used")), [""; 0]);
}
