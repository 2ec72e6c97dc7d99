//! Hostile content and links: nothing is lost, and nobody else's file is read or written.

use crate::{OLD, Site, site};
use secrets::{Error, SystemRandom, Warning, inspect, resolve};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn hostile_content_is_an_error_or_a_warning_and_nothing_is_lost() {
    let site = site().env_file(Some(""));
    let path = site.root.join(".env");
    fs::write(&path, [b'A', b'=', 0xff, 0xfe]).unwrap();
    assert!(matches!(
        site.with(|r| resolve(r, &mut SystemRandom)),
        Err(Error::NotAnEnvFile { .. })
    ));
    assert_eq!(fs::read(&path).unwrap().len(), 4);

    fs::write(&path, "a b c\n'\n=\n").unwrap();
    let resolved = site.resolve();
    assert_eq!(
        resolved
            .warnings
            .iter()
            .filter(|w| matches!(w, Warning::Line { .. }))
            .count(),
        3
    );

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(site.with(|r| resolve(r, &mut SystemRandom)).is_err());
    fs::remove_dir(&path).unwrap();

    let ring = site.state().join("keyring.json");
    for text in [
        "",
        "{",
        "[]",
        r#"{"steadfast_keyring":2,"keys":[]}"#,
        r#"{"steadfast_keyring":"hunter2","keys":[]}"#,
    ] {
        fs::write(&ring, text).unwrap();
        let error = site.with(|r| resolve(r, &mut SystemRandom)).unwrap_err();
        assert!(
            matches!(error, Error::Keyring { .. }) && !error.to_string().contains("hunter2"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&ring).unwrap(), text);
    }
    for name in ["", "A B", "A=B", "1A", "A\n", "é"] {
        let mut site = self::site();
        site.names = vec![name.to_owned()];
        assert!(
            matches!(
                site.with(|r| resolve(r, &mut SystemRandom)),
                Err(Error::BadName { .. })
            ),
            "{name:?}"
        );
    }
}

#[test]
fn a_link_stays_a_link() {
    let site = site().env_file(None);
    let real = site.root.join("real");
    fs::write(&real, "A=1\n").unwrap();
    std::os::unix::fs::symlink(&real, site.root.join(".env")).unwrap();
    let (key, _) = site.key();
    assert!(
        fs::symlink_metadata(site.root.join(".env"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::read_to_string(&real).unwrap(),
        format!("A=1\nSECRET_KEY={key}\n")
    );
}

#[test]
fn a_link_that_leads_nowhere_is_not_replaced_by_a_new_key() {
    let site = site();
    let link = site.root.join(".env");
    std::os::unix::fs::symlink(site.root.join("not-mounted-yet"), &link).unwrap();
    let site = Site {
        env_file: Some(link.clone()),
        ..site
    };
    for tried in [
        site.with(|r| resolve(r, &mut SystemRandom)).map(|_| ()),
        site.with(inspect).map(|_| ()),
        site.set(OLD).map(|_| ()),
    ] {
        let words = tried.unwrap_err().to_string();
        assert!(words.contains("a link that leads nowhere"), "{words}");
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // A key that is known is no new one.
    fs::write(
        site.root.join("not-mounted-yet"),
        format!("SECRET_KEY={OLD}\n"),
    )
    .unwrap();
    assert_eq!(site.key(), (OLD.to_owned(), false));
    fs::remove_file(site.root.join("not-mounted-yet")).unwrap();
    assert_eq!(site.key(), (OLD.to_owned(), false));
}

/// Who is not root reads only what he may anyway.
#[test]
fn root_hands_out_no_file_that_somebodys_link_leads_to() {
    use std::os::unix::fs::lchown;
    let site = site().env_file(None);
    let (secret, link) = (site.root.join("of-another-app"), site.root.join(".env"));
    fs::write(&secret, "TOKEN=1\n").unwrap();
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    if fs::metadata(&secret).unwrap().uid() != 0 {
        return;
    }
    lchown(&link, Some(4_000_001), None).unwrap();
    let refused = site.with(|r| resolve(r, &mut SystemRandom)).unwrap_err();
    assert!(
        refused.to_string().contains("root does not follow it"),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&secret).unwrap(), "TOKEN=1\n");
    // His own file, and a link of root.
    lchown(&secret, Some(4_000_001), None).unwrap();
    site.resolve();
    lchown(&secret, Some(0), None).unwrap();
    lchown(&link, Some(0), None).unwrap();
    site.resolve();
}
