//! `dname`: a DNS name in wire format → its labels joined by dots; the root is `.`.
//!
//! The name ends at an empty label or with the input, so `string` may stand before. A length past
//! the end of the input says that this is no such name: the input is passed on as it is.

use super::{Behaviour, Builtin, Form, Make, Sizes};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "dname",
    sizes: Sizes::Any,
    takes: Form::Bytes,
    gives: Form::Text,
    about: Behaviour {
        input: "a DNS name as it is sent",
        gives: "`www.example.com`; `.` for an empty one",
        otherwise: "a length past the end: the input, unchanged",
    },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(Dname)),
};

struct Dname;

impl Decoder for Dname {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        if write(input, out).is_none() {
            out.clear();
            out.extend_from_slice(input);
        }
        Ok(Outcome::Label)
    }
}

fn write(mut rest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while let Some((&length @ 1.., after)) = rest.split_first() {
        let (label, after) = after.split_at_checked(usize::from(length))?;
        if !out.is_empty() {
            out.push(b'.');
        }
        out.extend_from_slice(label);
        rest = after;
    }
    if out.is_empty() {
        out.push(b'.');
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        let longest = [&[63][..], &[b'a'; 63]].concat();
        // DNS has none such, and the bytes are there.
        let longer = [&[64][..], &[b'a'; 64]].concat();
        testing::check(
            "dname",
            &[
                (b"", "."),
                (b"\0", "."),
                (b"\x03com", "com"),
                (b"\x03com\0", "com"),
                (b"\x07example\x03com\0\0\0", "example.com"),
                (b"\x01a\x01b\x01c\0\x01d", "a.b.c"),
                (b"\x05com", "\x05com"),
                (b"\x01a\x05com", "\x01a\x05com"),
                (b"\x05", "\x05"),
                (&longest, &"a".repeat(63)),
                (&longer, &"a".repeat(64)),
            ],
        );
    }
}
