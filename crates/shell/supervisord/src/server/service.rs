//! One request: who asks, what for, and the answer. Every answer that is not 200 is made here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::auth::{Auth, Verdict};
use super::console::{Console, FORM_BYTES_MAX};
use super::left::Left;
use super::percent::unquoted;
use super::{BODY_MS_MAX, follow, host};
use crate::methods::Rpc;
use crate::xmlrpc::{self, REQUEST_BYTES_MAX};

type Answer = Response<BoxBody<Bytes, std::convert::Infallible>>;

/// What the console's page may do: its own little script and style, its own server, and nothing around it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// For whoever meant it.
const MISNAMED: &str = "403 Forbidden\nThis server has no password, so it answers only to an address, to localhost, to a name without a dot and to the \
                        host that inet_http_server names: a page of another site could read it under a name of its own. Use one of \
                        these, or set username and password.\n";

pub(super) struct Service {
    pub(super) left: Left,
    pub(super) auth: Arc<Auth>,
    pub(super) rpc: Rpc,
    pub(super) followers: Arc<Semaphore>,
    pub(super) console: Arc<Console>,
    /// On TCP, without a password.
    pub(super) anybodys: bool,
}

impl Service {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let named = request
            .headers()
            .get(header::HOST)
            .map(HeaderValue::as_bytes);
        if self.anybodys && !host::ours(named, self.auth.host()) {
            return text(StatusCode::FORBIDDEN, MISNAMED);
        }
        let authorization = request.headers().get(header::AUTHORIZATION);
        match self.auth.check(authorization.map(HeaderValue::as_bytes)) {
            Verdict::Welcome => {}
            Verdict::Unauthorized => return unauthorized(),
            Verdict::Malformed => return error(StatusCode::BAD_REQUEST),
        }
        let Some(path) = unquoted(request.uri().path()) else {
            return error(StatusCode::BAD_REQUEST);
        };
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let post = request.method() == Method::POST;
        let get = request.method() == Method::GET;
        match segments.as_slice() {
            ["RPC2"] if post => self.rpc(request).await,
            ["logtail", name] if get => self.log(name, false).await,
            ["logtail", name, "stdout"] if get => self.log(name, false).await,
            ["logtail", name, "stderr"] if get => self.log(name, true).await,
            ["mainlogtail"] if get => self.main_log().await,
            ["metrics"] if get => self.metrics().await,
            [""] if get => page(self.console.page(&self.rpc, "").await),
            ["console", "status"] if get => page(self.console.table(&self.rpc).await),
            ["console", action] if post => self.act(action, request).await,
            // Supervisor's word for a wrong method.
            ["RPC2"] => error(StatusCode::BAD_REQUEST),
            ["mainlogtail"] | ["logtail", ..] if !get => error(StatusCode::BAD_REQUEST),
            _ => error(StatusCode::NOT_FOUND),
        }
    }

    async fn rpc(&self, request: Request<Incoming>) -> Answer {
        // A page of any site can post here from its visitor's browser, past a firewall, and without a password where
        // none is set. Browsers say so; programs that speak XML-RPC never send it.
        if request.headers().contains_key(header::ORIGIN) {
            return error(StatusCode::FORBIDDEN);
        }
        let body = request.into_body();
        if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
            return error(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let whole = Limited::new(body, REQUEST_BYTES_MAX).collect();
        let bytes = match tokio::time::timeout(Duration::from_millis(BODY_MS_MAX), whole).await {
            Err(_) => return error(StatusCode::REQUEST_TIMEOUT),
            Ok(Err(why)) if why.is::<http_body_util::LengthLimitError>() => {
                return error(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Ok(Err(_)) => return error(StatusCode::BAD_REQUEST),
            Ok(Ok(whole)) => whole.to_bytes(),
        };
        let called = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| xmlrpc::call(text).ok());
        let Some((method, params)) = called.filter(|(method, _)| !method.is_empty()) else {
            return error(StatusCode::BAD_REQUEST);
        };
        let xml = match self.rpc.call(&method, &params).await {
            Ok(value) => xmlrpc::write_response(&value),
            Err(fault) => xmlrpc::write_fault(&fault),
        };
        full(StatusCode::OK, "text/xml", xml)
    }

    /// A button of the console.
    async fn act(&self, action: &str, request: Request<Incoming>) -> Answer {
        // Browsers say where a form came from; another site's is refused before its token is looked at.
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let foreign =
            header("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
        let host = header("host").unwrap_or("");
        let origin = header("origin").and_then(|origin| origin.split_once("://"));
        if foreign || origin.is_some_and(|(_, origin)| origin != host) {
            return error(StatusCode::FORBIDDEN);
        }
        let whole = Limited::new(request.into_body(), FORM_BYTES_MAX).collect();
        let form = match tokio::time::timeout(Duration::from_millis(BODY_MS_MAX), whole).await {
            Err(_) => return error(StatusCode::REQUEST_TIMEOUT),
            Ok(Err(_)) => return error(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Ok(whole)) => whole.to_bytes(),
        };
        match self.console.act(&self.rpc, action, &form).await {
            None => error(StatusCode::FORBIDDEN),
            Some(said) if said.ends_with(": done") => {
                let mut answer = text(StatusCode::SEE_OTHER, "");
                let home = HeaderValue::from_static("/");
                answer.headers_mut().insert(header::LOCATION, home);
                answer
            }
            Some(said) => page(self.console.page(&self.rpc, &said).await),
        }
    }

    /// Anything that is not there is 404: the name, the channel, and (for now) the file.
    async fn log(&self, name: &str, stderr: bool) -> Answer {
        match self.rpc.process(name).await {
            Ok(info) if stderr => self.follow(&info.stderr_logfile),
            Ok(info) => self.follow(&info.stdout_logfile),
            Err(_) => error(StatusCode::NOT_FOUND),
        }
    }

    /// For Prometheus, behind the same password as everything here.
    async fn metrics(&self) -> Answer {
        match self.rpc.metrics().await {
            Ok(text) => full(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            ),
            Err(_) => error(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn main_log(&self) -> Answer {
        match self.rpc.main_log().await {
            Ok(path) => self.follow(&path),
            Err(_) => error(StatusCode::NOT_FOUND),
        }
    }

    fn follow(&self, path: &str) -> Answer {
        let Ok(permit) = self.followers.clone().try_acquire_owned() else {
            return error(StatusCode::SERVICE_UNAVAILABLE);
        };
        let Ok(left) = self.left.watch() else {
            return error(StatusCode::SERVICE_UNAVAILABLE);
        };
        let Some(body) = follow::start(path, permit, left) else {
            return error(StatusCode::NOT_FOUND);
        };
        let mut answer = Response::new(body.boxed());
        let headers = answer.headers_mut();
        let kind = HeaderValue::from_static("text/plain;charset=utf-8");
        headers.insert(header::CONTENT_TYPE, kind);
        // A proxy in between must pass on what there is.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        answer
    }
}

fn full(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn page(html: String) -> Answer {
    let mut answer = full(StatusCode::OK, "text/html;charset=utf-8", html);
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    answer
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    full(status, "text/plain;charset=utf-8", body)
}

fn error(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut answer = full(
        status,
        "text/plain;charset=utf-8",
        format!("{} {reason}\n", status.as_u16()),
    );
    if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::REQUEST_TIMEOUT {
        close(&mut answer);
    }
    answer
}

fn unauthorized() -> Answer {
    let mut answer = error(StatusCode::UNAUTHORIZED);
    let realm = HeaderValue::from_static("Basic realm=\"default\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    close(&mut answer);
    answer
}

fn close(answer: &mut Answer) {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
}
