//! Who a request says that it is from: a user and a password, as basic authentication has them.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A user and a password, of whatever bytes.
#[derive(PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl fmt::Debug for Login {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user_name()).finish_non_exhaustive()
    }
}

impl Login {
    /// That of a request, if it has one that makes sense.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, coded) = value.split_at_checked("Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let mut user = STANDARD.decode(coded).ok()?;
        let colon = user.iter().position(|byte| *byte == b':')?;
        let password = user.split_off(colon + 1);
        user.truncate(colon);
        Some(Self { user, password })
    }

    /// The user, if it may be one.
    pub(super) fn user_name(&self) -> Option<&str> {
        str::from_utf8(&self.user).ok()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn it_is_shown_without_the_password() {
        let login = Login { user: b"a".to_vec(), password: b"secret".to_vec() };
        assert_eq!(format!("{login:?}"), r#"Login { user: Some("a"), .. }"#);
    }

    #[test]
    fn a_login_is_a_user_and_a_password() {
        let of = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let login = Login::of(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some(format!("{} {}", text(&login.user), text(&login.password)))
        };
        let basic = |text: &str| of(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(basic("a:b").as_deref(), Some("a b"));
        assert_eq!(basic("a:b:c").as_deref(), Some("a b:c"));
        assert_eq!(basic(":").as_deref(), Some(" "));
        assert_eq!(of("bAsIc YTpi").as_deref(), Some("a b"));
        assert_eq!(basic("a"), None);
        for value in ["", "Basic", "Basic ", "Basic YTpi!", "Basic YTp", "Bearer YTpi", "BasicYTpi"]
        {
            assert_eq!(of(value), None, "{value}");
        }
        assert_eq!(Login::of(&HeaderMap::new()), None);
    }
}
