//! The endpoints.

use super::effects::Effects;
use super::{page, token};
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Longest request body: an id and some words.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A token lives so long: the demo is over long before.
const TOKEN_S: u64 = 7 * 24 * 3600;
/// What `/api/slow` takes unless `?ms=` says otherwise.
const SLOW_MS: u64 = 2_000;
/// The most that `?ms=` may ask for.
const SLOW_MS_MAX: u64 = 60_000;
/// Pace of the event stream.
const TICK_MS: u64 = 1_000;
/// The exit status of `/api/crash`, easy to recognize in a history.
const CRASH_STATUS: i32 = 70;

/// The app's state.
pub(super) struct App {
    key: Vec<u8>,
    effects: RefCell<Effects>,
    served: Cell<u64>,
    born_ms: u64,
}

impl App {
    /// Reads `SECRET_KEY` and `EFFECT_LOG`.
    pub(super) fn from_environment(log: &mut dyn Write) -> std::io::Result<App> {
        let key = match std::env::var("SECRET_KEY") {
            Ok(key) if !key.is_empty() => key.into_bytes(),
            _ => {
                let _ = writeln!(
                    log,
                    "demo app: no SECRET_KEY: made one that dies with this process"
                );
                let mut key = vec![0u8; 32];
                getrandom::fill(&mut key)
                    .map_err(|error| std::io::Error::other(error.to_string()))?;
                key
            }
        };
        let path = std::env::var_os("EFFECT_LOG").map(PathBuf::from);
        Ok(App {
            key,
            effects: RefCell::new(Effects::open(path.as_deref())?),
            served: Cell::new(0),
            born_ms: sys::clock::mono_ms(),
        })
    }
}

type Body = BoxBody<Bytes, Infallible>;
pub(super) type Reply = Result<Response<Body>, Infallible>;

/// Answers one request.
pub(super) async fn answer(app: Rc<App>, request: Request<Incoming>) -> Reply {
    app.served.set(app.served.get() + 1);
    let path = request.uri().path().to_owned();
    let reply = match (request.method(), path.as_str()) {
        (&Method::GET | &Method::HEAD, "/") => {
            text(StatusCode::OK, "text/html; charset=utf-8", page::PAGE)
        }
        (&Method::GET | &Method::HEAD, "/client.js") => text(
            StatusCode::OK,
            "text/javascript; charset=utf-8",
            page::CLIENT,
        ),
        (&Method::GET | &Method::HEAD, "/api/health") => health(&app),
        (&Method::POST, "/api/auth/login") => login(&app, request).await,
        (_, "/api/auth/verify") => verify(&app, &request),
        (&Method::POST, "/api/effect") => effect(&app, request).await,
        (&Method::GET, "/api/slow") => slow(request.uri().query()).await,
        (_, "/api/crash") => std::process::exit(CRASH_STATUS),
        (&Method::POST, "/api/hang") => hang(),
        (&Method::GET, "/api/events") => events(),
        (
            _,
            "/" | "/client.js" | "/api/health" | "/api/auth/login" | "/api/effect" | "/api/slow"
            | "/api/hang" | "/api/events",
        ) => not_allowed(),
        _ => json(
            StatusCode::NOT_FOUND,
            &serde_json::json!({"error": "no such page"}),
        ),
    };
    Ok(reply)
}

pub(super) fn not_allowed() -> Response<Body> {
    json(
        StatusCode::METHOD_NOT_ALLOWED,
        &serde_json::json!({"error": "method not allowed"}),
    )
}

fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        hyper::header::HeaderValue::from_static(kind),
    );
    headers.insert(
        "cache-control",
        hyper::header::HeaderValue::from_static("no-store"),
    );
    response
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    text(status, "application/json", value.to_string())
}

fn health(app: &App) -> Response<Body> {
    let up_ms = sys::clock::mono_ms().saturating_sub(app.born_ms);
    let pid = std::process::id();
    json(
        StatusCode::OK,
        &serde_json::json!({"status": "ok", "pid": pid, "up_ms": up_ms, "served": app.served.get()}),
    )
}

async fn body_of(request: Request<Incoming>) -> Option<serde_json::Value> {
    let bytes = Limited::new(request.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
        .ok()?
        .to_bytes();
    serde_json::from_slice(&bytes).ok()
}

async fn login(app: &App, request: Request<Incoming>) -> Response<Body> {
    let body = body_of(request).await.unwrap_or_default();
    let user = body["username"]
        .as_str()
        .or(body["user"].as_str())
        .unwrap_or("guest");
    let now_s = sys::clock::wall_ms() / 1000;
    let token = token::issue(&app.key, user, now_s, TOKEN_S);
    let mut response = json(
        StatusCode::OK,
        &serde_json::json!({"token": token, "access_token": token, "token_type": "bearer"}),
    );
    // Where the gateway keeps sessions, this one line opens one; elsewhere it strips it.
    if let Ok(user) = hyper::header::HeaderValue::from_str(user) {
        response.headers_mut().insert("steadfast-sign-in", user);
    }
    response
}

fn verify(app: &App, request: &Request<Incoming>) -> Response<Body> {
    let header = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let verdict = token::verify(&app.key, token.trim(), sys::clock::wall_ms() / 1000);
    match verdict {
        Ok(user) => json(
            StatusCode::OK,
            &serde_json::json!({"valid": true, "user": user}),
        ),
        Err(why) => {
            let mut response = json(
                StatusCode::UNAUTHORIZED,
                &serde_json::json!({"valid": false, "error": why}),
            );
            let challenge =
                hyper::header::HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert("www-authenticate", challenge);
            response
        }
    }
}

async fn effect(app: &App, request: Request<Incoming>) -> Response<Body> {
    let body = body_of(request).await.unwrap_or_default();
    let Some(id) = body["id"]
        .as_str()
        .filter(|id| !id.is_empty() && !id.contains(char::is_whitespace))
    else {
        let why =
            serde_json::json!({"error": "a JSON body with an id is needed: {\"id\": \"a-1\"}"});
        return json(StatusCode::BAD_REQUEST, &why);
    };
    match app.effects.borrow_mut().happen(id) {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({"done": id})),
        Err(error) => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &serde_json::json!({"error": format!("not written: {error}")}),
        ),
    }
}

async fn slow(query: Option<&str>) -> Response<Body> {
    let asked = query
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("ms=")))
        .and_then(|value| value.parse::<u64>().ok());
    let ms = asked.unwrap_or(SLOW_MS).min(SLOW_MS_MAX);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    json(StatusCode::OK, &serde_json::json!({"took_ms": ms}))
}

/// The event loop stands still, as in an app that waits for a lock inside a handler.
fn hang() -> Response<Body> {
    loop {
        std::thread::park();
    }
}

fn events() -> Response<Body> {
    let mut interval = tokio::time::interval(Duration::from_millis(TICK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut response = Response::new(Ticks { interval, count: 0 }.boxed());
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        hyper::header::HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        "cache-control",
        hyper::header::HeaderValue::from_static("no-store"),
    );
    response
}

/// One event a second, for ever.
struct Ticks {
    interval: tokio::time::Interval,
    count: u64,
}

impl hyper::body::Body for Ticks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.interval.poll_tick(context) {
            Poll::Ready(_) => {
                self.count += 1;
                let text = format!(
                    "data: tick {} of pid {}\n\n",
                    self.count,
                    std::process::id()
                );
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
