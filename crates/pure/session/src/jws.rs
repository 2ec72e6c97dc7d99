//! Signed tokens for programs: RFC 7515 compact form with HMAC (RFC 7518 section 3.2), nothing else.
//!
//! By hand, over the HMAC that is here anyway: three algorithms, one form, no key lookup by `kid`, no `none`, no
//! public keys to confuse with secrets. The algorithm is chosen by the key's configuration when signing, and when
//! reading only among these three; a header with `crit` is not for us.

use crate::limits::JWT_BYTES_MAX;
use crate::mac::keyed;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::{Sha256, Sha384, Sha512};

/// The algorithms that programs with one shared key use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Alg {
    /// HMAC with SHA-256: what nearly every app uses.
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl Alg {
    /// Its name in a header. None for any other: `none`, RS256, ES256 …
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "HS384" => Some(Self::Hs384),
            "HS512" => Some(Self::Hs512),
            _ => None,
        }
    }

    /// Its name in a header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    fn mac(self, key: &[u8], input: &[u8]) -> Vec<u8> {
        fn run<M: Mac + hmac::digest::KeyInit>(key: &[u8], input: &[u8]) -> Vec<u8> {
            let mut mac = keyed::<M>(key);
            mac.update(input);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Hs256 => run::<Hmac<Sha256>>(key, input),
            Self::Hs384 => run::<Hmac<Sha384>>(key, input),
            Self::Hs512 => run::<Hmac<Sha512>>(key, input),
        }
    }

    fn proves(self, key: &[u8], input: &[u8], signature: &[u8]) -> bool {
        fn run<M: Mac + hmac::digest::KeyInit>(key: &[u8], input: &[u8], signature: &[u8]) -> bool {
            let mut mac = keyed::<M>(key);
            mac.update(input);
            mac.verify_slice(signature).is_ok()
        }
        match self {
            Self::Hs256 => run::<Hmac<Sha256>>(key, input, signature),
            Self::Hs384 => run::<Hmac<Sha384>>(key, input, signature),
            Self::Hs512 => run::<Hmac<Sha512>>(key, input, signature),
        }
    }
}

/// Why a text is not a token that we can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// Longer than [`JWT_BYTES_MAX`].
    TooLong,
    /// Not three parts of base64url with a JSON header. An opaque token, a session of ours, anything.
    NotCompact,
    /// `alg` is none of the three.
    Algorithm,
    /// `crit` names extensions that we do not know (RFC 7515 section 4.1.11).
    Critical,
}

/// A token that was read and not yet believed.
#[derive(Debug, Clone, Copy)]
pub struct Compact<'a> {
    alg: Alg,
    /// `header.payload`, as sent: what the signature covers.
    input: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// How nearly all libraries write their headers, in base64url: read by one comparison. Any other is read by the rules.
const USUAL_HEADERS: [(&str, Alg); 9] = [
    ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", Alg::Hs256),
    ("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9", Alg::Hs256),
    ("eyJhbGciOiJIUzI1NiJ9", Alg::Hs256),
    ("eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9", Alg::Hs384),
    ("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzM4NCJ9", Alg::Hs384),
    ("eyJhbGciOiJIUzM4NCJ9", Alg::Hs384),
    ("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9", Alg::Hs512),
    ("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9", Alg::Hs512),
    ("eyJhbGciOiJIUzUxMiJ9", Alg::Hs512),
];

/// Bytes of the longest signature, HMAC-SHA-512's, with room for the whole groups that the decoder wants.
const SIGNATURE_BYTES_MAX: usize = 66;

/// What we read of a header. A field that comes twice is an error: two readers could believe different ones.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
    /// RFC 7797: the payload would not be base64url. Only allowed with `crit`; refused by itself too.
    #[serde(default)]
    b64: Option<serde_json::Value>,
}

impl<'a> Compact<'a> {
    /// Reads the header; checks no signature.
    ///
    /// # Errors
    /// The text is passed on as it is: whoever gets it decides.
    pub fn read(text: &'a str) -> Result<Self, Unreadable> {
        if text.len() > JWT_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let (input, signature) = text.rsplit_once('.').ok_or(Unreadable::NotCompact)?;
        let (header, payload) = input.split_once('.').ok_or(Unreadable::NotCompact)?;
        if payload.contains('.') {
            return Err(Unreadable::NotCompact);
        }
        let usual = USUAL_HEADERS.iter().find(|(usual, _)| *usual == header);
        let alg = match usual {
            Some((_, alg)) => *alg,
            None => by_the_rules(header)?,
        };
        Ok(Self {
            alg,
            input,
            payload,
            signature,
        })
    }

    /// Its algorithm.
    #[must_use]
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// Whether this key signed it. In constant time; a signature of another length or spelling proves nothing.
    #[must_use]
    pub fn proved_by(&self, key: &[u8]) -> bool {
        let mut bytes = [0; SIGNATURE_BYTES_MAX];
        let read = BASE64.decode_slice(self.signature, &mut bytes);
        let sent = read.ok().and_then(|length| bytes.get(..length));
        sent.is_some_and(|sent| self.alg.proves(key, self.input.as_bytes(), sent))
    }

    /// The claims. None where they are no JSON object.
    #[must_use]
    pub fn claims(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        serde_json::from_slice(&BASE64.decode(self.payload).ok()?).ok()
    }

    /// The same header and claims, signed with another key and the same algorithm.
    #[must_use]
    pub fn signed_with(&self, key: &[u8]) -> String {
        let signature = BASE64.encode(self.alg.mac(key, self.input.as_bytes()));
        format!("{}.{signature}", self.input)
    }
}

/// The algorithm of a header in base64url.
fn by_the_rules(header: &str) -> Result<Alg, Unreadable> {
    let header = BASE64.decode(header).map_err(|_| Unreadable::NotCompact)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| Unreadable::NotCompact)?;
    if header.crit.is_some() || header.b64.is_some() {
        return Err(Unreadable::Critical);
    }
    Alg::parse(&header.alg).ok_or(Unreadable::Algorithm)
}

/// Signs claims (a JSON object as text).
#[must_use]
pub fn sign(alg: Alg, key: &[u8], claims: &str) -> String {
    let header = match alg {
        Alg::Hs256 => r#"{"alg":"HS256","typ":"JWT"}"#,
        Alg::Hs384 => r#"{"alg":"HS384","typ":"JWT"}"#,
        Alg::Hs512 => r#"{"alg":"HS512","typ":"JWT"}"#,
    };
    let mut text = BASE64.encode(header);
    text.push('.');
    BASE64.encode_string(claims, &mut text);
    let signature = BASE64.encode(alg.mac(key, text.as_bytes()));
    text.push('.');
    text.push_str(&signature);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_headers_are_what_the_rules_make_of_them() {
        for (header, alg) in USUAL_HEADERS {
            assert_eq!(by_the_rules(header), Ok(alg), "{header}");
        }
        let [own, ..] = USUAL_HEADERS;
        let token = sign(Alg::Hs256, b"key", "{}");
        assert!(token.starts_with(&format!("{}.", own.0)), "{token}");
    }

    #[test]
    fn signatures_of_every_length_are_read_and_longer_ones_prove_nothing() {
        for alg in [Alg::Hs256, Alg::Hs384, Alg::Hs512] {
            let token = sign(alg, b"key", "{}");
            let read = |text: &str| Compact::read(text).expect("a token").proved_by(b"key");
            assert!(read(&token), "{alg:?}");
            for more in ["AAAA", "A", &"A".repeat(400)] {
                assert!(!read(&format!("{token}{more}")), "{alg:?} and {more}");
            }
            assert!(!read(&token[..token.len() - 4]), "{alg:?}, cut");
        }
    }
}
