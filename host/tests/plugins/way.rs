//! The whole way of somebody else's plugin: from where it was built into a registry, signed there, pinned by a config of
//! another host, fetched, and served where there is no registry any more.

use std::fs;
use std::path::Path;

use crate::debian::{Registry, Wants};
use crate::new::EXPORTER;
use crate::signer;

/// The way of a decoder that gives texts the names that its settings have.
pub fn of(component: &Path) {
    let (registry, author) = (Registry::start(&Wants::default(), &[]), component.parent().unwrap());
    let file = component.file_name().unwrap().to_str().unwrap();
    let name = file.trim_end_matches(".wasm");
    let push = format!("plugin push {file} {}/stranger/{name}:0.1.0 --plain-http", registry.host());
    let pushed = said(author, &push);
    let pinned = pushed.lines().next().unwrap().trim_start_matches("pushed ");
    signer::key(author, "author");
    signer::sign(author, "author", pinned);
    let site = tempfile::tempdir().unwrap();
    fs::copy(author.join("author.pub"), site.path().join("author.pub")).unwrap();
    let write = |name: &str, text: &str| fs::write(site.path().join(name), text).unwrap();
    write("policy.yaml", "rules: [{repositories: ['*'], keys: [{file: author.pub}]}]");
    write(
        "work.yaml",
        &format!(
            "plugins:
  name:
    oci: {pinned}
    settings: {{names: {{'1': one}}, default: other}}
    limits: {{memory: 128MiB, deadline: 10s}}
metrics: {{counters: [{{name: work_array_total, help: h, labels: [
  {{name: index, size: 4, decoders: [{{name: uint}}, {{name: wasm, plugin: name}}]}}]}}]}}\n"
        ),
    );
    let by =
        "--config.dir=. --config.names=work --plugins.dir=plugins --plugins.policy=policy.yaml";
    let fetched = said(site.path(), &format!("plugin fetch {by} --plain-http"));
    assert!(fetched.contains("signed by the key author.pub"), "{fetched}");
    drop(registry);
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/workload.rec");
    let served = said(site.path(), &format!("replay {recording} --once {by}"));
    assert!(
        served.contains(r#"{index="one"}"#) && served.contains(r#"{index="other"}"#),
        "{served}"
    );
}

/// What the exporter says of something that goes well.
fn said(dir: &Path, words: &str) -> String {
    let output =
        std::process::Command::new(EXPORTER).args(words.split(' ')).current_dir(dir).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{words}: {text}");
    text
}
