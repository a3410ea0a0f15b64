//! Files that plugins read, from the config to the labels: served as a user would, in the sandbox.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::guests;
use crate::tape::{BINARY, file};

/// Rows of the metric whose label a plugin makes, and what each of them counts.
const ROWS: u64 = 3000;
const EACH: u64 = 7;
/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

/// A config whose plugin answers with what its file holds, which is looked at as often as may be.
const CONFIG: &str = "
plugins:
  guest: {file: guest.wasm, data: {file: files/pods, refresh: 1s}, limits: {deadline: 10s, hold: 24h}}
metrics:
  counters:
    - name: work_hash_total
      help: A label by a plugin
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24, decoders: [{name: string}, {name: wasm, plugin: guest}]}
";

/// A directory with the config, its plugin, and the directory of its file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("workload.yaml"), CONFIG).unwrap();
        fs::write(dir.path().join("guest.wasm"), guests::component("data")).unwrap();
        fs::create_dir(dir.path().join("files")).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("files/pods")
    }

    fn put(&self, content: &str) {
        let new = self.file().with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(&new, self.file()).unwrap();
    }

    fn replay(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("replay").arg(file("many.rec")).args(["--config.names", "workload"]);
        command.arg("--config.dir").arg(self.0.path());
        command
    }
}

/// A replay that is served, until it is dropped.
struct Exporter {
    child: Child,
    url: String,
}

impl Exporter {
    fn start(mut command: Command) -> Self {
        let command = command.args(["--web.listen-address", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut line) = (String::new(), String::new());
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {said}");
            said.push_str(&line);
            if let Some((_, url)) = line.split_once(" at http://") {
                break format!("http://{}", url.trim());
            }
        };
        // It goes on to be read, so that whoever writes it never waits.
        thread::spawn(move || log.read_to_string(&mut String::new()));
        Self { child, url }
    }

    /// The series of a metric, each with its number.
    fn series(&self, name: &str) -> Vec<(String, u64)> {
        let page = ureq::get(&self.url).call().unwrap().body_mut().read_to_string().unwrap();
        let start = format!("ebpf_exporter_{name}{{");
        let lines = page.lines().filter(|line| line.starts_with(&start));
        let number = |text: &str| text.parse::<f64>().unwrap() as u64;
        let series = lines.filter_map(|line| line.rsplit_once(' '));
        series.map(|(labels, value)| (labels.to_owned(), number(value))).collect()
    }

    /// Waits until its file could not be read more than so many times.
    fn until_failed(&self, times: u64) {
        let begun = Instant::now();
        while self.series("plugin_data_failures_total")[0].1 <= times {
            assert!(begun.elapsed() < HANG, "nobody misses the file");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all rows are in series with this label, or in none if there is no label. What is counted
    /// in all of them then.
    fn until(&self, label: Option<&str>) -> u64 {
        let label = label.map(|text| format!("text=\"{text}\""));
        let begun = Instant::now();
        loop {
            let series = self.series("work_hash_total");
            let there = match &label {
                Some(label) => series.iter().all(|(labels, _)| labels.contains(label)),
                None => true,
            };
            let wanted = if label.is_some() { ROWS as usize } else { 0 };
            if there && series.len() == wanted {
                return series.iter().map(|(_, value)| value).sum();
            }
            let some = &series[..series.len().min(3)];
            assert!(begun.elapsed() < HANG, "{label:?}: {} series, {some:?}", series.len());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn labels_follow_a_file_that_is_replaced() {
    let folder = Folder::new();
    // All rows are left out, for a second by the plugin's own word and for a day by the config's.
    folder.put("~");
    let exporter = Exporter::start(folder.replay());
    assert_eq!(exporter.until(None), 0);
    folder.put("web");
    assert_eq!(exporter.until(Some("web")), ROWS * EACH, "what was in no series brings all");
    folder.put("-");
    exporter.until(None);
    folder.put("web");
    assert_eq!(exporter.until(Some("web")), ROWS * EACH, "and so does what is in none any more");
    folder.put("db");
    assert_eq!(exporter.until(Some("db")), 0, "what was counted before was counted elsewhere");
    folder.put("-");
    exporter.until(None);
    folder.put("db");
    assert_eq!(exporter.until(Some("db")), 0, "and it still was");
    fs::remove_file(folder.file()).unwrap();
    exporter.until_failed(0);
    assert_eq!(exporter.until(Some("db")), 0);
    let one = |name: &str| exporter.series(name)[0].1;
    assert_eq!((one("plugin_data_bytes"), one("plugin_data_changes_total")), (2, 7));
    let (read, modified) =
        (one("plugin_data_read_timestamp_seconds"), one("plugin_data_modified_timestamp_seconds"));
    assert!(0 < modified && modified <= read, "{modified} {read}");
    // As Kubernetes mounts a ConfigMap, and changes it.
    for (version, label) in [("..1", "pod-1"), ("..2", "pod-2")] {
        let at = |name: &str| folder.file().with_file_name(name);
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("pods"), label).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if version == "..1" {
            symlink("..data/pods", folder.file()).unwrap();
        }
        exporter.until(Some(label));
    }
    // What it traps over takes no labels away.
    folder.put("^");
    let begun = Instant::now();
    let failures = || exporter.series("plugin_failures_total").iter().map(|(_, n)| n).sum::<u64>();
    while failures() == 0 {
        assert!(begun.elapsed() < HANG, "nothing fails");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(exporter.until(Some("pod-2")), 0);
    assert_eq!(one("decoder_errors_total"), 0);
    // Who may write the file has no other one read by it.
    let failures = one("plugin_data_failures_total");
    fs::write(folder.0.path().join("secret"), "secret").unwrap();
    let link = folder.file().with_extension("new");
    symlink("../secret", &link).unwrap();
    fs::rename(&link, folder.file()).unwrap();
    exporter.until_failed(failures);
    exporter.until(Some("pod-2"));
    let worker = |(labels, up): &(String, u64)| labels.contains("plugin-data") && *up == 1;
    assert!(exporter.series("worker_up").iter().any(worker));
}

pub fn a_file_that_is_missing_is_told_of() {
    let told = |folder: &Folder, stderr: &[u8]| {
        let place = folder.0.path().display().to_string();
        let said = String::from_utf8_lossy(stderr).replace(&place, "DIR");
        let lines = said.lines().filter(|line| line.contains("plugins.guest.data"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let said = |folder: &Folder| {
        let output = folder.replay().arg("--once").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(printed.matches("text=\"error\"").count() as u64, ROWS);
        told(folder, &output.stderr)
    };
    let folder = Folder::new();
    insta::assert_snapshot!(said(&folder), @"DIR/workload.yaml:3: warning: plugins.guest.data.file: DIR/files/pods is not there; see to it that it comes; it is looked for every 1 s");
    // What would be a fault where it is served may be of another host in a replay.
    fs::write(folder.0.path().join("secret"), "secret").unwrap();
    symlink("../secret", folder.file()).unwrap();
    insta::assert_snapshot!(said(&folder), @"DIR/workload.yaml:3: warning: plugins.guest.data.file: DIR/files/pods is a link that leads out of its directory, or begins with `/`; name the file that it leads to in its place");
    fs::remove_file(folder.file()).unwrap();
    fs::remove_dir(folder.0.path().join("files")).unwrap();
    insta::assert_snapshot!(said(&folder), @"DIR/workload.yaml:3: warning: plugins.guest.data.file: the directory of DIR/files/pods is not there; make the directory first: an exporter that serves can read no other than those that were there at its start");
    let check = |guest: &str| {
        fs::write(folder.0.path().join("guest.wasm"), guests::component(guest)).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("--config.dir").arg(folder.0.path()).args(["--config.names", "workload"]);
        told(&folder, &command.arg("--config.check").output().unwrap().stderr)
    };
    let go_to = |place: &str| {
        let _ = fs::remove_file(folder.0.path().join("files"));
        symlink(place, folder.0.path().join("files")).unwrap();
    };
    go_to("/");
    insta::assert_snapshot!(check("data"), @"
    DIR/workload.yaml:3: plugins.guest.data.file: DIR/files/pods lies in `/`, all of which would be readable; put it into a directory of its own
    DIR/workload.yaml:3: warning: plugins.guest.data.file: DIR/files/pods is not there; see to it that it comes; it is looked for every 1 s
    ");
    go_to("gone");
    insta::assert_snapshot!(check("data"), @"DIR/workload.yaml:3: plugins.guest.data.file: the directory of DIR/files/pods is not there; make the directory first: an exporter that serves can read no other than those that were there at its start");
    insta::assert_snapshot!(check("echo"), @"DIR/workload.yaml:3: plugins.guest.data: the plugin reads no data: it does not import the interface for it; remove it, or use a version of the plugin that does");
}
