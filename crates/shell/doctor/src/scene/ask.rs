//! Asking the servers that run for their health, all at the same time.

use conf::Ready;

use crate::scene::http::Target;
use crate::scene::tls::{Trust, WANTS_OURS};
use crate::scene::{Scene, Subject, http, ports};

/// A server that does not listen after so long will not.
const START_S_MAX: u64 = 60;

/// What to do to learn of a server's health.
enum Question {
    Ask(Target, Option<String>),
    /// Where one of its processes listens, whatever that is.
    Guess(Target),
    /// It was seen without asking: nothing of the program listens at its address.
    Deaf(String),
}

/// Asks every running server for its health, all at the same time, so that a hung one costs its time once.
pub(crate) fn ask_health(scene: &mut Scene) {
    let now = scene.now_unix_s;
    let questions: Vec<Option<Question>> =
        scene.subjects.iter().map(|s| question(s, now)).collect();
    std::thread::scope(|scope| {
        let mut asked = Vec::new();
        for (subject, question) in scene.subjects.iter_mut().zip(&questions) {
            subject.was_asked = question.is_some();
            match question {
                Some(Question::Ask(target, path)) => asked.push(scope.spawn(move || {
                    subject.certificate = http::certificate(target, now);
                    subject.health = http::health(target, "localhost", path.as_deref());
                })),
                Some(Question::Guess(target)) => asked.push(scope.spawn(move || {
                    // It need not be HTTP: only a good answer says something.
                    let found = http::health(target, "localhost", None);
                    let speaks = |h: &http::Health| h.answer.as_ref().is_ok_and(|a| a.status < 500);
                    subject.health = found.filter(speaks);
                })),
                Some(Question::Deaf(url)) => {
                    let answer = Err("no process of it listens there".to_owned());
                    subject.health = Some(http::Health {
                        url: url.clone(),
                        at: None,
                        answer,
                    });
                }
                None => {}
            }
        }
        for thread in asked {
            let _ = thread.join();
        }
    });
    for index in 0..scene.subjects.len() {
        leave_strict(scene, index);
    }
}

/// A server that lets only known clients in is not asked for its health: that it refuses us is as it should be.
fn leave_strict(scene: &mut Scene, index: usize) {
    let Some(subject) = scene.subjects.get_mut(index) else {
        return;
    };
    let health = &mut subject.health;
    let is_strict = health
        .take_if(|h| h.answer.as_ref().is_err_and(|why| why == WANTS_OURS))
        .is_some();
    if is_strict {
        let words = format!("the health of {}: {WANTS_OURS}", subject.name);
        scene.not_seen(words);
    }
}

/// Where a running server takes connections, and its health path if it is known. A port that another program holds is never asked.
fn question(subject: &Subject, now_unix_s: u64) -> Option<Question> {
    let process = subject.processes.first()?;
    let layer = subject.main_layer().filter(|l| l.server.serves())?;
    // Its certificate is made for another name than that of this machine's loopback.
    let target = |host: &str, port: u16| match layer.server.tls {
        true => Some(Target::Tls(host.to_owned(), port, Trust::anybody().ok()?)),
        false => Some(Target::Tcp(host.to_owned(), port)),
    };
    let ready = subject.program.as_ref().and_then(|p| p.ready.as_ref());
    let path = match ready.map(|r| &r.value) {
        Some(Ready::Http { path }) => Some(path.clone()),
        Some(Ready::Tcp | Ready::Fd(_) | Ready::Log(_) | Ready::Notify | Ready::Exec(_)) | None => {
            None
        }
    };
    // The gateway or a keeper listens there for it.
    let held = subject
        .program
        .as_ref()
        .is_some_and(|p| *p.listen != conf::Listen::Own);
    for bind in &layer.server.binds {
        match &bind.address {
            servers::Address::Tcp { port: 0, .. } | servers::Address::Fd(_) => {}
            servers::Address::Tcp { host, port } => {
                let any = ["0.0.0.0", "::", "", "*"].contains(&host.as_str());
                let host = if any { "127.0.0.1" } else { host };
                let old = now_unix_s.saturating_sub(process.start_unix_s) > START_S_MAX;
                let listens = match held {
                    true => Some(true),
                    false => ports::listens(&subject.processes, *port),
                };
                match listens {
                    Some(true) => {
                        return Some(Question::Ask(target(host, *port)?, path));
                    }
                    Some(false) if bind.is_given() && old => {
                        return Some(Question::Deaf(format!("http://{host}:{port}")));
                    }
                    Some(false) | None => {}
                }
            }
            servers::Address::Unix(socket) => {
                // TLS over a Unix socket: nobody does that.
                return (!layer.server.tls)
                    .then(|| Question::Ask(Target::Unix(socket.clone()), path));
            }
        }
    }
    // Node is told its port by the code: what it listens on is seen.
    let unknown = layer.server.binds.is_empty() && !held && !layer.server.tls;
    let (host, port) = ports::only(&subject.processes).filter(|_| unknown)?;
    Some(Question::Guess(Target::Tcp(host, port)))
}
