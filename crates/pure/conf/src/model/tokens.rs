//! Keys, tokens and sessions as typed values: `[sessions]`, and the keys of programs, upstreams and gateways for it.

use std::time::Duration;

use finding::Span;

use super::value::Spanned;

/// How long a retired key verifies where `token_lifetime` is not set: 30 days, the longest that tutorials and libraries
/// suggest for a token.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The tokens that a program or an upstream reads: which key signs them, and how they look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    /// `signing`: which of its `secrets` signs; `None`: the only one.
    pub signing: Option<Spanned<String>>,
    /// `jwt_alg`: HS256, HS384 or HS512; `None`: HS256.
    pub alg: Option<Spanned<String>>,
    /// `claims`, as `session::claims::Shape` reads it; whoever uses it checks it.
    pub claims: Option<Spanned<String>>,
    /// `jwt_cookie`: a cookie in which the app keeps a token of its own.
    pub cookie: Option<Spanned<String>>,
    /// `secrets_fallbacks`: the variable in which the app reads older values of the key that signs.
    pub fallbacks: Option<Spanned<Fallbacks>>,
    /// `token_lifetime`: how long the longest token of the app lives; a retired key verifies for so long.
    pub lifetime: Option<Spanned<Duration>>,
}

impl Tokens {
    /// The key that signs: the named one, else the only one. `None` where there is none, or several and none is named.
    pub fn signer<'a>(&'a self, secrets: &'a [Spanned<String>]) -> Option<&'a str> {
        match (&self.signing, secrets) {
            (Some(named), _) => Some(named.value.as_str()),
            (None, [only]) => Some(only.value.as_str()),
            (None, [] | [_, _, ..]) => None,
        }
    }
}

/// `NAME:json` or `NAME:csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallbacks {
    /// Name of the variable.
    pub name: String,
    /// A JSON array of strings, instead of values with commas between them.
    pub json: bool,
}

/// `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// The program decides.
    #[default]
    Off,
    /// Who is signed in is told to the program.
    Optional,
    /// Only who is signed in passes.
    Required,
}

/// `[sessions]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Where the section begins.
    pub header: Span,
    /// `sqlite`, or a `postgres://…` address, which may hold a password.
    pub store: Spanned<String>,
    /// Where the API is served: begins with `/`, has no slash at its end.
    pub prefix: Option<Spanned<String>>,
    /// Origins (`https://app.example`) other than a gateway's own.
    pub origins: Vec<Spanned<String>>,
    /// A session ends after so long without traffic.
    pub idle_timeout: Option<Spanned<Duration>>,
    /// A session ends so long after its sign-in.
    pub absolute_timeout: Option<Spanned<Duration>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("prefix", &self.prefix)
            .field("origins", &self.origins)
            .field("idle_timeout", &self.idle_timeout)
            .field("absolute_timeout", &self.absolute_timeout)
            .finish_non_exhaustive()
    }
}
