//! A gateway with sessions in a store of its own, and a program that does what the body of a request says.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gateway::config::{Auth, Config, Jwt, JwtKey, Sessions, Target};
use session::jws::Compact;
use wire::Phase;

use super::{Answer, App, Client, Conversation, LIMIT, Scene, ok};

/// A request in the making.
#[derive(Clone)]
pub struct Asked {
    method: String,
    path: String,
    host: String,
    lines: Vec<String>,
    body: String,
}

impl Asked {
    pub fn new(method: &str, path: &str, body: &str) -> Asked {
        Asked {
            method: method.into(),
            path: path.into(),
            host: String::new(),
            lines: Vec::new(),
            body: body.into(),
        }
    }

    pub fn get(path: &str) -> Asked {
        Asked::new("GET", path, "")
    }

    pub fn post(path: &str, body: &str) -> Asked {
        Asked::new("POST", path, body)
    }

    pub fn line(mut self, line: &str) -> Asked {
        self.lines.push(line.into());
        self
    }

    pub fn cookie(self, cookie: &str) -> Asked {
        self.line(&format!("Cookie: {cookie}"))
    }

    pub fn host(mut self, host: &str) -> Asked {
        self.host = host.into();
        self
    }

    pub fn text(&self) -> String {
        let host = if self.host.is_empty() {
            "localhost"
        } else {
            &self.host
        };
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        for line in &self.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if self.method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text + "\r\n" + &self.body
    }
}

/// A problem is one of the description of the API, and as it says.
pub fn is_described(answer: &Answer) {
    if answer.header("content-type") != Some("application/problem+json") || answer.body.is_empty() {
        return;
    }
    static DESCRIBED: OnceLock<serde_json::Value> = OnceLock::new();
    let read = || serde_json::from_str(&accounts::openapi()).expect("JSON");
    let schemas = &DESCRIBED.get_or_init(read)["components"]["schemas"];
    let said: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let (codes, fields) = (&schemas["Code"]["enum"], &schemas["Details"]["required"]);
    let codes = codes.as_array().expect("the codes");
    assert!(codes.contains(&said["code"]), "{}", answer.body);
    for field in fields.as_array().expect("the fields") {
        let field = field.as_str().expect("a name");
        assert!(said.get(field).is_some(), "no {field}: {}", answer.body);
    }
    assert_eq!(said["status"], answer.status);
}

/// See the module.
pub struct Door {
    /// First, so that it is woken before the directory of its socket is gone.
    _app: App,
    pub scene: Scene,
    store: tempfile::TempDir,
}

impl Door {
    pub fn new(auth: Auth) -> Door {
        Door::with(auth, |_| {})
    }

    pub fn with(auth: Auth, change: impl FnOnce(&mut Config)) -> Door {
        let store = tempfile::tempdir().expect("a directory");
        let sessions = Sessions {
            store: format!("sqlite:{}", store.path().join("sessions").display()),
            ..Sessions::default()
        };
        let mut scene = Scene::with(Phase::Ready, |config| {
            config.sessions = Some(sessions);
            let listener = &mut config.listeners[0];
            listener.routes[0].auth = auth;
            listener.routes[0].login = Some("/login".into());
            listener.routes[0].logout = Some("/logout".into());
            ring(config, |_| {});
            change(config);
        });
        scene.keeper.tell_and_wait(|fact| fact.key = 1);
        let app = App::start(&scene.socket(1), |conversation, _| program(conversation));
        Door {
            scene,
            store,
            _app: app,
        }
    }

    pub fn port(&self) -> u16 {
        self.scene.gateway.address.port()
    }

    pub fn client(&self) -> Client {
        self.scene.gateway.client()
    }

    pub fn ask(&self, asked: Asked) -> Answer {
        let asked = match asked.host.is_empty() {
            true => asked.host(&format!("localhost:{}", self.port())),
            false => asked,
        };
        let answer = self.scene.gateway.ask(&asked.text());
        is_described(&answer);
        answer
    }

    /// Asks until the answer is as wanted.
    pub fn until(
        &self,
        client: &mut Client,
        asked: Asked,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let until = Instant::now() + LIMIT;
        loop {
            client.send(&asked.text());
            let answer = client.answer();
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < until, "{answer:?}");
        }
    }

    /// Signs in; the cookie as a client sends it.
    pub fn sign_in(&self, user: &str) -> String {
        let asked = Asked::post("/login", user).line("Sec-Fetch-Site: same-origin");
        let answer = self.ask(asked);
        assert_eq!(answer.status, 200, "{answer:?}");
        let set = answer.header("set-cookie").expect("a cookie");
        set.split(';').next().expect("a pair").to_owned()
    }

    /// Where they are kept.
    pub fn sessions(&self) -> Sessions {
        Sessions {
            store: format!("sqlite:{}", self.store.path().join("sessions").display()),
            ..Sessions::default()
        }
    }

    /// A built-in user.
    pub fn add_user(&self, name: &str, password: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let accounts = accounts::Accounts::command(&self.sessions()).await;
            let accounts = accounts.expect("opened");
            accounts.add_user(name, password).await.expect("added");
        });
    }

    /// Ends all sessions of a user, from another process's place.
    pub fn revoke(&self, user: &str) {
        let config = self.sessions();
        let scope = session::revoke::Scope::User(session::UserId::parse(user).expect("a user"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let accounts = accounts::Accounts::open(&config).await.expect("opened");
            let out = accounts.sign_out(scope, session::Why::Revoked).await;
            out.expect("revoked");
        });
    }

    fn database(&self) -> rusqlite::Connection {
        let path = self.store.path().join("sessions/sessions.db");
        rusqlite::Connection::open(path).expect("opened")
    }

    /// Nobody can write into the store while it lives.
    pub fn store_held(&self) -> rusqlite::Connection {
        let database = self.database();
        database.execute_batch("BEGIN IMMEDIATE").expect("held");
        database
    }

    /// No session can be ended, until [`Door::let_sessions_end`].
    pub fn let_no_session_end(&self) {
        let sql = "CREATE TRIGGER held BEFORE UPDATE ON session WHEN NEW.ended_why IS NOT NULL \
                   BEGIN SELECT RAISE(ABORT, 'held by a test'); END";
        self.database().execute_batch(sql).expect("made");
    }

    pub fn let_sessions_end(&self) {
        self.database()
            .execute_batch("DROP TRIGGER held")
            .expect("dropped");
    }

    /// How many sessions a user has had, and how many of them are over.
    pub fn had_and_over(&self, user: &str) -> (u64, u64) {
        let sql = "SELECT count(*), count(ended_why) FROM session WHERE user = ?1";
        let both = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.database()
            .query_row(sql, [user], both)
            .expect("counted")
    }

    /// All sessions were used last an hour before they began.
    pub fn age(&self) {
        let sql = "UPDATE session SET seen_ms = created_ms - 3600000";
        assert!(self.database().execute(sql, []).expect("written") > 0);
    }

    /// Whether the session of a user has been used since [`Door::age`].
    pub fn is_renewed(&self, user: &str) -> bool {
        let sql = "SELECT seen_ms > created_ms - 3600000 FROM session WHERE user = ?1";
        let asked = self.database().query_row(sql, [user], |row| row.get(0));
        asked.expect("a row")
    }

    /// The files of the store go away.
    pub fn lose_store(&self) {
        std::fs::remove_dir_all(self.store.path()).expect("removed");
    }

    pub fn store(&self) -> PathBuf {
        self.store.path().to_owned()
    }

    /// Another generation's program.
    pub fn app_at(&self, generation: u64) -> App {
        App::start(&self.scene.socket(generation), |conversation, _| {
            program(conversation)
        })
    }
}

/// Three keys: 1 is retired, 2 signs, 9 leaked.
pub fn ring(config: &mut Config, change: impl FnOnce(&mut Jwt)) {
    let key = |id: u32| JwtKey {
        id,
        signs: id == 2,
        compromised: id == 9,
        secret: format!("secret-{id}"),
        ..JwtKey::default()
    };
    let mut ring = Jwt {
        keys: [1, 2, 9].map(key).to_vec(),
        ..Jwt::default()
    };
    change(&mut ring);
    for target in config.targets.values_mut() {
        match target {
            Target::Program { jwt, .. } | Target::Upstream { jwt, .. } => *jwt = Some(ring.clone()),
        }
    }
}

/// What was to be cut off once has been; a test is a process.
static CUT: AtomicBool = AtomicBool::new(false);

fn half(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 100\r\n\r\nhalf")
}

/// Does what the request says, and answers with the request that it saw.
fn program(conversation: &mut Conversation) {
    while let Some(request) = conversation.request() {
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        // A hint ahead of its answer, in one piece with it: whoever gets it knows that the gateway has both.
        let (path, hint) = match path.strip_suffix("?hint") {
            Some(path) => (
                path.to_owned(),
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
            ),
            None => (path, ""),
        };
        let body = request
            .split("\r\n\r\n")
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let answer = |status: &str, lines: &str| {
            let length = request.len();
            format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{request}")
        };
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let said = match (path.as_str(), body.as_str()) {
            ("/socket", _) => {
                conversation.say(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                );
                while let Some(piece) = conversation.piece() {
                    conversation.say(&String::from_utf8_lossy(&piece));
                }
                return;
            }
            ("/events", _) => {
                conversation.say(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                     9\r\ndata: 1\n\n\r\n",
                );
                conversation.ends();
                return;
            }
            (_, "400") => answer("400 Bad Request", "Steadfast-Sign-In: ada\r\n"),
            (_, "two") => answer(
                "200 OK",
                "Steadfast-Sign-In: ada\r\nSteadfast-Sign-In: eve\r\n",
            ),
            (_, "303") => answer("303 See Other", "Steadfast-Sign-In: ada\r\nLocation: /\r\n"),
            ("/login", "empty") => {
                let lines = "Steadfast-Sign-In: ada\r\nLocation: /\r\nContent-Length: 0";
                format!("HTTP/1.1 303 See Other\r\n{lines}\r\n\r\n")
            }
            ("/login", "none") => {
                "HTTP/1.1 204 No Content\r\nSteadfast-Sign-In: ada\r\n\r\n".to_owned()
            }
            ("/login", "chunked") => {
                let lines = "Steadfast-Sign-In: ada\r\nTransfer-Encoding: chunked";
                format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n3\r\nyes\r\n0\r\n\r\n")
            }
            (_, "sign-in") | ("/login?sign-in", _) => {
                answer("200 OK", "Steadfast-Sign-In: ada\r\n")
            }
            (_, "out-session") => answer("200 OK", "Steadfast-Sign-Out: session\r\n"),
            _ if query == "out-session" => answer("200 OK", "Steadfast-Sign-Out: session\r\n"),
            (_, "out-user") => answer("200 OK", "Steadfast-Sign-Out: user\r\n"),
            _ if query == "out-user" => answer("200 OK", "Steadfast-Sign-Out: user\r\n"),
            (_, "lies") => answer(
                "200 OK",
                "Steadfast-Nonce: x\r\nSteadfast-Source: gateway\r\nX-Steadfast-Session: y\r\n",
            ),
            // It dies between the head and the end of its answer: always, or the first time.
            ("/login", "half") => return conversation.say(&half("Steadfast-Sign-In: ada\r\n")),
            ("/login?half-once", _) => match CUT.swap(true, Ordering::SeqCst) {
                false => return conversation.say(&half("Steadfast-Sign-In: ada\r\n")),
                true => answer("200 OK", "Steadfast-Sign-In: ada\r\n"),
            },
            ("/half-once", _) if !CUT.swap(true, Ordering::SeqCst) => {
                return conversation.say(&half(""));
            }
            ("/login", user) if !user.is_empty() => {
                answer("200 OK", &format!("Steadfast-Sign-In: {user}\r\n"))
            }
            _ => ok(&request),
        };
        conversation.say(&format!("{hint}{said}"));
    }
}

/// The token in the Authorization line of a request.
pub fn jwt(request: &str) -> Option<String> {
    let line = request
        .lines()
        .find_map(|line| line.strip_prefix("Authorization: Bearer "))?;
    Some(line.to_owned())
}

/// What the token of a request claims.
pub fn claims(request: &str) -> serde_json::Map<String, serde_json::Value> {
    let token = jwt(request).expect("a token");
    Compact::read(&token)
        .expect("a JWT")
        .claims()
        .expect("claims")
}
