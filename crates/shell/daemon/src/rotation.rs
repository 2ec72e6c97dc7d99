//! `secrets rotate`: whether a key may be replaced without signing anyone out, and the words about it.
//!
//! A token that the old key signed must go on being accepted by a program that gets the new one. Two things hold it: the
//! program reads several keys (`secrets_fallbacks`), or it stands behind the gateway, which signs such tokens again
//! (`listen = gateway`). With neither, a rotation is refused; `--compromised` is the way to sign everyone out on purpose.
//!
//! The gateway knows tokens by their form (RFC 7519) and their places: `Authorization` and the cookie of `jwt_cookie`. What
//! else an app signs with its key (a cookie of Flask's or Django's sessions, a link in a mail) it can neither read nor
//! sign again, and whether an app does so nobody here knows: so that is said, and nobody is said to be still signed in.
//!
//! An upstream is run by somebody else. Whether it holds the old or the new value at a moment nobody tells us, and whichever
//! the gateway signed with would be the wrong one for a while: so a rotation is refused, and says how it goes by hand, in an
//! order in which nobody is signed out.

use std::path::{Path, PathBuf};

use conf::Listen;
use rundir::{Identity, Layout, Surroundings};
use secrets::{How, InUse, Old, Rotated, SystemRandom};

use crate::keys::{ProgramKeys, of_model};
use crate::machine::{Machine, environment};

/// What holds the tokens of the old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The gateway signs them again.
    Gateway,
    /// The program reads old keys too.
    Program,
}

/// A program that gets a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affected {
    /// Its name.
    pub(crate) program: String,
    /// Why tokens of it go on; None for a compromised key.
    pub(crate) held: Option<Held>,
    /// It reads older values, so whatever they signed goes on.
    pub(crate) reads_older: bool,
    /// A cookie whose tokens the gateway signs again.
    pub(crate) cookie: Option<String>,
}

/// Who gets the new key, or why not.
pub(crate) fn affected(model: &conf::Model, name: &str, how: How) -> Result<Vec<Affected>, String> {
    let named = |secrets: &[conf::Spanned<String>]| secrets.iter().any(|key| key.value == name);
    let mut all = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for program in model.programs.iter().filter(|it| named(&it.secrets)) {
        let held = match how {
            How::Compromised => Ok(None),
            How::Overlap => held(program, name).map(Some),
        };
        match held {
            Ok(held) => all.push(Affected {
                program: program.name.clone(),
                held,
                reads_older: program.tokens.fallbacks.is_some(),
                cookie: program.tokens.cookie.as_ref().map(|it| it.value.clone()),
            }),
            Err(why) => reasons.push(format!("[program:{}] {why}", program.name)),
        }
    }
    let upstreams = upstreams(model, name);
    let by_hand = how == How::Overlap && !upstreams.is_empty();
    for upstream in upstreams.iter().filter(|_| by_hand) {
        reasons.push(format!(
            "[upstream:{upstream}] is run by somebody else: Steadfast can neither start it again with a new key nor see when it has been"
        ));
    }
    all.dedup();
    if !reasons.is_empty() {
        let by_hand = if by_hand {
            advice(&upstreams, name)
        } else {
            String::new()
        };
        return Err(format!(
            "{name} was not rotated; people would be signed out:\n  {}\n{by_hand}to sign everyone out on purpose, because the key leaked: steadfast secrets rotate {name} --compromised",
            reasons.join("\n  ")
        ));
    }
    if all.is_empty() && upstreams.is_empty() {
        return Err(format!(
            "no program names {name}; write `secrets = {name}` into its section"
        ));
    }
    Ok(all)
}

/// Upstreams that name it.
pub(crate) fn upstreams(model: &conf::Model, name: &str) -> Vec<String> {
    let named = |secrets: &[conf::Spanned<String>]| secrets.iter().any(|key| key.value == name);
    let all = model.upstreams.iter().filter(|it| named(&it.secrets));
    all.map(|upstream| upstream.name.clone()).collect()
}

/// How a key of an upstream is rotated by hand.
fn advice(upstreams: &[String], name: &str) -> String {
    let one = upstreams.first().map_or("", String::as_str);
    format!(
        "by hand: give the program of the upstream a new value, beside the old one if it reads several, and restart it; then at once\n  \
         steadfast secrets set {name} --program upstream:{one}\n  steadfast update\n\
         with the same value on standard input: the gateway signs with it from then on, also what the old one had signed. A program that \
         reads one value refuses everybody from its restart until that update; one that reads both refuses nobody.\n"
    )
}

/// What is to be done about upstreams of a key that leaked.
pub(crate) fn left_to_do(upstreams: &[String], name: &str) -> Vec<String> {
    let line = |upstream: &String| {
        format!(
            "upstream:{upstream}  refuses everybody until it is started again with the new {name} (steadfast secrets show {name} --program upstream:{upstream})"
        )
    };
    upstreams.iter().map(line).collect()
}

fn held(program: &conf::Program, name: &str) -> Result<Held, String> {
    match program.tokens.signer(&program.secrets) {
        Some(signer) if signer == name => {}
        Some(signer) => {
            return Err(format!(
                "signs its tokens with {signer}; what {name} proves, neither the program nor the gateway would accept under a new value"
            ));
        }
        None => {
            let names: Vec<&str> = program.secrets.iter().map(|it| it.value.as_str()).collect();
            return Err(format!(
                "names {}, and not which of them signs its tokens; write: signing = {name}",
                names.join(", ")
            ));
        }
    }
    match *program.listen {
        Listen::Gateway => Ok(Held::Gateway),
        Listen::Own | Listen::Held if program.tokens.fallbacks.is_some() => Ok(Held::Program),
        Listen::Own | Listen::Held => Err(format!(
            "reads one key and no gateway stands before it, so nothing would accept tokens of the old key; write \
             listen = gateway (the gateway signs them again), or {} if the app reads several",
            fallbacks(name)
        )),
    }
}

/// Who is still signed in after a rotation that overlaps, as far as that is known.
pub(crate) fn still_signed_in(affected: &[Affected], name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for one in affected.iter().filter(|it| !it.reads_older) {
        let goes_on = goes_on(one.cookie.as_deref(), name);
        lines.push(format!(
            "{}  {goes_on}, unless it reads older values: {}",
            one.program,
            fallbacks(name)
        ));
    }
    if lines.is_empty() {
        lines.push("nobody was signed out".to_owned());
    }
    lines
}

/// What outlives a new value of a key behind the gateway, for a program that reads one.
pub(crate) fn goes_on(cookie: Option<&str>, name: &str) -> String {
    let (place, other) = match cookie {
        Some(cookie) => (format!(" and in the cookie {cookie}"), "other "),
        None => (String::new(), ""),
    };
    format!(
        "JWTs in Authorization{place} go on; {other}cookies and links that it signs with {name} itself do not"
    )
}

/// What to write for a program that reads several keys.
pub(crate) fn fallbacks(name: &str) -> String {
    format!("secrets_fallbacks = {name}_FALLBACKS:json")
}

/// The first line about a home: `SECRET_KEY  new key 2 made, kept in …; key 1 verifies until 2026-12-24 (…)`.
pub(crate) fn words(name: &str, rotated: &Rotated) -> String {
    let old = match rotated.old {
        Old::Until(until) => {
            let date = ledger::Zone::UTC.date(until.saturating_mul(1000));
            format!(
                "key {} verifies until {date} (the last token it signed)",
                rotated.old_id
            )
        }
        Old::InUse { life_s } => {
            let life = ledger::duration(life_s.saturating_mul(1000));
            format!(
                "key {} verifies while anything runs with it, and {life} longer (the last token it signed)",
                rotated.old_id
            )
        }
        Old::Nothing if rotated.ended.is_empty() => {
            format!("key {} verifies nothing any more", rotated.old_id)
        }
        Old::Nothing => {
            let older: Vec<String> = rotated.ended.iter().map(u32::to_string).collect();
            format!(
                "keys {} and {} verify nothing any more",
                older.join(", "),
                rotated.old_id
            )
        }
    };
    format!(
        "{name}  new key {} made, kept in {}; {old}",
        rotated.new_id, rotated.origin
    )
}

/// Gives the keys their new values. Programs get them at their next start.
pub(crate) fn rotate(
    keys: &[ProgramKeys],
    name: &str,
    how: How,
    in_use: Option<&InUse>,
) -> Result<Vec<Rotated>, String> {
    let now_s = sys::clock::wall_ms() / 1000;
    let requests: Vec<secrets::Request<'_>> = keys
        .iter()
        .filter(|keys| keys.names.iter().any(|known| known == name))
        .map(|keys| keys.request(now_s, in_use))
        .collect();
    secrets::rotate(&requests, name, how, &mut SystemRandom).map_err(|why| match why {
        secrets::Error::NoSuchKey { name } => {
            format!("{name} has not been made yet; it is made when its program starts first")
        }
        why => why.to_string(),
    })
}

/// Rotates a key of an installation that does not run: its programs get the new one when they start. Returns lines for
/// people.
///
/// # Errors
/// In complete sentences: the configuration cannot be read, or the rotation is refused.
pub fn rotate_at_rest(
    path: &str,
    env: &secrets::Env,
    name: &str,
    how: How,
) -> Result<Vec<String>, String> {
    let loaded = conf::load(path, &Machine::default(), &environment(env));
    if loaded.unreadable || loaded.model.has_errors {
        let first = loaded.findings.iter().find(|finding| finding.is_error());
        let why = first.map_or("it has errors", |finding| finding.message.as_str());
        return Err(format!("{path}: {why}; see: steadfast check -c {path}"));
    }
    let affected = affected(&loaded.model, name, how)?;
    let identity = Identity::of_file(Path::new(path)).map_err(|why| why.to_string())?;
    let named = loaded
        .model
        .steadfast
        .as_ref()
        .and_then(|ours| ours.state_dir.as_ref());
    let state_dir = match named {
        Some(dir) => PathBuf::from(&dir.value),
        None => Layout::of(&identity, &Surroundings::here()).state,
    };
    let keys = of_model(&loaded.model, env, &state_dir);
    let rotated = rotate(&keys, name, how, Some(&InUse::nothing()))?;
    let mut lines: Vec<String> = rotated.iter().map(|home| words(name, home)).collect();
    lines.extend(left_to_do(&upstreams(&loaded.model, name), name));
    lines.push("nothing runs: programs get the new key when they start".to_owned());
    if how == How::Overlap {
        lines.extend(still_signed_in(&affected, name));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, how: How) -> Result<Vec<(String, Option<Held>)>, String> {
        let all = affected_by(text, how)?;
        Ok(all.into_iter().map(|it| (it.program, it.held)).collect())
    }

    fn affected_by(text: &str, how: How) -> Result<Vec<Affected>, String> {
        let path = "/x/supervisord.conf".to_owned();
        let text = format!("[supervisord]\n{text}");
        let machine = Machine {
            memory: Some((path.clone(), text)),
        };
        let loaded = conf::load(&path, &machine, &environment(&Default::default()));
        assert!(!loaded.model.has_errors, "{:#?}", loaded.findings);
        affected(&loaded.model, "KEY", how)
    }

    #[test]
    fn nobody_is_said_to_be_signed_in_who_may_not_be() {
        let said = |more: &str| {
            let text = format!("{APP}secrets = KEY\n{more}");
            let all = affected_by(&text, How::Overlap).expect("may be rotated");
            still_signed_in(&all, "KEY")
        };
        let older = "unless it reads older values: secrets_fallbacks = KEY_FALLBACKS:json";
        assert_eq!(
            said("listen = gateway\n"),
            [format!(
                "app  JWTs in Authorization go on; cookies and links that it signs with KEY itself do not, {older}"
            )]
        );
        assert_eq!(
            said("listen = gateway\njwt_cookie = access\n"),
            [format!(
                "app  JWTs in Authorization and in the cookie access go on; other cookies and links that it signs with KEY \
                 itself do not, {older}"
            )]
        );
        for listen in ["own", "gateway"] {
            let reads = format!("listen = {listen}\nsecrets_fallbacks = OLD:json\n");
            assert_eq!(said(&reads), ["nobody was signed out"]);
        }
        let one_of_two = said(
            "listen = gateway\n[program:b]\ncommand = uvicorn a:b --port 8002\nlisten = gateway\nsecrets = KEY\n\
             secrets_fallbacks = OLD:json\n",
        );
        assert_eq!(one_of_two.len(), 1, "{one_of_two:?}");
        assert!(one_of_two[0].starts_with("app  "), "{one_of_two:?}");
    }

    const APP: &str = "[program:app]\ncommand = uvicorn a:b --port 8001\n";

    #[test]
    fn either_the_gateway_or_the_program_must_hold_old_tokens() {
        let refused = |more: &str, part: &str| {
            let why = check(&format!("{APP}{more}"), How::Overlap).expect_err(more);
            assert!(why.contains(part) && why.contains("--compromised"), "{why}");
            let all = check(&format!("{APP}{more}"), How::Compromised);
            assert!(all.is_ok(), "{all:?}");
        };
        refused("secrets = KEY\n", "write listen = gateway");
        refused(
            "listen = gateway\nsecrets = KEY, B\n",
            "write: signing = KEY",
        );
        refused(
            "listen = gateway\nsecrets = KEY, B\nsigning = B\n",
            "signs its tokens with B",
        );
        refused(
            "listen = gateway\nsecrets = KEY\n[upstream:u]\nconnect = 127.0.0.1:1\nsecrets = KEY\n",
            "run by somebody else",
        );
        let fine = |more: &str, held: Held| {
            let all = check(&format!("{APP}{more}"), How::Overlap);
            assert_eq!(all, Ok(vec![("app".to_owned(), Some(held))]));
        };
        fine("listen = gateway\nsecrets = KEY\n", Held::Gateway);
        fine(
            "listen = gateway\nsecrets = KEY, B\nsigning = KEY\n",
            Held::Gateway,
        );
        fine(
            "secrets = KEY\nsecrets_fallbacks = OLD:csv\n",
            Held::Program,
        );
        let upstream = "[upstream:u]\nconnect = 127.0.0.1:1\nsecrets = KEY\n";
        let why = check(upstream, How::Overlap).expect_err("somebody else's");
        for part in [
            "steadfast secrets set KEY --program upstream:u\n",
            "steadfast update\n",
        ] {
            assert!(why.contains(part), "{why}");
        }
        assert_eq!(check(upstream, How::Compromised), Ok(Vec::new()));
        let why = check(&format!("{APP}secrets = KEY\n"), How::Overlap).expect_err("one key");
        assert!(!why.contains("by hand"), "{why}");
        let nobody = check(APP, How::Overlap).expect_err("nobody names it");
        assert!(nobody.contains("no program names KEY"), "{nobody}");
    }
}
