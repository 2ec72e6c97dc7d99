//! Revocation: scopes, caches, leases, and what is looked at again at dispatch.
#![allow(missing_docs, reason = "a test")]

use session::revoke::{
    Acknowledge, Cached, DispatchLook, Line, Peer, Recall, Scope, acknowledge, at_dispatch,
    overtaken, recall, without_lease,
};
use session::*;

fn row(id: u8, user: &str) -> Row {
    let random = Entropy {
        id: [id; 16],
        secret: Hidden::new([id; 32]),
        key: Hidden::new([0; 32]),
    };
    let time = Time {
        now_ms: 1000,
        expiry: Expiry::Runs,
    };
    open(
        StoreId([0; 8]),
        Kind::Cookie,
        UserId::parse(user).expect("a user id"),
        random,
        "",
        time,
    )
    .0
}

#[test]
fn scopes() {
    let rows = [row(1, "ada"), row(2, "ada"), row(3, "bob")];
    let covered = |scope: Scope| {
        rows.iter()
            .filter(|it| scope.covers(it))
            .map(|it| it.id.0[0])
            .collect::<Vec<_>>()
    };
    let ada = UserId::parse("ada").expect("a user id");
    assert_eq!(covered(Scope::One(Sid([2; 16]))), [2]);
    assert_eq!(covered(Scope::User(ada.clone())), [1, 2]);
    assert_eq!(
        covered(Scope::Others {
            user: ada.clone(),
            realm: Realm::default(),
            keep: Sid([1; 16])
        }),
        [2]
    );
    let forum = Realm::parse("forum").expect("a name");
    let mut elsewhere = row(4, "ada");
    elsewhere.realm = forum.clone();
    let within = |realm: &Realm| Scope::Within {
        user: ada.clone(),
        realm: realm.clone(),
    };
    assert_eq!(covered(within(&Realm::default())), [1, 2]);
    assert_eq!(covered(within(&forum)), [] as [u8; 0]);
    assert!(within(&forum).covers(&elsewhere));
    assert!(!within(&Realm::default()).covers(&elsewhere));
    assert!(
        Scope::User(ada.clone()).covers(&elsewhere),
        "an operator's word"
    );
    let mut ended = row(1, "ada");
    ended.ended = Some(Ended {
        at_ms: 1,
        why: Why::Theft,
        other: None,
    });
    assert!(!Scope::User(ada).covers(&ended), "its reason stays");
}

/// What a gateway does with a verdict made at 0 under count 3.
fn check(line: Line, fresh: bool, now_ms: u64) -> Recall {
    recall(
        Cached {
            count: 3,
            made_ms: 0,
        },
        line,
        fresh,
        now_ms,
    )
}

#[test]
fn caches() {
    assert_eq!(
        check(Line::Local { count: 3 }, true, 1 << 40),
        Recall::Use,
        "shared memory is always fresh"
    );
    assert_eq!(check(Line::Local { count: 4 }, false, 1), Recall::Ask);
    let leased = |count| Line::Leased {
        count,
        until_ms: 5000,
    };
    assert_eq!(check(leased(3), true, 4999), Recall::Use);
    assert_eq!(check(leased(3), true, 5000), Recall::Ask);
    assert_eq!(check(leased(3), false, 5000), Recall::AskElseUse);
    assert_eq!(
        check(leased(3), false, STALE_MS_MAX - 1),
        Recall::AskElseUse
    );
    assert_eq!(check(leased(3), false, STALE_MS_MAX), Recall::Ask);
    assert_eq!(
        check(leased(4), false, 6000),
        Recall::Ask,
        "what was outdated under the lease stays outdated"
    );
}

#[test]
fn acknowledgement_waits_for_each() {
    let peer = |confirmed, until_ms| Peer {
        confirmed,
        until_ms,
    };
    assert_eq!(acknowledge(1, &[], 0), Acknowledge::Now);
    assert_eq!(
        acknowledge(1, &[peer(1, 9000), peer(0, 100)], 100),
        Acknowledge::Now
    );
    let wait = acknowledge(1, &[peer(0, 9000), peer(0, 7000)], 100);
    assert_eq!(wait, Acknowledge::Wait { until_ms: 9000 });
}

#[test]
fn who_waited_is_looked_at_again_where_nobody_tells_of_revocations() {
    let local = |count| Line::Local { count };
    let leased = |count| Line::Leased {
        count,
        until_ms: 5000,
    };
    for waited in [false, true] {
        for (line, now_ms, again) in [
            (local(3), 9000, false),
            (local(4), 0, true),
            (leased(3), 4999, false),
            (leased(4), 4999, true),
            (leased(3), 5000, waited),
        ] {
            let mut looks = 0;
            let clock = || {
                looks += 1;
                now_ms
            };
            assert_eq!(
                overtaken(3, line, waited, clock),
                again,
                "{line:?} {waited}"
            );
            let matters = waited && matches!(line, Line::Leased { count: 3, .. });
            assert_eq!(looks, u32::from(matters), "{line:?} {waited}");
        }
    }
    let admission = Admission {
        session: Sid([1; 16]),
        user: UserId::parse("ada").expect("a user id"),
        at_ms: 0,
        touch: None,
    };
    let valid = Verdict::Valid(admission.clone());
    let over = DispatchLook::Over(Refusal::Ended(Why::Revoked));
    let distrusted = Unsure::Distrusted(Alarm::Foreign);
    for (look, said) in [
        (DispatchLook::Living, valid.clone()),
        (over, Verdict::Invalid(Refusal::Ended(Why::Revoked))),
        (DispatchLook::Unknown(Unsure::Unreachable), valid),
        (
            DispatchLook::Unknown(distrusted),
            Verdict::Unknown(distrusted),
        ),
    ] {
        assert_eq!(without_lease(admission.clone(), false, look), said);
        let fresh = match look {
            DispatchLook::Unknown(Unsure::Unreachable) => Verdict::Unknown(Unsure::NotFresh),
            _ => said,
        };
        assert_eq!(without_lease(admission.clone(), true, look), fresh);
    }
}

#[test]
fn a_long_wait_is_not_judged_by_time_but_by_revocation() {
    let mut row = row(1, "ada");
    let admission = Admission {
        session: row.id,
        user: row.user.clone(),
        at_ms: 0,
        touch: None,
    };
    let valid = Verdict::Valid(admission.clone());
    assert_eq!(
        at_dispatch(admission.clone(), 3, 3, || panic!("nothing to look at")),
        valid
    );
    assert_eq!(
        at_dispatch(admission.clone(), 3, 4, || Found::Row(&row).into()),
        valid
    );
    let unsure = Unsure::Unreachable;
    let look = || DispatchLook::from(Found::Unreachable);
    assert_eq!(
        at_dispatch(admission.clone(), 3, 4, look),
        Verdict::Unknown(unsure)
    );
    row.ended = Some(Ended {
        at_ms: 1,
        why: Why::Revoked,
        other: None,
    });
    let verdict = at_dispatch(admission, 3, 4, || Found::Row(&row).into());
    assert_eq!(verdict, Verdict::Invalid(Refusal::Ended(Why::Revoked)));
}
