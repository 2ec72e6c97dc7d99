//! Asking the servers that run for their health, all at the same time.

use conf::Ready;

use crate::scene::{Scene, Subject, http, ports};

/// A server that does not listen after so long will not.
const START_S_MAX: u64 = 60;

/// What to do to learn of a server's health.
enum Question {
    Ask(http::Target, Option<String>),
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
            match question {
                Some(Question::Ask(target, path)) => asked.push(scope.spawn(move || {
                    subject.health = http::health(target, path.as_deref());
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
}

/// Where a running server takes connections, and its health path if it is known. A port that another program holds is never asked.
fn question(subject: &Subject, now_unix_s: u64) -> Option<Question> {
    let process = subject.processes.first()?;
    let layer = subject
        .main_layer()
        .filter(|l| l.server.serves() && !l.server.tls)?;
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
                        let target = http::Target::Tcp(host.to_owned(), *port);
                        return Some(Question::Ask(target, path));
                    }
                    Some(false) if bind.is_given() && old => {
                        return Some(Question::Deaf(format!("http://{host}:{port}")));
                    }
                    Some(false) | None => {}
                }
            }
            servers::Address::Unix(socket) => {
                return Some(Question::Ask(http::Target::Unix(socket.clone()), path));
            }
        }
    }
    None
}
