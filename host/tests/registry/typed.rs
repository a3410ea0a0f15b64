//! What is typed, and what is read then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::guests;

/// Somebody at a terminal, who has a directory and is known to no registry.
pub struct Desk {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

impl Desk {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["echo", "pass"] {
            fs::write(dir.path().join(format!("{name}.wasm")), guests::component(name)).unwrap();
        }
        let home = dir.path().display().to_string();
        Self { dir, variables: vec![("HOME".to_owned(), home)] }
    }

    /// The same with a variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What stands in the directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let entries = fs::read_dir(self.dir.path()).unwrap().map(|entry| name(entry.unwrap()));
        let mut files: Vec<_> = entries.collect();
        files.sort_unstable();
        files
    }

    /// The exit code of `plugin WORDS`, and all that it says, with `host` as HOST.
    pub fn plugin(&self, words: &str, host: &str) -> (i32, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"));
        let (code, said) = self.run(program, &format!("plugin {words}"));
        (code, said.replace(host, "HOST"))
    }

    /// The same of a program. That nobody was asked for a signature is for those to read who ask for
    /// [`told`](Self::told).
    pub fn run(&self, program: &Path, words: &str) -> (i32, String) {
        let (code, said) = self.told(program, words);
        let lines = said.split_inclusive('\n');
        (code, lines.filter(|line| !line.contains(" whoever has signed them")).collect())
    }

    /// The same with all that is said.
    pub fn told(&self, program: &Path, words: &str) -> (i32, String) {
        let mut command = Command::new(program);
        command.args(words.split(' ')).current_dir(self.dir.path());
        for name in ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "SOURCE_DATE_EPOCH"]
        {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        (status.code().unwrap(), said)
    }

    /// What is said of something that goes well.
    pub fn done(&self, words: &str, host: &str) -> String {
        let (code, said) = self.plugin(words, host);
        assert_eq!(code, 0, "{words}: {said}");
        said
    }

    /// What is said of something that fails, behind its exit code.
    pub fn refused(&self, words: &str, host: &str) -> String {
        let (code, said) = self.plugin(words, host);
        assert_ne!(code, 0, "{words}: {said}");
        let line = said.trim_end();
        assert_eq!(line.lines().count(), 1, "{words}: {said}");
        format!("{code} {}", line.trim_start_matches("error: "))
    }
}

/// The text with each digest as a letter, the same ones as the same.
pub fn lettered(text: &str) -> String {
    let digest = regex::Regex::new("[0-9a-f]{64}").unwrap();
    let mut known: Vec<&str> = Vec::new();
    for found in digest.find_iter(text) {
        if !known.contains(&found.as_str()) {
            known.push(found.as_str());
        }
    }
    let letters = known.iter().zip('A'..);
    letters
        .fold(text.to_owned(), |text, (digest, letter)| text.replace(digest, &letter.to_string()))
}
