//! Plugins that configs name by `oci:`: fetched, locked, and served without a registry.

use std::fs;
use std::path::Path;
use std::thread;

use ebpf_wasm_exporter::lock;
use ebpf_wasm_exporter::plugin::Digest;

use crate::debian::{Registry, Wants};
use crate::guests;
use crate::typed::{Desk, lettered};

const FETCH: &str = "plugin fetch --config.dir=configs --config.names=work --plugins.dir=plugins";

/// A registry, and somebody who has pushed plugins to it.
pub struct Site {
    pub registry: Option<Registry>,
    pub desk: Desk,
    pub host: String,
}

impl Site {
    pub fn new() -> Self {
        let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
        let host = registry.host();
        Self { registry: Some(registry), desk, host }
    }

    /// Pushes a guest, and says what a config calls it.
    pub fn pushed(&self, guest: &str, name: &str) -> String {
        let words = format!("push {guest}.wasm {}/team/{name}:1.2.0 --plain-http", self.host);
        let said = self.desk.done(&words, &self.host);
        said.trim_end().trim_start_matches("pushed ").replace("HOST", &self.host)
    }

    /// Writes the config of the recorded workload, with these plugins of which `zone` makes a label.
    pub fn config(&self, plugins: &str) {
        let text = format!(
            "plugins: {plugins}
metrics: {{counters: [{{name: work_hash_total, help: h, labels: [
  {{name: id, size: 8, decoders: [{{name: uint}}]}},
  {{name: text, size: 24, decoders: [{{name: string}}, {{name: wasm, plugin: zone}}]}}]}}]}}\n"
        );
        self.desk.write("configs/work.yaml", &text);
    }

    /// The exit code of the exporter with these arguments, and what it says.
    pub fn said(&self, words: &str) -> (i32, String) {
        let (code, said) =
            self.desk.run(Path::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter")), words);
        (code, lettered(&said.replace(&self.host, "HOST")))
    }

    fn fetched(&self, more: &str) -> String {
        let (code, said) = self.said(&format!("{FETCH} --plain-http{more}"));
        assert_eq!(code, 0, "{said}");
        said
    }

    /// What the recorded workload becomes without any registry, or why not.
    pub fn served(&self, flags: &str) -> (i32, String) {
        let (code, said) = self.warned(flags);
        let is_told = |line: &&str| {
            let is_log = line.contains(" INFO ") || line.contains("whoever has signed them");
            !line.starts_with('#') && !is_log
        };
        (code, said.lines().filter(is_told).collect::<Vec<_>>().join("\n"))
    }

    /// The same, with all that is said.
    pub fn warned(&self, flags: &str) -> (i32, String) {
        let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/workload.rec");
        self.told(&format!("replay {recording} --once --config.dir=configs{flags}"))
    }

    /// The same of any words.
    pub fn told(&self, words: &str) -> (i32, String) {
        let (code, said) =
            self.desk.told(Path::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter")), words);
        (code, lettered(&said.replace(&self.host, "HOST")))
    }

    fn refused(&self) -> String {
        let (code, said) = self.served(" --plugins.dir=plugins");
        assert_eq!(code, 3, "{said}");
        said
    }

    /// The files that were fetched.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.desk.path("plugins")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }
}

pub fn what_configs_name_is_fetched_and_served() {
    let mut site = Site::new();
    let (zone, pods) = (site.pushed("echo", "zone"), site.pushed("pass", "pods"));
    let plugins = format!("{{zone: {{oci: '{zone}'}}, pods: {{oci: '{pods}'}}}}");
    site.config(&plugins);
    insta::assert_snapshot!(site.fetched(""), @"
    fetched HOST/team/zone:1.2.0@sha256:A, a decoder
    fetched HOST/team/pods:1.2.0@sha256:B, a transform
    ");
    insta::assert_snapshot!(site.fetched(""), @"
    has HOST/team/zone:1.2.0@sha256:A, a decoder
    has HOST/team/pods:1.2.0@sha256:B, a transform
    ");
    assert_eq!(
        site.files(),
        files(&[named("pass"), named("echo"), manifest(&zone), manifest(&pods)])
    );
    let lock = String::from_utf8(site.desk.read("plugins/plugins.lock")).unwrap();
    insta::assert_snapshot!(lettered(&lock.replace(&site.host, "HOST")), @r#"
    {
      "version": 2,
      "plugins": [
        {
          "reference": "HOST/team/pods:1.2.0",
          "manifest": "sha256:A",
          "component": "sha256:B",
          "size": 1989,
          "contract": "0.1.0",
          "world": "transform"
        },
        {
          "reference": "HOST/team/zone:1.2.0",
          "manifest": "sha256:C",
          "component": "sha256:D",
          "size": 1384,
          "contract": "0.1.0",
          "world": "decoder"
        }
      ]
    }
    "#);
    // Only what was lost is fetched again, in place of what is there.
    site.desk.write(&format!("plugins/{}", named("echo")), "another");
    insta::assert_snapshot!(site.fetched(""), @"
    fetched HOST/team/zone:1.2.0@sha256:A, a decoder
    has HOST/team/pods:1.2.0@sha256:B, a transform
    ");
    assert_eq!(site.desk.read(&format!("plugins/{}", named("echo"))), guests::component("echo"));
    // What no config names stays, until that is asked for.
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    site.fetched("");
    assert_eq!(site.files().len(), 5);
    insta::assert_snapshot!(site.fetched(" --prune"), @"
    has HOST/team/zone:1.2.0@sha256:A, a decoder
    removed HOST/team/pods:1.2.0@sha256:B
    ");
    assert_eq!(site.files(), files(&[named("echo"), manifest(&zone)]));
    // Nobody is asked any more.
    drop(site.registry.take());
    let (code, served) = site.served(" --plugins.dir=plugins");
    assert_eq!(code, 0, "{served}");
    assert!(
        served.contains("ebpf_exporter_work_hash_total{id=\"2\",text=\"t2\"} 1200"),
        "{served}"
    );
    site.config("{zone: {file: echo.wasm}}");
    assert_eq!(site.served(" --plugins.dir=."), (0, served));
}

pub fn what_was_not_fetched_or_was_changed_is_not_served() {
    let site = Site::new();
    let (zone, next) = (site.pushed("echo", "zone"), site.pushed("pass", "next"));
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    let (code, said) = site.served("");
    insta::assert_snapshot!(format!("{code} {said}"), @"
    3 configs/work.yaml:1: plugins.zone.oci: a plugin of a registry needs --plugins.dir; name the directory that was filled by `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: there is no plugins/plugins.lock; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    site.fetched("");
    let file = format!("plugins/{}", named("echo"));
    site.desk.write(&file, "another");
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/sha256-A.wasm was changed: its SHA-256 is B; find out who has done that, then run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    fs::remove_file(site.desk.path(&file)).unwrap();
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: there is no plugins/sha256-A.wasm, which plugins.lock names; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    site.fetched("");
    // Another plugin than the one that the lock has is not found in it, whatever its tag is.
    let moved = format!("{}@{}", zone.split('@').next().unwrap(), next.split('@').nth(1).unwrap());
    site.config(&format!("{{zone: {{oci: '{moved}'}}}}"));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/plugins.lock has no HOST/team/zone:1.2.0@sha256:A; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    // The pin of the file counts too.
    site.config(&format!("{{zone: {{oci: '{zone}', sha256: {}}}}}", &next[next.len() - 64..]));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.sha256: the file's SHA-256 is A, not the one that is pinned; find out where the file comes from, and if it is right write `sha256: A`
    error: 1 fault in the configs; nothing was loaded
    ");
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    assert_eq!(site.served(" --plugins.dir=plugins").0, 0);
    // What it says of a plugin has to be so.
    let lock = String::from_utf8(site.desk.read("plugins/plugins.lock")).unwrap();
    site.desk.write("plugins/plugins.lock", &lock.replace("decoder", "transform"));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/plugins.lock is damaged: it has HOST/team/zone:1.2.0@sha256:A as something else than a decoder for 0.1.0; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    site.desk.write("plugins/plugins.lock", &lock.replace("\"0.1.0\"", "\"0.2.0\""));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/plugins.lock is damaged: it has HOST/team/zone:1.2.0@sha256:A as something else than a decoder for 0.1.0; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    // A damaged lock is not written over.
    site.desk.write("plugins/plugins.lock", &lock.replace("decoder", "decoders"));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/plugins.lock is damaged: a world is neither `decoder` nor `transform`; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    let (code, said) = site.said(&format!("{FETCH} --plain-http"));
    insta::assert_snapshot!(format!("{code} {said}"), @"3 error: plugins/plugins.lock is damaged: a world is neither `decoder` nor `transform`; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs");
}

pub fn what_cannot_be_fetched_keeps_nothing_else_away() {
    let site = Site::new();
    let zone = site.pushed("echo", "zone");
    let (gone, down) = ("0".repeat(64), "1".repeat(64));
    let plugins = format!(
        "\n  gone: {{oci: '{}/team/gone@sha256:{gone}'}}
  down: {{oci: 'localhost:1/team/zone@sha256:{down}'}}
  zone: {{oci: '{zone}'}}",
        site.host
    );
    site.config(&plugins);
    let (code, said) = site.said(&format!("{FETCH} --plain-http"));
    insta::assert_snapshot!(format!("{code} {said}"), @"
    1 fetched HOST/team/zone:1.2.0@sha256:A, a decoder
    error: configs/work.yaml:2: plugins.gone.oci: HOST has no manifest sha256:B of team/gone; `plugin list HOST/team/gone` lists the tags that there are
      configs/work.yaml:3: plugins.down.oci: failed to ask localhost:1: client error (Connect): tcp connect error: Connection refused (os error 111); see whether the host is the right one, and can be reached
    ");
    assert_eq!(site.files(), files(&[named("echo"), manifest(&zone)]));
    site.config("{zone: {oci: 'zone'}, pods: {}}");
    let (code, said) = site.said(&format!("{FETCH} --plain-http"));
    insta::assert_snapshot!(format!("{code} {said}"), @"
    3 error: configs/work.yaml:1: plugins.zone.oci: `zone` names nothing in a registry: it begins with no registry's host; write REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/plugins/zone:1.2.0
      configs/work.yaml:1: plugins.pods: the plugin has no file; add `file:` with its .wasm, or `oci:` with its reference in a registry
    ");
    // Only one at a time writes there.
    let taken = lock::take(&site.desk.path("plugins")).unwrap();
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    let (code, said) = site.said(&format!("{FETCH} --plain-http --timeout=100ms"));
    insta::assert_snapshot!(format!("{code} {said}"), @"1 error: another process fetches into plugins, for 100ms now; wait for it, then try again, or raise --timeout");
    drop(taken);
    let (code, said) = site.said("plugin fetch --config.dir=configs --config.names=work");
    insta::assert_snapshot!(format!("{code} {said}"), @"2 error: plugin fetch needs --plugins.dir; name the directory to fetch into");
    let (code, said) = site.said("plugin fetch --config.dir=configs --plugins.dir=plugins");
    insta::assert_snapshot!(format!("{code} {said}"), @"2 error: --config.dir=configs needs --config.names; it holds work");
    let (code, said) = site.said("plugin fetch --plugins.dir=plugins");
    insta::assert_snapshot!(format!("{code} {said}"), @"0 no config names a plugin of a registry");
}

pub fn what_fetches_have_left_is_removed() {
    let site = Site::new();
    let (zone, pods) = (site.pushed("echo", "zone"), site.pushed("pass", "pods"));
    site.config(&format!("{{zone: {{oci: '{zone}'}}, pods: {{oci: '{pods}'}}}}"));
    site.fetched("");
    let whole = site.files();
    let (digest, other) = ("d".repeat(64), Digest::of(b"other"));
    let unfinished =
        [format!(".sha256-{digest}.json.GngxJ9.new"), ".plugins.lock.GngxJ9.new".to_owned()];
    let part = format!(".sha256-{other}.wasm.{other}.part");
    let unnamed = [part, format!("sha256-{digest}.json"), format!("sha256-{digest}.wasm")];
    let strange = ["zone.wasm".to_owned(), format!(".sha256-{digest}.tar.GngxJ9.new")];
    for name in unfinished.iter().chain(&unnamed).chain(&strange) {
        site.desk.write(&format!("plugins/{name}"), "left");
    }
    let left = |more: &[&[String]]| {
        let mut names = [&whole[..], &more.concat()].concat();
        names.sort_unstable();
        names
    };
    site.fetched("");
    assert_eq!(site.files(), left(&[&unnamed, &strange]));
    // While anything cannot be had, nothing goes that may be in use.
    let gone = format!("{}/team/gone@sha256:{digest}", site.host);
    site.config(&format!("{{zone: {{oci: '{zone}'}}, gone: {{oci: '{gone}'}}}}"));
    let (code, said) = site.said(&format!("{FETCH} --plain-http --prune"));
    insta::assert_snapshot!(format!("{code} {said}"), @"
    1 has HOST/team/zone:1.2.0@sha256:A, a decoder
    nothing is removed before all can be had
    error: configs/work.yaml:1: plugins.gone.oci: HOST has no manifest sha256:B of team/gone; `plugin list HOST/team/gone` lists the tags that there are
    ");
    assert_eq!(site.files(), left(&[&unnamed, &strange]));
    site.config(&format!("{{zone: {{oci: '{zone}'}}, pods: {{oci: '{pods}'}}}}"));
    site.fetched(" --prune");
    assert_eq!(site.files(), left(&[&strange]));
}

/// Whatever comes from a registry without a policy.
pub fn that_nobody_is_asked_for_a_signature_is_said() {
    let site = Site::new();
    let zone = site.pushed("echo", "zone");
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    site.desk.write("policy.yaml", "rules: [{repositories: ['*'], unsigned: true}]");
    let told = |words: &str| {
        let (code, said) = site.told(&format!("{words} --plain-http"));
        assert_eq!(code, 0, "{said}");
        let warned = said.lines().find(|line| line.contains(" WARN "));
        warned.map(|line| line.split_once(" WARN ").unwrap().1.to_owned())
    };
    for words in [FETCH.to_owned(), format!("plugin pull {zone}")] {
        let said = told(&words).unwrap();
        assert!(
            said.contains(" whoever has signed them; say who may in a file of --plugins.policy"),
            "{said}"
        );
        assert_eq!(told(&format!("{words} --plugins.policy=policy.yaml")), None, "{words}");
    }
}

pub fn who_fetches_waits_for_who_does() {
    let site = Site::new();
    let zone = site.pushed("echo", "zone");
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    let fetch = || site.fetched("");
    let said = thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(fetch)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(said.iter().filter(|said| said.starts_with("fetched ")).count(), 1, "{said:?}");
    assert_eq!(said.iter().filter(|said| said.starts_with("has ")).count(), 5, "{said:?}");
}

pub fn what_is_newer_is_told() {
    let site = Site::new();
    let zone = site.pushed("echo", "zone");
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    let outdated = || {
        let words = "plugin outdated --config.dir=configs --config.names=work --plain-http";
        let (code, said) = site.said(words);
        format!("{code} {said}")
    };
    insta::assert_snapshot!(outdated(), @"0 HOST/team/zone:1.2.0@sha256:A is the newest");
    for words in ["zone:1.10.0", "zone:2.0.0-rc.1", "zone:edge", "zone:1.2.0 --force"] {
        let words = format!("push pass.wasm {}/team/{words} --plain-http", site.host);
        site.desk.done(&words, &site.host);
    }
    insta::assert_snapshot!(outdated(), @"
    0 HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.2.0@sha256:B
    HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.10.0@sha256:C
    ");
    let digest = zone.split('@').nth(1).unwrap();
    site.config(&format!("{{zone: {{oci: '{}/team/gone:1.0.0@{digest}'}}}}", site.host));
    insta::assert_snapshot!(outdated(), @"1 error: configs/work.yaml:1: plugins.zone.oci: HOST has no repository team/gone; see whether the name is the right one");
}

pub fn newer_ones_are_written_into_configs() {
    let site = Site::new();
    let zone = site.pushed("echo", "zone");
    for words in ["zone:1.10.0", "zone:2.0.0", "zone:edge"] {
        let words = format!("push pass.wasm {}/team/{words} --plain-http", site.host);
        site.desk.done(&words, &site.host);
    }
    let read = || {
        let text = fs::read_to_string(site.desk.path("configs/work.yaml")).unwrap();
        lettered(&text.lines().next().unwrap().replace(&site.host, "HOST"))
    };
    let update = |more: &str| {
        let words = "plugin update --config.dir=configs --config.names=work --plain-http";
        let (code, said) = site.said(&format!("{words}{more}"));
        format!("{code} {said}")
    };
    site.config(&format!("{{zone: {{oci: '{zone}'}}}} # pinned"));
    insta::assert_snapshot!(update(" --dry-run"), @"0 HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.10.0@sha256:B");
    insta::assert_snapshot!(read(), @"plugins: {zone: {oci: 'HOST/team/zone:1.2.0@sha256:A'}} # pinned");
    insta::assert_snapshot!(update(""), @"
    0 HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.10.0@sha256:B
    wrote configs/work.yaml
    ");
    insta::assert_snapshot!(read(), @"plugins: {zone: {oci: 'HOST/team/zone:1.10.0@sha256:A'}} # pinned");
    insta::assert_snapshot!(update(""), @"0 HOST/team/zone:1.10.0@sha256:A stays: what is newer may need other settings; --latest takes 2.0.0");
    insta::assert_snapshot!(update(" --latest"), @"
    0 HOST/team/zone:1.10.0@sha256:A → HOST/team/zone:2.0.0@sha256:B
    wrote configs/work.yaml
    ");
    insta::assert_snapshot!(update(""), @"0 HOST/team/zone:2.0.0@sha256:A is the newest");
    // What else has it stays.
    site.config(&format!("\n  zone:\n    oci: '{zone}'\n    settings: {{note: '{zone}'}}"));
    insta::assert_snapshot!(update(""), @"
    0 HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.10.0@sha256:B
    wrote configs/work.yaml
    ");
    let text = fs::read_to_string(site.desk.path("configs/work.yaml")).unwrap();
    let text = lettered(&text.replace(&site.host, "HOST"));
    insta::assert_snapshot!(text.lines().skip(1).take(3).collect::<Vec<_>>().join("\n"), @"
    zone:
      oci: 'HOST/team/zone:1.10.0@sha256:A'
      settings: {note: 'HOST/team/zone:1.2.0@sha256:B'}
    ");
    // Its file is pinned too, and would be another.
    site.config(&format!("{{zone: {{oci: '{zone}', sha256: '{:064}'}}}}", 0));
    insta::assert_snapshot!(update(""), @"
    1 HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.10.0@sha256:B
    error: configs/work.yaml:1: plugins.zone.sha256: `sha256` pins the file of the plugin that is named now; write HOST/team/zone:1.10.0@sha256:B, and the other plugin's `sha256` or none
    ");
    // Written as only YAML reads it.
    site.config(&format!("{{zone: {{oci: \"{}\"}}}}", zone.replace("zone", "z\\u006fne")));
    insta::assert_snapshot!(update(""), @"
    1 HOST/team/zone:1.2.0@sha256:A → HOST/team/zone:1.10.0@sha256:B
    error: configs/work.yaml:1: plugins.zone.oci: the reference cannot be changed here without changing anything else; write what stands behind the arrow by hand
    ");
    let before = zone.replace(":1.2.0", ":gone");
    site.config(&format!("{{zone: {{oci: '{before}'}}}}"));
    insta::assert_snapshot!(update(""), @"0 HOST/team/zone:gone@sha256:A stays: there is no such tag any more; --latest takes 2.0.0");
}

pub fn what_was_swapped_is_not_served() {
    let site = Site::new();
    let (zone, pods) = (site.pushed("echo", "zone"), site.pushed("pass", "pods"));
    site.config(&format!("{{zone: {{oci: '{zone}'}}, pods: {{oci: '{pods}'}}}}"));
    site.fetched("");
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    let read = |name: &str| String::from_utf8(site.desk.read(&format!("plugins/{name}"))).unwrap();
    let write = |name: &str, text: &str| site.desk.write(&format!("plugins/{name}"), text);
    let (lock, good, other) =
        (read("plugins.lock"), read(&manifest(&zone)), read(&manifest(&pods)));
    // The manifest of another plugin, whose component is there.
    write(&manifest(&zone), &other);
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/sha256-A.json was changed: its SHA-256 is B; find out who has done that, then run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    write(&manifest(&zone), &good);
    // A lock that has another component.
    let [echo, pass] = ["echo", "pass"].map(|guest| Digest::of(&guests::component(guest)));
    write("plugins.lock", &lock.replace(&echo.to_string(), &pass.to_string()));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/plugins.lock is damaged: it has another component for HOST/team/zone:1.2.0@sha256:A than the manifest; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    // A lock that has another manifest by the name of this one.
    let [zone_hex, pods_hex] = [&zone, &pods].map(|pinned| &pinned[pinned.len() - 64..]);
    let swapped = lock.replace(zone_hex, "OTHER").replace(pods_hex, zone_hex);
    write("plugins.lock", &swapped.replace("OTHER", pods_hex));
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/plugins.lock is damaged: it has another component for HOST/team/pods:1.2.0@sha256:A than the manifest; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    write("plugins.lock", &lock);
    fs::remove_file(site.desk.path(&format!("plugins/{}", manifest(&zone)))).unwrap();
    insta::assert_snapshot!(site.refused(), @"
    configs/work.yaml:1: plugins.zone.oci: there is no plugins/sha256-A.json, which plugins.lock names; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    // What was swapped is fetched again.
    site.fetched("");
    assert_eq!(site.served(" --plugins.dir=plugins").0, 0);
}

/// These names and that of the lock, sorted.
fn files(names: &[String]) -> Vec<String> {
    let mut names = [names, &["plugins.lock".to_owned()]].concat();
    names.sort_unstable();
    names
}

/// The name of the file of a manifest.
fn manifest(pinned: &str) -> String {
    format!("sha256-{}.json", &pinned[pinned.len() - 64..])
}

/// The name of a guest's file.
fn named(guest: &str) -> String {
    format!("sha256-{}.wasm", Digest::of(&guests::component(guest)))
}
