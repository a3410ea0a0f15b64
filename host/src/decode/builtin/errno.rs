//! `errno`: decimal text → the name of the error, such as `EPIPE`, or `unknown:N`.

mod names;

use super::{Behaviour, Builtin, Form, Make, Sizes, number};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "errno",
    sizes: Sizes::Any,
    takes: Form::Decimal,
    gives: Form::Text,
    about: Behaviour {
        input: "decimal text",
        gives: "the error's name, `EPIPE`",
        otherwise: "`unknown:N`; no number: an error",
    },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(Errno)),
};

struct Errno;

impl Decoder for Errno {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let errno = number::parse(input)?;
        if let Some(name) = number::name(names::NAMES, errno) {
            out.extend_from_slice(name.as_bytes());
        } else {
            out.extend_from_slice(b"unknown:");
            number::write(errno, out);
        }
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::names::NAMES;

    #[test]
    fn table() {
        testing::check(
            "errno",
            &[
                (b"1", "EPERM"),
                (b"11", "EAGAIN"),
                (b"32", "EPIPE"),
                (b"035", "EDEADLK"),
                (b"133", "EHWPOISON"),
                (b"512", "ERESTARTSYS"),
                (b"531", "ENOGRACE"),
                (b"0", "unknown:0"),
                (b"41", "unknown:41"),
                (b"134", "unknown:134"),
                (b"65537", "unknown:65537"),
                (b"18446744073709551615", "unknown:18446744073709551615"),
                (b"", "ERROR expected a decimal number, got ``"),
                (b"EPIPE", "ERROR expected a decimal number, got `EPIPE`"),
            ],
        );
    }

    #[test]
    fn names_are_in_order_and_those_of_libc() {
        assert!(NAMES.is_sorted_by(|(a, _), (b, _)| a < b));
        for (errno, name) in [
            (libc::ENOENT, "ENOENT"),
            (libc::ENOSYS, "ENOSYS"),
            (libc::EADDRINUSE, "EADDRINUSE"),
            (libc::ETIMEDOUT, "ETIMEDOUT"),
            (libc::EUCLEAN, "EUCLEAN"),
            (libc::ENOTRECOVERABLE, "ENOTRECOVERABLE"),
        ] {
            assert!(NAMES.contains(&(errno as u16, name)), "{name}");
        }
    }
}
