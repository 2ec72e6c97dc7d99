//! What a request carries when it leaves for its program: a fresh token for that generation in place of the session's.
//!
//! Asked again at each attempt: a repeat may go to another generation with another key.

use h1::Kind;
use h1::request::RequestHead;
use session::cookie;

use crate::door::Pass;
use crate::door::asked::text;
use crate::door::marks::line;
use crate::tokens::Tokens;

/// Lines for the program, and which of the client's they replace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dress {
    pub(crate) lines: Vec<u8>,
    pub(crate) drop_authorization: bool,
    pub(crate) drop_cookies: bool,
}

/// The generation was started with a key that we do not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoKey;

/// Dresses a request for a generation that was started with the key `told`; 0 is none.
pub(crate) fn dress(
    pass: Option<&Pass>,
    tokens: Option<&Tokens>,
    told: u32,
    head: &RequestHead,
    buf: &[u8],
) -> Result<Dress, NoKey> {
    let again = tokens.filter(|tokens| tokens.signs_again());
    if pass.is_none() && again.is_none() {
        return Ok(Dress::default());
    }
    let now_s = sys::clock::wall_ms() / 1000;
    let mut dress = Dress {
        drop_authorization: pass.is_some_and(|pass| pass.drop_authorization),
        ..Dress::default()
    };
    match (pass.and_then(|pass| pass.admission.as_ref()), tokens) {
        (Some(admission), Some(tokens)) => match tokens.mint(admission, told, now_s) {
            Some(token) => authorization(&mut dress.lines, "Bearer", &token),
            // Started before it had a key of ours: it cannot read any token.
            None if told == 0 => {}
            None => return Err(NoKey),
        },
        (Some(_), None) => {}
        (None, _) if dress.drop_authorization => {}
        (None, _) => {
            let value = head.value(buf, Kind::Authorization).map(text);
            let parts = value.as_deref().and_then(|value| value.split_once(' '));
            let signed = again.zip(parts).and_then(|(tokens, (scheme, token))| {
                let signed = tokens.signed_again(token.trim(), told, now_s)?;
                Some((scheme, signed))
            });
            if let Some((scheme, token)) = signed {
                authorization(&mut dress.lines, scheme, &token);
                dress.drop_authorization = true;
            }
        }
    }
    let clean = pass.is_some_and(|pass| pass.clean_cookies);
    let again = again.and_then(|tokens| Some((tokens, tokens.cookie.as_deref()?)));
    if head.has(Kind::Cookie) && (clean || again.is_some()) {
        let again = again.map(|(tokens, name)| {
            let sign = move |value: &str| tokens.signed_again(value, told, now_s);
            (name, sign)
        });
        cookies(&mut dress, head, buf, clean, again);
    }
    Ok(dress)
}

fn authorization(lines: &mut Vec<u8>, scheme: &str, token: &str) {
    line(lines, "Authorization", &format!("{scheme} {token}"));
}

/// The client's cookies without ours, the program's token signed again. Untouched ones go through as bytes.
fn cookies(
    dress: &mut Dress,
    head: &RequestHead,
    buf: &[u8],
    clean: bool,
    again: Option<(&str, impl Fn(&str) -> Option<String>)>,
) {
    let mut lines = Vec::new();
    let mut changed = false;
    for value in head.lines.values(buf, Kind::Cookie) {
        let before = text(value);
        let kept = match clean {
            true => cookie::without(&before),
            false => Some(before.clone().into_owned()),
        };
        let kept = match (&again, kept) {
            (Some((name, sign)), Some(kept)) => Some(with(&kept, name, sign)),
            (_, kept) => kept,
        };
        changed |= kept.as_deref() != Some(&*before);
        if let Some(kept) = kept {
            lines.extend_from_slice(b"Cookie: ");
            match before {
                std::borrow::Cow::Borrowed(_) => lines.extend_from_slice(kept.as_bytes()),
                // Each letter was a byte.
                std::borrow::Cow::Owned(_) => lines.extend(kept.chars().map(|letter| letter as u8)),
            }
            lines.extend_from_slice(b"\r\n");
        }
    }
    if changed {
        dress.drop_cookies = true;
        dress.lines.extend_from_slice(&lines);
    }
}

/// The cookies with the value of `name` replaced by what `sign` makes of it.
fn with(header: &str, name: &str, sign: &impl Fn(&str) -> Option<String>) -> String {
    let part = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let signed = (key.trim() == name).then(|| sign(value.trim()))??;
        Some(format!("{key}={signed}"))
    };
    let parts = header.split(';');
    let parts: Vec<String> = parts
        .map(|it| part(it).unwrap_or_else(|| it.to_owned()))
        .collect();
    parts.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_is_replaced_and_the_others_stay_as_they_are() {
        let sign = |value: &str| (value == "old").then(|| "new".to_owned());
        assert_eq!(with("a=1; jwt=old;b", "jwt", &sign), "a=1; jwt=new;b");
        assert_eq!(with("jwt=other", "jwt", &sign), "jwt=other");
        assert_eq!(with("ajwt=old", "jwt", &sign), "ajwt=old");
    }
}
