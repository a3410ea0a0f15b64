//! `hex`: any bytes → their lowercase hex.

use super::{Behaviour, Builtin, Form, Make, Sizes};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "hex",
    sizes: Sizes::Any,
    takes: Form::Any,
    gives: Form::Text,
    about: Behaviour { input: "any bytes", gives: "lowercase hex", otherwise: "" },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(Hex)),
};

struct Hex;

impl Decoder for Hex {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        write(input, out);
        Ok(Outcome::Label)
    }
}

/// Appends `bytes` to `out` as lowercase hex, two digits a byte.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_two_digits() {
        for (input, expected) in
            [(&b""[..], ""), (b"\x00", "00"), (b"\xde\xad\xbe\xef", "deadbeef")]
        {
            let mut out = Vec::new();
            assert_eq!(Hex.decode(input, &mut out), Ok(Outcome::Label));
            assert_eq!(out, expected.as_bytes());
        }
    }
}
