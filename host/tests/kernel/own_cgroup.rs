//! Cgroups of version 2, made for a test and gone with it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where cgroups of version 2 are.
pub fn mount() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let path = mount.and_then(|line| line.split(' ').nth(1)).ok_or(ErrorKind::NotFound)?;
    Ok(path.into())
}

/// Whether the controller can be had: it may be one of version 1.
pub fn has(controller: &str) -> bool {
    let listed = mount().and_then(|path| fs::read_to_string(path.join("cgroup.controllers")));
    listed.is_ok_and(|list| list.split_whitespace().any(|name| name == controller))
}

/// A cgroup right below the root.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// One whose name begins so, and that is nobody else's.
    pub fn new(name: &str) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Relaxed);
        let path = mount()?.join(format!("{name}-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// One with a limit of this controller.
    pub fn limited(name: &str, controller: &str, limit: [&str; 2]) -> io::Result<Self> {
        fs::write(mount()?.join("cgroup.subtree_control"), format!("+{controller}"))?;
        let made = Self::new(name)?;
        fs::write(made.path().join(limit[0]), limit[1])?;
        Ok(made)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.file_name().unwrap().to_str().unwrap()
    }

    /// A shell in it that runs `script`.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        let moved = format!("echo 0 > \"$0\"/cgroup.procs && {script}");
        command.args(["-c", &moved]).arg(&self.0);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes may take a moment to be gone.
        let _ = fs::remove_dir(&self.0);
    }
}
