//! Directories of configs, as a user has them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::object;
use crate::schema;
use crate::workload::Session;

/// The config of all maps of the workload.
pub const WORKLOAD: &str = include_str!("../bpf/workload.yaml");

/// What stands in `redact.key`, with the line's end that an editor leaves.
pub const KEY: &str = "a key for tests alone\n";

/// The files of the plugins that a config of `examples/` names.
pub fn plugins_of(yaml: &str) -> impl Iterator<Item = &str> {
    let files = yaml.lines().filter_map(|line| line.trim().strip_prefix("file: "));
    files.filter(|file| file.ends_with(".wasm"))
}

/// A directory that goes when it is dropped, and that anyone may read.
pub struct Configs {
    dir: TempDir,
    names: Vec<String>,
}

impl Configs {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, names: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds `name.yaml` of this text with `name.bpf.o` of these bytes.
    pub fn add(&mut self, name: &str, yaml: &str, object: &[u8]) {
        let file = self.path().join(format!("{name}.yaml"));
        fs::write(&file, yaml).unwrap();
        schema::judge(file, yaml);
        fs::write(self.path().join(format!("{name}.bpf.o")), object).unwrap();
        self.names.push(name.to_owned());
    }

    /// Adds a config of the workload, and returns what it listens to.
    pub fn add_workload(&mut self, name: &str, yaml: &str) -> Session {
        let session = Session::new();
        self.add(name, yaml, &session.object());
        session
    }

    /// Adds a config of another object of `tests/bpf`.
    pub fn add_object(&mut self, name: &str, yaml: &str) {
        self.add(name, yaml, &fs::read(object::file(name)).unwrap());
    }

    /// Adds an example, with `edit` done to its YAML, the plugins that it needs beside it, and a key for `redact`.
    pub fn add_example(&mut self, name: &str, edit: impl FnOnce(String) -> String) {
        let yaml = fs::read_to_string(format!("{}/{name}.yaml", object::EXAMPLES)).unwrap();
        for plugin in plugins_of(&yaml) {
            let from = object::plugin(plugin);
            fs::copy(&from, self.path().join(plugin)).unwrap_or_else(|error| {
                panic!("{}: {error}; `make plugins` builds it", from.display())
            });
        }
        fs::write(self.path().join("redact.key"), KEY).unwrap();
        self.add(name, &edit(yaml), &fs::read(object::example(name)).unwrap());
    }

    /// `--config.dir` and `--config.names` for all of them.
    pub fn flags(&self) -> [String; 2] {
        let dir = format!("--config.dir={}", self.path().display());
        [dir, format!("--config.names={}", self.names.join(","))]
    }
}
