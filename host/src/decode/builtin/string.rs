//! `string`: bytes → those before the first NUL, or all.

use std::ffi::CStr;

use super::{Behaviour, Builtin, Form, Make, Sizes};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "string",
    sizes: Sizes::Any,
    takes: Form::Any,
    gives: Form::Any,
    about: Behaviour { input: "bytes", gives: "those before the first NUL", otherwise: "" },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(Text)),
};

struct Text;

impl Decoder for Text {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        out.extend_from_slice(CStr::from_bytes_until_nul(input).map_or(input, CStr::to_bytes));
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        testing::check(
            "string",
            &[
                (b"", ""),
                (b"\0", ""),
                (b"bash\0\0\0\0", "bash"),
                (b"bash\0rest\0", "bash"),
                (b"no end", "no end"),
                ("größe\0".as_bytes(), "größe"),
            ],
        );
    }
}
