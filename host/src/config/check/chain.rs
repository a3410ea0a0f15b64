//! Whether the decoders of a chain understand each other. What cannot be is only warned of: such a
//! config is served, but every row of it has an error for its label.

use crate::advice::Advice;
use crate::config::faults::Faults;
use crate::decode::builtin::{Builtin, Form};

/// What a chain has made of a part of a key or record so far.
pub(super) struct Flow {
    form: Form,
    /// The decoder that gave it.
    from: &'static str,
}

impl Flow {
    /// The part as it is.
    pub(super) fn start() -> Self {
        Self { form: Form::Bytes, from: "" }
    }

    /// Passes a decoder of which nothing is known.
    pub(super) fn pass_unknown(&mut self) {
        self.form = Form::Any;
    }

    /// Passes the decoder at `path`, and tells if it can make no sense of what it gets.
    pub(super) fn pass(&mut self, builtin: &Builtin, path: &str, faults: &Faults<'_>) {
        let (name, from) = (builtin.name, self.from);
        let misfit = match (builtin.takes, self.form) {
            (Form::Decimal, Form::Bytes) => Some(Advice::new(
                format!("`{name}` takes decimal text, not bytes as they are"),
                "put `uint` before it",
            )),
            (Form::Decimal, Form::Text) => Some(Advice::new(
                format!("`{name}` takes decimal text, which `{from}` does not give"),
                format!("put `uint` before it in place of `{from}`"),
            )),
            (Form::Bytes, Form::Decimal | Form::Text) => Some(Advice::new(
                format!("`{name}` takes bytes as they are, which `{from}` has made a text of"),
                format!("remove `{from}` before it"),
            )),
            _ => None,
        };
        if let Some(advice) = misfit {
            faults.warn(&format!("{path}.name"), advice);
        }
        *self = Self { form: builtin.gives, from: builtin.name };
    }
}
