//! What travels, as JSON. Fields are only ever added.

use serde::{Deserialize, Serialize};
use session::{Kind, Sid};
use store::After;
use utoipa::ToSchema;

/// How a session's token travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// A cookie of the browser that scripts cannot read.
    #[default]
    Cookie,
    /// `Authorization: Bearer sf1.b…`, the same token for the whole session.
    Bearer,
    /// `Authorization: Bearer sf1.r…`, replaced by `refresh`.
    Rotating,
}

impl From<Mode> for Kind {
    fn from(mode: Mode) -> Kind {
        match mode {
            Mode::Cookie => Kind::Cookie,
            Mode::Bearer => Kind::Bearer,
            Mode::Rotating => Kind::Rotating,
        }
    }
}

impl From<Kind> for Mode {
    fn from(kind: Kind) -> Mode {
        match kind {
            Kind::Cookie => Mode::Cookie,
            Kind::Bearer => Mode::Bearer,
            Kind::Rotating => Mode::Rotating,
        }
    }
}

/// The gateway answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pong {
    pub(crate) ok: bool,
}

/// A user name and a password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
    #[serde(default)]
    pub(crate) mode: Mode,
}

/// Signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    pub(crate) valid: bool,
    /// The session's public name.
    pub(crate) session: String,
    pub(crate) user: String,
    pub(crate) mode: Mode,
    /// For bearer and rotating only; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// The credential is valid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    pub(crate) valid: bool,
    pub(crate) session: String,
    pub(crate) user: String,
    /// Always `gateway`.
    pub(crate) source: &'static str,
    /// As sent in `Steadfast-Nonce`.
    pub(crate) nonce: Option<String>,
}

/// Asks for the successor of a rotating token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RefreshAsked {
    /// `sf1.r…`
    pub(crate) token: String,
    /// base64url of HMAC-SHA256(the client's key, t), t being the token's secret.
    pub(crate) a: String,
}

/// The successor.
#[derive(Serialize, ToSchema)]
pub(crate) struct Successor {
    pub(crate) token: String,
    pub(crate) session: String,
}

/// Which sessions to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct LogoutAll {
    /// Keep the session that asks.
    #[serde(default)]
    pub(crate) keep_this: bool,
}

/// So many sessions were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedCount {
    pub(crate) ended: usize,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    pub(crate) user: String,
    pub(crate) session: String,
    pub(crate) mode: Mode,
    /// Unix seconds of the sign-in.
    pub(crate) created_at_s: u64,
    /// Unix seconds of the last activity, up to a minute late.
    pub(crate) seen_at_s: u64,
}

/// One session of the user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Own {
    /// Its public name: no credential.
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) mode: Mode,
    /// Unix seconds of the sign-in.
    pub(crate) created_at_s: u64,
    /// Unix seconds of the last activity, up to a minute late.
    pub(crate) seen_at_s: u64,
    /// Address and agent of its client.
    pub(crate) context: String,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
}

/// The user's living sessions, newest activity first; a page of at most 500.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnList {
    pub(crate) sessions: Vec<Own>,
    /// For `after`, to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// The session behind which a page begins, as clients keep it.
pub(crate) fn cursor(after: After) -> String {
    format!("{}.{}", after.seen_ms, after.id)
}

/// Reads what [`cursor`] writes.
pub(crate) fn after(cursor: &str) -> Option<After> {
    let (seen_ms, id) = cursor.split_once('.')?;
    Some(After {
        seen_ms: seen_ms.parse().ok()?,
        id: Sid::parse(id)?,
    })
}
