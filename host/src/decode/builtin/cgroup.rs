//! `cgroup`: a cgroup's id in decimal text → its path, such as `/sys/fs/cgroup/system.slice`, or
//! `unknown_cgroup_id:N`.

use super::{Behaviour, Builtin, Form, Make, Sizes, holds, number};
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::system::System;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "cgroup",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text: a cgroup's id",
        gives: "its path, `/sys/fs/cgroup/system.slice`",
        otherwise: "`unknown_cgroup_id:N`; no number: an error",
    },
    wants: |system| system.cgroups().want(),
    make: Make::Plain(|system| Box::new(Cgroup { system: system.clone() })),
};

struct Cgroup {
    system: System,
}

impl Decoder for Cgroup {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let id = number::parse(input)?;
        if self.system.cgroups().path(id, out) {
            return Ok(Outcome::Label);
        }
        out.extend_from_slice(b"unknown_cgroup_id:");
        number::write(id, out);
        Ok(holds::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::super::testing;

    #[test]
    fn table() {
        let host = testing::host();
        let folder = host.root.path().join("sys/fs/cgroup/a.slice");
        let id = fs::metadata(folder).unwrap().ino().to_string();
        host.check(
            "cgroup",
            &[
                (id.as_bytes(), "/sys/fs/cgroup/a.slice"),
                (b"0", "unknown_cgroup_id:0"),
                (b"18446744073709551615", "unknown_cgroup_id:18446744073709551615"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"a.slice", "ERROR expected a decimal number, got `a.slice`"),
            ],
        );
    }
}
