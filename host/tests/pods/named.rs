//! From a kubelet to labels: `pods` keeps its list, and an exporter in its sandbox names what it counts by it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kubelet::Kubelet;
use crate::typed::{Desk, Running, until};

/// Where `make plugins` puts what it builds.
fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins")
}

/// Why nothing can be named here.
pub fn lacks() -> Option<String> {
    let there = plugins().join("cgroup-pod.wasm").exists();
    (!there).then(|| "no cgroup-pod.wasm; `make plugins` builds it".to_owned())
}

const APP: &str = "f5e9bf0fc03d32bb241b783c06d005449ec3c82069fb337c3c1ebecce9578c32";
const MESH: &str = "2501c9dceb86f36c0b3f8fde80ab98620e668ff77e1b2b66996fd9d6feb825b9";
const POSTGRES: &str = "25d94bb336578d3327a944409ee264149eab1209a51c1290363f1febe819c1f9";
const SHELL: &str = "83069a4373b0f3c6f8773bd26afa2e3c13b76249d5177104dead58f32561ae08";
/// A container and its pod that come later.
const LATE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const LATE_POD: &str = "11111111-2222-4333-8444-555555555555";
/// One that no list has at first, as if it were the pause container of its pod.
const AGAIN: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const WEB: &str = "fb4b457e-454a-41d8-86a1-d4aef765538a";
const SHELL_POD: &str = "47558299-fa51-45e6-8167-b95829264167";

/// A config of the recorded workload whose rows are counted in these cgroups.
fn config() -> String {
    let slice = |pod: &str| format!("/kubepods.slice/kubepods-pod{}.slice", pod.replace('-', "_"));
    let scope = |pod: &str, id: &str| format!("{}/cri-containerd-{id}.scope", slice(pod));
    let paths = [
        scope(WEB, APP),
        format!("/kubepods/pod{WEB}/{APP}"),
        scope("d5e4c6e1-b333-4793-8556-bfbf43b899c5", POSTGRES),
        scope(WEB, AGAIN),
        scope(LATE_POD, LATE),
        "/system.slice/ssh.service".to_owned(),
        slice(WEB),
        format!("{}/crio-{SHELL}.scope", slice(SHELL_POD)),
        scope(WEB, MESH),
    ];
    let paths = paths.iter().enumerate().map(|(id, path)| format!("{id}: {path}"));
    let paths = paths.collect::<Vec<_>>().join(", ");
    format!(
        "plugins:
  pods:
    file: cgroup-pod.wasm
    data: {{file: pods.json, refresh: 1s}}
    settings: {{add: [namespace, pod, container, workload_kind, workload]}}
metrics:
  counters:
    - name: work_lru_hash_total
      help: By container
      labels:
        - name: cgroup
          size: 8
          decoders: [{{name: uint}}, {{name: static_map, static_map: {{{paths}}}}}]
      transforms: [{{plugin: pods}}]
"
    )
}

/// An exporter that serves the recorded workload with the config of this desk.
struct Exporter {
    url: String,
    _running: Running,
}

impl Exporter {
    fn start(desk: &Desk) -> Self {
        let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/many.rec");
        let mut running = desk.start(&format!(
            "replay {} --config.dir=. --config.names=workload --plugins.dir={} --web.listen-address=127.0.0.1:0",
            recording.display(),
            plugins().display()
        ));
        let mut said = Vec::new();
        loop {
            let line = running.line();
            assert!(!line.is_empty(), "it ended before it served: {said:#?}");
            if let Some((_, url)) = line.split_once(" at http://") {
                return Self { url: format!("http://{url}"), _running: running };
            }
            said.push(line);
        }
    }

    /// The series of the metric, sorted.
    fn series(&self) -> String {
        let text = ureq::get(&self.url).call().unwrap().body_mut().read_to_string().unwrap();
        let lines =
            text.lines().filter_map(|line| line.strip_prefix("ebpf_exporter_work_lru_hash_total"));
        let mut lines: Vec<_> = lines.collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

pub fn series_come_and_go_with_their_pods() {
    let (kubelet, desk) = (Kubelet::start("secret"), Desk::new());
    let url = kubelet.safe(&desk.path(""));
    desk.write("token", "secret");
    desk.write("workload.yaml", &config());
    let mut keeping = desk.start(&format!(
        "pods --kubelet.url={url} --kubelet.ca-file=ca.pem --kubelet.token-file=token -o pods.json --refresh=100ms"
    ));
    assert_eq!(keeping.line(), "INFO wrote pods.json: 8 pods");
    let exporter = Exporter::start(&desk);
    let first = exporter.series();
    insta::assert_snapshot!(first, @r#"
    {namespace="",pod="",container="",workload_kind="",workload=""} 333
    {namespace="default",pod="shell",container="shell",workload_kind="Pod",workload="shell"} 333
    {namespace="shop",pod="db-0",container="postgres",workload_kind="StatefulSet",workload="db"} 334
    {namespace="shop",pod="web-6d4cf56db6-x7k2p",container="",workload_kind="Deployment",workload="web"} 333
    {namespace="shop",pod="web-6d4cf56db6-x7k2p",container="app",workload_kind="Deployment",workload="web"} 668
    {namespace="shop",pod="web-6d4cf56db6-x7k2p",container="mesh",workload_kind="Deployment",workload="web"} 333
    "#);

    // A pod goes.
    kubelet.change(|pods| pods.retain(|pod| pod["metadata"]["name"] != "db-0"));
    until("its series has gone", || !exporter.series().contains("db-0"));
    let others: Vec<_> = first.lines().filter(|line| !line.contains("db-0")).collect();
    assert_eq!(exporter.series(), others.join("\n"));

    // One comes, and brings all that it has counted.
    kubelet.change(|pods| {
        pods.push(json!({
            "metadata": {"name": "late-0", "namespace": "shop", "uid": LATE_POD},
            "status": {"containerStatuses": [{"name": "app", "containerID": format!("containerd://{LATE}")}]},
        }));
    });
    until("its series has come", || exporter.series().contains("late-0"));
    let last = exporter.series();
    let (new, others_of_last): (Vec<_>, Vec<_>) =
        last.lines().partition(|line| line.contains("late-0"));
    assert_eq!(others_of_last, others);
    insta::assert_snapshot!(new.join("\n"), @r#"{namespace="shop",pod="late-0",container="app",workload_kind="Pod",workload="late-0"} 333"#);

    // A container is started again: it has another id, and what both have counted.
    kubelet.change(|pods| {
        let of = |pod: &&mut Value| pod["metadata"]["uid"] == WEB;
        let web = pods.iter_mut().find(of).unwrap();
        web["status"]["containerStatuses"][0]["containerID"] =
            json!(format!("containerd://{AGAIN}"));
    });
    let count = || {
        let series = exporter.series();
        let app =
            series.lines().find(|line| line.contains("container=\"app\",workload_kind=\"Deploy"));
        app.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    until("both are counted", || {
        let count = count();
        assert!(count >= Some(668), "it fell to {count:?}");
        count == Some(668 + 333)
    });
    let (code, _) = keeping.end();
    assert_eq!(code, 0);
}
