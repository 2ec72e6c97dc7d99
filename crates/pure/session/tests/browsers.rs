//! Cookies and the origin of requests.
#![allow(missing_docs, reason = "a test")]

use session::cookie::{Channel, Sent, clear, every, find, has_ours, set, without};
use session::csrf::{Asked, Forged, decide};
use session::{Hidden, StoreId, Token, token::Opaque};

#[test]
fn the_cookie_says_how_it_may_travel() {
    let token = Token::Cookie(Opaque {
        store: StoreId(*b"store..1"),
        secret: Hidden::new([0; 32]),
    });
    let value = token.expose();
    assert_eq!(
        set(Channel::Https, &token, 7_776_000),
        Some(format!(
            "__Host-steadfast={value}; Path=/; Max-Age=7776000; HttpOnly; Secure; SameSite=Lax"
        ))
    );
    assert_eq!(
        set(Channel::LoopbackHttp, &token, 60),
        Some(format!(
            "steadfast-local={value}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
        ))
    );
    assert_eq!(set(Channel::Http, &token, 60), None);
    assert_eq!(
        clear(Channel::Https).as_deref(),
        Some("__Host-steadfast=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax")
    );
}

#[test]
fn finding_the_cookie() {
    let https = |header: &'static str| find(Channel::Https, [header]);
    assert_eq!(https("a=b; __Host-steadfast=X; c=d"), Sent::One("X"));
    assert_eq!(
        https("steadfast-local=X"),
        Sent::None,
        "the name for loopback counts for nothing on https"
    );
    assert_eq!(
        find(Channel::LoopbackHttp, ["steadfast-local=X"]),
        Sent::One("X")
    );
    assert_eq!(
        find(Channel::LoopbackHttp, ["__Host-steadfast=X"]),
        Sent::None
    );
    assert_eq!(find(Channel::Http, ["__Host-steadfast=X"]), Sent::None);
    assert_eq!(
        https("__Host-steadfast=X; __Host-steadfast=X"),
        Sent::One("X")
    );
    assert_eq!(
        https("__Host-steadfast=X; __Host-steadfast=Y"),
        Sent::Several
    );
    assert_eq!(
        find(
            Channel::Https,
            ["__Host-steadfast=X", "a=b; __Host-steadfast=Y"]
        ),
        Sent::Several
    );
    assert_eq!(https(";;=;a"), Sent::None);
}

/// To a browser that is a name without the prefix, and any neighbouring host may set it.
#[test]
fn a_blank_that_is_no_blank_to_browsers_is_part_of_the_name() {
    for blank in [
        "\u{a0}", "\u{85}", "\u{2003}", "\u{3000}", "\u{2028}", "\u{b}", "\u{c}",
    ] {
        let line = format!("a=1; {blank}__Host-steadfast=planted; b=2");
        assert_eq!(find(Channel::Https, [&*line]), Sent::None, "{blank:?}");
        assert!(!has_ours(&line), "{blank:?}");
        let line = format!("__Host-steadfast{blank}=planted; __Host-steadfast=own");
        let found = find(Channel::Https, [&*line]);
        assert_eq!(found, Sent::One("own"), "{blank:?}");
    }
    let found = find(Channel::Https, ["a=1 ;\t__Host-steadfast = own "]);
    assert_eq!(found, Sent::One("own"));
}

#[test]
fn whoever_signs_out_means_every_cookie() {
    let all = |headers: &[&'static str]| every(Channel::Https, headers.iter().copied());
    let three = [
        "__Host-steadfast=X; a=b; __Host-steadfast=Y",
        "__Host-steadfast=X; steadfast-local=Z",
    ];
    assert_eq!(all(&three), ["X", "Y"]);
    assert!(all(&["a=b"]).is_empty());
    assert!(every(Channel::Http, three).is_empty());
    let many: Vec<String> = (0..100).map(|n| format!("__Host-steadfast={n}")).collect();
    let many = many.join("; ");
    assert_eq!(every(Channel::Https, [&*many]).len(), session::COOKIES_MAX);
}

#[test]
fn programs_do_not_see_it() {
    assert_eq!(
        without("a=b; __Host-steadfast=X;c=d ; steadfast-local=Y").as_deref(),
        Some("a=b; c=d")
    );
    assert_eq!(without("__Host-steadfast=X"), None);
    for header in [
        "a=b;steadfast-local=Y",
        " __Host-steadfast =X",
        "a; steadfast-device-local",
    ] {
        assert!(has_ours(header), "{header}");
    }
    for header in [
        "",
        ";",
        "a=steadfast-local",
        "xsteadfast-local=1",
        "a=b; c=d",
    ] {
        assert!(!has_ours(header), "{header}");
    }
    assert_eq!(
        without("x__Host-steadfast=1").as_deref(),
        Some("x__Host-steadfast=1")
    );
}

const OWN: &str = "https://app.example";

/// A request with these two headers.
fn check(method: &str, site: &[&str], origin: &[&str]) -> Result<(), Forged> {
    let asked = Asked {
        method,
        upgrade: false,
        login: false,
        bearer_only: false,
        fetch_site: site,
        origin,
    };
    decide(
        asked,
        OWN,
        &["https://partner.example".into(), "null".into()],
    )
}

#[test]
fn unsafe_requests_name_their_origin() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(
            check(method, &["cross-site"], &["https://evil.example"]),
            Ok(())
        );
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "get", "QUERY", "TRACE"] {
        assert_eq!(check(method, &["same-origin"], &[]), Ok(()), "{method}");
        assert_eq!(check(method, &["none"], &[]), Ok(()));
        assert_eq!(check(method, &[], &[OWN]), Ok(()));
        assert_eq!(
            check(method, &["cross-site"], &["https://partner.example"]),
            Ok(())
        );
        assert_eq!(
            check(method, &["cross-site"], &["https://evil.example"]),
            Err(Forged::OtherOrigin)
        );
        assert_eq!(
            check(method, &["same-site"], &["https://other.app.example"]),
            Err(Forged::OtherOrigin)
        );
        assert_eq!(
            check(method, &["cross-site"], &[]),
            Err(Forged::OtherOrigin)
        );
        assert_eq!(
            check(method, &[], &["null"]),
            Err(Forged::OtherOrigin),
            "null is nobody, also when listed"
        );
        assert_eq!(
            check(method, &[], &["http://app.example"]),
            Err(Forged::OtherOrigin),
            "another scheme"
        );
        assert_eq!(
            check(method, &[], &["https://app.example:8443"]),
            Err(Forged::OtherOrigin),
            "another port"
        );
        assert_eq!(
            check(method, &[], &["https://app.example.evil"]),
            Err(Forged::OtherOrigin)
        );
        assert_eq!(check(method, &[], &[]), Err(Forged::NeitherHeader));
        assert_eq!(
            check(method, &["same-origin", "cross-site"], &[]),
            Err(Forged::Repeated)
        );
        assert_eq!(
            check(method, &[], &[OWN, "https://evil.example"]),
            Err(Forged::Repeated)
        );
    }
}

#[test]
fn upgrades_and_logins_do_too() {
    let get = Asked {
        method: "GET",
        upgrade: true,
        login: false,
        bearer_only: false,
        fetch_site: &[],
        origin: &[],
    };
    assert_eq!(decide(get, OWN, &[]), Err(Forged::NeitherHeader));
    assert_eq!(
        decide(
            Asked {
                origin: &["https://evil.example"],
                ..get
            },
            OWN,
            &[]
        ),
        Err(Forged::OtherOrigin)
    );
    assert_eq!(
        decide(
            Asked {
                origin: &[OWN],
                ..get
            },
            OWN,
            &[]
        ),
        Ok(())
    );
    let login = Asked {
        upgrade: false,
        login: true,
        ..get
    };
    assert_eq!(decide(login, OWN, &[]), Err(Forged::NeitherAtLogin));
    assert!(!Forged::NeitherAtLogin.text().contains("bearer"));
    assert_eq!(
        decide(
            Asked {
                bearer_only: true,
                ..get
            },
            OWN,
            &[]
        ),
        Ok(()),
        "nothing ambient, nothing to forge"
    );
    assert_eq!(
        decide(
            Asked {
                bearer_only: true,
                ..login
            },
            OWN,
            &[]
        ),
        Err(Forged::NeitherAtLogin)
    );
}
