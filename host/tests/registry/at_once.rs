//! Many plugins that configs name, fetched a few at once from registries made here.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Condvar, Mutex};

use ebpf_wasm_exporter::plugin::Digest;
use serde_json::json;

use crate::guests;
use crate::made::{Made, answer};
use crate::typed::{Desk, lettered};

/// Who waits for one that never comes is told so in the end.
const FETCH: &str = "fetch --config.dir=configs --config.names=work --plugins.dir=plugins --plain-http --timeout=60s";

/// A component that is no other's.
fn component(n: u8) -> Vec<u8> {
    guests::with_section(guests::component("echo"), "number", &[n])
}

/// The manifest of a component, which is said to be called so.
fn manifest(title: &str, component: &[u8]) -> Vec<u8> {
    let part = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes).tagged()});
    let all = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [part("application/wasm", component)],
        "annotations": {"org.opencontainers.image.title": title},
    });
    all.to_string().into_bytes()
}

/// Writes a config that names these artifacts, each by its repository and the digest of its manifest.
fn config(desk: &Desk, host: &str, named: &[(String, Digest)]) {
    let plugin = |(name, digest): &(String, Digest)| {
        format!("{name}: {{oci: '{host}/{name}:1.0.0@{}'}}", digest.tagged())
    };
    let plugins: Vec<_> = named.iter().map(plugin).collect();
    let text = format!(
        "plugins: {{{}}}\nmetrics: {{counters: [{{name: work_hash_total, help: h, labels: [{{name: id, size: 8, decoders: [{{name: uint}}]}}]}}]}}\n",
        plugins.join(", ")
    );
    desk.write("configs/work.yaml", &text);
}

/// Those who are there at the same time.
#[derive(Default)]
struct Meeting {
    /// How many have come, and the most that were there at once.
    seen: Mutex<(usize, usize, usize)>,
    changed: Condvar,
}

impl Meeting {
    /// Comes, and waits for as many as there are to come to a round.
    fn join(&self, round: usize) {
        let mut seen = self.seen.lock().unwrap();
        let until = (seen.0 / round + 1) * round;
        seen.0 += 1;
        seen.1 += 1;
        seen.2 = seen.2.max(seen.1);
        self.changed.notify_all();
        while seen.0 < until {
            seen = self.changed.wait(seen).unwrap();
        }
        seen.1 -= 1;
    }
}

/// The registry answers no component until four of them are asked for. One of the eight it does not have.
pub fn four_are_fetched_at_once_and_told_in_their_order() {
    const ROUND: usize = 4;
    let blobs: Vec<_> = (0..8).map(component).collect();
    let names: Vec<_> = (0..8).map(|n| format!("p{n}")).collect();
    let manifests: Vec<_> =
        names.iter().zip(&blobs).map(|(name, blob)| manifest(name, blob)).collect();
    let kept: HashMap<_, _> = manifests
        .iter()
        .chain(&blobs)
        .map(|bytes| (Digest::of(bytes).tagged(), bytes.clone()))
        .collect();
    let (gone, meeting) = (Digest::of(&blobs[2]).tagged(), Arc::new(Meeting::default()));
    let met = Arc::clone(&meeting);
    let server = Made::serve(move |request, client| {
        let what = request.what();
        let wanted = what.rsplit('/').next().unwrap();
        if what.contains("/blobs/") {
            met.join(ROUND);
        }
        match kept.get(wanted) {
            Some(bytes) if wanted != gone => answer(client, "200 OK", &[], bytes),
            _ => answer(client, "404 Not Found", &[], b""),
        }
    });
    let (host, desk) = (server.host(), Desk::new());
    let digests = manifests.iter().map(|bytes| Digest::of(bytes));
    config(&desk, &host, &names.into_iter().zip(digests).collect::<Vec<_>>());
    let (code, said) = desk.plugin(FETCH, &host);
    insta::assert_snapshot!(format!("{code} {}", lettered(&said)), @"
    1 fetched HOST/p0:1.0.0@sha256:A, a decoder
    fetched HOST/p1:1.0.0@sha256:B, a decoder
    fetched HOST/p3:1.0.0@sha256:C, a decoder
    fetched HOST/p4:1.0.0@sha256:D, a decoder
    fetched HOST/p5:1.0.0@sha256:E, a decoder
    fetched HOST/p6:1.0.0@sha256:F, a decoder
    fetched HOST/p7:1.0.0@sha256:G, a decoder
    error: configs/work.yaml:1: plugins.p2.oci: HOST has no blob sha256:H; push it again: its manifest is there without it
    ");
    assert_eq!(meeting.seen.lock().unwrap().2, ROUND);
    let lock = String::from_utf8(desk.read("plugins/plugins.lock")).unwrap();
    assert_eq!(lock.matches("\"reference\"").count(), 7);
}

/// Two manifests may name one component. It is pulled once, and neither is told that another process does so.
pub fn one_component_of_two_plugins_is_pulled_once() {
    let blob = component(0);
    let manifests = ["one", "two"].map(|title| manifest(title, &blob));
    let digests = manifests.each_ref().map(|bytes| Digest::of(bytes));
    let kept: HashMap<_, _> = manifests
        .iter()
        .chain([&blob])
        .map(|bytes| (Digest::of(bytes).tagged(), bytes.clone()))
        .collect();
    let meeting = Meeting::default();
    let server = Made::serve(move |request, client| {
        let what = request.what();
        let found = kept.get(what.rsplit('/').next().unwrap());
        if what.contains("/referrers/") {
            meeting.join(2);
        }
        match found {
            Some(bytes) => answer(client, "200 OK", &[], bytes),
            None => answer(client, "404 Not Found", &[], b""),
        }
    });
    let (host, desk) = (server.host(), Desk::new());
    config(&desk, &host, &[("one".to_owned(), digests[0]), ("two".to_owned(), digests[1])]);
    insta::assert_snapshot!(lettered(&desk.done(FETCH, &host)), @"
    fetched HOST/one:1.0.0@sha256:A, a decoder
    fetched HOST/two:1.0.0@sha256:B, a decoder
    ");
    let pulled = server.asked().iter().filter(|what| what.contains("/blobs/")).count();
    assert_eq!(pulled, 1);
    let parts = fs::read_dir(desk.path("plugins")).unwrap();
    let names = parts.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".part")).count(), 0);
}
