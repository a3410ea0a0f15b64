//! What is written, and what is refused.

use super::*;
use crate::manifest::FoundArtifact;
use crate::plugin::{Import, Metadata, World};

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
    insta::assert_snapshot!(pretty(&made.blobs[0].bytes), @r#"
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
    let found = FoundArtifact::read(made.digest(), made.manifest.bytes.clone()).unwrap();
    assert_eq!((found.digest, found.size), (made.digest(), 4));
    assert_eq!(found.component, Digest::of(b"\0asm"));
    assert_eq!(found.annotations[&oci("created")], "1970-01-01T00:00:01Z");
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
