//! What is written, and what is refused.

use super::*;
use crate::plugin::{Import, Metadata, World};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn artifact(created: u64) -> Artifact {
    let found = Inspection {
        world: World::Decoder,
        version: "0.1.0".to_owned(),
        imports: vec![Import { name: "ebpf-exporter:plugin/log@0.1.0".to_owned(), given: true }],
        exports: vec!["ebpf-exporter:plugin/decoding@0.1.0".to_owned()],
        size: 4,
        digest: Digest::of(b"\0asm"),
        memory: 0,
        metadata: Metadata {
            name: Some("zone".to_owned()),
            source: Some("https://example.org/else".to_owned()),
            homepage: Some("https://example.org".to_owned()),
            ..Metadata::default()
        },
        notes: Vec::new(),
    };
    let annotations = [("source", "https://example.org/zone"), ("authors", "A. Author")];
    let annotations = annotations.map(|(name, text)| (oci(name), text.to_owned()));
    let description = Description {
        title: "zone.wasm".to_owned(),
        version: Some("1.2.0".to_owned()),
        created,
        annotations: annotations.into(),
    };
    Artifact::new(Bytes::from_static(b"\0asm"), &found, &description)
}

fn pretty(bytes: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn is_what_the_working_group_wrote() {
    let made = artifact(0);
    insta::assert_snapshot!(pretty(&made.config.bytes), @r#"
    {
      "architecture": "wasm",
      "author": "A. Author",
      "component": {
        "exports": [
          "ebpf-exporter:plugin/decoding@0.1.0"
        ],
        "imports": [
          "ebpf-exporter:plugin/log@0.1.0"
        ]
      },
      "created": "1970-01-01T00:00:00Z",
      "layerDigests": [
        "sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f"
      ],
      "os": "wasip2"
    }
    "#);
    insta::assert_snapshot!(pretty(&made.manifest.bytes), @r#"
    {
      "annotations": {
        "io.github.ebpf-wasm-exporter.contract": "0.1.0",
        "io.github.ebpf-wasm-exporter.world": "decoder",
        "org.opencontainers.image.authors": "A. Author",
        "org.opencontainers.image.created": "1970-01-01T00:00:00Z",
        "org.opencontainers.image.source": "https://example.org/zone",
        "org.opencontainers.image.title": "zone",
        "org.opencontainers.image.url": "https://example.org",
        "org.opencontainers.image.version": "1.2.0"
      },
      "config": {
        "digest": "sha256:2f4dc3f6edce892158f7b6a6b238116513f777ec415c11cc9ec4400b7d0cf2ef",
        "mediaType": "application/vnd.wasm.config.v0+json",
        "size": 291
      },
      "layers": [
        {
          "annotations": {
            "org.opencontainers.image.title": "zone.wasm"
          },
          "digest": "sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f",
          "mediaType": "application/wasm",
          "size": 4
        }
      ],
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "schemaVersion": 2
    }
    "#);
}

#[test]
fn the_same_component_has_the_same_digest() {
    assert_eq!(artifact(7).digest(), artifact(7).digest());
    assert_ne!(artifact(7).digest(), artifact(8).digest());
}

#[test]
fn what_was_made_is_found() {
    let made = artifact(1);
    let found = FoundArtifact::read(made.digest(), &made.manifest.bytes).unwrap();
    assert_eq!((found.digest, found.size), (made.digest(), 4));
    assert_eq!(found.component, Digest::of(b"\0asm"));
    assert_eq!(found.annotations[&oci("created")], "1970-01-01T00:00:01Z");
}

#[test]
fn anything_else_is_refused_by_what_it_is() {
    let said = |text: &str| {
        FoundArtifact::read(Digest::of(b""), text.as_bytes()).unwrap_err().advice().to_string()
    };
    let layers = |layers: &str| {
        let config = format!(r#"{{"mediaType":"x","digest":"{EMPTY}","size":2}}"#);
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layers}]}}"#
        )
    };
    let layer = |kind: &str, digest: &str, size: &str| {
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let typed = |kind: &str| said(&format!(r#"{{"mediaType":"{kind}"}}"#));
    insta::assert_snapshot!(said("<html>"), @"the manifest is damaged: expected value at line 1 column 1; push it again");
    insta::assert_snapshot!(said("{}"), @"the manifest is damaged: missing field `schemaVersion` at line 1 column 2; push it again");
    insta::assert_snapshot!(typed(INDEX), @"it is an index of several artifacts, not a plugin; name one of them by its digest");
    insta::assert_snapshot!(typed(DOCKER_INDEX), @"it is an index of several artifacts, not a plugin; name one of them by its digest");
    insta::assert_snapshot!(typed(DOCKER_MANIFEST), @"it is a container's image, not a plugin; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
    insta::assert_snapshot!(typed("text/\\u001b[2J"), @r"its manifest is of the type `text/\u{1b}[2J`, not application/vnd.oci.image.manifest.v1+json; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
    insta::assert_snapshot!(typed(MANIFEST), @"the manifest is damaged: missing field `schemaVersion` at line 1 column 58; push it again");
    insta::assert_snapshot!(said(&layers("")), @"it has no layer, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
    insta::assert_snapshot!(said(&layers(&layer("application/vnd.oci.image.layer.v1.tar", EMPTY, "1"))), @"it has a layer of the type `application/vnd.oci.image.layer.v1.tar`, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
    let wasm = layer(COMPONENT, EMPTY, "1");
    insta::assert_snapshot!(said(&layers(&format!("{wasm},{wasm}"))), @"it has 2 layers, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
    insta::assert_snapshot!(said(&layers(&layer(COMPONENT, "sha512:00", "1"))), @"the manifest is damaged: its layer has no digest of SHA-256; push it again");
    insta::assert_snapshot!(said(&layers(&layer(COMPONENT, EMPTY, "67108865"))), @"the component has more than 67108864 bytes; push something smaller: no plugin is so large");
    insta::assert_snapshot!(said(&layers(&layer(COMPONENT, EMPTY, "-1"))), @"the manifest is damaged: invalid value: integer `-1`, expected u64 at line 1 column 329; push it again");
    insta::assert_snapshot!(said(&"[".repeat(100_000)), @"the manifest is damaged: invalid type: sequence, expected a string at line 1 column 1; push it again");
}

#[test]
fn days_have_dates() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (1_709_251_200, "2024-03-01T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(timestamp(seconds), expected);
    }
}
