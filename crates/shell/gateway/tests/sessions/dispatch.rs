//! What a request carries to its program: a token of the generation that answers it.

use crate::common::door::{Asked, Door, claims, jwt, ring};
use crate::common::{Answer, App, Client, Scene, ok};
use gateway::config::Auth;
use session::jws::{Alg, Compact, sign};
use wire::Phase;

#[test]
fn a_request_that_waits_gets_a_token_of_the_generation_that_answers_it() {
    let mut door = Door::new(Auth::Required);
    let [cookie, bob] = ["ada", "bob"].map(|user| door.sign_in(user));
    for cookie in [&cookie, &bob] {
        assert_eq!(door.ask(Asked::get("/").cookie(cookie)).status, 200);
    }
    door.scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    let (mut client, mut other) = (door.client(), door.client());
    client.send(&Asked::get("/late").cookie(&cookie).text());
    other.send(&Asked::get("/gone").cookie(&bob).text());
    // Both wait, as their waiting times will tell; meanwhile bob is signed out.
    for _ in 0..5 {
        door.ask(Asked::get("/_steadfast/ping"));
    }
    door.revoke("bob");
    let app = door.app_at(2);
    let address = door.scene.address(2);
    door.scene.keeper.tell_and_wait(|fact| {
        fact.phase = Phase::Ready;
        fact.generation = 2;
        fact.address = address;
        fact.key = 2;
    });
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    let token = jwt(&answer.body).expect("a token");
    assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-2"));
    assert!(answer.header("server-timing").is_some());
    let gone = other.answer();
    assert_eq!(gone.status, 401, "{gone:?}");
    assert!(gone.header("server-timing").is_some());
    drop(app);
}

#[test]
fn one_connection_with_many_sessions_gives_each_its_own_token_until_it_ends() {
    let mut door = Door::new(Auth::Required);
    let [ada, bob] = ["ada", "bob"].map(|user| door.sign_in(user));
    // A proxy in front keeps its connections: the next request on one may be anybody's.
    let mut client = door.client();
    let ask = |client: &mut Client, cookie: &str| {
        client.send(
            &Asked::get("/")
                .line(&format!("Cookie: a=1; {cookie}"))
                .text(),
        );
        client.answer()
    };
    let of = |answer: &Answer, user: &str, key: &[u8]| {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(claims(&answer.body)["sub"], user);
        let token = jwt(&answer.body).expect("a token");
        assert!(
            Compact::read(&token).expect("a JWT").proved_by(key),
            "{user}"
        );
        assert!(answer.body.contains("Cookie: a=1\r\n"), "{}", answer.body);
        token
    };
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(of(&ask(&mut client, &ada), "ada", b"secret-1"));
        of(&ask(&mut client, &bob), "bob", b"secret-1");
    }
    // One signature for what comes together, unless this machine needed 10 s for it.
    tokens.dedup();
    assert!(tokens.len() < 3, "each request was signed for: {tokens:?}");
    // Cut, prolonged, another user's half: none of them is the session that was just seen.
    for forged in [
        ada[..ada.len() - 1].to_owned(),
        format!("{ada}x"),
        format!("{ada}; {bob}"),
    ] {
        assert_eq!(ask(&mut client, &forged).status, 401, "{forged}");
        of(&ask(&mut client, &ada), "ada", b"secret-1");
    }
    // Ended elsewhere: the very next request is refused, and only hers.
    door.revoke("ada");
    assert_eq!(ask(&mut client, &ada).status, 401);
    of(&ask(&mut client, &bob), "bob", b"secret-1");
    let again = door.sign_in("ada");
    let token = of(&ask(&mut client, &again), "ada", b"secret-1");
    assert!(
        !tokens.contains(&token),
        "a new session has a token of its own"
    );
    // A generation with another key is told nothing that was signed for the one before.
    let _app = door.app_at(2);
    let address = door.scene.address(2);
    door.scene.keeper.tell_and_wait(|fact| {
        (fact.generation, fact.key, fact.address) = (2, 2, address);
    });
    of(&ask(&mut client, &bob), "bob", b"secret-2");
    of(&ask(&mut client, &again), "ada", b"secret-2");
}

#[test]
fn tokens_of_the_program_are_signed_again_towards_its_generation() {
    // L0: no sessions at all.
    let mut scene = Scene::with(Phase::Ready, |config| {
        ring(config, |jwt| jwt.cookie = Some("access".into()));
    });
    scene.keeper.tell_and_wait(|fact| fact.key = 2);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while let Some(request) = conversation.request() {
            conversation.say(&ok(&request));
        }
    });
    let old = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada","exp":1}"#);
    let foreign = sign(Alg::Hs256, b"other", r#"{"sub":"ada"}"#);
    let leaked = sign(Alg::Hs256, b"secret-9", r#"{"sub":"ada"}"#);
    let ask = |lines: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        scene.gateway.ask(&text).body
    };
    let seen = ask(&format!("Authorization: Bearer {old}"));
    let token = jwt(&seen).expect("a token");
    assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-2"));
    assert_eq!(claims(&seen)["exp"], 1);
    for kept in [&foreign, &leaked, "opaque"] {
        assert_eq!(
            jwt(&ask(&format!("Authorization: Bearer {kept}"))).as_deref(),
            Some(kept)
        );
    }
    let seen = ask(&format!("Cookie: a={old}; access={old}; z=1"));
    let access = seen
        .split("access=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let access = Compact::read(access.expect("a cookie")).expect("a JWT");
    assert!(access.proved_by(b"secret-2"));
    assert!(
        seen.contains(&format!("Cookie: a={old}; access=")),
        "{seen}"
    );
}

#[test]
fn a_generation_with_an_unknown_key_is_not_given_tokens_that_it_would_refuse() {
    let mut door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    for (generation, key, wanted) in [(2, 77, 503), (3, 2, 200)] {
        let _app = door.app_at(generation);
        let address = door.scene.address(generation);
        door.scene.keeper.tell_and_wait(|fact| {
            (fact.generation, fact.key, fact.address) = (generation, key, address);
        });
        let answer = door.ask(Asked::get("/").cookie(&cookie));
        assert_eq!(answer.status, wanted, "key {key}");
        assert_eq!(answer.header("retry-after").is_some(), wanted == 503);
    }
}
