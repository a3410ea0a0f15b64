//! The plugins that we ship, in the examples that use them: the test makes things happen, and reads the labels
//! that become of them.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, id};
use std::thread;

use sha2::{Digest, Sha256};
use socket2::{Domain, Socket, Type};

use crate::configs::{Configs, KEY, plugins_of};
use crate::examples::{serve, serve_changed, value};
use crate::exporter::{BINARY, Exporter, copy_program, run};
use crate::guests;
use crate::object;
use crate::own_cgroup;

/// Why the example `name` cannot be served here.
pub fn lacks(name: &str) -> Option<String> {
    let yaml = fs::read_to_string(format!("{}/{name}.yaml", object::EXAMPLES)).unwrap();
    let missing: Vec<_> = plugins_of(&yaml).filter(|file| !object::plugin(file).exists()).collect();
    (!missing.is_empty()).then(|| format!("no {}; `make plugins` builds it", missing.join(", ")))
}

/// Why there is no IPv6 here.
pub fn no_ipv6() -> Option<String> {
    let error = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).err()?;
    Some(format!("no IPv6 here: {error}"))
}

/// Why no cgroup can be made here.
pub fn no_cgroups() -> Option<String> {
    let pod = Pod::try_new();
    pod.err().map(|error| format!("no cgroup v2 can be made here: {error}"))
}

/// Addresses of a network that nobody else uses.
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 2);
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 3);

/// Adds a zone of the test's own to the settings of `tcp-connections`.
fn with_zone(yaml: String) -> String {
    let (line, mine) = ("127.0.0.0/8: loopback\n", "127.77.0.0/16: mine\n        \"::1\": mine6\n");
    let yaml = yaml.replace("        \"::1\": loopback ", "        #");
    assert_eq!(yaml.matches(line).count(), 1);
    yaml.replace(line, &format!("{line}        {mine}"))
}

/// Connects so often, from `client` to a server at `server`.
fn connect(client: IpAddr, server: IpAddr, times: usize) {
    let listener = TcpListener::bind((server, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..times {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        listener.accept().unwrap();
    }
}

fn connections(metrics: &str, zone: &str, direction: &str) -> u64 {
    let labels = format!("zone=\"{zone}\",direction=\"{direction}\"");
    value(metrics, &format!("ebpf_exporter_tcp_connections_total{{{labels}}}"))
}

pub fn cidr_names_zones_of_tcp_connections() {
    let exporter = serve_changed("tcp-connections", with_zone);
    connect(CLIENT.into(), SERVER.into(), 30);
    let closed = TcpListener::bind((NOBODY, 0)).unwrap().local_addr().unwrap();
    for _ in 0..7 {
        let error = TcpStream::connect(closed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    let metrics = exporter.metrics();
    assert_eq!(connections(&metrics, "mine", "in"), 30, "{metrics}");
    assert_eq!(connections(&metrics, "mine", "out"), 30);
    let failures = |zone| format!("ebpf_exporter_tcp_connect_failures_total{{zone=\"{zone}\"}}");
    assert_eq!(value(&metrics, &failures("mine")), 7);
    // The scrapes themselves.
    assert!(connections(&metrics, "loopback", "in") >= 1);
    assert_eq!(connections(&metrics, "untracked", "in"), 0, "there was room for all");
}

pub fn cidr_names_zones_of_ipv6() {
    let exporter = serve_changed("tcp-connections", with_zone);
    let localhost = IpAddr::from(Ipv6Addr::LOCALHOST);
    connect(localhost, localhost, 5);
    let metrics = exporter.metrics();
    // Others on this host may use it too.
    assert!(connections(&metrics, "mine6", "in") >= 5, "{metrics}");
    assert!(connections(&metrics, "mine6", "out") >= 5);
}

/// A message of DNS with one question, of labels with a point between.
fn message(flags: u16, name: &str) -> Vec<u8> {
    let mut message = [0x1234, flags, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

const QUERY: u16 = 0x0100;
const ANSWER: u16 = 0x8180;

/// Sends them to the port of DNS, where somebody or nobody listens.
fn send(to: IpAddr, messages: &[Vec<u8>]) {
    let socket = UdpSocket::bind((to, 0)).unwrap();
    for message in messages {
        socket.send_to(message, (to, 53)).unwrap();
    }
}

fn queries(metrics: &str, domain: &str) -> u64 {
    value(metrics, &format!("ebpf_exporter_dns_queries_total{{domain=\"{domain}\"}}"))
}

pub fn domain_sums_dns_queries() {
    let exporter = serve("dns-queries");
    let id = id();
    let long = "x".repeat(63);
    let mut messages = vec![message(QUERY, &format!("wWw.Shop-{id}.cO.UK")); 12];
    messages.extend(vec![message(QUERY, &format!("a.b.c.shop-{id}.co.uk")); 3]);
    messages.extend(vec![message(QUERY, &format!("{long}.{long}.{long}.long-{id}.com")); 4]);
    messages.extend(vec![message(QUERY, &format!("www.user-{id}.github.io")); 2]);
    // What is no query: an answer, no end of the name, a compressed name, and nothing at all.
    messages.push(message(ANSWER, &format!("answer.no-{id}.com")));
    messages.push(message(QUERY, &format!("cut.no-{id}.com"))[..24].to_vec());
    let mut compressed = message(QUERY, &format!("compressed.no-{id}.com"));
    compressed[12] = 0xc0;
    messages.extend([compressed, Vec::new()]);
    send(Ipv4Addr::LOCALHOST.into(), &messages);
    let metrics = exporter.metrics();
    assert_eq!(queries(&metrics, &format!("shop-{id}.co.uk")), 15, "{metrics}");
    assert_eq!(queries(&metrics, &format!("long-{id}.com")), 4);
    assert_eq!(queries(&metrics, &format!("user-{id}.github.io")), 2);
    assert!(!metrics.contains(&format!("no-{id}")), "{metrics}");
    assert_eq!(value(&metrics, "ebpf_exporter_decoder_errors_total{config=\"dns-queries\"}"), 0);
}

pub fn domain_sums_dns_queries_over_ipv6() {
    let exporter = serve("dns-queries");
    let name = format!("www.six-{}.org", id());
    send(Ipv6Addr::LOCALHOST.into(), &vec![message(QUERY, &name); 6]);
    assert_eq!(queries(&exporter.metrics(), &name[4..]), 6);
}

/// A pod with one container, as kubelet and containerd would make it under systemd, without either.
struct Pod {
    root: PathBuf,
    pod: PathBuf,
    container: PathBuf,
    uid: String,
    id: String,
}

impl Pod {
    fn try_new() -> std::io::Result<Self> {
        let mount = own_cgroup::mount()?;
        let uid = format!("{:08x}-0000-4000-8000-000000000000", id());
        let id = format!("{:064x}", id());
        let root = mount.join(format!("e2e-{}", std::process::id()));
        let pod = root.join(format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_")));
        let container = pod.join(format!("cri-containerd-{id}.scope"));
        let made = Self { root, pod, container, uid, id };
        fs::create_dir_all(&made.container)?;
        Ok(made)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Those that are gone already are gone.
        for dir in [&self.container, &self.pod, &self.root] {
            let _ = fs::remove_dir(dir);
        }
    }
}

pub fn cgroup_pod_names_pods_and_containers() {
    let pod = Pod::try_new().unwrap();
    let exporter = serve("runqlat-pods");
    let script = "echo 0 > \"$0\"/cgroup.procs && for i in 1 2 3 4 5 6 7 8 9; do sleep 0.01; done";
    let status = Command::new("sh").args(["-c", script]).arg(&pod.container).status().unwrap();
    assert!(status.success());
    let series = |metrics: &str, name: &str, container: &str| {
        let unit = pod.container.file_name().unwrap().to_str().unwrap();
        let (id, unit) = if container.is_empty() { ("", "") } else { (container, unit) };
        let labels = format!(
            "pod_uid=\"{}\",container_id=\"{id}\",qos=\"burstable\",unit=\"{unit}\"",
            pod.uid
        );
        let sample = format!("ebpf_exporter_pod_run_queue_latency_seconds_{name}{{{labels}}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&sample)).map(str::to_owned)
    };
    let both = |metrics: &str, container: &str| {
        ["sum", "count"].map(|name| series(metrics, name, container))
    };
    let metrics = exporter.metrics();
    let [sum, count] = both(&metrics, &pod.id);
    // Each of them is woken when it is new and when it has slept, and the shell when it is gone.
    let waits: u64 = count.as_ref().expect("the container is there").parse().unwrap();
    assert!(waits >= 18, "{waits}");
    assert_eq!(both(&metrics, ""), [None, None], "nothing runs in the pod's own cgroup");

    // What it has counted outlives the container.
    fs::remove_dir(&pod.container).unwrap();
    let metrics = exporter.metrics();
    assert_eq!(both(&metrics, ""), [sum, count]);
    assert_eq!(both(&metrics, &pod.id), [None, None]);
}

/// The first 16 digits of HMAC-SHA256, as RFC 2104 has it.
fn hmac(key: &[u8], text: &str) -> String {
    let pad = |with: u8| {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        block.map(|byte| byte ^ with)
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    format!("{outer:x}")[..16].to_owned()
}

pub fn redact_hashes_users_and_paths() {
    assert_eq!(hmac(b"Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e", "RFC 4231");
    let exporter = serve("exec-paths");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("secret-project");
    copy_program("/bin/true", &program);
    for _ in 0..9 {
        assert!(Command::new(&program).status().unwrap().success());
    }
    let metrics = exporter.metrics();
    // SAFETY: it only asks.
    let user = unsafe { libc::getuid() }.to_string();
    let [user, path] =
        [&user, program.to_str().unwrap()].map(|text| hmac(KEY.trim_end().as_bytes(), text));
    let labels = format!("user=\"{user}\",path=\"{path}\"");
    let sample = format!("ebpf_exporter_process_execs_by_path_total{{{labels}}}");
    assert_eq!(value(&metrics, &sample), 9, "{metrics}");
    assert!(!metrics.contains("secret") && !metrics.contains("a key for"), "{metrics}");
}

pub fn relabel_makes_services_of_threads() {
    let exporter = serve("syscall-errors");
    let fail = |name: &str, times: usize| {
        let work = move || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            for _ in 0..times {
                let error = fs::remove_file("/").unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
                // Not counted.
                assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(work).unwrap().join().unwrap();
    };
    fail("nginx: e2e", 40);
    fail("nginx: other", 7);
    fail("e2e-unknown", 5);
    let metrics = exporter.metrics();
    let errors = |errno, service| {
        let labels = format!("errno=\"{errno}\",service=\"{service}\"");
        value(&metrics, &format!("ebpf_exporter_service_syscall_errors_total{{{labels}}}"))
    };
    assert_eq!(errors("EISDIR", "nginx"), 47, "{metrics}");
    assert!(errors("EISDIR", "other") >= 5, "{metrics}");
    assert!(!metrics.contains("EAGAIN") && !metrics.contains("comm="), "{metrics}");
}

/// One config, three files of the same name beside it, no rebuild: the file alone decides the label.
pub fn the_file_beside_a_config_decides_its_label() {
    let mut configs = Configs::new();
    let as_text = "            - name: inet_ip\n            - name: wasm\n";
    configs.add_example("tcp-connections", |yaml| {
        with_zone(yaml).replace("            - name: wasm\n", as_text)
    });
    let file = configs.path().join("cidr.wasm");
    let zones = |guest: Option<&str>| {
        if let Some(guest) = guest {
            fs::write(&file, guests::component(guest)).unwrap();
        }
        let exporter = Exporter::start(configs.flags());
        connect(CLIENT.into(), SERVER.into(), 20);
        exporter.metrics()
    };
    let of_family = |metrics: &str| {
        let name = "ebpf_exporter_tcp_connections_total{";
        metrics.lines().filter(|line| line.starts_with(name)).count()
    };
    let good = zones(None);
    assert_eq!(connections(&good, "mine", "out"), 20, "{good}");

    let other = zones(Some("echo"));
    assert_eq!(connections(&other, &SERVER.to_string(), "out"), 20, "{other}");
    assert_eq!(connections(&other, &CLIENT.to_string(), "in"), 20, "{other}");
    assert_eq!(connections(&other, "mine", "out"), 0);

    // It costs its label alone: what others counted, in the same rows too, is there.
    for hostile in ["panic", "loop", "grow"] {
        let metrics = zones(Some(hostile));
        assert!(connections(&metrics, "error", "out") >= 20, "{hostile}: {metrics}");
        assert!(connections(&metrics, "error", "in") >= 20, "{hostile}: {metrics}");
        assert_eq!(of_family(&metrics), 2, "{hostile}: {metrics}");
        let success = "ebpf_exporter_scrape_success{config=\"tcp-connections\"}";
        assert_eq!(value(&metrics, success), 1, "{hostile}");
    }
}

pub fn the_default_set_takes_in_a_config_whose_plugin_is_there() {
    let exporter = Exporter::start([format!("--plugins.dir={}", object::PLUGINS)]);
    TcpStream::connect(exporter.address()).unwrap();
    let metrics = exporter.metrics();
    let enabled = "ebpf_exporter_enabled_configs{name=\"tcp-connections\"}";
    assert_eq!(value(&metrics, enabled), 1);
    assert!(connections(&metrics, "loopback", "in") >= 1, "{metrics}");
}

/// Nobody is told to have a plugin who did not ask for it.
pub fn the_default_set_leaves_out_a_config_whose_plugin_is_no_use() {
    let check = |flags: &[&str]| run(Command::new(BINARY).arg("--config.check").args(flags));
    let said = check(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    insta::assert_snapshot!(said.stderr, @" INFO left out config `tcp-connections`: it needs cidr.wasm in the directory of --plugins.dir");
    let dir = tempfile::tempdir().unwrap();
    let plugins = format!("--plugins.dir={}", dir.path().display());
    fs::write(dir.path().join("cidr.wasm"), guests::component("newer")).unwrap();
    let said = check(&[&plugins]);
    assert_eq!(said.code, Some(0), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"
     INFO left out config `tcp-connections`: its plugin cannot be used
    <built-in>/tcp-connections.yaml:6: warning: plugins.zone.file: found a decoder for version 0.2.0 of the contract, expected 0.1.0; build it against the wit/ directory of this exporter, or use an exporter that knows that version
    ");
    assert_eq!(check(&[&plugins, "--config.strict"]).code, Some(3));
    let said = check(&["--config.names=tcp-connections"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"
    <built-in>/tcp-connections.yaml:6: plugins.zone.file: there is no <built-in>/cidr.wasm; put the file there, or into the directory of --plugins.dir
    error: 1 fault in the configs; nothing was loaded
    ");
}
