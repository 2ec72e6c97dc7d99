//! The HTTP API: a router that is asked by call, for the gateway owns the sockets.
//!
//! ```text
//!  request ─► below the prefix? ─► preflight? ─► CSRF ─► router ─► handler ─► marks (no-store, nonce, CORS)
//! ```
//! CSRF is decided before anything is read; a body counts only as `application/json`, which no form can send. What a
//! caller may know about itself comes from the gateway ([`crate::Caller`]), never from a header.

mod handlers;
mod problem;
mod shapes;

use crate::{Accounts, Caller, Code};
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use bytes::Bytes;
use handlers::Cookies;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    AUTHORIZATION, CACHE_CONTROL, ORIGIN, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use problem::Problem;
use session::cookie::{self, Sent};
use session::csrf::{self, Asked};
use session::{Sid, Traffic};
use tower::ServiceExt as _;

pub(crate) use handlers::document;

const NONCE: HeaderName = HeaderName::from_static("steadfast-nonce");
const SOURCE: HeaderName = HeaderName::from_static("steadfast-source");
const SESSION: HeaderName = HeaderName::from_static("steadfast-session");
const PASSIVE: HeaderName = HeaderName::from_static("steadfast-passive");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// A nonce is no longer; others are not echoed.
const NONCE_BYTES_MAX: usize = 64;
/// What scripts of another origin may read.
const EXPOSED: &str =
    "Steadfast-Nonce, Steadfast-Source, Steadfast-Session, Retry-After, WWW-Authenticate";

/// What a handler knows of its request beside the request.
#[derive(Clone)]
struct Asker {
    caller: Caller,
    nonce: Option<String>,
    /// What the client says about it: a page that is only open keeps no session from ending.
    traffic: Traffic,
}

pub(crate) fn router(accounts: Accounts) -> Router {
    Router::new()
        .route("/ping", get(handlers::ping))
        .route("/login", post(handlers::login))
        .route("/verify", get(handlers::verify))
        .route("/refresh", post(handlers::refresh))
        .route("/logout", post(handlers::logout))
        .route("/logout-all", post(handlers::logout_all))
        .route("/me", get(handlers::me))
        .route("/sessions", get(handlers::sessions))
        .route("/sessions/{id}", delete(handlers::end_session))
        .route("/openapi.json", get(handlers::openapi))
        .route("/client.js", get(handlers::client_js))
        .fallback(|| async { Problem::new(Code::NotFound, "There is nothing at this path.") })
        .method_not_allowed_fallback(|| async {
            let text = "This path does not take that method.";
            Problem::new(Code::MethodNotAllowed, text)
        })
        .with_state(accounts)
}

impl Accounts {
    /// Answers a request under the prefix of the API. Its body is whole, at most 64 KiB.
    pub async fn api(&self, request: Request<Bytes>, caller: &Caller) -> Response<Bytes> {
        let asker = Asker {
            caller: caller.clone(),
            nonce: nonce(request.headers()),
            traffic: traffic(request.headers()),
        };
        let allowed = self.allowed_origin(request.headers(), caller);
        let mut answer = match self.admitted(request, &asker) {
            Ok(request) => self.routed(request, asker.clone()).await,
            Err(answer) => *answer,
        };
        mark(answer.headers_mut(), &asker, allowed);
        let (parts, body) = answer.into_parts();
        // Whole already: every handler answers from memory.
        let bytes = body.collect().await.map(|it| it.to_bytes());
        Response::from_parts(parts, bytes.unwrap_or_default())
    }

    /// The origin that named itself, if it may act here.
    fn allowed_origin(&self, headers: &HeaderMap, caller: &Caller) -> Option<HeaderValue> {
        let mut named = headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (named.next(), named.next()) else {
            return None;
        };
        let text = origin.to_str().ok()?;
        let known = |it: &str| it.trim_end_matches('/').eq_ignore_ascii_case(text);
        let listed = known(&caller.origin) || self.config.origins.iter().any(|it| known(it));
        (listed && text.contains("://")).then(|| origin.clone())
    }

    /// Below the prefix, no preflight, not forged: on to the router.
    fn admitted(
        &self,
        mut request: Request<Bytes>,
        asker: &Asker,
    ) -> Result<Request<Body>, Box<Response<Body>>> {
        let path = request.uri().path();
        let below = path.strip_prefix(self.config.prefix.as_str());
        let Some(below) = below.filter(|below| below.starts_with('/')) else {
            let problem = Problem::new(Code::NotFound, "No path of ours.");
            return Err(problem.into_response().into());
        };
        let login = below == "/login" && request.method() == Method::POST;
        let refresh = below == "/refresh";
        let query = request.uri().query().unwrap_or_default();
        let uri: Uri = format!("{below}?{query}")
            .parse()
            .map_err(|_| Box::new(Problem::bad("The path cannot be read.").into_response()))?;
        if request.method() == Method::OPTIONS {
            return Err(preflight().into());
        }
        let values = |name: &HeaderName| -> Vec<&str> {
            let all = request.headers().get_all(name).iter();
            all.map(|value| value.to_str().unwrap_or("?")).collect()
        };
        let cookies = Cookies::of(request.headers());
        let cookie = cookie::find(asker.caller.channel, cookies.values()) != Sent::None;
        // A refresh brings its token in its body.
        let brings = refresh || request.headers().contains_key(AUTHORIZATION);
        let asked = Asked {
            method: request.method().as_str(),
            upgrade: false,
            login,
            bearer_only: brings && !cookie,
            fetch_site: &values(&FETCH_SITE),
            origin: &values(&ORIGIN),
        };
        csrf::decide(asked, &asker.caller.origin, &self.config.origins)
            .map_err(|forged| Box::new(Problem::forged(forged).into_response()))?;
        *request.uri_mut() = uri;
        Ok(request.map(Body::from))
    }

    async fn routed(&self, mut request: Request<Body>, asker: Asker) -> Response<Body> {
        request.extensions_mut().insert(asker);
        match self.router().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

fn preflight() -> Response<Body> {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Steadfast-Nonce, Steadfast-Passive",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// 1 to 64 of `[A-Za-z0-9_-]`; anything else, and two of them, is none.
fn nonce(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(NONCE).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let text = value.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let fits = (1..=NONCE_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

fn traffic(headers: &HeaderMap) -> Traffic {
    match headers.get_all(PASSIVE).iter().any(|value| value == "1") {
        true => Traffic::Passive,
        false => Traffic::Active,
    }
}

fn mark(headers: &mut HeaderMap, asker: &Asker, allowed: Option<HeaderValue>) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let nonce = asker.nonce.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(nonce)) = nonce {
        headers.insert(NONCE, nonce);
        headers.insert(SOURCE, HeaderValue::from_static("gateway"));
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    match allowed {
        Some(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            let exposed = HeaderValue::from_static(EXPOSED);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        // Another origin's preflight is answered with nothing that allows anything.
        None => {
            for name in [
                ACCESS_CONTROL_ALLOW_METHODS,
                ACCESS_CONTROL_ALLOW_HEADERS,
                ACCESS_CONTROL_MAX_AGE,
            ] {
                headers.remove(name);
            }
        }
    }
}

/// `Steadfast-Session`.
fn name_session(headers: &mut HeaderMap, session: Sid) {
    if let Ok(value) = HeaderValue::from_str(&session.to_string()) {
        headers.insert(SESSION, value);
    }
}

fn set_cookie(headers: &mut HeaderMap, cookie: Option<String>) {
    if let Some(Ok(value)) = cookie.map(|cookie| HeaderValue::from_str(&cookie)) {
        headers.append(SET_COOKIE, value);
    }
}
