//! The user that the exporter becomes once its programs are attached: the value of `--user`.

use std::fmt;
use std::io;
use std::str::FromStr;

use nix::unistd;
use rustix::process::{getgid, getgroups, getuid};
use rustix::thread::{
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use rustix::{process::Gid, process::Uid};

use crate::advice::Advise;

/// A user and a group by number, neither of them the superuser's by mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it was typed.
    text: String,
    uid: u32,
    gid: u32,
}

/// What is wrong with `--user`.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nothing before the colon, or behind it.
    #[error("--user={0:?} is no user")]
    Empty(String),
    /// No such user.
    #[error("--user={text:?} names the {what} {name:?}, whom this host does not know")]
    Unknown {
        /// As it was typed.
        text: String,
        /// `user` or `group`.
        what: &'static str,
        /// The part that is not known.
        name: String,
    },
    /// The number that stands for no change.
    #[error("--user={0:?} has a number that is no user's or group's")]
    NoId(String),
    /// The superuser.
    #[error("--user={0:?} is root, whom the exporter is to leave")]
    Root(String),
    /// The kernel refuses.
    #[error("failed to become the user {text:?}")]
    Switch {
        /// As it was typed.
        text: String,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Advise for UserError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Empty(_) => "write NAME, UID, NAME:GROUP or UID:GID",
            Self::Unknown { .. } => "write its number",
            Self::NoId(_) => "write one up to 4294967294",
            Self::Root(_) => "name another user, or leave out --user",
            Self::Switch { .. } => {
                "start as root, or with CAP_SETUID and CAP_SETGID, or leave out --user"
            }
        };
        Some(remedy.to_owned())
    }
}

impl FromStr for User {
    type Err = UserError;

    /// Reads `NAME`, `UID`, `NAME:GROUP` or `UID:GID`. Without a group it is the user's own one, for
    /// a number that this host does not know that of the same number.
    fn from_str(text: &str) -> Result<Self, UserError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if user.is_empty() || group.is_some_and(str::is_empty) {
            return Err(UserError::Empty(text.to_owned()));
        }
        let (uid, own) = find_user(text, user)?;
        let gid = group.map_or(Ok(own), |group| find_group(text, group))?;
        if uid == u32::MAX || gid == u32::MAX {
            return Err(UserError::NoId(text.to_owned()));
        }
        if uid == 0 {
            return Err(UserError::Root(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), uid, gid })
    }
}

/// A user's number and that of its own group.
fn find_user(text: &str, user: &str) -> Result<(u32, u32), UserError> {
    let number = number(text, user)?;
    let found = match number {
        Some(uid) => unistd::User::from_uid(unistd::Uid::from_raw(uid)),
        None => unistd::User::from_name(user),
    };
    match (found, number) {
        (Ok(Some(found)), _) => Ok((found.uid.as_raw(), found.gid.as_raw())),
        (_, Some(uid)) => Ok((uid, uid)),
        (_, None) => Err(unknown(text, "user", user)),
    }
}

fn find_group(text: &str, group: &str) -> Result<u32, UserError> {
    match (number(text, group)?, unistd::Group::from_name(group)) {
        (Some(gid), _) => Ok(gid),
        (None, Ok(Some(found))) => Ok(found.gid.as_raw()),
        (None, _) => Err(unknown(text, "group", group)),
    }
}

/// The number that `part` is, if it is written as one.
fn number(text: &str, part: &str) -> Result<Option<u32>, UserError> {
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    part.parse().map(Some).map_err(|_| UserError::NoId(text.to_owned()))
}

fn unknown(text: &str, what: &'static str, name: &str) -> UserError {
    UserError::Unknown { text: text.to_owned(), what, name: name.to_owned() }
}

impl User {
    /// Makes the calling thread this user, with no other group than its own. With
    /// `keep_capabilities` the permitted ones stay.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; a thread that is this user already needs no leave.
    pub(super) fn switch(&self, keep_capabilities: bool) -> Result<(), UserError> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let switch = || {
            if getuid() == uid && getgid() == gid && getgroups()?.iter().all(|of| *of == gid) {
                return Ok(());
            }
            set_keep_capabilities(keep_capabilities)?;
            set_thread_groups(&[])?;
            set_thread_res_gid(gid, gid, gid)?;
            set_thread_res_uid(uid, uid, uid)?;
            set_keep_capabilities(false)
        };
        let failed = |reason: rustix::io::Errno| UserError::Switch {
            text: self.text.clone(),
            source: reason.into(),
        };
        switch().map_err(failed)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        match text.parse::<User>() {
            Ok(user) => user.to_string(),
            Err(error) => error.advice().to_string(),
        }
    }

    #[test]
    fn names_and_numbers_are_users() {
        for (text, expected) in [
            ("3000000001", "3000000001:3000000001"),
            ("3000000001:7", "3000000001:7"),
            ("3000000001:0", "3000000001:0"),
            ("4294967294:4294967294", "4294967294:4294967294"),
            ("3000000001:root", "3000000001:0"),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        insta::assert_snapshot!(parsed(""), @r#"--user="" is no user; write NAME, UID, NAME:GROUP or UID:GID"#);
        insta::assert_snapshot!(parsed(":7"), @r#"--user=":7" is no user; write NAME, UID, NAME:GROUP or UID:GID"#);
        insta::assert_snapshot!(parsed("7:"), @r#"--user="7:" is no user; write NAME, UID, NAME:GROUP or UID:GID"#);
        insta::assert_snapshot!(parsed("root"), @r#"--user="root" is root, whom the exporter is to leave; name another user, or leave out --user"#);
        insta::assert_snapshot!(parsed("0:7"), @r#"--user="0:7" is root, whom the exporter is to leave; name another user, or leave out --user"#);
        insta::assert_snapshot!(parsed("4294967295"), @r#"--user="4294967295" has a number that is no user's or group's; write one up to 4294967294"#);
        insta::assert_snapshot!(parsed("7:4294967296"), @r#"--user="7:4294967296" has a number that is no user's or group's; write one up to 4294967294"#);
        insta::assert_snapshot!(parsed("no such user"), @r#"--user="no such user" names the user "no such user", whom this host does not know; write its number"#);
        insta::assert_snapshot!(parsed("7:no such group"), @r#"--user="7:no such group" names the group "no such group", whom this host does not know; write its number"#);
        let source = io::Error::from_raw_os_error(libc::EPERM);
        let refused = UserError::Switch { text: "7".to_owned(), source };
        insta::assert_snapshot!(refused.advice(), @r#"failed to become the user "7": operation not permitted; start as root, or with CAP_SETUID and CAP_SETGID, or leave out --user"#);
    }
}
