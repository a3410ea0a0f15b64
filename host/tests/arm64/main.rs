//! The exporter for arm64, emulated on this machine: what it says of configs, recordings and plugins is what the one
//! of this machine says.
//!
//! `make test-arm64` builds it and says where it is. Without that this does nothing: the build takes its time. BPF
//! programs are not run here: an emulator of programs has the kernel of this machine.
#![allow(clippy::print_stdout, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

const NATIVE: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings");
const PLUGINS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../plugins");

/// Has the kernel start programs for arm64 in the emulator, here and nowhere else: the exporter starts itself anew to
/// compile plugins.
const EMULATED: &str = r#"
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf %s ':arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:F' \
    >/proc/sys/fs/binfmt_misc/register
exec "$@"
"#;

fn main() -> ExitCode {
    let wanted = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(exporter), Some(objects)) = (wanted("ARM64"), wanted("ARM64_OBJECTS")) else {
        println!("arm64: SKIPPED, for nobody has asked for it; `make test-arm64` does");
        return ExitCode::SUCCESS;
    };
    let trial = |name: &str, run: fn(&Pair, &Path)| {
        let (pair, objects) = (Pair { arm64: exporter.clone() }, objects.clone());
        Trial::test(name, move || {
            run(&pair, Path::new(&objects));
            Ok(())
        })
    };
    let trials = vec![
        trial("it_is_for_arm64", |pair, _| pair.is_for_arm64()),
        trial("examples_are_checked", examples_are_checked),
        trial("faults_of_a_config_are_told", |pair, _| faults_of_a_config_are_told(pair)),
        trial("recordings_are_replayed", |pair, _| recordings_are_replayed(pair)),
        trial("plugins_are_run", |pair, _| plugins_are_run(pair)),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The exporter of this machine, and that for arm64.
struct Pair {
    arm64: String,
}

impl Pair {
    /// What both say, and whether they succeed: the same.
    fn say(&self, arguments: &[&str]) -> (bool, String) {
        let native = said(Command::new(NATIVE).args(arguments));
        let emulated = said(self.emulated().args(arguments));
        assert_eq!(emulated, native, "{arguments:?}");
        native
    }

    fn emulated(&self) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", EMULATED, "sh"]);
        command.arg(&self.arm64);
        command
    }

    fn is_for_arm64(&self) {
        let (succeeds, said) = said(self.emulated().arg("--version"));
        assert!(succeeds && said.contains("linux/aarch64"), "{said}");
    }
}

fn said(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("it says text");
    // How long it took to compile a plugin, for one.
    let lines = text.lines().filter(|line| !line.contains(" INFO "));
    (output.status.success(), lines.collect::<Vec<_>>().join("\n"))
}

/// Each with its object for arm64 and the plugins that it names, up to where it would be loaded: the emulator has no
/// bpf(2). Those that want addresses of symbols are left out, as nobody shows any there.
fn examples_are_checked(pair: &Pair, objects: &Path) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("redact.key"), "a key for tests alone\n").unwrap();
    let mut checked = 0;
    for file in fs::read_dir(EXAMPLES).unwrap().map(|file| file.unwrap().path()) {
        let is_config = file.extension().is_some_and(|is| is == "yaml");
        if !is_config || fs::read_to_string(&file).unwrap().contains("\nkaddrs:") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap();
        let object = format!("{name}.bpf.o");
        fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
        fs::copy(objects.join(&object), dir.path().join(&object)).unwrap();
        let place = dir.path().to_str().unwrap();
        let mut command = pair.emulated();
        command.args(["--config.dir", place, &format!("--config.names={name}")]);
        command.args(["--plugins.dir", PLUGINS, "--config.check"]).stdin(Stdio::null());
        let output = command.output().expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr);
        // Well, or not loaded; 3 would be a fault of the config or of what it names.
        assert!(matches!(output.status.code(), Some(0 | 4)), "{name}: {told}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

fn faults_of_a_config_are_told(pair: &Pair) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.yaml"), "metrics: {counters: [{nmae: x}]}").unwrap();
    let dir = dir.path().to_str().unwrap();
    let (succeeds, said) = pair.say(&["--config.dir", dir, "--config.names=bad", "--config.check"]);
    assert!(!succeeds && said.contains("nmae"), "{said}");
}

fn recordings_are_replayed(pair: &Pair) {
    for name in ["workload.rec", "counted.rec"] {
        let file = format!("{RECORDINGS}/{name}");
        let (succeeds, said) = pair.say(&["replay", "--once", &file]);
        assert!(succeeds && said.lines().count() > 20, "{said}");
    }
}

/// Compiled for arm64, in the child that compiles, and run.
fn plugins_are_run(pair: &Pair) {
    let cidr = format!("{PLUGINS}/cidr.wasm");
    let settings = r#"{"prefixes": {"10.0.0.0/8": "lan"}, "default": "internet"}"#;
    let (succeeds, said) = pair.say(&[
        "plugin",
        "run",
        &cidr,
        "--hex",
        "--settings",
        settings,
        "0a000001",
        "08080808",
    ]);
    assert!(succeeds && said.contains("lan") && said.contains("internet"), "{said}");
}
