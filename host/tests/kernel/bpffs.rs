//! A BPF file system for one test, and exporters that keep their pins there.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::configs::Configs;
use crate::exporter::{BINARY, Exporter, Said, run, until};
use crate::reload::LIFECYCLE;

pub const PINS: &str = "--bpf.pin-dir=/sys/fs/bpf/ebpf_exporter";

/// A BPF file system on /sys/fs/bpf that nobody else sees. It goes with all that is pinned there.
pub struct Bpffs(Child);

impl Bpffs {
    pub fn mount() -> Self {
        let script = "mount -t bpf bpf /sys/fs/bpf && echo mounted && exec cat";
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let holder = Self(holder.spawn().unwrap());
        until("it is mounted", || {
            let mounts = fs::read_to_string(format!("/proc/{}/mounts", holder.0.id())).unwrap();
            mounts.contains(" /sys/fs/bpf bpf ")
        });
        holder
    }

    /// A program that sees it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.0.id())).arg(program);
        command
    }

    /// A file there, as this process reaches it.
    pub fn file(&self, name: &str) -> PathBuf {
        format!("/proc/{}/root/sys/fs/bpf/{name}", self.0.id()).into()
    }

    /// All that an exporter has pinned there.
    pub fn pinned(&self) -> Vec<PathBuf> {
        let mut all = vec![self.file("ebpf_exporter")];
        let mut next = 0;
        while let Some(entries) = all.get(next).map(fs::read_dir) {
            all.extend(entries.into_iter().flatten().map(|entry| entry.unwrap().path()));
            next += 1;
        }
        all.sort();
        all
    }

    /// An exporter of this binary that keeps its pins there.
    pub fn start(&self, binary: &str, configs: &Configs) -> Exporter {
        let mut command = self.command(binary);
        command.args(configs.flags()).args([PINS, LIFECYCLE, "--log.no-timestamps"]);
        let exporter = Exporter::serve(command.arg("--web.listen-address=127.0.0.1:0"));
        // It reads its maps once by itself, and who asks meanwhile has the same answer.
        exporter.metrics();
        exporter
    }

    /// What an exporter says that does not come to serve.
    pub fn told(&self, flags: &[&str]) -> Said {
        run(self.command(BINARY).args(flags))
    }

    /// What `unpin` says: its exit code, and what it has printed.
    pub fn unpin(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(BINARY).args(["unpin", PINS]).args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
