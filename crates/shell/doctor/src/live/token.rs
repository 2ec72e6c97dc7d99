//! A token that is asked for before a restart and verified after it. It is a secret: it is shown nowhere.

use std::io::Read;
use std::time::Duration;

use secrets::Secret;
use serde_json::{Value, json};

use crate::args::Args;
use crate::io::Io;
use crate::live::shell;
use crate::model::Env;
use crate::scene::http::{self, Answer};

/// Where the password may be, so that it stands in no argv.
const PASSWORD: &str = "STEADFAST_DOCTOR_PASSWORD";
/// A password on standard input.
const PASSWORD_BYTES_MAX: u64 = 1 << 10;
/// A command that prints a token.
const COMMAND_S_MAX: u64 = 20;

/// An address, also as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    url: String,
    at: http::Place,
}

impl Place {
    fn new(url: &str, env: &Env) -> Result<Place, String> {
        Ok(Place {
            url: url.to_owned(),
            at: http::address(url, env)?,
        })
    }
}

/// How to come by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    Login { at: Place, user: String },
    Command(String),
}

/// How to come by a token, and where it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    how: How,
    verify: Place,
}

/// A token.
#[derive(Debug)]
pub(crate) struct Token {
    /// The line of a request that carries it.
    line: Secret,
    verify: Place,
}

impl Asker {
    /// What the arguments ask for.
    pub(crate) fn new(args: &Args, env: &Env) -> Result<Option<Asker>, String> {
        let how = match (&args.login, &args.user, &args.token_from) {
            (Some(url), Some(user), _) => How::Login {
                at: Place::new(url, env)?,
                user: user.clone(),
            },
            (_, _, Some(command)) => How::Command(command.clone()),
            _ => return Ok(None),
        };
        let verify = match (&args.verify, &how) {
            (Some(url), _) => Place::new(url, env)?,
            (None, How::Login { at, .. }) => Place::new(&beside(&at.url), env)?,
            (None, How::Command(_)) => return Err("--token-from needs --verify URL".to_owned()),
        };
        Ok(Some(Asker { how, verify }))
    }

    /// What will be done.
    pub(crate) fn words(&self) -> String {
        let how = match &self.how {
            How::Login { at, user } => format!("{user} signs in at {}", at.url),
            How::Command(_) => "a token comes from the command".to_owned(),
        };
        format!("{how} before, and it is verified at {}", self.verify.url)
    }

    /// Asks, and makes sure that the token is valid before anything is restarted.
    pub(crate) fn ask(self, io: &mut Io<'_>) -> Result<Token, String> {
        let line = match &self.how {
            How::Login { at, user } => login(at, user, &password(io)?)?,
            How::Command(command) => {
                let said = shell::run(command, Duration::from_secs(COMMAND_S_MAX))
                    .map_err(|_| "the command of --token-from failed".to_owned())?;
                let token = said.lines().find(|l| !l.trim().is_empty());
                let token = token.ok_or("the command of --token-from printed no token")?;
                bearer(token.trim())
            }
        };
        let token = Token {
            line: checked(line)?,
            verify: self.verify,
        };
        match token.is_valid()? {
            true => Ok(token),
            false => Err(format!(
                "{} does not accept the token, before any restart",
                token.verify.url
            )),
        }
    }
}

impl Token {
    /// Whether the token is valid now.
    ///
    /// # Errors
    /// Why it could not be asked: no answer, or one that says neither.
    pub(crate) fn is_valid(&self) -> Result<bool, String> {
        let Place { url, at } = &self.verify;
        let http::Place { target, host, path } = at;
        let request = http::head("GET", host, path, self.line.expose());
        let answer =
            http::ask(target, request.as_bytes()).map_err(|why| format!("{url}: {why}"))?;
        match answer.status {
            200..300 => Ok(!says_invalid(&answer)),
            401 | 403 => Ok(false),
            status => Err(format!("{url} answers {status}")),
        }
    }
}

/// `{"valid": false}` with a 200.
fn says_invalid(answer: &Answer) -> bool {
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    body.is_some_and(|b| b["valid"] == false)
}

/// `…/login` becomes `…/verify`.
fn beside(url: &str) -> String {
    let (dir, _) = url.rsplit_once('/').unwrap_or((url, ""));
    format!("{dir}/verify")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// No line may begin another one.
fn checked(line: String) -> Result<Secret, String> {
    let inner = line.strip_suffix("\r\n").unwrap_or(&line);
    match inner.contains(|c: char| c.is_control()) {
        true => Err("the token has characters that no token has".to_owned()),
        false => Ok(Secret::new(line)),
    }
}

fn password(io: &mut Io<'_>) -> Result<Secret, String> {
    if let Some(password) = io.env.get(PASSWORD).filter(|p| !p.is_empty()) {
        return Ok(Secret::new(password.as_str()));
    }
    let mut bytes = Vec::new();
    let _ = io.input.take(PASSWORD_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).map_err(|_| "the password is not text".to_owned())?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(format!(
            "--login needs a password: in {PASSWORD} or on standard input"
        )),
    }
}

/// Signs in: with JSON, and with a form where that is not understood.
fn login(at: &Place, user: &str, password: &Secret) -> Result<String, String> {
    let body = json!({ "username": user, "password": password.expose() }).to_string();
    let mut answer = post(at, "application/json", &body)?;
    if [400, 415, 422].contains(&answer.status) {
        let body = format!(
            "grant_type=password&username={}&password={}",
            encoded(user),
            encoded(password.expose())
        );
        answer = post(at, "application/x-www-form-urlencoded", &body)?;
    }
    if !(200..400).contains(&answer.status) {
        return Err(format!("{} answers {} to {user}", at.url, answer.status));
    }
    if let Some(token) = in_json(&answer.body) {
        return Ok(bearer(&token));
    }
    let cookies: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .filter_map(|(_, value)| value.split(';').next())
        .collect();
    match cookies.is_empty() {
        true => Err(format!(
            "the answer of {} has no token and no cookie",
            at.url
        )),
        false => Ok(format!("Cookie: {}\r\n", cookies.join("; "))),
    }
}

fn post(at: &Place, kind: &str, body: &str) -> Result<Answer, String> {
    let more = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    let request = format!(
        "{}{body}",
        http::head("POST", &at.at.host, &at.at.path, &more)
    );
    http::ask(&at.at.target, request.as_bytes()).map_err(|why| format!("{}: {why}", at.url))
}

/// The token of an answer, under the names that people give it.
fn in_json(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let names = ["access_token", "token", "jwt", "accessToken"];
    let of = |value: &Value| {
        let found = names.iter().find_map(|name| value[*name].as_str());
        found.map(str::to_owned)
    };
    of(&value).or_else(|| of(&value["data"]))
}

/// As a form has it (everything but unreserved characters in percent signs).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_and_never_shown() {
        assert_eq!(in_json("{\"access_token\": \"a\"}").as_deref(), Some("a"));
        assert_eq!(
            in_json("{\"data\": {\"token\": \"b\"}}").as_deref(),
            Some("b")
        );
        assert_eq!(in_json("{\"ok\": true}"), None);
        assert_eq!(beside("http://h:1/api/login"), "http://h:1/api/verify");
        assert_eq!(encoded("a b&c"), "a%20b%26c");
        assert!(checked(bearer("a\r\nX: y")).is_err());
        let token = Token {
            line: Secret::new("Authorization: Bearer abc\r\n"),
            verify: Place::new("http://h:1/verify", &Env::new()).expect("an address"),
        };
        assert!(!format!("{token:?}").contains("abc"));
    }
}
