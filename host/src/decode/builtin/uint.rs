//! `uint`: 1, 2, 4 or 8 bytes in host order → the unsigned number in decimal.

use super::{Behaviour, Builtin, Form, Make, Sizes, number};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "uint",
    sizes: Sizes::OneOf(&[1, 2, 4, 8]),
    takes: Form::Bytes,
    gives: Form::Decimal,
    about: Behaviour {
        input: "1, 2, 4 or 8 bytes in the machine's order",
        gives: "the unsigned number in decimal",
        otherwise: "other lengths: an error",
    },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(Uint)),
};

struct Uint;

impl Decoder for Uint {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let value = match *input {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_ne_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            _ => {
                let length = input.len();
                let text = format!("expected 1, 2, 4 or 8 bytes, got {length}");
                return Err(DecodeError::new(text));
            }
        };
        number::write(value, out);
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::check(
            "uint",
            &[
                (&[0], "0"),
                (&[255], "255"),
                (&0x0102_u16.to_ne_bytes(), "258"),
                (&u32::MAX.to_ne_bytes(), "4294967295"),
                (&u64::MAX.to_ne_bytes(), "18446744073709551615"),
                (b"", "ERROR expected 1, 2, 4 or 8 bytes, got 0"),
                (b"abc", "ERROR expected 1, 2, 4 or 8 bytes, got 3"),
                (&[0; 16], "ERROR expected 1, 2, 4 or 8 bytes, got 16"),
            ],
        );
    }
}
