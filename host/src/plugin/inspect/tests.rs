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
    assert_eq!(imports("import"), import("wasi:random/random@0.2.0", false));
}

#[test]
fn anything_else_is_refused_by_what_it_is() {
    insta::assert_snapshot!(refusal(b"(module)"), @"found no WebAssembly, expected a component; name a .wasm file that holds a component");
    insta::assert_snapshot!(refusal(&guests::component("core")), @"found a core module, expected a component; make a component of it: `make plugins` does, or `wasm-tools component new`");
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
