//! A machine that is emulated instruction by instruction, so that it needs neither rights nor hardware: a kernel of
//! its own over the files of this host, which it can read and not write.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What emulates it.
const QEMU: &str = "qemu-system-x86_64";

/// After this, what runs in it will not end.
const HANG: Duration = Duration::from_secs(600);

/// Where `.ci/install kernels` puts what it gets.
const KERNELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/tools/kernels");

/// A kernel that can be started.
pub struct Kernel {
    image: PathBuf,
    start: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// The one of this version, such as `6.12`, or why it cannot be started here.
    pub fn find(version: &str) -> Result<Self, String> {
        let lacks = |what: &str| format!("no {what}; `make test-kernels` gets it");
        if Command::new(QEMU).arg("--version").stdout(Stdio::null()).status().is_err() {
            return Err(lacks(QEMU));
        }
        let dir = Path::new(KERNELS).join(version);
        let kernel = || lacks(&format!("kernel {version} in .ci/tools/kernels"));
        let (image, start) = (dir.join("vmlinuz"), dir.join("start.gz"));
        let modules = only(&dir.join("lib/modules")).ok_or_else(kernel)?;
        if image.exists() && start.exists() {
            Ok(Self { image, start, modules })
        } else {
            Err(kernel())
        }
    }
}

/// What is in a directory, by its path without links.
fn only(dir: &Path) -> Option<PathBuf> {
    dir.read_dir().ok()?.flatten().next()?.path().canonicalize().ok()
}

/// A directory that a machine shares with this host: what it is to do, and what it leaves.
pub struct Shared(TempDir);

/// How what ran in a machine ended.
pub struct Ended {
    /// Its exit code, if it had any before the machine stopped.
    pub code: Option<i32>,
    /// What the kernel has said.
    pub console: String,
}

impl Shared {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory can be made"))
    }

    /// What is in a file that the machine has left; nothing if it has left none.
    pub fn read(&self, file: &str) -> String {
        fs::read(self.path(file))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Starts a machine of this kernel, and runs the lines of a shell in it, as root. `tell` gets each line that they
    /// say.
    pub fn run(&self, kernel: &Kernel, lines: &str, tell: impl Fn(&str) + Send) -> Ended {
        let modules = kernel.modules.display();
        let name = kernel.modules.file_name().expect("a version").to_string_lossy();
        let mount =
            format!("mkdir -p /lib/modules/{name}; mount --bind {modules} /lib/modules/{name}");
        fs::write(self.path("run"), format!("{mount}\n{lines}\n")).expect("a file can be written");
        let mut machine = self.command(kernel).spawn().expect("QEMU is there");
        let said = machine.stdout.take().expect("it is piped");
        thread::scope(|scope| {
            scope.spawn(|| tell_lines(said, tell));
            wait(&mut machine);
        });
        Ended { code: self.read("code").trim().parse().ok(), console: self.read("console") }
    }

    /// Plain emulation of both CPUs by one thread: several threads were seen to lose work. The timer is not tried, for
    /// on a busy host a kernel takes it for broken.
    fn command(&self, kernel: &Kernel) -> Command {
        let (shared, console) = (self.0.path().display(), self.path("console"));
        let share = |path: String| format!("local,path={path},security_model=none,multidevs=remap");
        let mut command = Command::new(QEMU);
        command
            .args(["-nodefaults", "-no-user-config", "-M", "q35", "-cpu", "max", "-m", "1G"])
            .args(["-accel", "tcg,thread=single", "-smp", "2", "-display", "none", "-net", "none"])
            .args(["-no-reboot", "-append", "console=ttyS0 quiet panic=-1 no_timer_check"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio", "-kernel"])
            .arg(&kernel.image)
            .arg("-initrd")
            .arg(&kernel.start)
            .arg("-virtfs")
            .arg(format!("{},mount_tag=host,readonly=on", share("/".to_owned())))
            .arg("-virtfs")
            .arg(format!("{},mount_tag=shared", share(shared.to_string())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }
}

/// Passes on what a machine says, line by line.
fn tell_lines(said: impl Read, tell: impl Fn(&str)) {
    for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
        tell(&String::from_utf8_lossy(&line));
    }
}

/// Waits for the end of a machine, and sees to it.
fn wait(machine: &mut Child) {
    let began = Instant::now();
    while machine.try_wait().expect("it is a child").is_none() {
        if began.elapsed() > HANG {
            let _ = machine.kill();
        }
        thread::sleep(Duration::from_millis(20));
    }
}
