//! What clients send as credentials: tokens, cookies, signed tokens, origins.

use ::session::cookie::{self, Channel, Sent};
use ::session::csrf::{self, Asked};
use ::session::jws::Compact;
use ::session::{Hidden, Token, UserId, device};

const CHANNELS: [Channel; 3] = [Channel::Https, Channel::LoopbackHttp, Channel::Http];

/// Nothing panics; a token has one spelling; a program never sees our cookies; no text is somebody's device or signature.
pub fn session(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    token(&text);
    cookies(&text);
    signed(&text);
    origin(&text);
    let ada = UserId::parse("ada").expect("a user id");
    assert_eq!(
        device::known(&Hidden::new([7; 32]), &ada, &text),
        None,
        "a device was made up"
    );
}

fn token(text: &str) {
    if let Some(token) = Token::parse(text) {
        assert_eq!(token.expose(), text, "a token has two spellings");
        assert!(
            !format!("{token:?}").contains(&text[text.len() - 30..]),
            "Debug shows a secret"
        );
    }
}

fn cookies(text: &str) {
    let headers: Vec<&str> = text.split('\n').collect();
    for channel in CHANNELS {
        if let Sent::One(value) = cookie::find(channel, headers.iter().copied()) {
            assert!(
                text.contains(value) && !value.contains(';'),
                "a value that was not sent"
            );
        }
    }
    for header in headers {
        let Some(rest) = cookie::without(header) else {
            continue;
        };
        for channel in CHANNELS {
            let found = cookie::find(channel, [rest.as_str()]);
            assert_eq!(found, Sent::None, "our cookie reached the program: {rest}");
            let devices = cookie::devices(channel, [rest.as_str()]).count();
            assert_eq!(devices, 0, "a device's cookie reached the program: {rest}");
        }
    }
}

fn signed(text: &str) {
    let Ok(read) = Compact::read(text) else {
        return;
    };
    assert!(
        !read.proved_by(b"a key that nobody signed with"),
        "a signature was made up"
    );
    let again = read.signed_with(b"another key");
    let read = Compact::read(&again).expect("what we sign can be read");
    assert!(read.proved_by(b"another key"));
}

fn origin(text: &str) {
    let (site, origin) = text.split_once('\n').unwrap_or(("", text));
    let asked = Asked {
        method: "POST",
        upgrade: false,
        login: true,
        bearer_only: true,
        fetch_site: &[site],
        origin: &[origin],
    };
    if csrf::decide(asked, "https://a", &[]).is_ok() {
        let same = matches!(site.trim(), "same-origin" | "none");
        assert!(
            same || origin.trim().eq_ignore_ascii_case("https://a"),
            "{site} {origin}"
        );
    }
}
