//! What another client of registries makes of ours, and we of its.

use std::fs;
use std::path::Path;

use crate::debian::{Registry, Wants};
use crate::guests;
use crate::typed::{Desk, lettered};

fn oras(desk: &Desk, words: &str) -> String {
    let (code, said) = desk.run(Path::new("oras"), words);
    assert_eq!(code, 0, "oras {words}: {said}");
    said
}

pub fn oras_reads_what_was_pushed() {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    desk.done(&format!("push echo.wasm {host}/zone:1.0.0 --plain-http"), &host);
    fs::remove_file(desk.path("echo.wasm")).unwrap();
    oras(&desk, &format!("pull --plain-http {host}/zone:1.0.0"));
    assert_eq!(desk.read("echo.wasm"), guests::component("echo"));
    let manifest = oras(&desk, &format!("manifest fetch --pretty --plain-http {host}/zone:1.0.0"));
    insta::assert_snapshot!(lettered(&manifest), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "config": {
        "mediaType": "application/vnd.wasm.config.v0+json",
        "digest": "sha256:A",
        "size": 238
      },
      "layers": [
        {
          "mediaType": "application/wasm",
          "digest": "sha256:B",
          "size": 1384,
          "annotations": {
            "org.opencontainers.image.title": "echo.wasm"
          }
        }
      ],
      "annotations": {
        "io.github.ebpf-wasm-exporter.contract": "0.1.0",
        "io.github.ebpf-wasm-exporter.world": "decoder",
        "org.opencontainers.image.created": "1970-01-01T00:00:00Z",
        "org.opencontainers.image.title": "echo.wasm",
        "org.opencontainers.image.version": "1.0.0"
      }
    }
    "#);
    let config =
        oras(&desk, &format!("manifest fetch-config --pretty --plain-http {host}/zone:1.0.0"));
    insta::assert_snapshot!(lettered(&config), @r#"
    {
      "created": "1970-01-01T00:00:00Z",
      "architecture": "wasm",
      "os": "wasip2",
      "layerDigests": [
        "sha256:A"
      ],
      "component": {
        "exports": [
          "ebpf-exporter:plugin/decoding@0.1.0"
        ],
        "imports": []
      }
    }
    "#);
}

pub fn what_oras_pushes_is_read() {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    oras(&desk, &format!("push --plain-http {host}/zone:1.0.0 echo.wasm:application/wasm"));
    desk.done(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
    assert_eq!(desk.read("zone.wasm"), guests::component("echo"));
    oras(&desk, &format!("push --plain-http {host}/zone:text echo.wasm:text/plain"));
    let refused = desk.refused(&format!("pull {host}/zone:text --plain-http"), &host);
    insta::assert_snapshot!(refused, @"3 HOST/zone:text: it has a layer of the type `text/plain`, expected one of the type application/wasm; name a component that `plugin push`, `wkg oci push` or `oras push` has put there");
}
