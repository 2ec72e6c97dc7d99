//! The API, asked as a browser or another client asks it.

use super::{ORIGIN, caller};
use accounts::{Accounts, Caller};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use std::sync::OnceLock;

/// A request in the making: from a browser on the gateway's own page, unless it says otherwise.
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    pub(crate) caller: Caller,
}

pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) text: String,
}

pub(crate) fn ask(method: &'static str, path: &str) -> Ask {
    Ask {
        method,
        path: format!("/_steadfast{path}"),
        headers: Vec::new(),
        body: String::new(),
        caller: caller(),
    }
}

impl Ask {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Ask {
        self.headers.push((name, value.into()));
        self
    }
    pub(crate) fn own(self) -> Ask {
        self.with("sec-fetch-site", "same-origin")
            .with("origin", ORIGIN)
    }
    pub(crate) fn json(mut self, body: Value) -> Ask {
        self.body = body.to_string();
        self.with("content-type", "application/json")
    }
    pub(crate) fn raw(mut self, body: &str) -> Ask {
        body.clone_into(&mut self.body);
        self
    }
    pub(crate) fn at(mut self, path: &str) -> Ask {
        path.clone_into(&mut self.path);
        self
    }
    /// Beside one of another: those hold what scripts put there, and that is no ASCII always.
    pub(crate) fn cookie(self, token: &str) -> Ask {
        self.with("cookie", format!("a=J\u{fc}rgen; steadfast-local={token}"))
    }
    pub(crate) fn bearer(self, token: &str) -> Ask {
        self.with("authorization", format!("Bearer {token}"))
    }
    pub(crate) fn from(mut self, address: &str) -> Ask {
        address.clone_into(&mut self.caller.address);
        self
    }
    /// At a gateway that wants fresh verdicts.
    pub(crate) fn fresh(mut self) -> Ask {
        self.caller.fresh = true;
        self
    }
    pub(crate) async fn to(self, accounts: &Accounts) -> Said {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Bytes::from(self.body)).expect("a request");
        let answer = accounts.api(request, &self.caller).await;
        let (parts, body) = answer.into_parts();
        // The client has it.
        if let Some(instead) = parts.extensions.get::<accounts::Instead>() {
            drop(accounts.replaced(Some(instead.old)));
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let said = Said {
            status: parts.status.as_u16(),
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            headers: parts.headers,
            text,
        };
        said.is_in_form();
        said.is_described(self.method, &self.path);
        said
    }
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |it| it.to_str().expect("text"))
    }
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
    /// The value of a cookie that is set.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all("set-cookie").iter();
        let mut all = all.filter_map(|it| it.to_str().ok()?.strip_prefix(&format!("{name}=")));
        all.next()
            .map(|it| it.split(';').next().unwrap_or_default().to_owned())
    }

    /// It is one of those that the description has for this path.
    fn is_described(&self, method: &str, path: &str) {
        static DESCRIBED: OnceLock<Value> = OnceLock::new();
        let read = || serde_json::from_str(&accounts::openapi()).expect("JSON");
        let described = DESCRIBED.get_or_init(read);
        if self.status >= 400 {
            let codes = &described["components"]["schemas"]["Code"]["enum"];
            let known = codes.as_array().expect("the codes");
            assert!(known.contains(&self.json["code"]), "{}", self.text);
        }
        let below = path.strip_prefix("/_steadfast").unwrap_or(path);
        let below = below.split('?').next().unwrap_or_default();
        let path = match below.strip_prefix("/sessions/") {
            Some(_) => "/sessions/{id}",
            None => below,
        };
        let operation = &described["paths"][path][method.to_lowercase()];
        if operation.is_null() {
            return;
        }
        let answer = &operation["responses"][self.status.to_string()];
        let text = answer["description"].as_str();
        let text = text.unwrap_or_else(|| panic!("{method} {path}: {}", self.status));
        let code = format!("`{}`", self.code());
        assert!(self.status < 400 || text.contains(&code), "{path}: {code}");
    }

    /// What holds for every answer.
    fn is_in_form(&self) {
        let status = StatusCode::from_u16(self.status).expect("a status");
        assert!(!self.header("cache-control").is_empty());
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(
                self.header("content-type"),
                "application/problem+json",
                "{}",
                self.text
            );
            assert_eq!(self.json["status"], self.status);
            for field in ["type", "title", "detail", "code"] {
                assert!(self.json[field].is_string(), "{field}: {}", self.text);
            }
        }
        assert_eq!(
            self.status == 401,
            !self.header("www-authenticate").is_empty()
        );
        if matches!(self.status, 429 | 503) {
            let seconds: u64 = self.header("retry-after").parse().expect("seconds");
            assert!(seconds > 0);
        }
    }
}
