//! Several gateways over one PostgreSQL: a sign-out at one is one at all, soon; the database may go and come back.
#![allow(missing_docs, reason = "a test")]

mod kit;
#[path = "../../../edge/store/tests/kit/server.rs"]
mod server;

use kit::http::ask;
use kit::{caller, signed_in, until, user, verdict, worker};
use routes::Sessions;
use serde_json::json;
use server::Server;
use session::judge::Traffic;
use session::revoke::Scope;
use session::{Alarm, Kind, Refusal, Unsure, Verdict, Why};
use std::path::Path;
use std::time::{Duration, Instant};

fn config(server: &Server, dir: &Path) -> Sessions {
    Sessions {
        store: server.as_store(),
        state_dir: dir.display().to_string(),
        ..Sessions::default()
    }
}

fn valid(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Valid(_))
}

#[tokio::test]
async fn gateways_share_sessions_users_and_ends() {
    let mut server = Server::start();
    let dirs = [
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    ];
    let one = worker(&config(&server, dirs[0].path())).await;
    let two = worker(&config(&server, dirs[1].path())).await;
    assert_eq!((one.trouble(), two.trouble()), (None, None));
    one.add_user("ada", "correct horse battery")
        .await
        .expect("added");
    assert_eq!(two.users().await.expect("listed").len(), 1);
    let mut quickest = Duration::MAX;
    for kind in [Kind::Cookie, Kind::Bearer, Kind::Rotating] {
        let opened = signed_in(&one, "ada", kind).await;
        let token = opened.token.expose();
        assert!(valid(&verdict(&one, &token).await) && valid(&verdict(&two, &token).await));
        let mut news = two.ended();
        news.mark_unchanged();
        let begun = Instant::now();
        let ended = one.sign_out(Scope::One(opened.session), Why::SignedOut);
        ended.await.expect("kept");
        quickest = quickest.min(begun.elapsed());
        let over = Verdict::Invalid(Refusal::Ended(Why::SignedOut));
        assert_eq!(
            verdict(&two, &token).await,
            over,
            "{kind:?}: acknowledged, so it is over everywhere"
        );
        news.changed().await.expect("news");
    }
    // The other gateway was told, it need not wait for its poll: far below the lease of 5 s.
    assert!(quickest < Duration::from_secs(3), "{quickest:?}");
    // A gateway that has gone is waited for by nobody; a request that waits at it is asked about before it leaves.
    let waiting = signed_in(&one, "ada", Kind::Cookie).await.token.expose();
    let admitted = two.revocations();
    let Verdict::Valid(admission) = verdict(&two, &waiting).await else {
        panic!("ada is signed in");
    };
    let living = two.still(admission.clone(), admitted, true).await;
    assert_eq!(living, Verdict::Valid(admission.clone()));
    two.leave().await;
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let ended = one.sign_out(Scope::User(user("ada")), Why::Revoked);
        ended.await.expect("kept");
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_secs(3), "{quickest:?}");

    until("its lease has run out", async || {
        two.overtaken(admitted, true)
    })
    .await;
    assert_eq!(
        two.still(admission, admitted, false).await,
        Verdict::Invalid(Refusal::Ended(Why::Revoked))
    );

    let seen = signed_in(&one, "ada", Kind::Cookie).await.token.expose();
    assert!(valid(&verdict(&one, &seen).await));
    let unseen = signed_in(&one, "ada", Kind::Cookie).await.token.expose();
    server.kill();
    assert!(valid(&verdict(&one, &seen).await), "cached");
    until("operators are told", async || one.trouble().is_some()).await;
    let trouble = one.troubles().borrow().clone().expect("trouble");
    assert_eq!(trouble.kind, "unreachable");
    assert!(trouble.text.contains(":5432/postgres"), "{trouble:?}");
    // Once the lease has run out, that is enough for most routes and not for those that want fresh verdicts.
    let count = one.revocations();
    until("the lease of the one has run out", async || {
        one.overtaken(count, true)
    })
    .await;
    assert!(valid(&verdict(&one, &seen).await), "stale, below the bound");
    let not_fresh = Verdict::Unknown(Unsure::NotFresh);
    assert_eq!(one.verify(&seen, Traffic::Passive, true).await, not_fresh);
    let Verdict::Valid(admission) = verdict(&one, &seen).await else {
        panic!("valid above");
    };
    assert_eq!(one.still(admission, count, true).await, not_fresh);
    // The API says at each gateway what its routes say.
    let asked = || ask("GET", "/verify").cookie(&seen);
    assert_eq!(asked().to(&one).await.status, 200);
    let said = asked().fresh().to(&one).await;
    assert_eq!((said.status, said.code()), (503, "unknown"));
    assert_eq!(
        verdict(&one, &unseen).await,
        Verdict::Unknown(Unsure::Unreachable)
    );
    let kept = one.sign_in(user("bob"), Kind::Cookie, &caller()).await;
    assert!(kept.is_err(), "what cannot be kept is not granted");
    let late = worker(&config(&server, dirs[1].path())).await;
    assert_eq!(
        verdict(&late, &seen).await,
        Verdict::Unknown(Unsure::Unreachable)
    );
    server.run();
    for gateway in [&one, &late] {
        until("it is asked again", || async {
            valid(&verdict(gateway, &unseen).await)
        })
        .await;
        until("it is told", || async { gateway.trouble().is_none() }).await;
    }
}

#[tokio::test]
async fn a_database_that_was_emptied_or_replaced_in_place_signs_nobody_out() {
    let server = Server::start();
    let foreign = "UPDATE steadfast.meta SET id = '\\x0102030405060708'";
    for (sql, alarm, kind) in [
        ("DELETE FROM steadfast.session", Alarm::Empty, "empty"),
        (foreign, Alarm::Foreign, "foreign"),
    ] {
        server.sql("DROP SCHEMA IF EXISTS steadfast CASCADE");
        let dirs = [1, 2].map(|_| tempfile::tempdir().expect("a machine"));
        let one = worker(&config(&server, dirs[0].path())).await;
        let two = worker(&config(&server, dirs[1].path())).await;
        let token = signed_in(&one, "ada", Kind::Cookie).await.token.expose();
        // One remembers her, the other has never seen her.
        assert!(valid(&verdict(&one, &token).await));
        server.sql(&format!("{sql}; DELETE FROM steadfast.session"));
        let unknown = Verdict::Unknown(Unsure::Distrusted(alarm));
        assert_eq!(verdict(&two, &token).await, unknown);
        let late = two.sign_in(user("bob"), Kind::Cookie, &caller()).await;
        assert!(late.is_err(), "it would be lost with what comes back");
        for gateway in [&one, &two] {
            until("the alarm is told", async || gateway.trouble().is_some()).await;
            let trouble = gateway.troubles().borrow().clone().expect("trouble");
            assert_eq!(trouble.kind, kind, "{trouble:?}");
            assert_eq!(verdict(gateway, &token).await, unknown);
        }
    }
}

#[tokio::test]
async fn more_machines_are_not_more_guesses() {
    let server = Server::start();
    let dirs = [1, 2, 3].map(|_| tempfile::tempdir().expect("a machine"));
    let mut machines = Vec::new();
    for dir in &dirs {
        machines.push(worker(&config(&server, dir.path())).await);
    }
    let password = "correct horse battery";
    machines[0].add_user("ada", password).await.expect("added");
    let login = async |at: usize, from: &str, password: &str| {
        let body = json!({"username": "ada", "password": password, "mode": "bearer"});
        let asked = ask("POST", "/login").own().json(body).from(from);
        asked.to(&machines[at]).await
    };
    let mut tries = 0;
    loop {
        let said = login(tries % 3, "10.0.0.1", "wrong horse battery").await;
        if said.status == 429 {
            break;
        }
        assert_eq!(said.status, 401);
        tries += 1;
        assert!(tries <= 10, "as many as at one machine");
    }
    assert_eq!(tries, 10);
    for at in 0..3 {
        // Throttled before the password is looked at, and told for how long; who is elsewhere is not.
        let said = login(at, "10.0.0.1", password).await;
        assert_eq!((said.status, said.code()), (429, "throttled"), "{at}");
        assert_eq!(login(at, "10.0.0.2", password).await.status, 200, "{at}");
    }
}
