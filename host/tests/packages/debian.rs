//! The Debian package: what it holds, and what becomes of a machine that it is installed on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::{EXPORTER, ROOT, ask, lacks};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");
const PLUGINS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../plugins");

/// Why it cannot be built here.
pub fn lacks_to_build() -> Option<String> {
    let plugins = Path::new(PLUGINS).join("cidr.wasm").exists();
    let plugins = (!plugins).then(|| "no plugins; `make plugins` builds them".to_owned());
    lacks("cargo-deb", "--version").or_else(|| lacks("dpkg-deb", "--version")).or(plugins)
}

/// Why it cannot be installed here.
pub fn lacks_to_install() -> Option<String> {
    let root = nix::unistd::geteuid().is_root();
    let root = (!root).then(|| "needs root".to_owned());
    let systemd = Path::new("/lib/systemd/systemd").exists();
    root.or_else(|| (!systemd).then(|| "no systemd; `make test` gets it".to_owned()))
}

/// The package, of the exporter that is tested.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let tmp = Path::new(TMP);
    let (objects, package) = (tmp.join("examples"), tmp.join("ebpf-wasm-exporter.deb"));
    let made = ask(Command::new("make")
        .args(["--silent", "--jobs=2", "-C", "examples"])
        .arg(format!("OUT={}", objects.display()))
        .arg(concat!("LIBBPF_HEADERS=", env!("LIBBPF_HEADERS")))
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .current_dir(ROOT));
    made.expect("the examples compile");
    let built = Path::new(EXPORTER).parent().unwrap();
    let staged = ask(Command::new(Path::new(ROOT).join("deploy/stage")).args([
        Path::new(EXPORTER),
        &objects,
        Path::new(PLUGINS),
        Path::new(env!("LIBBPF_HEADERS")),
        &built.join("package"),
    ]));
    staged.expect("it is laid out");
    let profile = if built.ends_with("debug") { "dev" } else { "release" };
    let packed = ask(Command::new("cargo-deb")
        .args(["--no-build", "--fast", "--locked", "--profile", profile, "--output"])
        .arg(&package)
        .args(["--manifest-path", "host/Cargo.toml"])
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .current_dir(ROOT));
    packed.expect("it is packed");
    package
});

pub fn it_holds_what_it_should() {
    let listed = ask(Command::new("dpkg-deb").arg("--contents").arg(&*PACKAGE)).unwrap();
    let mut paths = BTreeSet::new();
    for line in listed.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (mode, owner, path) = (words[0], words[1], words[5].trim_start_matches("./"));
        let program = path == "usr/bin/ebpf_wasm_exporter";
        let expected = if mode.starts_with('d') || program { "rwxr-xr-x" } else { "rw-r--r--" };
        assert_eq!((&mode[1..], owner), (expected, "0/0"), "{path}");
        if !mode.starts_with('d') {
            paths.insert(path);
        }
    }
    let examples = "usr/lib/ebpf_wasm_exporter/examples/";
    for source in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let source = source.unwrap().file_name().into_string().unwrap();
        let Some(name) = source.strip_suffix(".bpf.c") else { continue };
        for file in [".bpf.c", ".bpf.o", ".yaml"].map(|end| format!("{examples}{name}{end}")) {
            assert!(paths.contains(&*file), "{file}");
        }
    }
    let pages = "usr/share/man/man1/ebpf_wasm_exporter-";
    assert!(paths.contains(&*format!("{pages}plugin-run.1.gz")));
    paths.retain(|path| !path.starts_with(examples) && !path.starts_with(pages));
    let paths = paths.into_iter().collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(paths.replace("include/arm64", "include/x86"), @r"
    etc/default/ebpf_wasm_exporter
    usr/bin/ebpf_wasm_exporter
    usr/lib/ebpf_wasm_exporter/docs/config.schema.json
    usr/lib/ebpf_wasm_exporter/include/bpf/bpf_core_read.h
    usr/lib/ebpf_wasm_exporter/include/bpf/bpf_endian.h
    usr/lib/ebpf_wasm_exporter/include/bpf/bpf_helper_defs.h
    usr/lib/ebpf_wasm_exporter/include/bpf/bpf_helpers.h
    usr/lib/ebpf_wasm_exporter/include/bpf/bpf_tracing.h
    usr/lib/ebpf_wasm_exporter/include/bpf/libbpf_version.h
    usr/lib/ebpf_wasm_exporter/include/bpf/usdt.bpf.h
    usr/lib/ebpf_wasm_exporter/include/linux/errno.h
    usr/lib/ebpf_wasm_exporter/include/x86/vmlinux.h
    usr/lib/ebpf_wasm_exporter/plugins/cgroup-pod.wasm
    usr/lib/ebpf_wasm_exporter/plugins/cidr.wasm
    usr/lib/ebpf_wasm_exporter/plugins/domain.wasm
    usr/lib/ebpf_wasm_exporter/plugins/redact.wasm
    usr/lib/ebpf_wasm_exporter/plugins/relabel.wasm
    usr/lib/systemd/system/ebpf_wasm_exporter-pods.service
    usr/lib/systemd/system/ebpf_wasm_exporter-standalone.service
    usr/lib/systemd/system/ebpf_wasm_exporter.service
    usr/lib/systemd/system/ebpf_wasm_exporter.socket
    usr/lib/sysusers.d/ebpf_wasm_exporter.conf
    usr/lib/tmpfiles.d/ebpf_wasm_exporter.conf
    usr/share/bash-completion/completions/ebpf_wasm_exporter
    usr/share/doc/ebpf-wasm-exporter/changelog.Debian.gz
    usr/share/doc/ebpf-wasm-exporter/changelog.gz
    usr/share/doc/ebpf-wasm-exporter/copyright
    usr/share/fish/vendor_completions.d/ebpf_wasm_exporter.fish
    usr/share/man/man1/ebpf_wasm_exporter.1.gz
    usr/share/zsh/vendor-completions/_ebpf_wasm_exporter
    ");
    let depends =
        ask(Command::new("dpkg-deb").arg("--field").arg(&*PACKAGE).arg("Depends")).unwrap();
    assert!(depends.contains("libc6") && depends.contains("libelf1"), "{depends}");
}

/// All that the package holds, in a directory.
fn unpacked() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(TMP).unwrap();
    let unpacked = ask(Command::new("dpkg-deb").arg("--extract").arg(&*PACKAGE).arg(dir.path()));
    unpacked.expect("it is unpacked");
    dir
}

/// As the README beside the examples says, by who has no repository and no headers of libbpf.
pub fn a_program_of_ones_own_is_compiled_with_what_it_holds() {
    let package = unpacked();
    let mine = tempfile::tempdir_in(TMP).unwrap();
    fs::copy(Path::new(ROOT).join("examples/usdt.bpf.c"), mine.path().join("own.bpf.c")).unwrap();
    let made = ask(Command::new("make")
        .args(["--silent", "-C", "usr/lib/ebpf_wasm_exporter/examples"])
        .arg(format!("SRC={}", mine.path().display()))
        .env_remove("LIBBPF_HEADERS")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .current_dir(package.path()));
    made.expect("it is compiled");
    assert!(mine.path().join("own.bpf.o").exists());
}

pub fn examples_name_the_schema_that_it_holds() {
    let package = unpacked();
    let examples = package.path().join("usr/lib/ebpf_wasm_exporter/examples");
    let printed = ask(Command::new(EXPORTER).args(["config", "schema"])).unwrap();
    let mut read = 0;
    for entry in fs::read_dir(&examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let (first, _) = text.split_once('\n').unwrap();
            let (_, schema) = first.split_once("$schema=").expect("it names a schema");
            assert_eq!(fs::read_to_string(examples.join(schema)).unwrap(), printed);
            read += 1;
        }
    }
    assert!(read > 0);
}

/// In a machine of namespaces, whose systemd is the first process.
pub fn it_is_installed_serves_and_goes() {
    let dir = tempfile::tempdir_in(TMP).unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::copy(&*PACKAGE, at("it.deb")).unwrap();
    fs::copy(Path::new(HERE).join("trial.sh"), at("trial.sh")).unwrap();
    let ran = ask(Command::new("bash").arg(Path::new(HERE).join("machine.sh")).arg(dir.path()));
    let text = |name: &str| fs::read_to_string(at(name)).unwrap_or_default();
    let log = Path::new(TMP).join("packages.log");
    fs::write(&log, format!("{ran:?}\n{}\n{}", text("said"), text("log"))).unwrap();
    eprintln!("what happened in the machine: {}", log.display());
    insta::assert_snapshot!(text("said"), @r"
    # install
    ebpf_wasm_exporter.socket: enabled, active
    ebpf_wasm_exporter.service: enabled, active
    ebpf_wasm_exporter-standalone.service: disabled, inactive
    ebpf_wasm_exporter-pods.service: disabled, inactive
    /run/ebpf_exporter: ebpf-pods, 755
    # serve
    all programs are attached
    configs that were left out: 0
    capabilities: 0
    not root
    compiled plugins are kept
    # configure
    ebpf_wasm_exporter.service: enabled, active
    programs: 4
    of others: 0
    # reload
    ebpf_wasm_exporter.service: enabled, active
    programs: 4
    # standalone
    ebpf_wasm_exporter.socket: enabled, inactive
    ebpf_wasm_exporter-standalone.service: disabled, active
    # remove
    ebpf_wasm_exporter.service: masked, inactive
    ebpf_wasm_exporter.socket: masked, inactive
    /etc/default/ebpf_wasm_exporter
    # purge
    nothing is left
    ");
}
