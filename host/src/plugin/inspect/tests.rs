//! What files are taken for.

use super::*;
use crate::advice::Advice;
use crate::plugin::guests;

fn refusal(bytes: &[u8]) -> Advice {
    inspect(bytes).unwrap_err().advice()
}

#[test]
fn plugins_say_what_they_are() {
    let echo = guests::component("echo");
    let found = inspect(&echo).unwrap();
    assert_eq!((found.world, &*found.version), (World::Decoder, "0.1.0"));
    assert_eq!((found.imports, found.size), (vec![], echo.len()));
    assert_eq!(found.exports, ["ebpf-exporter:plugin/decoding@0.1.0"]);
    assert_eq!(found.memory, 2 * 65536);
    assert_eq!(found.digest, Digest::of(&echo));
    assert_eq!(inspect(&guests::component("pass")).unwrap().world, World::Transform);
}

#[test]
fn imports_are_given_or_not() {
    let imports = |name| inspect(&guests::component(name)).unwrap().imports;
    let import = |name: &str, given| vec![Import { name: name.to_owned(), given }];
    assert_eq!(imports("chatter"), import("ebpf-exporter:plugin/log@0.1.0", true));
    assert_eq!(imports("older-decoder"), import("ebpf-exporter:plugin/log@0.0.1", true));
    assert_eq!(imports("import"), import("wasi:random/random@0.2.0", false));
}

#[test]
fn what_a_plugin_says_of_itself_is_read() {
    let Inspection { metadata, notes, .. } = inspect(&guests::described("echo")).unwrap();
    let texts: Vec<_> = metadata.texts().into_iter().filter_map(|(_, text)| text).collect();
    let said = "Says what it\u{1b}[31m is\nand more";
    assert_eq!(texts, ["zone", "1.2.0", said, "MIT OR Apache-2.0", "https://example.org/"]);
    assert_eq!(
        metadata.settings.unwrap(),
        serde_json::from_str::<serde_json::Value>(guests::SCHEMA).unwrap()
    );
    assert_eq!(notes, [""; 0]);
}

/// Nothing of it is needed to run the plugin, so nothing of it stops one.
#[test]
fn what_cannot_be_said_costs_a_note() {
    let sections: [(&str, &[u8]); 9] = [
        ("version", b"1"),
        ("version", b"2"),
        ("authors", b"\xff"),
        ("description", &[b'a'; 1025]),
        ("ebpf-exporter:settings", b"{"),
        ("ebpf-exporter:settings", &[b' '; 70_000]),
        ("component-name", b"\0\x7f"),
        ("revision", b""),
        ("unknown", b"\xff"),
    ];
    let add = |bytes, (name, content)| guests::with_section(bytes, name, content);
    let mut bytes = sections.into_iter().fold(guests::component("echo"), add);
    let Inspection { metadata, notes, .. } = inspect(&bytes).unwrap();
    assert_eq!(metadata, Metadata { version: Some("1".to_owned()), ..Metadata::default() });
    insta::assert_snapshot!(notes.join("\n"), @"
    `version` of the metadata is there twice, and is left out
    `authors` of the metadata is not UTF-8, and is left out
    `description` of the metadata has 1025 bytes, more than 1024, and is left out
    `settings` of the metadata is no JSON Schema: EOF while parsing an object at line 1 column 1, and is left out
    `settings` of the metadata has 70000 bytes, more than 65536, and is left out
    `name` of the metadata cannot be read, and is left out
    ");
    for _ in 0..100 {
        bytes = guests::with_section(bytes, "authors", b"\xff");
    }
    assert_eq!(inspect(&bytes).unwrap().notes, notes);
    for more in 0..100 {
        bytes = guests::with_section(bytes, "source", &[b'a'; 2000][more..]);
    }
    assert_eq!(inspect(&bytes).unwrap().notes.len(), MOST_NOTES);
    // What modules inside of it say is said of them.
    let inner = guests::with_section(b"\0asm\x01\0\0\0".to_vec(), "version", b"9");
    let mut bytes = guests::component("echo");
    bytes.extend([1, inner.len() as u8]);
    bytes.extend(inner);
    assert_eq!(inspect(&bytes).unwrap().metadata, Metadata::default());
}

#[test]
fn anything_else_is_refused_by_what_it_is() {
    insta::assert_snapshot!(refusal(b"(module)"), @"found no WebAssembly, expected a component; name a .wasm file that holds a component");
    insta::assert_snapshot!(refusal(&guests::component("core")), @"found a core module, expected a component; make a component of it: `ebpf_wasm_exporter plugin componentize`");
    insta::assert_snapshot!(refusal(&guests::component("foreign")), @"found a component that exports `wasi:cli/run@0.2.0`, expected one that exports `ebpf-exporter:plugin/decoding@0.1.0` or `ebpf-exporter:plugin/transforming@0.1.0`; build it for a world of wit/0.1.0");
    insta::assert_snapshot!(refusal(&guests::component("newer")), @"found a decoder for version 0.2.0 of the contract, expected 0.1.0; build it against the wit/ directory of this exporter, or use an exporter that knows that version");
    insta::assert_snapshot!(refusal(b"\0asm\x0d\0\x01\0"), @"found a component that exports nothing, expected one that exports `ebpf-exporter:plugin/decoding@0.1.0` or `ebpf-exporter:plugin/transforming@0.1.0`; build it for a world of wit/0.1.0");
}

/// A component that exports an empty instance by this name, which nothing has validated.
fn exporting(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let mut bytes = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0".to_vec();
    // Sizes of one byte each.
    bytes.extend([11, length + 6, 1, 0, length]);
    bytes.extend(name.bytes());
    bytes.extend([5, 0, 0]);
    bytes
}

#[test]
fn names_are_shown_so_that_no_terminal_obeys_them() {
    insta::assert_snapshot!(refusal(&exporting("\x1b[2J\r\nworld    decoder\u{202e}")), @r"found a component that exports `\u{1b}[2J\r\nworld    decoder\u{202e}`, expected one that exports `ebpf-exporter:plugin/decoding@0.1.0` or `ebpf-exporter:plugin/transforming@0.1.0`; build it for a world of wit/0.1.0");
    insta::assert_snapshot!(refusal(&exporting("ebpf-exporter:plugin/decoding@9\x1b[31m\x07")), @r"found a decoder for version 9\u{1b}[31m\u{7} of the contract, expected 0.1.0; build it against the wit/ directory of this exporter, or use an exporter that knows that version");
}

#[test]
fn damage_anywhere_is_told_or_harmless() {
    let echo = guests::component("echo");
    // Names of the component's parts follow its export, and nothing needs them.
    let export = b"decoding@0.1.0";
    let last = echo.windows(export.len()).rposition(|bytes| bytes == export).unwrap();
    for end in 8..last {
        assert!(inspect(&echo[..end]).is_err(), "{end}");
    }
    for at in 0..echo.len() {
        let mut bytes = echo.clone();
        bytes[at] ^= 0x55;
        let _ = inspect(&bytes);
    }
}

#[test]
fn digests_are_64_hexadecimal_digits() {
    let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").to_string(), text);
    assert_eq!(Digest::parse(&text.to_uppercase()), Some(Digest::of(b"")));
    for wrong in ["", "e3b0", &text[1..], &format!("{text}0"), &text.replace('e', "+")] {
        assert_eq!(Digest::parse(wrong), None, "{wrong}");
    }
}
