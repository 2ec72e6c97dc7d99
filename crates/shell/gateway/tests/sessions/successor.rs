//! A worker that is older than a key, and the one that has taken over.

use crate::common::Gateway;
use crate::common::door::{Asked, Door, jwt, ring};
use gateway::config::{Auth, Config, Slot, Target};
use session::jws::{Alg, Compact, sign};
use wire::Phase;

#[test]
fn a_worker_that_is_older_than_a_key_passes_on_to_the_one_that_has_it() {
    passes_on(true);
}

/// The new worker would take the client for somebody on this machine.
#[test]
fn a_worker_passes_nothing_on_to_one_that_does_not_believe_it() {
    passes_on(false);
}

fn passes_on(trusted: bool) {
    let trust = move |config: &mut Config| {
        if trusted {
            config.listeners[0].trusted = vec!["127.0.0.1".into()];
        }
    };
    let first_key_only = |config: &mut Config| {
        trust(config);
        ring(config, |jwt| {
            jwt.keys.truncate(1);
            jwt.keys[0].signs = true;
        });
    };
    let mut door = Door::with(Auth::Optional, first_key_only);
    let cookie = door.sign_in("ada");
    let own = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada"}"#);
    let bearer = format!("Authorization: Bearer {own}");
    let asks = [
        Asked::get("/l1").cookie(&cookie),
        Asked::get("/l0").line(&bearer),
        Asked::post("/l1", "body")
            .cookie(&cookie)
            .line("Sec-Fetch-Site: same-origin"),
    ];
    // Connections of clients to the old worker.
    let mut clients: Vec<_> = asks.iter().map(|_| door.client()).collect();
    for (client, asked) in clients.iter_mut().zip(&asks) {
        client.send(&asked.text());
        let answer = client.answer();
        let token = jwt(&answer.body).expect("a token");
        assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-1"));
    }
    // A rotation: the new worker takes over, then the program restarts with the new key.
    let target = Target::Program {
        slots: vec![Slot {
            name: "app".into(),
            events: door.scene.keeper.path.display().to_string(),
            ..Slot::default()
        }],
        jwt: None,
    };
    let socket = door.scene.gateway.socket.try_clone().expect("cloned");
    let sessions = door.sessions();
    let _successor = Gateway::on(socket, &[("app", target)], |config| {
        config.sessions = Some(sessions);
        config.listeners[0].routes[0].auth = Auth::Optional;
        trust(config);
        ring(config, |_| {});
    });
    door.scene.gateway.leave();
    door.scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    for (client, asked) in clients.iter_mut().zip(&asks) {
        client.send(&asked.text());
    }
    let _app = door.app_at(2);
    let address = door.scene.address(2);
    door.scene.keeper.tell(|fact| {
        (fact.phase, fact.generation, fact.key) = (Phase::Ready, 2, 2);
        fact.address = address;
    });
    for client in &mut clients {
        let answer = client.answer();
        if !trusted {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            continue;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = jwt(&answer.body).expect("a token");
        assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-2"));
        assert!(!answer.body.contains("sf1."), "{}", answer.body);
    }
}
