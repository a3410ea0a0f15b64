//! The units of `deploy/systemd`. That they serve is shown where the package is installed, `debian.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::{ROOT, ask, read};

const UNITS: &str = "deploy/systemd";
const SERVICES: [&str; 3] = [
    "ebpf_wasm_exporter.service",
    "ebpf_wasm_exporter-standalone.service",
    "ebpf_wasm_exporter-pods.service",
];

/// A root directory that has the units, those of systemd's own that they name, and programs of the names that they start.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::create_dir_all(root.path().join("usr/bin")).unwrap();
    for program in ["ebpf_wasm_exporter", "kill"] {
        fs::copy("/bin/true", root.path().join("usr/bin").join(program)).unwrap();
    }
    symlink("usr/lib", root.path().join("lib")).unwrap();
    let ours = files(&Path::new(ROOT).join(UNITS)).into_iter();
    let theirs = files(Path::new("/usr/lib/systemd/system")).into_iter();
    let theirs = theirs.filter(|file| file.extension().is_some_and(|is| is == "target"));
    for file in theirs.chain(ours).filter(|file| file.is_file()) {
        fs::copy(&file, units.join(file.file_name().unwrap())).unwrap();
    }
    root
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub fn systemd_takes_them() {
    let root = root();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no", "--root"]).arg(root.path());
    let said = ask(command.args(SERVICES).arg("ebpf_wasm_exporter.socket"));
    assert_eq!(said.as_deref(), Ok(""));
    fs::remove_file(root.path().join("usr/bin/ebpf_wasm_exporter")).unwrap();
    let said = ask(&mut command).expect_err("it looks for the program");
    assert!(said.contains("ebpf_wasm_exporter is not executable"), "{said}");
}

/// A line that is lost costs rights: the figure of `systemd-analyze security` would rise.
pub fn exposure_is_what_the_book_says() {
    let chapter = read("docs/src/operate/systemd.md");
    for unit in SERVICES {
        let file = Path::new(ROOT).join(UNITS).join(unit);
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager"]).arg(file);
        let said = ask(&mut command).unwrap();
        let level = |pattern: &str, text: &str| -> f64 {
            let found = Regex::new(pattern).unwrap().captures(text);
            found.unwrap_or_else(|| panic!("no level of {unit}"))[1].parse().unwrap()
        };
        let is = level(r"exposure level for \S+: ([0-9.]+)", &said);
        let told =
            level(&format!(r"(?m)^\| `{}` \|.*\| ([0-9.]+) \|$", regex::escape(unit)), &chapter);
        assert!(is <= told, "{unit} has {is}, the book says {told}");
    }
}

pub fn the_standalone_one_differs_in_its_socket_alone() {
    let lines = |unit: &str| -> BTreeSet<String> {
        read(Path::new(UNITS).join(unit)).lines().map(str::to_owned).collect()
    };
    let [shared, own, _] = SERVICES.map(lines);
    let differs: Vec<_> = shared.symmetric_difference(&own).cloned().collect();
    insta::assert_snapshot!(differs.join("\n"), @r"
    After=ebpf_wasm_exporter.socket
    After=network.target
    Conflicts=ebpf_wasm_exporter.socket ebpf_wasm_exporter.service
    Description=eBPF metrics exporter
    Description=eBPF metrics exporter with a socket of its own
    ExecStart=ebpf_wasm_exporter --log.no-timestamps --capabilities.keep=none $ARGS
    ExecStart=ebpf_wasm_exporter --web.listen-address=fd://0 --log.no-timestamps --capabilities.keep=none $ARGS
    Requires=ebpf_wasm_exporter.socket
    RestrictAddressFamilies=AF_UNIX
    RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
    ");
}
