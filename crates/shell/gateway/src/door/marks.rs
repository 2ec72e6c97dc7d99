//! What an answer tells a browser client about itself: whose it is, and which question it answers.
//!
//! A client believes a 401 only from a gateway, with the nonce that it sent and the session that it has. So every answer
//! on a listener carries them when asked, the program's as well as ours. A page of another origin sees headers only if
//! they are exposed to it.

use h1::Kind;
use h1::request::RequestHead;
use session::Sid;

use crate::door::asked;
use crate::forward::Origin;
use crate::limits::NONCE_BYTES_MAX;
use crate::site::Site;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// We do.
    Gateway,
    /// The program does.
    Program,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    /// The client's, to be echoed.
    pub(crate) nonce: Option<String>,
    /// The origin that the request named, if it is listed or the gateway's own.
    pub(crate) origin: Option<String>,
}

impl Marks {
    /// What the request asks for.
    pub(crate) fn of(site: &Site, head: &RequestHead, buf: &[u8], from: &Origin<'_>) -> Marks {
        let nonce = match head.has(Kind::Steadfast) {
            true => nonce(head, buf),
            false => None,
        };
        let origin = match (
            head.has(Kind::Origin),
            site.door.is_some() || nonce.is_some(),
        ) {
            (true, true) => asked::known_origin(site, head, buf, from),
            (true, false) | (false, _) => None,
        };
        Marks { nonce, origin }
    }

    /// Nothing to be said.
    pub(crate) fn is_empty(&self) -> bool {
        self.nonce.is_none() && self.origin.is_none()
    }

    /// Appends the lines.
    pub(crate) fn write(&self, out: &mut Vec<u8>, source: Source, session: Option<Sid>) {
        if let Some(nonce) = &self.nonce {
            let name = match source {
                Source::Gateway => "gateway",
                Source::Program => "program",
            };
            line(out, "Steadfast-Nonce", nonce);
            line(out, "Steadfast-Source", name);
            if let Some(session) = session {
                line(out, "Steadfast-Session", &session.to_string());
            }
        }
        let Some(origin) = &self.origin else { return };
        if self.nonce.is_some() || source == Source::Gateway {
            line(
                out,
                "Access-Control-Expose-Headers",
                "Steadfast-Nonce, Steadfast-Source, Steadfast-Session, Retry-After, WWW-Authenticate",
            );
        }
        // What the program allows is its own to say; an answer of ours in its place says it for those that are listed.
        if source == Source::Gateway {
            line(out, "Access-Control-Allow-Origin", origin);
            line(out, "Access-Control-Allow-Credentials", "true");
            line(out, "Vary", "Origin");
        }
    }
}

/// Appends one line. `value` holds no CR or LF.
pub(crate) fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// 1 to 64 of `[A-Za-z0-9_-]`; anything else, and two of them, is none.
fn nonce(head: &RequestHead, buf: &[u8]) -> Option<String> {
    let named = |line: &&h1::Line| line.name().of(buf).eq_ignore_ascii_case(b"steadfast-nonce");
    let mut lines = head.lines.as_slice().iter().filter(named);
    let value = lines.next()?.value().of(buf);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let fits = (1..=NONCE_BYTES_MAX).contains(&value.len()) && value.iter().all(plain);
    let one = lines.next().is_none();
    (fits && one).then(|| String::from_utf8_lossy(value).into_owned())
}
