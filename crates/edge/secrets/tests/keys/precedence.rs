//! Which value counts, and what becomes of the others.

use crate::{OLD, OTHER, site, verify_only};
use secrets::{Origin, Warning};
use std::fs;

#[test]
fn existing_beats_making_and_environment_beats_file_beats_state() {
    assert_eq!(site().environment(OLD).key(), (OLD.to_owned(), false));
    assert_eq!(
        site().env_file(Some(&format!("SECRET_KEY={OLD}"))).key(),
        (OLD.to_owned(), false)
    );

    let site = site()
        .env_file(Some(&format!("SECRET_KEY={OTHER}\n")))
        .environment(OLD);
    let resolved = site.resolve();
    assert_eq!(resolved.keys[0].secret.expose(), OLD);
    assert_eq!(resolved.keys[0].origin, Origin::Environment);
    assert_eq!(verify_only(&resolved), [OTHER]);
    let file = Origin::EnvFile(fs::canonicalize(site.root.join(".env")).unwrap());
    let disagree = Warning::Disagree {
        name: "SECRET_KEY".into(),
        wins: Origin::Environment,
        loses: file,
    };
    assert!(
        resolved.warnings.contains(&disagree),
        "{:?}",
        resolved.warnings
    );
    assert_eq!(site.text(), format!("SECRET_KEY={OTHER}\n"));
}

#[test]
fn a_key_made_before_an_env_file_was_named_still_verifies() {
    let mut site = site();
    let (state_key, _) = site.key();
    site = site.env_file(Some(&format!("SECRET_KEY={OLD}\n")));
    let resolved = site.resolve();
    assert_eq!(resolved.keys[0].secret.expose(), OLD);
    assert_eq!(verify_only(&resolved), [state_key.as_str()]);
    assert!(
        resolved
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::Disagree { .. }))
    );
    // Said once; the file is the home now.
    assert!(
        !site
            .resolve()
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::Disagree { .. }))
    );

    // An env file that lost its line does not make a second one: what it held last is known.
    fs::write(site.root.join(".env"), "A=1\n").unwrap();
    assert_eq!(site.key(), (OLD.to_owned(), false));
}

#[test]
fn a_variable_that_comes_and_goes_does_not_make_a_new_key() {
    let mut site = site();
    let (key, _) = site.key();
    site = site.environment(OLD);
    assert_eq!(site.key().0, OLD);
    site.env.clear();
    assert_eq!(site.key(), (key, false));
}
