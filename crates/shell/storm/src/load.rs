//! Users under load: each sends one request after the other and writes down how it ended.
//!
//! The users live in a thread of their own with a runtime of their own, so whoever strikes can block. They are
//! signed in once at the start and never again: a token that stops being valid is a sign-out, which is what
//! the whole thing is about.

use crate::client::{Answer, Client, Failure, Request, Target};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What the users do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the backend is.
    pub target: Target,
    /// How many users.
    pub users: usize,
    /// Connections are kept open between requests.
    pub keep_alive: bool,
    /// Rest of a user between two requests.
    pub pause: Duration,
    /// A user gives up on a request after this; above the gateway's `hold`, or the test tests itself.
    pub timeout: Duration,
    /// Path of the GETs.
    pub get: String,
    /// Path of the POSTs, each with a JSON body `{"id": "…"}` of a fresh id.
    pub post: Option<String>,
    /// Every so manyth request is a POST.
    pub post_every: u64,
    /// Path and JSON body of the sign-in; its answer has a `token` or `access_token`.
    pub login: Option<(String, String)>,
    /// Path that verifies the token.
    pub verify: String,
    /// Every so manyth request is a verification.
    pub verify_every: u64,
    /// Begin of every id, so that ids of two runs differ.
    pub ids: String,
}

impl Plan {
    /// `users` users against the endpoints of the demo app and of examples/fastapi.
    pub fn new(target: Target, users: usize) -> Plan {
        Plan {
            target,
            users,
            keep_alive: true,
            pause: Duration::ZERO,
            timeout: Duration::from_secs(45),
            get: "/api/health".into(),
            post: Some("/api/effect".into()),
            post_every: 4,
            login: Some((
                "/api/auth/login".into(),
                r#"{"user":"ada","password":"demo"}"#.into(),
            )),
            verify: "/api/auth/verify".into(),
            verify_every: 10,
            ids: "r".into(),
        }
    }
}

/// What kind of request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The plan's GET.
    Get,
    /// The plan's POST.
    Post,
    /// Sign-in.
    Login,
    /// Verification of the token (a GET).
    Verify,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Good,
    /// 401 on a token that was valid: this user is signed out.
    SignedOut,
    /// The gateway says that the program had read it and may have run it.
    MayHaveRun,
    /// Another answer.
    Status(u16, String),
    /// No answer.
    Failed(Failure),
}

/// One request that was made.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was sent.
    pub begun: Instant,
    /// When it ended.
    pub ended: Instant,
    /// What it was.
    pub kind: Kind,
    /// How it ended.
    pub end: End,
    /// Id of a POST that did not end well.
    pub id: Option<String>,
}

impl Sample {
    /// One line for people.
    pub fn describe(&self, origin: Instant) -> String {
        let at = self.begun.saturating_duration_since(origin).as_secs_f64();
        let took = self.ended.duration_since(self.begun).as_secs_f64();
        let id = self.id.as_deref().unwrap_or("");
        let end = match &self.end {
            End::Good => "good".to_owned(),
            End::SignedOut => "signed out".to_owned(),
            End::MayHaveRun => "502, may have run".to_owned(),
            End::Status(status, text) => {
                format!("{status} {}", text.chars().take(200).collect::<String>())
            }
            End::Failed(failure) => failure.to_string(),
        };
        format!("{at:7.3} s {:?} {id} after {took:.3} s: {end}", self.kind)
    }
}

/// All that was made.
#[derive(Debug, Clone)]
pub struct Log {
    /// When the users began.
    pub origin: Instant,
    /// In the order of their ends.
    pub samples: Vec<Sample>,
}

impl Log {
    /// Those that did not end well.
    pub fn bad(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.end != End::Good)
    }
    /// Bad ones of GETs (verifications are GETs).
    pub fn bad_gets(&self) -> Vec<&Sample> {
        self.bad()
            .filter(|sample| matches!(sample.kind, Kind::Get | Kind::Verify))
            .collect()
    }
    /// Bad ones of POSTs.
    pub fn bad_posts(&self) -> Vec<&Sample> {
        self.bad()
            .filter(|sample| matches!(sample.kind, Kind::Post | Kind::Login))
            .collect()
    }
    /// How many were signed out.
    pub fn sign_outs(&self) -> usize {
        self.samples
            .iter()
            .filter(|sample| sample.end == End::SignedOut)
            .count()
    }
    /// The longest that a request took.
    pub fn longest(&self) -> Duration {
        self.samples
            .iter()
            .map(|sample| sample.ended.duration_since(sample.begun))
            .max()
            .unwrap_or_default()
    }
    /// The bad ones, one a line, at most 20.
    pub fn describe_bad(&self) -> String {
        let lines: Vec<String> = self
            .bad()
            .take(20)
            .map(|sample| sample.describe(self.origin))
            .collect();
        format!(
            "{} of {} not good\n{}",
            self.bad().count(),
            self.samples.len(),
            lines.join("\n")
        )
    }
}

/// Users at work.
pub struct Running {
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Log>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Starts the users.
    pub fn start(plan: Plan) -> std::io::Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Log {
            origin: Instant::now(),
            samples: Vec::new(),
        }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop_inside, log_inside) = (stop.clone(), log.clone());
        let thread = std::thread::Builder::new()
            .name("users".into())
            .spawn(move || {
                runtime.block_on(users(Arc::new(plan), stop_inside, log_inside));
            })?;
        Ok(Running {
            stop,
            log,
            thread: Some(thread),
        })
    }

    /// How many requests have ended so far, and how many of them well.
    pub fn counts(&self) -> (usize, usize) {
        let log = lock(&self.log);
        let bad = log.bad().count();
        (log.samples.len(), log.samples.len() - bad)
    }

    /// Has a request that was sent after `moment` ended well?
    pub fn good_since(&self, moment: Instant) -> bool {
        let log = lock(&self.log);
        log.samples
            .iter()
            .rev()
            .take(4096)
            .any(|sample| sample.end == End::Good && sample.begun >= moment)
    }

    /// Waits until `count` more requests have ended well.
    pub fn wait_good(&self, count: usize, within: Duration) -> bool {
        let before = self.counts().1;
        crate::wait::until(within, || (self.counts().1 >= before + count).then_some(())).is_some()
    }

    /// Lets every user finish its request; gives the log.
    pub fn stop(mut self) -> Log {
        self.join();
        lock(&self.log).clone()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn users(plan: Arc<Plan>, stop: Arc<AtomicBool>, log: Arc<Mutex<Log>>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..plan.users {
        let user = User {
            client: Client::new(plan.target.clone(), plan.keep_alive, plan.timeout),
            plan: plan.clone(),
            log: log.clone(),
            number,
            token: None,
        };
        tasks.spawn(user.work(stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

struct User {
    client: Client,
    plan: Arc<Plan>,
    log: Arc<Mutex<Log>>,
    number: usize,
    token: Option<String>,
}

impl User {
    async fn work(mut self, stop: Arc<AtomicBool>) {
        let plan = self.plan.clone();
        if let Some((path, body)) = &plan.login {
            let answer = self
                .made(Kind::Login, &Request::post(path, body), None)
                .await;
            let token = answer
                .and_then(|answer| answer.json("token").or_else(|| answer.json("access_token")));
            self.token = token.map(|token| format!("Bearer {token}"));
        }
        let mut count = self.number as u64;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            self.one(&plan, count).await;
            if !plan.pause.is_zero() {
                tokio::time::sleep(plan.pause).await;
            }
        }
    }

    async fn one(&mut self, plan: &Plan, count: u64) {
        let token = self.token.clone();
        if let (Some(path), true) = (&plan.post, count.is_multiple_of(plan.post_every)) {
            let id = format!("{}-{}-{count}", plan.ids, self.number);
            let body = format!(r#"{{"id":"{id}"}}"#);
            self.made(Kind::Post, &Request::post(path, &body), Some(id))
                .await;
        } else if let (Some(token), true) = (&token, count % plan.verify_every == 1) {
            let request = Request {
                authorization: Some(token),
                ..Request::get(&plan.verify)
            };
            self.made(Kind::Verify, &request, None).await;
        } else {
            self.made(Kind::Get, &Request::get(&plan.get), None).await;
        }
    }

    async fn made(
        &mut self,
        kind: Kind,
        request: &Request<'_>,
        id: Option<String>,
    ) -> Option<Answer> {
        let begun = Instant::now();
        let outcome = self.client.ask(request).await;
        let ended = Instant::now();
        let end = judge(kind, &outcome);
        let id = if end == End::Good { None } else { id };
        lock(&self.log).samples.push(Sample {
            begun,
            ended,
            kind,
            end,
            id,
        });
        outcome.ok()
    }
}

/// What an outcome means for the user.
fn judge(kind: Kind, outcome: &Result<Answer, Failure>) -> End {
    match outcome {
        Err(failure) => End::Failed(failure.clone()),
        Ok(answer) if kind == Kind::Verify && answer.status == 401 => End::SignedOut,
        Ok(answer) if kind == Kind::Verify && answer.json("valid").as_deref() == Some("false") => {
            End::SignedOut
        }
        Ok(answer) if (200..300).contains(&answer.status) => End::Good,
        Ok(answer) if answer.status == 502 && answer.text().contains("may have run") => {
            End::MayHaveRun
        }
        Ok(answer) => End::Status(answer.status, answer.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Answer, Failure> {
        Ok(Answer {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn only_a_401_or_a_false_on_verification_is_a_sign_out() {
        assert_eq!(judge(Kind::Verify, &answer(401, "")), End::SignedOut);
        assert_eq!(
            judge(Kind::Verify, &answer(200, r#"{"valid":false}"#)),
            End::SignedOut
        );
        assert_eq!(
            judge(Kind::Verify, &answer(200, r#"{"valid":true}"#)),
            End::Good
        );
        assert_eq!(
            judge(Kind::Get, &answer(401, "no")),
            End::Status(401, "no".into())
        );
    }

    #[test]
    fn a_502_says_whether_it_may_have_run() {
        assert_eq!(
            judge(Kind::Post, &answer(502, "the request may have run")),
            End::MayHaveRun
        );
        assert_eq!(
            judge(Kind::Post, &answer(502, "bad gateway")),
            End::Status(502, "bad gateway".into())
        );
        assert_eq!(
            judge(Kind::Post, &Err(Failure::Refused)),
            End::Failed(Failure::Refused)
        );
    }
}
