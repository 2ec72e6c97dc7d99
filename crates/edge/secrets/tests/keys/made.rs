//! A key that is nowhere is made, once, where it belongs.

use crate::{mode, site};
use secrets::{Error, Random, resolve};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_key_is_made_once_and_kept_in_the_state_directory() {
    let site = site();
    let (made, first) = site.key();
    assert!(first && made.len() == 64);
    assert_eq!(site.key(), (made, false));
    assert_eq!(mode(&site.state().join("keyring.json")), 0o600);
    assert_eq!(mode(&site.state()), 0o700);
}

#[test]
fn a_key_is_appended_to_the_env_file_and_the_rest_stays() {
    let text = "# mine\nDEBUG = no # x\nLAST='a b'";
    let site = site().env_file(Some(text));
    fs::set_permissions(site.root.join(".env"), fs::Permissions::from_mode(0o644)).unwrap();
    let resolved = site.resolve();
    let key = resolved.keys[0].secret.expose();
    assert_eq!(site.text(), format!("{text}\nSECRET_KEY={key}\n"));
    assert_eq!(mode(&site.root.join(".env")), 0o640);
    let variables: Vec<_> = resolved
        .variables()
        .map(|(n, v)| (n, v.expose().to_owned()))
        .collect();
    assert_eq!(
        variables,
        [
            ("DEBUG", "no".to_owned()),
            ("LAST", "a b".to_owned()),
            ("SECRET_KEY", key.to_owned())
        ]
    );
    assert_eq!(site.key(), (key.to_owned(), false));
    // The keyring knows its number, so that tokens can be signed for it.
    let kept = site.with(|r| secrets::ring(r, "SECRET_KEY")).unwrap();
    assert_eq!((kept.len(), kept[0].id, kept[0].signs), (1, 1, true));
    assert_eq!(mode(&site.state().join("keyring.json")), 0o600);
}

#[test]
fn a_missing_env_file_is_made_for_its_owner_only() {
    let site = site().env_file(None);
    let (key, made) = site.key();
    assert!(made);
    assert_eq!(site.text(), format!("SECRET_KEY={key}\n"));
    assert_eq!(mode(&site.root.join(".env")), 0o600);
}

#[test]
fn an_empty_assignment_is_filled_in() {
    let site = site().env_file(Some("A=1\nSECRET_KEY=\nB=2\n"));
    let (key, made) = site.key();
    assert!(made);
    assert_eq!(site.text(), format!("A=1\nSECRET_KEY={key}\nB=2\n"));
}

#[test]
fn no_random_numbers_no_change() {
    struct Dry;
    impl Random for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::NoSuchKey { name: "dry".into() })
        }
    }
    let site = site().env_file(Some("A=1\n"));
    assert!(site.with(|r| resolve(r, &mut Dry)).is_err());
    assert_eq!(site.text(), "A=1\n");
}

#[test]
fn many_at_once_agree_on_one_key() {
    let site = site().env_file(Some("A=1\n"));
    let keys: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| site.key().0)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|k| *k == keys[0]));
    assert_eq!(site.text(), format!("A=1\nSECRET_KEY={}\n", keys[0]));
}
