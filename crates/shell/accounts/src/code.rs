//! Every code of a problem that the API or the gateway answers about sessions: the one list.
//!
//! A code belongs to one status, and its meaning is what the description of the API says of it. Programs compare codes, so
//! one is never renamed; a new one is a line here, and is in `docs/api/openapi.json` by that.

use http::StatusCode;
use serde::{Serialize, Serializer};
use session::Refusal;
use std::borrow::Cow;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema::SchemaType};
use utoipa::{PartialSchema, ToSchema};

macro_rules! codes {
    ($($code:ident $status:ident $name:literal: $meaning:literal)*) => {
        /// What happened, in a word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// As programs compare it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Code::$code => $name,)* }
            }

            /// The status of an answer with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Code::$code => StatusCode::$status,)* }
            }

            /// When it is answered, and what to do: a sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$code => $meaning,)* }
            }
        }
    };
}

codes! {
    BadRequest BAD_REQUEST "bad_request": "The request or its body cannot be read; the text says where."
    InvalidGrant BAD_REQUEST "invalid_grant": "Of refresh: the session is over or was never ours."
    SeveralCookies BAD_REQUEST "several_cookies": "Session cookies that differ; log out, which ends each of them."
    InvalidCredentials UNAUTHORIZED "invalid_credentials": "Of login: the user name or the password is wrong."
    InvalidToken UNAUTHORIZED "invalid_token": "The session is over or was never ours: sign in again."
    NoCredential UNAUTHORIZED "no_credential": "The request names no session that counts here: sign in."
    Forged FORBIDDEN "forged": "It comes from another origin, or does not say from where."
    PlainHttp FORBIDDEN "plain_http": "Of login and of a program's login path: a session cookie needs https, but from this machine."
    NotFound NOT_FOUND "not_found": "There is nothing at this path, or no such session of this user."
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed": "The path does not take this method."
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large": "A body below this prefix has at most 64 KiB."
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type": "The body is to be application/json."
    Throttled TOO_MANY_REQUESTS "throttled": "Of login: too many wrong passwords; wait for Retry-After."
    BadSignIn BAD_GATEWAY "bad_sign_in": "Of a program's login path: its Steadfast-Sign-In names no user."
    Busy SERVICE_UNAVAILABLE "busy": "Of login: too many passwords are being looked at; try again after Retry-After."
    NoKey SERVICE_UNAVAILABLE "no_key": "Of a program's path: its key is not known here yet; try again after Retry-After."
    Unknown SERVICE_UNAVAILABLE "unknown": "It cannot be known now: whoever is signed in stays so; try again after Retry-After."
}

impl From<Refusal> for Code {
    fn from(refusal: Refusal) -> Code {
        match refusal.code() {
            None => Code::NoCredential,
            Some(_) => Code::InvalidToken,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let lines = Code::ALL.iter().map(|code| {
            let (name, status) = (code.name(), code.status().as_u16());
            format!("* `{name}` ({status}): {}", code.meaning())
        });
        let mut text = vec![
            "What happened, in a word: what programs compare. Further ones may come; their status says how to take them."
                .to_owned(),
        ];
        text.extend(lines);
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .enum_values(Some(Code::ALL.iter().map(|code| code.name())))
            .description(Some(text.join("\n")))
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Code")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_credential_has_the_code_of_its_challenge() {
        for refusal in [Refusal::Malformed, Refusal::Idle, Refusal::NotFound] {
            assert_eq!(Some(Code::from(refusal).name()), refusal.code());
        }
        for refusal in [Refusal::Absent, Refusal::OtherRealm] {
            assert_eq!(
                (Code::from(refusal), refusal.code()),
                (Code::NoCredential, None)
            );
        }
    }
}
