//! Every refusal as RFC 9457 wants it; a refused credential as RFC 6750 wants it, too. The only place that makes one.

use crate::Code;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use session::csrf::Forged;
use session::{Refusal, Sid, Unsure, Verdict};
use utoipa::ToSchema;

/// Whose protection it is, in challenges.
const REALM: &str = "steadfast";
/// A store that does not answer: ask again after so many seconds.
const UNKNOWN_S: u64 = 1;
/// Passwords wait in a queue of about half a second.
const BUSY_S: u64 = 2;

/// Problem details (RFC 9457). `code` is what programs compare; the texts may change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Details {
    /// `urn:steadfast:problem:CODE`.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// As in the status line.
    status: u16,
    /// A sentence for people.
    detail: String,
    code: Code,
    /// Of `refresh`, as RFC 6749 section 5.2 names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// False where the credential was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
    /// The session that the credential names, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// As sent in `Steadfast-Nonce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    /// Who says it: `gateway`.
    source: &'static str,
}

/// Why a request is not done.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    error: Option<&'static str>,
    refusal: Option<Refusal>,
    session: Option<Sid>,
    retry_s: Option<u64>,
    nonce: Option<String>,
    /// Removes a cookie that is good for nothing.
    cookie: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            error: None,
            refusal: None,
            session: None,
            retry_s: None,
            nonce: None,
            cookie: None,
        }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    pub(crate) fn unknown(unsure: Unsure) -> Self {
        let text = format!("{} You stay signed in.", unsure.text());
        Self {
            retry_s: Some(UNKNOWN_S),
            ..Self::new(Code::Unknown, text)
        }
    }

    pub(crate) fn busy() -> Self {
        let text = "Too many people sign in at this moment.";
        Self {
            retry_s: Some(BUSY_S),
            ..Self::new(Code::Busy, text)
        }
    }

    pub(crate) fn throttled(wait_ms: u64) -> Self {
        let text =
            "Too many wrong passwords. Wait, or use a browser in which you signed in before.";
        Self {
            retry_s: Some(wait_ms.div_ceil(1000)),
            ..Self::new(Code::Throttled, text)
        }
    }

    /// Who the user is was not shown: no word on which part was wrong.
    pub(crate) fn credentials() -> Self {
        let text = "The user name or the password is wrong.";
        Self {
            refusal: Some(Refusal::Absent),
            ..Self::new(Code::InvalidCredentials, text)
        }
    }

    pub(crate) fn refused(refusal: Refusal, session: Option<Sid>) -> Self {
        Self {
            refusal: Some(refusal),
            session,
            ..Self::new(refusal.into(), refusal.text())
        }
    }

    pub(crate) fn forged(forged: Forged) -> Self {
        Self::new(Code::Forged, forged.text())
    }

    pub(crate) fn grant(refusal: Refusal, session: Option<Sid>) -> Self {
        let text = refusal.text();
        Self {
            error: Some(Code::InvalidGrant.name()),
            session,
            ..Self::new(Code::InvalidGrant, text)
        }
    }

    /// None: it is valid.
    pub(crate) fn of(verdict: &Verdict, session: Option<Sid>) -> Option<Self> {
        match verdict {
            Verdict::Valid(_) => None,
            Verdict::Invalid(refusal) => Some(Self::refused(*refusal, session)),
            Verdict::Unknown(unsure) => Some(Self::unknown(*unsure)),
        }
    }

    pub(crate) fn with_nonce(self, nonce: Option<String>) -> Self {
        Self { nonce, ..self }
    }

    pub(crate) fn with_cookie(self, cookie: Option<String>) -> Self {
        Self { cookie, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let refused = self.refusal.is_some() && self.code != Code::InvalidCredentials;
        let details = Details {
            kind: format!("urn:steadfast:problem:{}", self.code.name()),
            title: status.canonical_reason().unwrap_or("Unknown"),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code,
            error: self.error,
            valid: refused.then_some(false),
            session: self.session.map(|session| session.to_string()),
            nonce: self.nonce,
            source: "gateway",
        };
        let mut response = (status, axum::Json(&details)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        let challenge = self.refusal.map(|refusal| refusal.challenge(REALM));
        if let Some(Ok(value)) = challenge.map(|text| HeaderValue::from_str(&text)) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        if let Some(session) = self.session {
            super::name_session(headers, session);
        }
        super::set_cookie(headers, self.cookie);
        response
    }
}
