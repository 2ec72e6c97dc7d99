//! `steadfast users` and `steadfast sessions`: work on the store itself, whether anything runs or not.
//!
//! A gateway that runs sees what they do at its next verification: the count of revocations is shared.

use crate::args::{Sessions, Users};
use crate::{check, printer};
use accounts::Accounts;
use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// Longest line that is read as a password: longer than any that is taken.
const LINE_BYTES_MAX: u64 = 4096;
/// A hash that takes longer keeps people waiting, and costs a storm of logins the whole machine.
const CALIBRATE_MS: std::ops::RangeInclusive<u64> = 10..=5_000;

/// Carries out `users …`. Returns the exit status.
pub(crate) fn users(action: Users, config: Option<&Path>, json: bool) -> u8 {
    // Before a password is asked for.
    if let Users::Add { name } = &action
        && session::UserId::parse(name).is_none()
    {
        printer::error(&no_name(name));
        return 1;
    }
    with_store(config, async |kept| {
        let accounts = Accounts::command(kept).await?;
        change_users(&accounts, action, json).await
    })
}

fn no_name(name: &str) -> String {
    format!(
        "{name:?} cannot be the name of a user: names are 1 to {} bytes of UTF-8, without control characters and \
         without a blank at either end (ada, ada@example.org, Ada Lovelace)",
        session::USER_BYTES_MAX
    )
}

/// Carries out `sessions …`. Returns the exit status.
pub(crate) fn sessions(action: Sessions, config: Option<&Path>, json: bool) -> u8 {
    if let Sessions::Revoke {
        id: None,
        user: None,
    } = &action
    {
        printer::error(
            "nothing says what to end\n  \
             one session:           steadfast sessions revoke ID   (steadfast sessions list shows ids)\n  \
             all of one user:       steadfast sessions revoke --user NAME",
        );
        return 2;
    }
    with_store(config, async |kept| {
        change_sessions(kept, action, json).await
    })
}

/// Runs the work with the configuration's store. 1: not as wished; 2: there is no such store.
fn with_store(
    config: Option<&Path>,
    work: impl AsyncFnOnce(&routes::Sessions) -> Result<(), String>,
) -> u8 {
    let failed = |status: u8| {
        move |text: String| {
            printer::error(&text);
            status
        }
    };
    let run = || {
        let kept = settings(config).map_err(failed(2))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|error| error.to_string())
            .map_err(failed(2))?;
        runtime.block_on(work(&kept)).map_err(failed(1))
    };
    run().err().unwrap_or(0)
}

fn settings(config: Option<&Path>) -> Result<routes::Sessions, String> {
    let path = match config {
        Some(path) => path.to_owned(),
        None => match rundir::Installation::find(None) {
            rundir::Found::One(installation) if !installation.info.config.is_empty() => {
                installation.info.config.into()
            }
            _ => crate::run::found()?,
        },
    };
    let text = path.to_str();
    let text = text.ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
    let (kept, asked) = daemon::sessions(text, &check::environment())?;
    if !asked {
        printer::warning(&format!(
            "no gateway of {text} asks for sessions yet; add a section [sessions] to it"
        ));
    }
    Ok(kept)
}

async fn change_users(accounts: &Accounts, action: Users, json: bool) -> Result<(), String> {
    let say = |name: &str, done: &str, text: &str| {
        if json {
            printer::json("user", json!({ "name": name, "done": done }));
        } else {
            printer::note(text);
        }
    };
    match action {
        Users::Add { name } => {
            let password = password(&name)?;
            accounts.add_user(&name, &password).await?;
            say(&name, "added", &format!("{name} can sign in"));
        }
        Users::Passwd { name } => {
            let password = password(&name)?;
            accounts.set_password(&name, &password).await?;
            let text = format!("{name} has another password and is signed out everywhere");
            say(&name, "changed", &text);
        }
        Users::Disable { name } => {
            accounts.set_disabled(&name, true).await?;
            let text = format!("{name} is signed out everywhere and cannot sign in");
            say(&name, "disabled", &text);
        }
        Users::Enable { name } => {
            accounts.set_disabled(&name, false).await?;
            say(&name, "enabled", &format!("{name} can sign in"));
        }
        Users::Remove { name } => {
            accounts.remove_user(&name).await?;
            let text = format!("{name} is removed and signed out everywhere");
            say(&name, "removed", &text);
        }
        Users::List => list_users(accounts, json).await?,
        Users::Calibrate { ms } => {
            if !CALIBRATE_MS.contains(&ms) {
                return Err(format!(
                    "--ms takes {} to {}",
                    CALIBRATE_MS.start(),
                    CALIBRATE_MS.end()
                ));
            }
            let cost = accounts.calibrate(Duration::from_millis(ms)).await?;
            if json {
                printer::json("calibrated", json!({ "argon2id": cost, "target_ms": ms }));
            } else {
                printer::out(&format!("argon2id {cost}"));
                printer::note("new passwords take this; others follow at their next sign-in");
            }
        }
    }
    Ok(())
}

async fn list_users(accounts: &Accounts, json: bool) -> Result<(), String> {
    let users = accounts.users().await?;
    if json {
        let rows: Vec<_> = users
            .iter()
            .map(|user| {
                json!({
                    "name": user.name, "disabled": user.disabled,
                    "created_at_s": user.created_at_s, "changed_at_s": user.changed_at_s,
                })
            })
            .collect();
        printer::json("users", json!({ "users": rows }));
        return Ok(());
    }
    if users.is_empty() {
        printer::note("no users; add one with: steadfast users add NAME");
    }
    for user in users {
        let disabled = if user.disabled { "  disabled" } else { "" };
        printer::out(&format!("{}{disabled}", user.name));
    }
    Ok(())
}

async fn change_sessions(
    kept: &routes::Sessions,
    action: Sessions,
    json: bool,
) -> Result<(), String> {
    if let Sessions::ForgetStore = action {
        let id = Accounts::forget(kept).await?;
        if json {
            printer::json("store", json!({ "id": id }));
        } else {
            printer::note(&format!(
                "the store is {id} from now on; who was signed in by another one has to sign in again"
            ));
        }
        return Ok(());
    }
    let accounts = Accounts::command(kept).await?;
    match action {
        Sessions::List => list_sessions(&accounts, json).await,
        Sessions::Revoke { id: Some(id), .. } => {
            if !accounts.revoke_session(&id).await? {
                return Err(format!("no living session has the id {id}"));
            }
            ended(1, json);
            Ok(())
        }
        Sessions::Revoke { user, .. } => {
            let user = user.unwrap_or_default();
            ended(accounts.revoke_user(&user).await?, json);
            Ok(())
        }
        Sessions::ForgetStore => Ok(()),
    }
}

fn ended(count: usize, json: bool) {
    if json {
        printer::json("revoked", json!({ "ended": count }));
    } else {
        let s = if count == 1 { "" } else { "s" };
        printer::note(&format!("{count} session{s} ended"));
    }
}

async fn list_sessions(accounts: &Accounts, json: bool) -> Result<(), String> {
    let sessions = accounts.sessions().await?;
    let mode = |kind: accounts::Kind| match kind {
        accounts::Kind::Cookie => "cookie",
        accounts::Kind::Bearer => "bearer",
        accounts::Kind::Rotating => "rotating",
    };
    if json {
        let rows: Vec<_> = sessions
            .iter()
            .map(|it| {
                json!({
                    "id": it.id.to_string(), "user": it.user.as_str(), "mode": mode(it.kind),
                    "created_at_s": it.created_ms / 1000, "seen_at_s": it.seen_ms / 1000, "context": it.context,
                    "realm": it.realm.as_str(),
                })
            })
            .collect();
        printer::json("sessions", json!({ "sessions": rows }));
        return Ok(());
    }
    if sessions.is_empty() {
        printer::note("nobody is signed in");
    }
    let now_s = sys::clock::wall_ms() / 1000;
    let realms = sessions.iter().any(|it| !it.realm.as_str().is_empty());
    for it in sessions {
        let seen = ago(now_s.saturating_sub(it.seen_ms / 1000));
        let (mode, user, context) = (mode(it.kind), &it.user, &it.context);
        let realm = match (realms, it.realm.as_str()) {
            (false, _) => String::new(),
            (true, "") => "  -".to_owned(),
            (true, realm) => format!("  {realm}"),
        };
        printer::out(&format!(
            "{}  {user}{realm}  {mode}  seen {seen} ago  {context}",
            it.id
        ));
    }
    Ok(())
}

/// `1h 02m`, to the next coarser unit.
fn ago(s: u64) -> String {
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// From the terminal, twice and without echo; else the first line of standard input.
fn password(name: &str) -> Result<String, String> {
    if !isatty(std::io::stdin()) {
        return line("the password");
    }
    let typed = hidden(&format!("password for {name}: "), "the password")?;
    if hidden("once more: ", "the password")? == typed {
        Ok(typed)
    } else {
        Err("the two were not the same; nothing was changed".to_owned())
    }
}

/// One line of standard input, byte by byte: what follows is not ours. `what` it is, for an error.
fn line(what: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    for byte in std::io::stdin().lock().take(LINE_BYTES_MAX).bytes() {
        match byte.map_err(|error| format!("standard input: {error}"))? {
            b'\n' => break,
            byte => bytes.push(byte),
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    text(bytes, what)
}

/// What was read, as text. The bytes themselves are not shown: they are part of a secret.
pub(crate) fn text(bytes: Vec<u8>, what: &str) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        format!("{what} is not UTF-8 text (byte {at}); nothing was changed")
    })
}

/// Ctrl-C is read as a byte meanwhile: a signal would leave the terminal without echo.
pub(crate) fn hidden(question: &str, what: &str) -> Result<String, String> {
    let said = |error: rustix::io::Errno| format!("the terminal: {error}");
    let before = tcgetattr(std::io::stdin()).map_err(said)?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
    silent.local_modes |= LocalModes::ECHONL;
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent).map_err(said)?;
    printer::ask(question);
    let typed = line(what);
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &before).map_err(said)?;
    match typed {
        Ok(typed) if typed.contains('\u{3}') => Err("nothing was changed".to_owned()),
        typed => typed,
    }
}
