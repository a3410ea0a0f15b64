//! Users, and what is kept of their passwords.

use std::fmt;

use bcrypt::HashParts;

use super::{Check, raw};

/// What the hash of a password costs at least and at most: 2 to the power of it. At the most a check takes some
/// seconds, and all others wait for it that are not known yet.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPlan {
    /// What it is called, without a colon.
    pub name: String,
    /// The bcrypt hash of its password, which has the form of one.
    pub hash: String,
    /// What the hash costs, from 4 to 16.
    pub cost: u32,
}

impl fmt::Debug for UserPlan {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPlan").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Check<'_> {
    /// A user who can log in. No message ever shows the hash.
    pub(super) fn user(&self, user: raw::User) -> Option<UserPlan> {
        let raw::User { path, name, hash } = user;
        if name.contains(':') {
            let problem = "no user can be called so: a colon ends the name";
            self.faults.error(&path, problem, "leave the colon out");
            return None;
        }
        let Some(cost) = cost(&hash) else {
            let problem = "it has no bcrypt hash of a password";
            let remedy = "write what `htpasswd -nBC 10 \"\" | tr -d ':\\n'` prints, in quotes";
            self.faults.error(&path, problem, remedy);
            return None;
        };
        if !COSTS.contains(&cost) {
            let problem = format!("the hash has a cost of {cost}");
            let remedy = "make it anew with one from 4 to 16: 10 takes less than 0.1 s to check, 16 some seconds";
            self.faults.error(&path, problem, remedy);
            return None;
        }
        Some(UserPlan { name, hash, cost })
    }
}

/// What a hash costs: the 10 of `$2y$10$` and what follows. None if it is none.
fn cost(hash: &str) -> Option<u32> {
    Some(hash.parse::<HashParts>().ok()?.get_cost())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_its_form() {
        let tail = "abcdefghijklmnopqrstuu0123456789./ABCDEFGHIJKLMNOPQRO";
        let hash = |head: &str| cost(&format!("{head}{tail}"));
        assert_eq!(
            (hash("$2y$10$"), hash("$2a$04$"), hash("$2b$31$")),
            (Some(10), Some(4), Some(31))
        );
        for head in ["", "$2$10$", "$2c$10$", "$1$10$", "$2y$1$", "$2y$-1$", "$2y$010$", "2y$10$"] {
            assert_eq!(hash(head), None, "{head}");
        }
        for text in ["", "$2y$10$", "$2y$10$short", "secret", "\u{e9}"] {
            assert_eq!(cost(text), None, "{text}");
        }
        let user = UserPlan { name: "a".to_owned(), hash: "secret".to_owned(), cost: 4 };
        assert!(!format!("{user:?}").contains("secret"));
    }
}
