//! What a registry keeps, and gives back.

use std::fs;

use ebpf_wasm_exporter::plugin::Digest;

use crate::debian::{Registry, Wants};
use crate::guests;
use crate::hostile::damaged;
use crate::typed::{Desk, lettered};

pub fn a_component_goes_there_and_back() {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    let plugin = |words: &str| desk.done(&format!("{words} --plain-http"), &host);
    let source = "--annotation=org.opencontainers.image.source=https://example.org";
    let said = [
        plugin(&format!("push echo.wasm {host}/team/zone:1.2.0 {source}")),
        plugin(&format!("push echo.wasm {host}/team/zone:1.2.0 {source}")),
        plugin(&format!("push pass.wasm oci:{host}/team/zone:1.10.0")),
        plugin(&format!("push pass.wasm {host}/team/zone:edge")),
        plugin(&format!("list {host}/team/zone")),
        plugin(&format!("inspect oci:{host}/team/zone:1.2.0")),
        plugin(&format!("pull {host}/team/zone:1.2.0")),
    ]
    .concat();
    insta::assert_snapshot!(lettered(&said), @"
    pushed HOST/team/zone:1.2.0@sha256:A
    HOST/team/zone:1.2.0@sha256:A was there already
    pushed HOST/team/zone:1.10.0@sha256:B
    pushed HOST/team/zone:edge@sha256:C
    1.10.0
    1.2.0
    edge
    artifact     HOST/team/zone:1.2.0@sha256:A
    annotations
      io.github.ebpf-wasm-exporter.contract: 0.1.0
      io.github.ebpf-wasm-exporter.world: decoder
      org.opencontainers.image.created: 1970-01-01T00:00:00Z
      org.opencontainers.image.source: https://example.org
      org.opencontainers.image.title: echo.wasm
      org.opencontainers.image.version: 1.2.0
    world        decoder
    contract     0.1.0
    size         1384 bytes
    sha256       D
    memory       131072 bytes at the start
    imports      nothing
    pulled HOST/team/zone:1.2.0@sha256:A to zone.wasm
    ");
    assert_eq!(desk.read("zone.wasm"), guests::component("echo"));
    // By its digest, whatever the tag leads to.
    let pinned = said.lines().last().unwrap().split(' ').nth(1).unwrap().replace("HOST", &host);
    plugin(&format!("pull {pinned} -o pinned.wasm"));
    assert_eq!(desk.read("pinned.wasm"), guests::component("echo"));
    let refused = |words: &str| lettered(&desk.refused(&format!("{words} --plain-http"), &host));
    insta::assert_snapshot!(refused(&format!("pull {}", pinned.replace("team/", "other/"))), @"1 HOST has no manifest sha256:A of other/zone; `plugin list HOST/other/zone` lists the tags that there are");
    insta::assert_snapshot!(refused(&format!("pull {host}/team/zone:9")), @"1 HOST has no manifest 9 of team/zone; `plugin list HOST/team/zone` lists the tags that there are");
    insta::assert_snapshot!(refused(&format!("pull {host}/team/zone")), @"2 HOST/team/zone has neither tag nor digest; write one behind it; `plugin list HOST/team/zone` lists the tags");
    insta::assert_snapshot!(refused(&format!("list {host}/team/gone")), @"1 HOST has no repository team/gone; see whether the name is the right one");
    insta::assert_snapshot!(desk.refused(&format!("list {host}/team/zone"), &host), @"1 failed to ask HOST: client error (Connect): received corrupt message of type InvalidContentType; add --plain-http if the registry has no TLS, and the network to it is yours");
}

pub fn a_version_stays_what_it_is() {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    let push = |words: &str| lettered(&desk.plugin(&format!("push {words} --plain-http"), &host).1);
    push(&format!("echo.wasm {host}/zone:1.2.0"));
    insta::assert_snapshot!(push(&format!("pass.wasm {host}/zone:1.2.0")), @"error: HOST/zone:1.2.0 is there already, with the digest sha256:A; push another version; --force puts this one in its place, which breaks who relies on it");
    insta::assert_snapshot!(push(&format!("pass.wasm {host}/zone:1.2.0 --force")), @"pushed HOST/zone:1.2.0@sha256:A");
    // What is no version may be moved.
    push(&format!("echo.wasm {host}/zone:edge"));
    insta::assert_snapshot!(push(&format!("pass.wasm {host}/zone:edge")), @"pushed HOST/zone:edge@sha256:A");
    insta::assert_snapshot!(push(&format!("pass.wasm {host}/zone")), @"error: HOST/zone has no tag to push to; write a version behind it, such as :1.2.0");
    insta::assert_snapshot!(push(&format!("pass.wasm {host}/zone:1.2 --move-tags")), @"error: --move-tags: `1.2` is no version that others could lead to; write a whole version such as 1.2.0, or leave the flag out");
    desk.write("core.wasm", "(module)");
    insta::assert_snapshot!(push(&format!("core.wasm {host}/zone:2.0.0")), @"error: found no WebAssembly, expected a component; name a .wasm file that holds a component");
    fs::write(desk.path("damaged.wasm"), damaged()).unwrap();
    insta::assert_snapshot!(push(&format!("damaged.wasm {host}/zone:2.0.0")), @"error: the component is damaged: type mismatch: expected i32 but nothing on stack at byte 1410; build or copy the file again");
    // The time of a build is part of what is pushed.
    let later = Desk::new().with("SOURCE_DATE_EPOCH", "86400");
    let said =
        |desk: &Desk| desk.done(&format!("push echo.wasm {host}/zone:now --plain-http"), &host);
    let (first, second, third) = (said(&desk), said(&later), said(&later));
    assert_ne!(first, second);
    assert_eq!(third, second.replacen("pushed ", "", 1).replacen('\n', " was there already\n", 1));
    let never = Desk::new().with("SOURCE_DATE_EPOCH", "yesterday");
    let refused = never.refused(&format!("push echo.wasm {host}/zone:now --plain-http"), &host);
    insta::assert_snapshot!(refused, @"2 SOURCE_DATE_EPOCH=yesterday is no time; write seconds after 1970, or unset it");
}

pub fn tags_lead_to_the_newest_version() {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    let push = |file: &str, version: &str| {
        let words = format!("push {file}.wasm {host}/zone:{version} --move-tags --plain-http");
        desk.done(&words, &host).lines().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(push("echo", "1.2.0"), "moved 1.2, 1");
    assert_eq!(push("pass", "1.1.7"), "moved 1.1");
    assert_eq!(push("pass", "1.3.0"), "moved 1.3, 1");
    for (tag, expected) in [("1.2", "echo"), ("1.1", "pass"), ("1", "pass")] {
        desk.done(&format!("pull {host}/zone:{tag} --plain-http"), &host);
        assert_eq!(desk.read("zone.wasm"), guests::component(expected), "{tag}");
    }
}

pub fn a_pull_uses_what_is_there() {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    desk.done(&format!("push echo.wasm {host}/zone:1.0.0 --plain-http"), &host);
    let whole = guests::component("echo");
    let part = desk.path(&format!(".zone.wasm.{}.part", Digest::of(&whole)));
    for there in [&whole[..100], &whole[..], b"something else", &[&whole[..], b"and more"].concat()]
    {
        fs::write(&part, there).unwrap();
        desk.done(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
        assert_eq!(desk.read("zone.wasm"), whole);
        fs::remove_file(desk.path("zone.wasm")).unwrap();
        assert_eq!(desk.files(), ["echo.wasm", "pass.wasm"]);
    }
    fs::create_dir(desk.path("plugins")).unwrap();
    desk.done(&format!("pull {host}/zone:1.0.0 -o plugins --plain-http"), &host);
    assert_eq!(desk.read("plugins/zone.wasm"), whole);
    let gone = format!("pull {host}/zone:1.0.0 -o gone/zone.wasm --plain-http");
    insta::assert_snapshot!(lettered(&desk.refused(&gone, &host)), @"1 failed to write gone/.zone.wasm.A.part: no such file or directory; name another file with -o");
}

pub fn tls_needs_an_authority() {
    let registry = Registry::start(&Wants { tls: true, auth: None }, &[]);
    let (host, desk) = (registry.host(), Desk::new());
    let authority = registry.dir.path().join("ca.pem").display().to_string();
    desk.done(&format!("push echo.wasm {host}/zone:1.0.0 --ca-file={authority}"), &host);
    desk.done(&format!("pull {host}/zone:1.0.0 --ca-file={authority}"), &host);
    let refused = |words: &str| desk.refused(&format!("pull {host}/zone:1.0.0 {words}"), &host);
    insta::assert_snapshot!(refused("--timeout=1m"), @"1 failed to ask HOST: client error (Connect): invalid peer certificate: UnknownIssuer; name the authority that has signed the certificate, or the certificate itself, in --ca-file, if you trust it");
    insta::assert_snapshot!(refused("--plain-http"), @"1 HOST answers 400 Bad Request when asked for manifest 1.0.0 of zone; see whether the host is a registry");
    insta::assert_snapshot!(refused("--ca-file=gone.pem"), @"2 gone.pem cannot be read: no such file or directory; name a file of certificates in PEM format in --ca-file");
    insta::assert_snapshot!(refused("--ca-file=echo.wasm"), @"2 echo.wasm holds no certificate that can be trusted; name a file of certificates in PEM format in --ca-file");
    insta::assert_snapshot!(refused("--timeout=soon"), @"2 --timeout=soon is no time to wait; write one such as 30s or 5m");
}
