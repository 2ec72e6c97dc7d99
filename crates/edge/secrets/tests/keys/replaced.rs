//! A value that is set, imported or rotated, and the one before it.

use crate::{OLD, OTHER, site, verify_only};
use secrets::{
    Announced, Error, How, Old, Request, Secret, Status, SystemRandom, import, list, resolve, set,
    show,
};

#[test]
fn setting_a_key_keeps_the_old_one_for_verification() {
    let site = site().env_file(Some(&format!(
        "A=1\nexport SECRET_KEY='{OLD}' # mine\nB=2\n"
    )));
    site.set(OTHER).unwrap();
    assert_eq!(
        site.text(),
        format!("A=1\nexport SECRET_KEY={OTHER} # mine\nB=2\n")
    );
    let resolved = site.resolve();
    assert_eq!(
        (resolved.keys[0].secret.expose(), verify_only(&resolved)),
        (OTHER, vec![OLD])
    );

    let rows = site
        .with(|r| {
            list(&[
                *r,
                Request {
                    program: "worker",
                    ..*r
                },
            ])
        })
        .unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|r| (r.status, r.programs.join("+")))
        .collect();
    assert_eq!(
        seen,
        [
            (Status::Signs, "backend+worker".into()),
            (Status::Verifies, "backend+worker".into())
        ]
    );
    assert!(!format!("{rows:?}").contains(OLD) && !format!("{rows:?}").contains(OTHER));
    assert_eq!(
        site.with(|r| show(r, "SECRET_KEY")).unwrap().expose(),
        OTHER
    );
    assert_eq!(
        site.with(|r| show(r, "NO")),
        Err(Error::NoSuchKey { name: "NO".into() })
    );
}

#[test]
fn a_value_that_was_set_and_given_to_no_program_proves_nothing_when_it_is_replaced() {
    let third = OLD.chars().rev().collect::<String>();
    for file in [false, true] {
        let mut site = site();
        if file {
            site = site.env_file(Some(""));
        }
        site.set(OLD).unwrap();
        site.resolve();
        site.set("short").unwrap();
        site.set("short").unwrap();
        site.set(OTHER).unwrap();
        let resolved = site.resolve();
        assert_eq!(resolved.keys[0].secret.expose(), OTHER);
        assert_eq!(verify_only(&resolved), [OLD], "the typo is gone");
        // One that a program was given may have signed tokens, and so may one that comes from elsewhere.
        site.set(&third).unwrap();
        assert_eq!(verify_only(&site.resolve()), [OLD, OTHER]);
        let foreign = format!("{third}{third}");
        site.with(|r| {
            import(
                r,
                "SECRET_KEY",
                &Secret::new(foreign.as_str()),
                &mut SystemRandom,
            )
        })
        .unwrap();
        site.set(OLD).unwrap();
        let verifies = site.resolve();
        assert!(verify_only(&verifies).contains(&foreign.as_str()));
        // Also one that was set here before it was known to have signed elsewhere.
        let moved = format!("{OTHER}{OTHER}");
        site.set(&moved).unwrap();
        let value = Secret::new(moved.as_str());
        site.with(|r| import(r, "SECRET_KEY", &value, &mut SystemRandom))
            .unwrap();
        site.set(&third).unwrap();
        assert!(verify_only(&site.resolve()).contains(&moved.as_str()));
    }
}

#[test]
fn the_program_of_an_upstream_has_its_value_before_it_is_set_here() {
    let site = site().env_file(Some(""));
    let third = OLD.chars().rev().collect::<String>();
    let upstream = |act: &dyn Fn(&Request<'_>)| {
        site.with(|r| {
            act(&Request {
                program: "upstream:legacy",
                ..*r
            });
        });
    };
    for value in [OLD, OTHER, third.as_str()] {
        upstream(&|r| {
            set(r, "SECRET_KEY", &Secret::new(value), &mut SystemRandom).unwrap();
        });
    }
    upstream(&|r| {
        let resolved = resolve(r, &mut SystemRandom).unwrap();
        assert_eq!(verify_only(&resolved), [OLD, OTHER]);
    });
}

#[test]
fn setting_in_the_state_directory_and_what_cannot_be_set() {
    let site = site();
    let (first, _) = site.key();
    site.set("it's fine here: 0123456789abcdef0123456789")
        .unwrap();
    let resolved = site.resolve();
    assert_eq!(
        resolved.keys[0].secret.expose(),
        "it's fine here: 0123456789abcdef0123456789"
    );
    assert_eq!(verify_only(&resolved), [first.as_str()]);

    assert!(matches!(site.set(" "), Err(Error::BadValue { .. })));
    let site = site.env_file(Some(""));
    assert!(matches!(site.set("it's"), Err(Error::BadValue { .. })));
    let site = site.environment(OLD);
    assert!(matches!(
        site.set(OTHER),
        Err(Error::SetInEnvironment { .. })
    ));
}

#[test]
fn a_leak_ends_the_values_before_it_too() {
    let site = site();
    site.key();
    let rotated = |how| {
        let name = "SECRET_KEY";
        let rotate = |r: &Request<'_>| {
            secrets::rotate(std::slice::from_ref(r), name, how, &mut SystemRandom)
        };
        site.with(rotate).unwrap().remove(0)
    };
    assert_eq!(rotated(How::Overlap).ended, [0; 0]);
    let leaked = rotated(How::Compromised);
    assert_eq!(
        (leaked.ended, leaked.old_id, leaked.old),
        (vec![1], 2, Old::Nothing)
    );
    let ring = site.with(|r| secrets::ring(r, "SECRET_KEY")).unwrap();
    let counts: Vec<(u32, bool)> = ring.iter().map(|key| (key.id, key.compromised)).collect();
    assert_eq!(counts, [(1, true), (2, true), (3, false)]);
    assert!(verify_only(&site.resolve()).is_empty());
}

/// Other machines do not know it yet.
#[test]
fn an_announced_value_does_not_sign_because_the_variable_is_gone() {
    let site = site().environment(OLD);
    assert_eq!(site.key().0, OLD);
    let announced = Secret::new(OTHER);
    let announce =
        |r: &Request<'_>| secrets::announce(r, "SECRET_KEY", &announced, &mut SystemRandom);
    assert!(matches!(site.with(announce), Ok(Announced::Verifies(_))));
    let site = crate::Site {
        env: crate::Env::new(),
        ..site
    };
    assert_eq!(site.key().0, OLD);
    // Set on purpose, it signs, and goes on doing so.
    site.set(OTHER).unwrap();
    assert_eq!(site.key().0, OTHER);
}

#[test]
fn a_value_is_announced_before_it_signs() {
    let site = site().env_file(None);
    let announce = |value: &str| {
        let value = Secret::new(value);
        site.with(|r| secrets::announce(r, "SECRET_KEY", &value, &mut SystemRandom))
    };
    // It would have to sign.
    assert!(matches!(announce(OLD), Err(Error::NoSuchKey { .. })));
    let (first, _) = site.key();
    assert_eq!(announce(OLD).unwrap(), Announced::Verifies(2));
    assert_eq!(announce(OLD).unwrap(), Announced::AlreadySo(2));
    assert_eq!(announce(&first).unwrap(), Announced::Signs);
    let resolved = site.resolve();
    assert_eq!(resolved.keys[0].secret.expose(), first);
    assert_eq!(verify_only(&resolved), [OLD]);
    assert!(site.text().contains(&first) && !site.text().contains(OLD));
    let old = || {
        let ring = site.with(|r| secrets::ring(r, "SECRET_KEY")).unwrap();
        let of = |kept: &&secrets::Kept| kept.secret.expose() == OLD;
        ring.iter()
            .find(of)
            .map(|kept| (kept.id, kept.signs, kept.until_unix_s))
    };
    // Nothing ran with it, and it has no end.
    assert_eq!(old(), Some((2, false, 0)));
    site.with(|r| import(r, "SECRET_KEY", &Secret::new(OLD), &mut SystemRandom))
        .unwrap();
    assert_eq!(old(), Some((2, true, 0)));
    let resolved = site.resolve();
    assert_eq!(resolved.keys[0].secret.expose(), OLD);
    assert_eq!(verify_only(&resolved), [first.as_str()]);

    for number in 0..secrets::VERIFY_MAX - 1 {
        announce(&format!("{number}{OTHER}")).unwrap();
    }
    assert!(matches!(announce(OTHER), Err(Error::TooManyKeys { .. })));
    let request_how = secrets::How::Compromised;
    site.with(|r| secrets::rotate(&[*r], "SECRET_KEY", request_how, &mut SystemRandom))
        .unwrap();
    assert_eq!(announce(OLD).unwrap(), Announced::Compromised);
    assert!(matches!(announce(" "), Err(Error::BadValue { .. })));
}
