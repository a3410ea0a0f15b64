//! Examples whose hooks are probes of functions, which not every kernel has. Each is fired by a workload that knows the
//! numbers that have to come out. `make test-kernels` runs them in machines of their own, where nobody else is; some
//! change what belongs to the whole machine.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::examples::{serve, total};
use crate::exporter::{Exporter, until};
use crate::hooks;
use crate::own_cgroup::{self, Cgroup};

/// Addresses of a network that nobody else uses.
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 78, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 78, 0, 2);

fn port_is(address: SocketAddr) -> String {
    format!("port=\"{}\"", address.port())
}

/// A socket bound to the client's address.
fn client() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((CLIENT, 0)).into()).unwrap();
    socket
}

/// A server that lets so many wait.
fn listen(backlog: i32) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Below those of clients, so that labels show it.
    let bound = (20_000..).find(|port| {
        let address = SocketAddr::from((SERVER, *port));
        socket.bind(&address.into()).is_ok()
    });
    assert!(bound.is_some(), "a port is free");
    socket.listen(backlog).unwrap();
    socket
}

fn address(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "{program} {arguments:?}: {status:?}"
    );
}

/// A file system on a file, with nobody else in it.
pub struct Disk(TempDir);

impl Disk {
    pub fn new(kind: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (image, place) = (dir.path().join("image"), dir.path().join("disk"));
        File::create(&image).unwrap().set_len(320 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        for module in ["loop", kind] {
            // It may be part of the kernel.
            let _ = Command::new("modprobe").arg(module).stderr(Stdio::null()).status();
        }
        let image = image.to_str().unwrap();
        run(&format!("mkfs.{kind}"), &["-q", image]);
        run("mount", &["-t", kind, "-o", "loop", image, place.to_str().unwrap()]);
        Self(dir)
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.0.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

pub fn accept_latency() {
    let server = listen(64);
    let exporter = serve("accept-latency");
    let address = address(&server);
    let clients: Vec<Socket> = (0..30).map(|_| client()).collect();
    for client in &clients {
        client.connect(&address.into()).unwrap();
    }
    let port = port_is(address);
    assert_eq!(total(&exporter.metrics(), "accept_latency_seconds_count", &[&port]), 0.0);
    for _ in &clients {
        server.accept().unwrap();
    }
    let metrics = exporter.metrics();
    assert_eq!(total(&metrics, "accept_latency_seconds_count", &[&port]), 30.0, "{metrics}");
    assert!(total(&metrics, "accept_latency_seconds_sum", &[&port]) > 0.0, "{metrics}");
}

/// The kernel's own variable cannot be read otherwise: it is there, and programs that are loaded need at least a page
/// each until Linux 5.18, and share pages since then.
pub fn bpf_jit() {
    let exporter = serve("bpf-jit");
    let pages = || total(&exporter.metrics(), "bpf_jit_pages_currently_allocated", &[]);
    until("a worker has worked", || pages() > 0.0);
    assert!(pages() < 100_000.0, "{}", pages());
}

/// Whether the kernel has the page cache of the example of this name.
fn has_folios() -> bool {
    hooks::symbol("folio_mark_accessed")
}

/// Files of one page each, read twice.
pub fn cachestat() {
    const FILES: u32 = 500;
    let disk = Disk::new("ext4");
    let example = if has_folios() { "cachestat" } else { "cachestat-pre-kernel-5.16" };
    let exporter = serve(example);
    for name in 0..FILES {
        fs::write(disk.path().join(name.to_string()), "x").unwrap();
    }
    for name in 0..FILES {
        fs::read(disk.path().join(name.to_string())).unwrap();
    }
    // Its blocks are made known to their device.
    run("sync", &["-f", disk.path().to_str().unwrap()]);
    let metrics = exporter.metrics();
    let ops = |operation: &str| {
        total(&metrics, "page_cache_ops_total", &[&format!("operation=\"{operation}\"")])
    };
    for operation in ["cache_access", "page_add_lru", "page_mark_dirties"] {
        assert!(ops(operation) >= f64::from(FILES), "{operation}\n{metrics}");
    }
    assert!(ops("cache_writes") >= 1.0, "{metrics}");
}

fn operation(metrics: &str, family: &str, name: &str) -> f64 {
    let label = format!("operation=\"{name}\"");
    total(metrics, &format!("{family}_latency_seconds_count"), &[&label])
}

/// Reads, writes, opens and syncs of one file: 7, 6, 5 and 4 of them.
fn use_files(dir: &Path) {
    let path = dir.join("file");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).read(true).open(&path).unwrap();
    for _ in 0..6 {
        file.write_all(b"some text").unwrap();
    }
    for _ in 0..7 {
        file.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(file.read(&mut [0; 4]).unwrap(), 4);
    }
    for _ in 0..4 {
        file.sync_all().unwrap();
    }
    for _ in 0..4 {
        File::open(&path).unwrap();
    }
}

pub fn ext4dist() {
    let disk = Disk::new("ext4");
    let exporter = serve("ext4dist");
    use_files(&disk.path());
    for _ in 0..3 {
        fs::metadata(disk.path().join("file")).unwrap();
    }
    let metrics = exporter.metrics();
    for (name, times) in
        [("read", 7.0), ("write", 6.0), ("open", 5.0), ("sync", 4.0), ("getattr", 3.0)]
    {
        assert_eq!(operation(&metrics, "ext4", name), times, "{name}\n{metrics}");
    }
}

pub fn xfsdist() {
    let disk = Disk::new("xfs");
    let exporter = serve("xfsdist");
    use_files(&disk.path());
    let metrics = exporter.metrics();
    for (name, times) in [("read", 7.0), ("write", 6.0), ("open", 5.0), ("sync", 4.0)] {
        assert_eq!(operation(&metrics, "xfs", name), times, "{name}\n{metrics}");
    }
}

/// Why there is no file system of this kind.
pub fn no_disk(kind: &str) -> Option<String> {
    let made = Command::new(format!("mkfs.{kind}")).arg("-V").output();
    made.is_err().then(|| format!("no mkfs.{kind}; apt-get install xfsprogs e2fsprogs"))
}

/// A loop that may run a tenth of the time.
pub fn cfs_throttling() {
    let cgroup = Cgroup::limited("e2e-cpu", "cpu", ["cpu.max", "10000 100000"]).unwrap();
    let exporter = serve("cfs-throttling");
    let mut loops = cgroup.shell("while :; do :; done").spawn().unwrap();
    let throttled = || {
        let stat = fs::read_to_string(cgroup.path().join("cpu.stat")).unwrap();
        let line = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        line.unwrap().parse::<f64>().unwrap()
    };
    until("it was stopped some times", || throttled() >= 10.0);
    loops.kill().unwrap();
    loops.wait().unwrap();
    let metrics = exporter.metrics();
    let label = format!("/{}\"", cgroup.name());
    let of = |part: &str| total(&metrics, &format!("cfs_throttling_seconds_{part}"), &[&label]);
    // It may have moved to another CPU, and be stopped on both.
    assert!((5.0..=2.0 * throttled()).contains(&of("count")), "{metrics}");
    // Nine tenths of a second in ten periods.
    let mean = of("sum") / of("count");
    assert!((0.02..0.2).contains(&mean), "{mean}\n{metrics}");
}

pub fn no_controller(name: &str) -> Option<String> {
    (!own_cgroup::has(name)).then(|| format!("no controller {name} in cgroup v2"))
}

/// Whoever asks how much time a cgroup has used has it summed up first.
pub fn cgroup_rstat_flushing() {
    const READS: u32 = 200;
    let cgroup = Cgroup::new("e2e-flush").unwrap();
    let exporter = serve("cgroup-rstat-flushing");
    for _ in 0..READS {
        fs::read(cgroup.path().join("cpu.stat")).unwrap();
    }
    let metrics = exporter.metrics();
    for family in ["flush_total", "flush_latency_seconds_count"] {
        let flushed = total(&metrics, &format!("cgroup_rstat_{family}"), &["level=\"1\""]);
        assert!(flushed >= f64::from(READS), "{family}\n{metrics}");
    }
}

/// Packets to ports where nobody listens are answered with ICMP, by whom they were sent to.
pub fn icmp_ip() {
    let exporter = serve("icmp-ip");
    for (from, to) in [
        (IpAddr::from(CLIENT), IpAddr::from(SERVER)),
        (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
    ] {
        let closed = UdpSocket::bind((to, 0)).unwrap().local_addr().unwrap();
        let sender = UdpSocket::bind((from, 0)).unwrap();
        for _ in 0..20 {
            sender.send_to(b"anyone?", closed).unwrap();
        }
    }
    let received = |version: u8, address: IpAddr| {
        let label = format!("source_addr=\"{address}\"");
        total(&exporter.metrics(), &format!("icmp{version}_received_packets_total"), &[&label])
    };
    until("they are answered", || received(4, SERVER.into()) >= 20.0);
    assert_eq!(received(4, SERVER.into()), 20.0);
    assert_eq!(received(6, Ipv6Addr::LOCALHOST.into()), 20.0);
}

/// The device of all, with a smaller MTU for a while.
struct Narrow;

impl Narrow {
    fn new() -> Self {
        run("ip", &["link", "set", "lo", "mtu", "1300"]);
        Self
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        run("ip", &["link", "set", "lo", "mtu", "65536"]);
    }
}

/// 4,008 bytes of UDP, of which 1,280 find room in a packet: four fragments each.
pub fn inet_frags() {
    let _narrow = Narrow::new();
    let exporter = serve("inet-frags");
    let receiver = UdpSocket::bind((SERVER, 0)).unwrap();
    let sender = UdpSocket::bind((CLIENT, 0)).unwrap();
    for _ in 0..5 {
        sender.send_to(&[7; 4000], receiver.local_addr().unwrap()).unwrap();
        assert_eq!(receiver.recv(&mut [0; 5000]).unwrap(), 4000);
    }
    let metrics = exporter.metrics();
    let labels = ["interface=\"lo\"", "ip_version=\"4\""];
    assert_eq!(total(&metrics, "inet_frags_total", &labels), 20.0, "{metrics}");
}

/// A file that is read again and again from its start.
pub fn kstack() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, [7; 4096]).unwrap();
    let exporter = serve("kstack");
    for _ in 0..100 {
        fs::read(&path).unwrap();
    }
    let metrics = exporter.metrics();
    let function = if has_folios() { "folio_mark_accessed\\n" } else { "mark_page_accessed\\n" };
    let reads = total(&metrics, "mark_page_accessed_total", &[function, "vfs_read\\n"]);
    assert!(reads >= 100.0, "{metrics}");
}

/// Four bytes where they can be read at once.
pub fn pci() {
    let mut devices = fs::read_dir("/sys/bus/pci/devices").unwrap();
    let device = devices.next().expect("there is one").unwrap().path();
    let config = File::open(device.join("config")).unwrap();
    let exporter = serve("pci");
    for _ in 0..12 {
        config.read_exact_at(&mut [0; 4], 0).unwrap();
    }
    let metrics = exporter.metrics();
    assert_eq!(total(&metrics, "pci_user_read_config_ops_total", &[]), 12.0, "{metrics}");
    assert_eq!(total(&metrics, "decoder_errors_total", &[]), 0.0, "{metrics}");
}

/// A cgroup that may not hold the file that it reads.
pub fn shrinklat() {
    let cgroup = Cgroup::limited("e2e-memory", "memory", ["memory.max", "8M"]).unwrap();
    let exporter = serve("shrinklat");
    let large = std::env::current_exe().unwrap();
    assert!(fs::metadata(&large).unwrap().size() > 32 << 20, "this test is large");
    let read = format!("head -c 33554432 '{}' > /dev/null", large.display());
    assert!(cgroup.shell(&read).status().unwrap().success());
    let metrics = exporter.metrics();
    assert!(total(&metrics, "shrink_node_latency_seconds_count", &[]) >= 1.0, "{metrics}");
    assert!(total(&metrics, "shrink_node_latency_seconds_sum", &[]) > 0.0, "{metrics}");
}

/// A filter that lets nothing in: what is sent is not acknowledged.
fn deafen(socket: &Socket) {
    use std::os::fd::AsRawFd;

    let mut drop_all = libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut drop_all };
    let length = libc::socklen_t::try_from(size_of_val(&program)).unwrap();
    // SAFETY: the kernel copies the program, which lives until it has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    assert_eq!(result, 0);
}

pub fn tcp_retransmit() {
    let server = listen(8);
    let address = address(&server);
    let exporter = serve("tcp-retransmit");
    let client = client();
    client.set_tcp_nodelay(true).unwrap();
    client.connect(&address.into()).unwrap();
    let (accepted, _) = server.accept().unwrap();
    deafen(&accepted);
    client.send(b"anyone?").unwrap();
    let (local, peer) = (format!("local_ip=\"{CLIENT}\""), format!("peer_ip=\"{SERVER}\""));
    let port = format!("main_port=\"{}\"", address.port());
    let sent = |kind: &str| {
        let labels = [&*local, &*peer, &*port, &*format!("type=\"{kind}\"")];
        total(&exporter.metrics(), "tcp_retransmit_ipv4_packets_total", &labels)
    };
    until("it is sent again", || sent("retransmit") >= 2.0);
    // One probe comes before what it is for.
    assert_eq!(sent("tail_loss_probe"), 1.0, "{}", exporter.metrics());
}

/// Sixty connections that nobody accepts: each finds those before it.
fn fill(exporter: &Exporter) -> String {
    let server = listen(100);
    let clients: Vec<Socket> = (0..60).map(|_| client()).collect();
    for client in &clients {
        client.connect(&address(&server).into()).unwrap();
    }
    exporter.metrics()
}

/// How many are above `from` and not above `to`. The scrapes themselves find an empty queue.
fn between(metrics: &str, from: &str, to: &str) -> f64 {
    let up_to = |le: &str| total(metrics, "tcp_syn_backlog_bucket", &[&format!("le=\"{le}\"")]);
    up_to(to) - up_to(from)
}

pub fn tcp_syn_backlog() {
    let metrics = fill(&serve("tcp-syn-backlog"));
    assert_eq!(between(&metrics, "0", "50"), 50.0, "{metrics}");
    assert_eq!(between(&metrics, "50", "100"), 9.0, "{metrics}");
    // 1,770 in steps of 50, of which each CPU keeps what is less than one.
    let sum = total(&metrics, "tcp_syn_backlog_sum", &[]);
    assert!((1670.0..=1770.0).contains(&sum), "{sum}\n{metrics}");
}

pub fn tcp_syn_backlog_exp2zero() {
    let metrics = fill(&serve("tcp-syn-backlog-exp2zero"));
    for (from, to, number) in
        [("0", "1", 1.0), ("1", "2", 1.0), ("8", "16", 8.0), ("32", "64", 27.0)]
    {
        assert_eq!(between(&metrics, from, to), number, "({from}, {to}]\n{metrics}");
    }
    assert_eq!(total(&metrics, "tcp_syn_backlog_sum", &[]), 1770.0, "{metrics}");
}

/// A server that wants a small buffer, and reads nothing.
pub fn tcp_window_clamps() {
    let server = listen(8);
    server.set_recv_buffer_size(8192).unwrap();
    let client = client();
    client.set_tcp_nodelay(true).unwrap();
    client.connect(&address(&server).into()).unwrap();
    let (_accepted, _) = server.accept().unwrap();
    let exporter = serve("tcp-window-clamps");
    client.set_nonblocking(true).unwrap();
    for _ in 0..200 {
        // Once its buffer is full, nothing more is taken.
        let _ = client.send(&[7; 100]);
    }
    until("some have come in", || {
        total(&exporter.metrics(), "tcp_window_clamps_total", &[]) >= 1.0
    });
}

/// A server at one of the paths that are watched.
fn at_path(path: &str) -> UnixListener {
    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    UnixListener::bind(path).unwrap()
}

pub fn unix_accept_latency() {
    const PATH: &str = "/run/dbus/system_bus_socket";
    let server = at_path(PATH);
    let exporter = serve("unix-accept-latency");
    let clients: Vec<_> = (0..25).map(|_| UnixStream::connect(PATH).unwrap()).collect();
    for _ in &clients {
        server.accept().unwrap();
    }
    let metrics = exporter.metrics();
    let label = format!("addr=\"{PATH}\"");
    assert_eq!(total(&metrics, "unix_accept_latency_seconds_count", &[&label]), 25.0, "{metrics}");
    fs::remove_file(PATH).unwrap();
}

pub fn unix_socket_backlog() {
    const PATH: &str = "/run/docker.sock";
    let _server = at_path(PATH);
    let exporter = serve("unix-socket-backlog");
    let _clients: Vec<_> = (0..10).map(|_| UnixStream::connect(PATH).unwrap()).collect();
    let metrics = exporter.metrics();
    let label = "addr=\"/var/run/docker.sock\"";
    let of = |part: &str, le: &str| {
        total(&metrics, &format!("unix_socket_backlog_{part}"), &[label, le])
    };
    assert_eq!(of("bucket", "le=\"0\""), 1.0, "{metrics}");
    assert_eq!(of("bucket", "le=\"8\""), 9.0, "{metrics}");
    assert_eq!(of("count", ""), 10.0, "{metrics}");
    assert_eq!(of("sum", ""), 45.0, "{metrics}");
    fs::remove_file(PATH).unwrap();
}

/// A process that wants more memory than its cgroup may have.
pub fn oomkill() {
    let cgroup = Cgroup::limited("e2e-oom", "memory", ["memory.max", "16M"]).unwrap();
    let exporter = serve("oomkill");
    let greedy = "exec /usr/bin/python3 -c 'x = bytearray(64 << 20)'";
    assert!(!cgroup.shell(greedy).status().unwrap().success());
    let label = format!("/{}\"", cgroup.name());
    let kills = || total(&exporter.metrics(), "oom_kills_total", &[&label]);
    until("it is told of", || kills() >= 1.0);
    assert_eq!(kills(), 1.0, "{}", exporter.metrics());
}
