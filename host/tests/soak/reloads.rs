//! Reloads, one after the other: by a request and by a signal, of what has changed and of nothing, and such as have to
//! be refused.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::Run;
use crate::client::{Client, FAST};
use crate::exporter::HANG;
use crate::guests;
use crate::page::Form;
use crate::scrapers;
use crate::site::Config;
use crate::yaml::Part;

/// How many acts there are.
pub const ACTS: usize = 8;

/// Somebody who reloads, and what came of it.
pub struct Reloader<'a> {
    run: &'a Run,
    client: Client,
    /// Where the exporter tells of reloads, as it tells systemd.
    told: &'a UnixDatagram,
    act: usize,
    pub done: u64,
    pub refused: u64,
}

/// Files that are not as they should be.
#[derive(Clone, Copy)]
enum Fault {
    Yaml,
    Map,
    Object,
    Plugin,
}

const FAULTS: [Fault; 4] = [Fault::Yaml, Fault::Map, Fault::Object, Fault::Plugin];

impl<'a> Reloader<'a> {
    pub fn new(run: &'a Run, told: &'a UnixDatagram) -> Self {
        told.set_read_timeout(Some(HANG)).expect("a socket");
        Self { run, client: Client::new(&run.tcp), told, act: 0, done: 0, refused: 0 }
    }

    /// Reloads until the run ends, about once a second.
    pub fn go_on(&mut self) {
        while self.run.goes_on() {
            if let Err(what) = self.next() {
                self.run.fail(what);
            }
            self.run.rest(Duration::from_millis(700));
        }
        self.hang_up();
    }

    /// Leaves no connection.
    pub fn hang_up(&mut self) {
        self.client.close();
    }

    /// Does what is next.
    pub fn next(&mut self) -> Result<(), String> {
        let (act, round) = (self.act % ACTS, self.act / ACTS);
        self.act += 1;
        let plain: Vec<_> = self.run.site.of(Part::Plain).collect();
        let config = plain[round % plain.len()];
        let what = match act {
            0 => self.yaml(config, round + 1),
            1 => self.signalled(),
            2 => self.refused(FAULTS[round % FAULTS.len()], false),
            3 => self.object(config, round),
            4 => self.shared(round + 1),
            5 => self.plugin(Part::Transform, "pass", round),
            6 => self.plugin(Part::Picky, "picky", round),
            _ => self.refused(FAULTS[(round + 2) % FAULTS.len()], true),
        };
        what.map_err(|what| format!("reload {}, act {act}: {what}", self.act))
    }

    fn yaml(&mut self, config: &Config, version: usize) -> Result<(), String> {
        self.put(&format!("{}.yaml", config.name), config.yaml(version));
        self.posted(&format!("reloaded: changed {}\n", config.name))
    }

    fn object(&mut self, config: &Config, round: usize) -> Result<(), String> {
        // Another file that does the same.
        let object = [config.object(), vec![0; 1 + round / 6 % 2]].concat();
        self.put(&format!("{}.bpf.o", config.name), object);
        config.still(|| {
            // What the new program misses is counted from 0 on.
            let page = scrapers::page(self.run, &mut self.client, Form::Text, true, FAST)?;
            self.run.site.ledger.retire(&config.name, &page);
            self.posted(&format!("reloaded: changed {}\n", config.name))
        })
    }

    fn shared(&mut self, version: usize) -> Result<(), String> {
        for config in self.run.site.of(Part::Shared) {
            self.put(&format!("{}.yaml", config.name), config.yaml(version));
        }
        self.signalled()
    }

    fn plugin(&mut self, part: Part, guest: &str, round: usize) -> Result<(), String> {
        let config = self.run.site.of(part).next().expect("it is there");
        let component =
            guests::with_section(guests::component(guest), "round", round.to_string().as_bytes());
        self.put(&format!("{guest}.wasm"), component);
        self.posted(&format!("reloaded: changed {}\n", config.name))
    }

    /// What has to be refused, and then be as it was.
    fn refused(&mut self, fault: Fault, by_signal: bool) -> Result<(), String> {
        let config = self.run.site.of(Part::Plain).last().expect("it is there");
        let (file, bytes) = match fault {
            Fault::Yaml => (format!("{}.yaml", config.name), "metrics: [".to_owned()),
            Fault::Map => {
                let nowhere = config.yaml(0).replacen("_hash_total", "_nowhere_total", 1);
                (format!("{}.yaml", config.name), nowhere)
            }
            Fault::Object => (format!("{}.bpf.o", config.name), "no object".to_owned()),
            Fault::Plugin => ("panic.wasm".to_owned(), "no component".to_owned()),
        };
        // A plugin is named by the place in the config that names it.
        let named = if file == "panic.wasm" { "plugins.guest.file" } else { &file };
        let was = fs::read(self.run.site.file(&file)).expect("the file");
        self.put(&file, bytes);
        if by_signal {
            self.refused += 1;
            self.signal()?;
        } else {
            let (status, text) = self.post()?;
            if status != 500 || !text.contains(named) {
                return Err(format!("not refused: {status} {text}"));
            }
            self.refused += 1;
        }
        self.put(&file, was);
        self.posted("reloaded: nothing has changed\n")
    }

    fn posted(&mut self, expected: &str) -> Result<(), String> {
        let (status, text) = self.post()?;
        // What it has cost stands in the lines behind.
        if status != 200 || !text.starts_with(expected) {
            return Err(format!("{status} {text}"));
        }
        self.done += 1;
        Ok(())
    }

    fn post(&mut self) -> Result<(u16, String), String> {
        let answer = self.client.ask("POST /-/reload", "Content-Length: 0\r\n", FAST);
        let answer = answer.map_err(|error| error.to_string())?;
        Ok((answer.status, answer.text()))
    }

    fn signalled(&mut self) -> Result<(), String> {
        self.signal()?;
        self.done += 1;
        Ok(())
    }

    fn signal(&mut self) -> Result<(), String> {
        let process = i32::try_from(self.run.exporter.process()).expect("an id");
        // SAFETY: the child was not waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(process, libc::SIGHUP) }, 0);
        self.heard()
    }

    /// Waits until the exporter has told that a reload has begun and is over.
    fn heard(&self) -> Result<(), String> {
        for begins in ["RELOADING=1\n", "READY=1\n"] {
            let mut buffer = [0; 512];
            let length = self.told.recv(&mut buffer).map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&buffer[..length]);
            if !text.starts_with(begins) {
                return Err(format!("told {text:?}, not {begins:?}"));
            }
        }
        Ok(())
    }

    /// Puts other bytes in the place of a file, as those do who write configs.
    fn put(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let file = self.run.site.file(file);
        let new = Path::with_extension(&file, "new");
        fs::write(&new, bytes).expect("a file");
        fs::rename(new, file).expect("a file");
    }
}
