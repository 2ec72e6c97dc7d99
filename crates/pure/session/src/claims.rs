//! What a program reads about its user: a token made at dispatch, after all waiting.
//!
//! `sub` is a string, there is no `aud` unless the operator names one, `iat` lies 60 s back: PyJWT rejects an integer
//! `sub`, an `aud` that the program did not ask for, and an `iat` in the future. `exp` is five minutes ahead, counted from
//! dispatch. The requests of one session within [`JWT_REUSE_S`] may carry the same token ([`fresh`]), as those of any
//! client with a token of its own do; whether the session still lives is asked for each of them.

use crate::jws::{Alg, sign};
use crate::limits::{CLAIMS_MAX, JWT_BACK_S, JWT_LIFE_S, JWT_REUSE_S};
use crate::verdict::Admission;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

/// What a library expects beside the standard claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// `sub`, `iat`, `exp`, `jti`: PyJWT, python-jose, `jose`, jsonwebtoken.
    #[default]
    Plain,
    /// djangorestframework-simplejwt: `token_type: access` and `user_id`.
    SimpleJwt,
    /// flask-jwt-extended: `type: access`, `fresh: false`, `nbf`.
    FlaskJwtExtended,
}

/// Where a claim's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The user id.
    User,
    /// The session's public name.
    Session,
    /// This text.
    Text(String),
}

/// The claims that one program wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    preset: Preset,
    more: Vec<(String, Source)>,
}

/// Why a `claims =` is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// This word is neither a preset nor `name:user`, `name:session` or `name="text"`.
    Word(String),
    /// This claim is set by us; `aud` is free as a text only: a program compares it with its own name.
    Reserved(String),
    /// More than [`CLAIMS_MAX`], or one twice.
    TooMany(String),
}

/// Whether a token that was made at `made_s` may go along with a request that leaves at `now_s`. Not if the clock was
/// set back meanwhile: its `iat` could lie in the future.
#[must_use]
pub const fn fresh(made_s: u64, now_s: u64) -> bool {
    made_s <= now_s && now_s - made_s < JWT_REUSE_S
}

impl Shape {
    /// Reads `claims = simplejwt`, `claims = user_id:user, sid:session, role="member"`.
    ///
    /// # Errors
    /// The word that is wrong.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let mut shape = Self::default();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word {
                "plain" => shape.preset = Preset::Plain,
                "simplejwt" => shape.preset = Preset::SimpleJwt,
                "flask-jwt-extended" => shape.preset = Preset::FlaskJwtExtended,
                _ => shape.add(word)?,
            }
        }
        Ok(shape)
    }

    fn add(&mut self, word: &str) -> Result<(), Unfit> {
        let (name, source) = if let Some((name, text)) = word.split_once('=') {
            let text = text
                .trim()
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'));
            (
                name,
                Source::Text(text.ok_or_else(|| Unfit::Word(word.to_owned()))?.to_owned()),
            )
        } else {
            match word.split_once(':') {
                Some((name, "user")) => (name, Source::User),
                Some((name, "session")) => (name, Source::Session),
                Some(_) | None => return Err(Unfit::Word(word.to_owned())),
            }
        };
        let name = name.trim();
        if name.is_empty() || name.chars().any(|c| c.is_control() || c == '"') {
            return Err(Unfit::Word(word.to_owned()));
        }
        let named = matches!(&source, Source::Text(text) if !text.is_empty());
        let ours = matches!(name, "sub" | "iat" | "exp" | "nbf" | "jti");
        if ours || (name == "aud" && !named) {
            return Err(Unfit::Reserved(name.to_owned()));
        }
        if self.more.len() >= CLAIMS_MAX || self.more.iter().any(|(before, _)| before == name) {
            return Err(Unfit::TooMany(name.to_owned()));
        }
        self.more.push((name.to_owned(), source));
        Ok(())
    }

    /// The claims of a token. `now_s` is the moment of dispatch, `jti` fresh randomness.
    #[must_use]
    pub fn claims(&self, admission: &Admission, now_s: u64, jti: [u8; 16]) -> Map<String, Value> {
        let user = || Value::from(admission.user.as_str());
        let iat = now_s.saturating_sub(JWT_BACK_S);
        let mut claims = Map::new();
        claims.insert("sub".into(), user());
        claims.insert("iat".into(), iat.into());
        claims.insert("exp".into(), now_s.saturating_add(JWT_LIFE_S).into());
        claims.insert("jti".into(), BASE64.encode(jti).into());
        match self.preset {
            Preset::Plain => {}
            Preset::SimpleJwt => {
                claims.insert("token_type".into(), "access".into());
                claims.insert("user_id".into(), user());
            }
            Preset::FlaskJwtExtended => {
                claims.insert("type".into(), "access".into());
                claims.insert("fresh".into(), false.into());
                claims.insert("nbf".into(), iat.into());
            }
        }
        for (name, source) in &self.more {
            let value = match source {
                Source::User => user(),
                Source::Session => admission.session.to_string().into(),
                Source::Text(text) => text.as_str().into(),
            };
            claims.insert(name.clone(), value);
        }
        claims
    }

    /// A token, signed with the key that the program's generation was started with.
    #[must_use]
    pub fn token(
        &self,
        admission: &Admission,
        alg: Alg,
        key: &[u8],
        now_s: u64,
        jti: [u8; 16],
    ) -> String {
        sign(
            alg,
            key,
            &Value::Object(self.claims(admission, now_s, jti)).to_string(),
        )
    }
}
