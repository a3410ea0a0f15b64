//! The chart of `deploy/helm`, as helm renders it with each set of values of its directory `ci`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use ebpf_wasm_exporter::cli::Flags;
use regex::Regex;
use serde::Deserialize;
use serde_yaml::Value;

use crate::{EXPORTER, ROOT, ask, read};

const CHART: &str = "deploy/helm/ebpf-wasm-exporter";

fn helm() -> Command {
    let mut command = Command::new("helm");
    command.current_dir(Path::new(ROOT).join(CHART));
    command
}

/// The sets of values, by their files' names, in the order of these.
pub fn sets() -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(ROOT).join(CHART).join("ci")).unwrap();
    let mut sets: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    sets.sort();
    assert!(sets.len() > 4);
    sets
}

/// What helm makes of the chart with a file of values, as text.
pub fn rendered(values: &Path) -> Result<String, String> {
    ask(helm().args(["template", "try", ".", "--namespace=metrics", "--values"]).arg(values))
}

/// The objects in a text of YAML.
pub fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let all = documents.map(|document| Value::deserialize(document).unwrap());
    all.filter(|object| !object.is_null()).collect()
}

/// The DaemonSet's pod, of each set of values.
fn pods() -> impl Iterator<Item = (PathBuf, Value)> {
    sets().into_iter().map(|set| {
        let objects = objects(&rendered(&set).unwrap());
        let daemons = objects.into_iter().find(|object| object["kind"] == "DaemonSet").unwrap();
        (set, daemons["spec"]["template"]["spec"].clone())
    })
}

/// A list in a value; empty if there is none.
fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_sequence().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    list(value, key).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The containers of a pod, those that are over before the others begin too.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "initContainers").iter().chain(list(pod, "containers"))
}

pub fn helm_takes_every_set_of_values() {
    for set in sets() {
        let said = ask(helm().args(["lint", "--strict", ".", "--values"]).arg(&set));
        said.unwrap_or_else(|said| panic!("{}: {said}", set.display()));
    }
}

/// As the image starts it: behind the flags of its own.
pub fn the_exporter_takes_every_flag() {
    for (set, pod) in pods() {
        for container in containers(&pod) {
            let command = texts(container, "command");
            let program = if command.is_empty() { vec!["exporter".to_owned()] } else { command };
            let typed = program.into_iter().chain(texts(container, "args"));
            Flags::try_parse_from(typed)
                .unwrap_or_else(|fault| panic!("{}: {fault}", set.display()));
        }
    }
}

pub fn no_container_has_more_rights_than_it_needs() {
    for (set, pod) in pods() {
        for container in containers(&pod) {
            let rights = &container["securityContext"];
            let set = set.display();
            assert_eq!(rights["allowPrivilegeEscalation"], Value::Bool(false), "{set}");
            assert_eq!(rights["readOnlyRootFilesystem"], Value::Bool(true), "{set}");
            assert_eq!(texts(&rights["capabilities"], "drop"), ["ALL"], "{set}");
            assert_ne!(rights["privileged"], Value::Bool(true), "{set}");
            let root = container["name"] == "exporter";
            assert_eq!(rights["runAsUser"], Value::from(if root { 0 } else { 65532 }), "{set}");
            assert!(root || rights["capabilities"]["add"].is_null(), "{set}");
        }
        let writable: Vec<_> = list(&pod, "volumes")
            .iter()
            .filter(|volume| !volume["hostPath"].is_null())
            .filter(|volume| !mounted_to_read(&pod, &volume["name"]))
            .map(|volume| volume["name"].as_str().unwrap())
            .collect();
        assert!(writable.iter().all(|name| *name == "cache"), "{}: {writable:?}", set.display());
    }
    let (_, pod) = pods().find(|(set, _)| set.ends_with("default-values.yaml")).unwrap();
    let exporter = containers(&pod).next().unwrap();
    let added = texts(&exporter["securityContext"]["capabilities"], "add");
    let chapter = read("docs/src/operate/containers.md");
    let (command, _) = chapter.split_once("--read-only").unwrap();
    let told: Vec<_> =
        command.split("--cap-add ").skip(1).map(|rest| rest.split(' ').next().unwrap()).collect();
    assert_eq!(added, told, "docker run and the chart need the same");
}

fn mounted_to_read(pod: &Value, volume: &Value) -> bool {
    let mounts = containers(pod).flat_map(|container| list(container, "volumeMounts"));
    let mut mounts = mounts.filter(|mount| mount["name"] == *volume);
    mounts.all(|mount| mount["readOnly"] == Value::Bool(true))
}

pub fn one_container_alone_has_a_token() {
    for (set, pod) in pods() {
        assert_eq!(pod["automountServiceAccountToken"], Value::Bool(false), "{}", set.display());
        let holds = |container: &&Value| {
            list(container, "volumeMounts").iter().any(|mount| mount["name"] == "token")
        };
        let holders: Vec<_> =
            containers(&pod).filter(holds).map(|holder| &holder["name"]).collect();
        assert!(holders.iter().all(|name| **name == "pods"), "{}", set.display());
    }
}

/// Two releases of one name, in two namespaces, are two.
pub fn what_a_cluster_has_once_is_called_by_the_namespace() {
    let all = sets().into_iter().flat_map(|set| objects(&rendered(&set).unwrap()));
    let of_cluster: Vec<_> =
        all.filter(|object| object["metadata"]["namespace"].is_null()).collect();
    assert!(of_cluster.len() >= 4);
    for object in of_cluster {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("metrics:") && name.ends_with(":pods"), "{name}");
        if object["kind"] == "ClusterRoleBinding" {
            assert_eq!(object["roleRef"]["name"], name);
        }
    }
}

pub fn probes_ask_as_the_web_config_lets_them() {
    let probe = |web: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("web: {{port: 9999, {web}}}")).unwrap();
        let objects = objects(&rendered(file.path()).unwrap());
        let daemons = objects.into_iter().find(|object| object["kind"] == "DaemonSet").unwrap();
        let container = &list(&daemons["spec"]["template"]["spec"], "containers")[0];
        let [start, life, ready] =
            ["startupProbe", "livenessProbe", "readinessProbe"].map(|name| {
                let mut probe = container[name].clone();
                probe.as_mapping_mut().unwrap().retain(|key, _| {
                    !key.as_str().unwrap().contains("Seconds") && key != "failureThreshold"
                });
                probe
            });
        assert_eq!(start, ready, "{web}");
        (life, ready)
    };
    let yaml = |text: &str| -> Value { serde_yaml::from_str(text).unwrap() };
    let page = |path: &str, scheme: &str| {
        yaml(&format!("httpGet: {{path: {path}, port: http, scheme: {scheme}}}"))
    };
    assert_eq!(probe(""), (page("/-/healthy", "HTTP"), page("/-/ready", "HTTP")));
    assert_eq!(probe("scheme: HTTPS"), (page("/-/healthy", "HTTPS"), page("/-/ready", "HTTPS")));
    for (web, flags) in
        [("", vec![":9999"]), (", scheme: HTTPS", vec!["--insecure", "https://:9999"])]
    {
        let (life, ready) = probe(&format!("probe: exec{web}"));
        assert_eq!(life, ready);
        let command = texts(&life["exec"], "command");
        assert_eq!(command[..2], ["/usr/bin/ebpf_wasm_exporter", "healthcheck"]);
        assert_eq!(command[2..], flags);
        Flags::try_parse_from(command).unwrap();
    }
    let tcp = yaml("tcpSocket: {port: http}");
    assert_eq!(probe("probe: tcp, scheme: HTTPS"), (tcp.clone(), tcp));
}

pub fn what_makes_no_sense_is_said() {
    let said = |values: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("values.yaml");
        fs::write(&file, values).unwrap();
        let said = rendered(&file).expect_err(values);
        // Where in the templates it was found says nothing to who wrote the values.
        let said =
            Regex::new(r"(?s)^Error: (execution error at \(\S+\): )?(.*?)(\nUse --debug.*)?$")
                .unwrap()
                .replace(said.trim(), "$2")
                .into_owned();
        let lines = said.lines().filter(|line| !line.is_empty());
        lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(said("config: {configMap: mine, examples: true, names: [a]}"),
        @"config has configMap and examples; set one of them");
    insta::assert_snapshot!(said("config: {configMap: mine}"),
        @"config.configMap has configs, and none is named; name in config.names those to serve");
    insta::assert_snapshot!(said("config: {files: {a.yaml: x}}"),
        @"config.files has a.yaml, and config.objects has no a.bpf.o; add it, in base64");
    insta::assert_snapshot!(
        said("config: {names: [b], files: {a.yaml: x}, objects: {a.bpf.o: eA==}}"),
        @"config.names has b, and config.files has no b.yaml; add it");
    insta::assert_snapshot!(said("plugins: {configMap: mine, fetch: {enabled: true}}"),
        @"plugins has configMap and fetch; set one of them");
    insta::assert_snapshot!(said("plugins: {fetch: {enabled: true}}"),
        @"plugins.fetch gets what configs name, and there are none of yours; set config.files or config.configMap");
    insta::assert_snapshot!(said("privileged: true"), @r"
    values don't meet the specifications of the schema(s) in the following chart(s):
    ebpf-wasm-exporter:
    - at '': additional properties 'privileged' not allowed
    ");
    insta::assert_snapshot!(said("capabilities: [ALL]"), @r"
    values don't meet the specifications of the schema(s) in the following chart(s):
    ebpf-wasm-exporter:
    - at '/capabilities/0': value must be one of 'BPF', 'DAC_READ_SEARCH', 'NET_ADMIN', 'NET_BIND_SERVICE', 'PERFMON', 'SETGID', 'SETPCAP', 'SETUID', 'SYSLOG', 'SYS_ADMIN', 'SYS_PTRACE', 'SYS_RESOURCE'
    ");
    insta::assert_snapshot!(said("config: {objects: {a.bpf.o: 'no base64!'}}"), @r"
    values don't meet the specifications of the schema(s) in the following chart(s):
    ebpf-wasm-exporter:
    - at '/config/objects/a.bpf.o': 'no base64!' does not match pattern '^[A-Za-z0-9+/\\s]+={0,2}\\s*$'
    ");
}

pub fn versions_are_those_of_the_exporter() {
    let chart: Value = serde_yaml::from_str(&read(Path::new(CHART).join("Chart.yaml"))).unwrap();
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
}

/// Who reads the values finds each key that the schema takes.
pub fn every_value_is_in_the_schema() {
    let chart =
        |file: &str| -> Value { serde_yaml::from_str(&read(Path::new(CHART).join(file))).unwrap() };
    let (values, schema) = (chart("values.yaml"), chart("values.schema.json"));
    let keys = |value: &Value| -> BTreeSet<String> {
        let keys = value.as_mapping().unwrap().keys();
        keys.map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    let properties =
        |schema: &Value, section: &str| keys(&schema["properties"][section]["properties"]);
    let mut known = keys(&schema["properties"]);
    known.remove("global");
    assert_eq!(keys(&values), known);
    for section in ["image", "config", "plugins", "web", "pods", "podMonitor"] {
        assert_eq!(keys(&values[section]), properties(&schema, section), "{section}");
    }
}

/// A ConfigMap is mounted as links through a directory that is replaced as a whole.
pub fn configs_of_a_mounted_map_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let now = dir.path().join("..2026_11_29");
    fs::create_dir(&now).unwrap();
    symlink("..2026_11_29", dir.path().join("..data")).unwrap();
    let example = Path::new(ROOT).join("examples/timers.yaml");
    fs::copy(example, now.join("timers.yaml")).unwrap();
    symlink("..data/timers.yaml", dir.path().join("timers.yaml")).unwrap();
    let mut command = Command::new(EXPORTER);
    command.arg("--config.dir").arg(dir.path()).args(["--config.names=timers", "--config.check"]);
    let said = ask(&mut command).expect_err("there is no object");
    assert!(said.contains("timers.bpf.o") && !said.contains("timers.yaml cannot"), "{said}");
}
