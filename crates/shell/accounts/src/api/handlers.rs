//! One function for each path: read, ask, answer. What it means is decided in `session` and `store`.

use super::problem::{Details, Problem};
use super::shapes::{
    EndedCount, Login, LogoutAll, Me, Mode, Own, OwnList, Pong, RefreshAsked, SignedIn, Successor,
    Verified, after, cursor,
};
use super::{Asker, name_session, set_cookie};
use crate::limits::PAGE_ROWS_MAX;
use crate::users::Refused;
use crate::{Accounts, Code, Instead};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Bytes};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use session::cookie::{self, Channel, Sent};
use session::revoke::Scope;
use session::{Admission, Kind, Refusal, Sid, Token, Traffic, UserId, Verdict, Why};
use std::borrow::Cow;
use utoipa::OpenApi;

/// The lines of cookies, as the gateway reads them: those of others may hold any byte.
pub(super) struct Cookies<'a>(Vec<Cow<'a, str>>);

impl<'a> Cookies<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let lines = headers.get_all(COOKIE).iter();
        Self(lines.map(|line| cookie::text(line.as_bytes())).collect())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// What came as a credential.
struct Presented<'a> {
    cookie: Sent<'a>,
    bearer: Option<&'a str>,
}

fn presented<'a>(headers: &'a HeaderMap, sent: &'a Cookies<'_>, channel: Channel) -> Presented<'a> {
    let mut bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim_matches(' '))
    });
    Presented {
        cookie: cookie::find(channel, sent.values()),
        bearer: bearers.next().filter(|_| bearers.next().is_none()),
    }
}

/// The verdict about a text that came in this way: a cookie's token is no bearer, and the reverse.
async fn judged(
    accounts: &Accounts,
    asker: &Asker,
    text: &str,
    in_cookie: bool,
    traffic: Traffic,
) -> (Verdict, Option<Sid>) {
    match Token::parse(text) {
        None => (Verdict::Invalid(Refusal::Malformed), None),
        Some(token) if (token.kind() == Kind::Cookie) != in_cookie => {
            (Verdict::Invalid(Refusal::WrongUse), None)
        }
        Some(token) => {
            let (realm, fresh) = (&asker.caller.realm, asker.caller.fresh);
            accounts.identify(&token, realm, traffic, fresh).await
        }
    }
}

/// Who asks. A cookie counts before a header; a header is heard where the cookie is good for nothing.
async fn who(
    accounts: &Accounts,
    headers: &HeaderMap,
    asker: &Asker,
    traffic: Traffic,
) -> Result<Admission, Problem> {
    let cookies = Cookies::of(headers);
    let sent = presented(headers, &cookies, asker.caller.channel);
    let mut clear = None;
    let (mut verdict, mut session) = (Verdict::Invalid(Refusal::Absent), None);
    match sent.cookie {
        Sent::None => {}
        Sent::One(text) => {
            (verdict, session) = judged(accounts, asker, text, true, traffic).await;
            if matches!(verdict, Verdict::Invalid(refusal) if refusal.spoils_cookie()) {
                clear = cookie::clear(asker.caller.channel);
            }
        }
        // Somebody plants cookies: nobody is signed out by that.
        Sent::Several => {
            let text = "The request has several session cookies that differ.";
            return Err(Problem::new(Code::SeveralCookies, text));
        }
    }
    if let (Verdict::Invalid(_), Some(text)) = (&verdict, sent.bearer) {
        (verdict, session) = judged(accounts, asker, text, false, traffic).await;
    }
    match (verdict, session) {
        (Verdict::Valid(admission), _) => Ok(admission),
        (verdict, session) => match Problem::of(&verdict, session) {
            Some(problem) => Err(problem.with_nonce(asker.nonce.clone()).with_cookie(clear)),
            None => Err(Problem::credentials()),
        },
    }
}

/// A body of JSON that says that it is.
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Box<Problem>> {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        let text = "Send a JSON object, with Content-Type: application/json.";
        return Err(Problem::new(Code::UnsupportedMediaType, text).into());
    }
    // What serde says quotes values, and those may be passwords: the place is enough.
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "is not of this shape",
            _ => "is not JSON",
        };
        let said = error.to_string();
        // The name is one of ours.
        let missing = said.split(" at line").next().unwrap_or_default();
        let missing = missing.strip_prefix("missing field").map_or_else(String::new, |name| {
            format!(": it has no {}", name.trim())
        });
        let (line, column) = (error.line(), error.column());
        let text = format!(
            "The body {what}{missing} (line {line}, column {column}). The shapes are in openapi.json, beside this path."
        );
        Problem::bad(text).into()
    })
}

/// With `Steadfast-Session`.
fn named(session: Sid, answer: impl IntoResponse) -> Response {
    let mut answer = answer.into_response();
    name_session(answer.headers_mut(), session);
    answer
}

/// Says that the gateway answers. Needs no credential and no store; keeps no session alive.
#[utoipa::path(get, path = "/ping", responses((status = 200, body = Pong, description = "It does.")))]
pub(super) async fn ping() -> Json<Pong> {
    Json(Pong { ok: true })
}

/// Signs a built-in user in.
#[utoipa::path(post, path = "/login", request_body = Login, responses(
    (status = 200, body = SignedIn, description = "A new session; in cookie mode its cookie is set."),
    (status = 400, body = Details, description = "`bad_request`"),
    (status = 401, body = Details, description = "`invalid_credentials`: it does not say which part is wrong."),
    (status = 403, body = Details, description = "`forged`: from another origin; `plain_http`: a cookie needs https."),
    (status = 415, body = Details, description = "`unsupported_media_type`"),
    (status = 429, body = Details, description = "`throttled`: too many wrong passwords; Retry-After."),
    (status = 503, body = Details, description = "`unknown`, `busy`: nobody was signed in; Retry-After.")))]
pub(super) async fn login(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: Login = json(&headers, &body).map_err(|problem| *problem)?;
    let channel = asker.caller.channel;
    if asked.mode == Mode::Cookie && channel.cookie_name().is_none() {
        let text = "A session cookie needs https. Over plain http, ask for mode bearer.";
        return Err(Problem::new(Code::PlainHttp, text));
    }
    let Some(user) = UserId::parse(&asked.username) else {
        return Err(Problem::credentials());
    };
    let cookies = Cookies::of(&headers);
    let sent = presented(&headers, &cookies, channel);
    let replaces = match sent.cookie {
        Sent::One(text) => match judged(&accounts, &asker, text, true, Traffic::Passive)
            .await
            .0
        {
            Verdict::Valid(admission) => Some(admission.session),
            Verdict::Invalid(_) | Verdict::Unknown(_) => None,
        },
        Sent::None | Sent::Several => None,
    };
    let devices: Vec<&str> = cookie::devices(channel, cookies.values()).collect();
    let kind = Kind::from(asked.mode);
    let granted = accounts
        .login(&user, asked.password, &devices, kind, &asker.caller)
        .await
        .map_err(|refused| match refused {
            Refused::Credentials => Problem::credentials(),
            Refused::Throttled { wait_ms } => Problem::throttled(wait_ms),
            Refused::Busy => Problem::busy(),
            Refused::Unsure(unsure) => Problem::unknown(unsure),
        })?;
    let (opened, device) = (granted.opened, granted.device);
    let token = match asked.mode {
        Mode::Cookie => None,
        Mode::Bearer | Mode::Rotating => Some(opened.token.expose()),
    };
    let said = SignedIn {
        valid: true,
        session: opened.session.to_string(),
        user: user.to_string(),
        mode: asked.mode,
        token,
    };
    let mut answer = named(opened.session, Json(said));
    if asked.mode == Mode::Cookie {
        let set = cookie::set(channel, &opened.token, accounts.max_age_s());
        set_cookie(answer.headers_mut(), set);
    }
    let device = device.and_then(|value| cookie::set_device(channel, &value));
    set_cookie(answer.headers_mut(), device);
    if let Some(old) = replaces {
        let opened = opened.session;
        answer.extensions_mut().insert(Instead { opened, old });
    }
    Ok(answer)
}

/// Says whether the credential is valid. Keeps no session alive.
#[utoipa::path(get, path = "/verify", responses(
    (status = 200, body = Verified, description = "It is valid."),
    (status = 400, body = Details, description = "`several_cookies`"),
    (status = 401, body = Details, description = "`invalid_token`, `no_credential`: a real authentication error (RFC 6750)."),
    (status = 503, body = Details, description = "`unknown`: the client stays signed in.")))]
pub(super) async fn verify(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let admission = who(&accounts, &headers, &asker, Traffic::Passive).await?;
    let said = Verified {
        valid: true,
        session: admission.session.to_string(),
        user: admission.user.to_string(),
        source: "gateway",
        nonce: asker.nonce,
    };
    Ok(named(admission.session, Json(said)))
}

/// Replaces a rotating token. The same question has the same answer, however late.
#[utoipa::path(post, path = "/refresh", request_body = RefreshAsked, responses(
    (status = 200, body = Successor, description = "The successor: keep it before using it."),
    (status = 400, body = Details, description = "`invalid_grant`: the session is over or was never ours; `bad_request`."),
    (status = 401, body = Details, description = "`no_credential`: its session is of another realm."),
    (status = 403, body = Details, description = "`forged`"),
    (status = 415, body = Details, description = "`unsupported_media_type`"),
    (status = 503, body = Details, description = "`unknown`: ask the same again.")))]
pub(super) async fn refresh(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: RefreshAsked = json(&headers, &body).map_err(|problem| *problem)?;
    let a = session::token::hidden(&asked.a);
    let a = a.ok_or_else(|| Problem::bad("a is not 32 bytes of base64url."))?;
    let Some(Token::Rotating(token)) = Token::parse(&asked.token) else {
        return Err(Problem::grant(Refusal::Malformed, None).with_nonce(asker.nonce));
    };
    let session = token.session;
    match accounts
        .refresh(token, a, &asker.caller, asker.traffic)
        .await
    {
        Ok(link) => {
            let said = Successor {
                token: Token::Rotating(link).expose(),
                session: session.to_string(),
            };
            Ok(named(session, Json(said)))
        }
        Err(Verdict::Invalid(refusal @ Refusal::OtherRealm)) => {
            Err(Problem::refused(refusal, None).with_nonce(asker.nonce))
        }
        Err(Verdict::Invalid(refusal)) => {
            Err(Problem::grant(refusal, Some(session)).with_nonce(asker.nonce))
        }
        Err(Verdict::Unknown(unsure)) => Err(Problem::unknown(unsure).with_nonce(asker.nonce)),
        Err(Verdict::Valid(_)) => Err(Problem::busy()),
    }
}

/// Ends the session that asks and removes its cookie; also where there is none. With several cookies, each of them.
#[utoipa::path(post, path = "/logout", responses(
    (status = 204, description = "Nobody is signed in here any more."),
    (status = 403, body = Details, description = "`forged`"),
    (status = 503, body = Details, description = "`unknown`: not known to be kept; ask again.")))]
pub(super) async fn logout(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cookies = Cookies::of(&headers);
    let sent = presented(&headers, &cookies, asker.caller.channel);
    // Several differ if somebody plants cookies: nobody means to stay signed in by one of them.
    let cookies = cookie::every(asker.caller.channel, cookies.values()).into_iter();
    let bearer = sent.bearer.map(|text| (text, false));
    let mut clears = true;
    for (text, in_cookie) in cookies.map(|text| (text, true)).chain(bearer) {
        match judged(&accounts, &asker, text, in_cookie, Traffic::Passive)
            .await
            .0
        {
            Verdict::Valid(admission) => accounts
                .sign_out(Scope::One(admission.session), Why::SignedOut)
                .await
                .map_err(Problem::unknown)?,
            Verdict::Unknown(unsure) => return Err(Problem::unknown(unsure)),
            // It is the cookie of another realm's session, and stays.
            Verdict::Invalid(Refusal::OtherRealm) => clears &= !in_cookie,
            Verdict::Invalid(_) => {}
        }
    }
    let mut answer = StatusCode::NO_CONTENT.into_response();
    let clear = clears
        .then(|| cookie::clear(asker.caller.channel))
        .flatten();
    set_cookie(answer.headers_mut(), clear);
    Ok(answer)
}

/// Ends all sessions of the user, or all others.
#[utoipa::path(post, path = "/logout-all", request_body = Option<LogoutAll>, responses(
    (status = 200, body = EndedCount, description = "They have ended."),
    (status = 400, body = Details, description = "`bad_request`, `several_cookies`"),
    (status = 401, body = Details, description = "`invalid_token`, `no_credential`"),
    (status = 403, body = Details, description = "`forged`"),
    (status = 415, body = Details, description = "`unsupported_media_type`"),
    (status = 503, body = Details, description = "`unknown`: not known to be kept; ask again.")))]
pub(super) async fn logout_all(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: LogoutAll = match body.is_empty() {
        true => LogoutAll::default(),
        false => json(&headers, &body).map_err(|problem| *problem)?,
    };
    let admission = who(&accounts, &headers, &asker, asker.traffic).await?;
    let (user, keep) = (admission.user, admission.session);
    let realm = asker.caller.realm.clone();
    let scope = match asked.keep_this {
        true => Scope::Others { user, realm, keep },
        false => Scope::Within { user, realm },
    };
    let ended = accounts.end(scope, Why::SignedOut).await;
    let said = EndedCount {
        ended: ended.map_err(Problem::unknown)?,
    };
    let mut answer = Json(said).into_response();
    if !asked.keep_this {
        let clear = cookie::clear(asker.caller.channel);
        set_cookie(answer.headers_mut(), clear);
    }
    Ok(answer)
}

/// Who asks, and since when.
#[utoipa::path(get, path = "/me", responses(
    (status = 200, body = Me, description = "Who asks."),
    (status = 400, body = Details, description = "`several_cookies`"),
    (status = 401, body = Details, description = "`invalid_token`, `no_credential`"),
    (status = 503, body = Details, description = "`unknown`")))]
pub(super) async fn me(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let admission = who(&accounts, &headers, &asker, asker.traffic).await?;
    let row = accounts.row(admission.session).await;
    let row = row.map_err(Problem::unknown)?;
    let row = row.ok_or_else(|| Problem::refused(Refusal::NotFound, Some(admission.session)))?;
    // What this request renewed may not be written yet.
    let seen_ms = admission.touch.map_or(row.seen_ms, |touch| touch.at_ms);
    let said = Me {
        user: row.user.to_string(),
        session: row.id.to_string(),
        mode: row.credential.kind().into(),
        created_at_s: row.created_ms / 1000,
        seen_at_s: seen_ms.max(row.seen_ms) / 1000,
    };
    Ok(named(row.id, Json(said)))
}

/// The user's living sessions, newest activity first, a page of at most 500 at a time.
#[utoipa::path(get, path = "/sessions",
    params(("after" = Option<String>, Query, description = "`next` of the page before; without it, the first page.")),
    responses(
    (status = 200, body = OwnList, description = "A page; with `next` there is another one."),
    (status = 400, body = Details, description = "`several_cookies`; `bad_request`: no `next` of ours."),
    (status = 401, body = Details, description = "`invalid_token`, `no_credential`"),
    (status = 503, body = Details, description = "`unknown`")))]
pub(super) async fn sessions(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let admission = who(&accounts, &headers, &asker, asker.traffic).await?;
    let query = query.unwrap_or_default();
    let behind = query.split('&').find_map(|it| it.strip_prefix("after="));
    let behind = match behind.map(after) {
        Some(None) => return Err(Problem::bad("after is no next of ours.")),
        Some(behind) => behind,
        None => None,
    };
    let of = (admission.user, asker.caller.realm);
    let found = accounts.living(Some(of), behind, PAGE_ROWS_MAX);
    let found = found.await.map_err(Problem::unknown)?;
    let own = found.sessions.into_iter().map(|it| Own {
        current: it.id == admission.session,
        id: it.id.to_string(),
        user: it.user.to_string(),
        mode: it.kind.into(),
        created_at_s: it.created_ms / 1000,
        seen_at_s: it.seen_ms / 1000,
        context: it.context,
    });
    let list = OwnList {
        sessions: own.collect(),
        next: found.next.map(cursor),
    };
    Ok(named(admission.session, Json(list)))
}

/// Ends one session of the user.
#[utoipa::path(delete, path = "/sessions/{id}", params(("id" = String, Path, description = "Of `GET /sessions`.")),
    responses(
    (status = 204, description = "It has ended."),
    (status = 400, body = Details, description = "`several_cookies`"),
    (status = 401, body = Details, description = "`invalid_token`, `no_credential`"),
    (status = 403, body = Details, description = "`forged`"),
    (status = 404, body = Details, description = "`not_found`: no living session of this user."),
    (status = 503, body = Details, description = "`unknown`: not known to be kept; ask again.")))]
pub(super) async fn end_session(
    State(accounts): State<Accounts>,
    Extension(asker): Extension<Asker>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let admission = who(&accounts, &headers, &asker, asker.traffic).await?;
    let none = || Problem::new(Code::NotFound, "You have no such session.");
    // What is no text is no id either.
    let id = id.ok().and_then(|Path(id)| Sid::parse(&id));
    let id = id.ok_or_else(none)?;
    let row = accounts.row(id).await.map_err(Problem::unknown)?;
    let own = row.is_some_and(|row| {
        row.user == admission.user && row.realm == asker.caller.realm && row.ended.is_none()
    });
    if !own {
        return Err(none());
    }
    let done = accounts.sign_out(Scope::One(id), Why::Revoked).await;
    done.map_err(Problem::unknown)?;
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if id == admission.session {
        let clear = cookie::clear(asker.caller.channel);
        set_cookie(answer.headers_mut(), clear);
    }
    Ok(answer)
}

/// This description.
pub(super) async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], document()).into_response()
}

/// The client for browsers.
#[utoipa::path(get, path = "/client.js", responses(
    (status = 200, content_type = "text/javascript", description = "A module; ask again with its ETag."),
    (status = 304, description = "As it was.")))]
pub(super) async fn client_js(headers: HeaderMap) -> Response {
    let client = crate::client::client();
    let asked = headers.get_all(IF_NONE_MATCH).iter();
    let known = asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == client.etag || tag.trim() == "*");
    let mut answer = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => client.text.into_response(),
    };
    let of = |text: &str| HeaderValue::from_str(text).ok();
    for (name, value) in [
        (CONTENT_TYPE, of("text/javascript; charset=utf-8")),
        (CACHE_CONTROL, of("no-cache")),
        (ETAG, of(client.etag)),
    ] {
        if let Some(value) = value {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// The OpenAPI document, as it is served and kept in `docs/api`.
pub(crate) fn document() -> String {
    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "Steadfast sessions",
            description = "Served by every gateway with sessions, under the prefix of [sessions] (/_steadfast). A credential is the \
                session cookie or Authorization: Bearer. Refusals are RFC 9457 problems whose \
                `code` is one of Code: 401 is a real authentication error, 503 says that nothing can be known now. A body has \
                at most 64 KiB (413 `body_too_large`). A request that changes something, and every login, needs \
                Sec-Fetch-Site: same-origin or none, or an Origin that is the gateway's own or listed in origins, unless its \
                only credential is an Authorization header. With Steadfast-Passive: 1 a request does not count as use of the \
                session (idle_timeout); verify never does."
        ),
        servers((url = "/_steadfast")),
        paths(
            ping, login, verify, refresh, logout, logout_all, me, sessions, end_session, client_js
        )
    )]
    struct Described;
    let mut document = Described::openapi();
    document.info.version = "1".to_owned();
    document.info.license = None;
    document.info.contact = None;
    document.to_pretty_json().unwrap_or_default()
}
