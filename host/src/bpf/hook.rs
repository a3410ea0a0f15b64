//! Hooks that libbpf gives no program to by its section alone: these sections are read here.
//!
//! | section | where the program runs |
//! |---|---|
//! | `perf_event/type=T,config=C,frequency=F` | at samples of a perf event, on every CPU that is online |
//! | `xdp/IFACE`, `xdp.frags/IFACE` | at each packet that the interface receives |
//! | `tc/ingress/IFACE`, `tc/egress/IFACE` | at each packet of its traffic control |
//!
//! Never attaches anything: see [`super::attach`].

use std::str::FromStr;

use libbpf_rs::{OpenProgramMut, ProgramAttachType, ProgramType, libbpf_sys};

use crate::advice::Advice;

/// What a section of these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HookSpec {
    /// Samples of a perf event.
    Samples(Sampling),
    /// Packets that an interface receives.
    Packets {
        /// Its name.
        interface: String,
        /// Whether packets may lie in several pieces.
        fragments: bool,
    },
    /// Packets of an interface's traffic control.
    Traffic {
        /// Its name.
        interface: String,
        /// The way that they go.
        direction: Direction,
    },
}

/// A perf event and how it is sampled, in the words of `perf_event_open(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampling {
    /// `type`: 0 is hardware, 1 is software.
    pub(super) kind: u32,
    /// `config`: which event of that type.
    pub(super) config: u64,
    pub(super) rate: Rate,
}

/// How often an event is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// So many times a second.
    Frequency(u64),
    /// Each time that it has come so often.
    Period(u64),
}

/// The way that packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

const WRITE_SAMPLING: &str =
    "write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)";
const WRITE_TRAFFIC: &str = "write tc/ingress/IFACE or tc/egress/IFACE";

impl HookSpec {
    /// What a section names, if it is one of these; or what is wrong with it.
    pub(super) fn of(section: &str) -> Option<Result<Self, Advice>> {
        let (kind, target) = section.split_once('/')?;
        match (kind, target) {
            // Without a target they are libbpf's, and so are programs of maps.
            (_, "") | ("xdp" | "xdp.frags", "devmap" | "cpumap") => None,
            ("perf_event", target) => Some(Sampling::of(target).map(Self::Samples)),
            ("xdp" | "xdp.frags", target) => {
                let fragments = kind == "xdp.frags";
                Some(interface(target).map(|interface| Self::Packets { interface, fragments }))
            }
            // Without an interface, which the section may say, they are libbpf's.
            ("tc" | "tcx", "ingress" | "egress") => None,
            ("tc" | "tcx", target) => Some(traffic(target)),
            _ => None,
        }
    }

    /// Tells libbpf what the program is, which it cannot tell by its section.
    pub(super) fn prepare(&self, program: &mut OpenProgramMut<'_>) {
        match self {
            Self::Samples(_) => program.set_prog_type(ProgramType::PerfEvent),
            Self::Packets { fragments, .. } => {
                program.set_prog_type(ProgramType::Xdp);
                program.set_attach_type(ProgramAttachType::Xdp);
                if *fragments {
                    program.set_flags(libbpf_sys::BPF_F_XDP_HAS_FRAGS);
                }
            }
            Self::Traffic { .. } => program.set_prog_type(ProgramType::SchedCls),
        }
    }
}

impl Sampling {
    fn of(target: &str) -> Result<Self, Advice> {
        let (mut kind, mut config, mut frequency, mut period) = (None, None, None, None);
        for pair in target.split(',') {
            let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "type" => kind = Some(number(key, text)?),
                "config" => config = Some(number(key, text)?),
                "frequency" => frequency = Some(rate(key, text)?),
                "period" => period = Some(rate(key, text)?),
                _ => {
                    return Err(Advice::new(
                        format!("`{key}` is nothing that a perf event has"),
                        WRITE_SAMPLING,
                    ));
                }
            }
        }
        let lacks = |key| Advice::new(format!("the section lacks `{key}`"), WRITE_SAMPLING);
        let rate = match (frequency, period) {
            (Some(frequency), None) => Rate::Frequency(frequency),
            (None, Some(period)) => Rate::Period(period),
            (None, None) => return Err(lacks("frequency")),
            (Some(_), Some(_)) => {
                let problem = "an event is sampled by frequency or by period, not by both";
                return Err(Advice::new(problem, "take one of them out"));
            }
        };
        let (kind, config) =
            (kind.ok_or_else(|| lacks("type"))?, config.ok_or_else(|| lacks("config"))?);
        Ok(Self { kind, config, rate })
    }
}

/// How often to sample: not never.
fn rate(key: &str, text: &str) -> Result<u64, Advice> {
    match number(key, text)? {
        0 => Err(Advice::new(format!("with `{key}=0` the program never runs"), "write 1 or more")),
        number => Ok(number),
    }
}

/// A number, decimal or hexadecimal.
fn number<N: TryFrom<u64> + FromStr>(key: &str, text: &str) -> Result<N, Advice> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.and_then(|number| number.try_into().ok()).ok_or_else(|| {
        Advice::new(format!("`{key}={text}` is no number of a perf event"), WRITE_SAMPLING)
    })
}

fn traffic(target: &str) -> Result<HookSpec, Advice> {
    let (direction, name) = target.split_once('/').unwrap_or((target, ""));
    let direction = match direction {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        _ => {
            return Err(Advice::new(
                format!("`{direction}` is no way that packets go"),
                WRITE_TRAFFIC,
            ));
        }
    };
    Ok(HookSpec::Traffic { interface: interface(name)?, direction })
}

/// A name that an interface may have.
fn interface(name: &str) -> Result<String, Advice> {
    let most = libc::IFNAMSIZ - 1;
    let is_name = !name.is_empty()
        && name.len() <= most
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_ascii_whitespace());
    is_name.then(|| name.to_owned()).ok_or_else(|| {
        let problem = format!("`{name}` cannot be the name of a network interface");
        Advice::new(problem, format!("names have 1 to {most} bytes, without `/`, `:` and spaces"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_name_hooks() {
        let sampling = |kind, config, rate| HookSpec::Samples(Sampling { kind, config, rate });
        let packets = |interface: &str, fragments| HookSpec::Packets {
            interface: interface.to_owned(),
            fragments,
        };
        let traffic = |interface: &str, direction| HookSpec::Traffic {
            interface: interface.to_owned(),
            direction,
        };
        for (section, expected) in [
            ("perf_event/type=0,config=3,frequency=99", sampling(0, 3, Rate::Frequency(99))),
            ("perf_event/frequency=1,type=4,config=0x1c2", sampling(4, 0x1c2, Rate::Frequency(1))),
            ("perf_event/type=1,config=3,period=1", sampling(1, 3, Rate::Period(1))),
            ("xdp/lo", packets("lo", false)),
            ("xdp.frags/eth0.12", packets("eth0.12", true)),
            ("tc/ingress/lo", traffic("lo", Direction::Ingress)),
            ("tcx/egress/veth@1", traffic("veth@1", Direction::Egress)),
        ] {
            assert_eq!(HookSpec::of(section), Some(Ok(expected)), "{section}");
        }
        for section in [
            "xdp",
            "xdp/",
            "xdp/devmap",
            "xdp.frags/cpumap",
            "perf_event",
            "tc",
            "tc/ingress",
            "tcx/egress",
            "kprobe/x",
        ] {
            assert_eq!(HookSpec::of(section), None, "{section}");
        }
    }

    #[test]
    fn sections_that_name_none() {
        let sections = [
            "perf_event/cpu-cycles",
            "perf_event/type=0,config=3",
            "perf_event/config=3,frequency=99",
            "perf_event/type=0,frequency=99",
            "perf_event/type=0,config=-1,frequency=99",
            "perf_event/type=4294967296,config=0,frequency=99",
            "perf_event/type=0,config=0,frequency=0",
            "perf_event/type=0,config=0,frequency=1,period=1",
            "xdp/a-name-of-16-bytes",
            "xdp/a/b",
            "tc/sideways/lo",
            "tc/ingress/",
        ];
        let said = sections.map(|section| match HookSpec::of(section) {
            Some(Err(advice)) => format!("{section}: {advice}\n"),
            other => panic!("{section}: {other:?}"),
        });
        insta::assert_snapshot!(said.concat(), @r"
        perf_event/cpu-cycles: `cpu-cycles` is nothing that a perf event has; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
        perf_event/type=0,config=3: the section lacks `frequency`; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
        perf_event/config=3,frequency=99: the section lacks `type`; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
        perf_event/type=0,frequency=99: the section lacks `config`; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
        perf_event/type=0,config=-1,frequency=99: `config=-1` is no number of a perf event; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
        perf_event/type=4294967296,config=0,frequency=99: `type=4294967296` is no number of a perf event; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
        perf_event/type=0,config=0,frequency=0: with `frequency=0` the program never runs; write 1 or more
        perf_event/type=0,config=0,frequency=1,period=1: an event is sampled by frequency or by period, not by both; take one of them out
        xdp/a-name-of-16-bytes: `a-name-of-16-bytes` cannot be the name of a network interface; names have 1 to 15 bytes, without `/`, `:` and spaces
        xdp/a/b: `a/b` cannot be the name of a network interface; names have 1 to 15 bytes, without `/`, `:` and spaces
        tc/sideways/lo: `sideways` is no way that packets go; write tc/ingress/IFACE or tc/egress/IFACE
        tc/ingress/: `` cannot be the name of a network interface; names have 1 to 15 bytes, without `/`, `:` and spaces
        ");
    }
}
