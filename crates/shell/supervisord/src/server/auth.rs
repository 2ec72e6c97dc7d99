//! Basic authentication with the user of the section, as Supervisor has it: a plain password or `{SHA}` and the
//! hex digits of its SHA-1. Compared in constant time, so that the answer's delay says nothing.

use base64::Engine;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// Who may use a server.
#[derive(Clone, Default)]
pub struct Auth {
    user: Option<User>,
    /// A name by which the file calls the server.
    host: String,
}

#[derive(Clone)]
struct User {
    name: String,
    password: String,
}

/// What credentials come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// None, of another scheme, or wrong ones.
    Unauthorized,
    /// A Basic header that cannot be read.
    Malformed,
}

impl Auth {
    /// Everybody who can connect. Also what Supervisor does with an empty `username`.
    pub fn open() -> Auth {
        Auth::default()
    }

    /// The server is called so, beside the names that every one of them has ([`super::host`]).
    #[must_use]
    pub fn called(self, host: &str) -> Auth {
        Auth {
            host: host.to_owned(),
            ..self
        }
    }

    /// See [`Auth::called`].
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// One user; `password` is plain or `{SHA}…`.
    pub fn user(name: &str, password: &str) -> Auth {
        if name.is_empty() {
            return Auth::open();
        }
        Auth {
            user: Some(User {
                name: name.to_owned(),
                password: password.to_owned(),
            }),
            host: String::new(),
        }
    }

    /// Whether somebody has to say who they are.
    pub(super) fn wants_password(&self) -> bool {
        self.user.is_some()
    }

    /// Who calls, in words for the ledger.
    pub(super) fn operator(&self, peer: &str) -> String {
        match &self.user {
            None => format!("XML-RPC ({peer})"),
            Some(user) => format!("XML-RPC, {} ({peer})", user.name),
        }
    }

    /// Judges an `Authorization` header.
    pub(super) fn check(&self, header: Option<&[u8]>) -> Verdict {
        let Some(user) = &self.user else {
            return Verdict::Welcome;
        };
        let Some((scheme, credentials)) = header.and_then(split) else {
            return Verdict::Unauthorized;
        };
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Verdict::Unauthorized;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(credentials.trim_ascii());
        let Ok(decoded) = decoded else {
            return Verdict::Malformed;
        };
        let Some(colon) = decoded.iter().position(|b| *b == b':') else {
            return Verdict::Unauthorized;
        };
        let (name, password) = (&decoded[..colon], &decoded[colon + 1..]);
        let name_fits = same(name, user.name.as_bytes());
        let password_fits = match user.password.strip_prefix("{SHA}") {
            Some(hash) => same(hex(&Sha1::digest(password)).as_bytes(), hash.as_bytes()),
            None => same(password, user.password.as_bytes()),
        };
        match name_fits & password_fits {
            true => Verdict::Welcome,
            false => Verdict::Unauthorized,
        }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.user {
            None => f.write_str("Auth(open)"),
            Some(user) => write!(f, "Auth(user {:?})", user.name),
        }
    }
}

fn split(header: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = header.trim_ascii();
    let space = header.iter().position(|b| *b == b' ')?;
    Some((&header[..space], &header[space + 1..]))
}

/// Equal? Digests are compared, so that not even the length shows.
fn same(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (Sha1::digest(a), Sha1::digest(b));
    a.as_slice().ct_eq(b.as_slice()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(auth: &Auth, header: &str) -> Verdict {
        auth.check(Some(header.as_bytes()))
    }

    #[test]
    fn plain_and_hashed() {
        let hashed = "{SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d"; // thepassword
        for auth in [
            Auth::user("chris", "thepassword"),
            Auth::user("chris", hashed),
        ] {
            // chris:thepassword
            assert_eq!(
                check(&auth, "Basic Y2hyaXM6dGhlcGFzc3dvcmQ="),
                Verdict::Welcome
            );
            assert_eq!(
                check(&auth, "basic  Y2hyaXM6dGhlcGFzc3dvcmQ= "),
                Verdict::Welcome
            );
            for wrong in [
                "",
                "Basic",
                "Bearer Y2hyaXM6dGhlcGFzc3dvcmQ=",
                "Basic Y2hyaXM=",         // chris
                "Basic Y2hyaXM6",         // chris:
                "Basic Y2hyaXM6eA==",     // chris:x
                "Basic OnRoZXBhc3N3b3Jk", // :thepassword
            ] {
                assert_eq!(check(&auth, wrong), Verdict::Unauthorized, "{wrong}");
            }
            assert_eq!(check(&auth, "Basic ****"), Verdict::Malformed);
            assert_eq!(auth.check(None), Verdict::Unauthorized);
            assert!(!format!("{auth:?}").contains("thepassword"));
        }
        // The hash itself is not a password.
        let auth = Auth::user("chris", hashed);
        let header = format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("chris:{hashed}"))
        );
        assert_eq!(check(&auth, &header), Verdict::Unauthorized);
        assert_eq!(Auth::user("", "x").check(None), Verdict::Welcome);
    }
}
