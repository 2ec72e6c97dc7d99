//! What a program says about sessions in the head of its answer: signed in, signed out.
//!
//! The head is held back until the store has said that it is done. What the store cannot keep is a 503, whatever the
//! program said: a browser that was told *signed in* without a session would be signed out by its next request.
//!
//! A program may still die between the head and the end of its answer, and a browser may hang up while it is signed in
//! again. One of its two sessions has to end, and it must not be the one whose cookie it has:
//!
//! ```text
//!  new one kept ─► answer certain ─► head with the new cookie written ─► old one ends ─► the rest is written
//!                     │ never             │ the client is gone, or takes nothing
//!                     ▼                   ▼
//!                  the new one ends ([taken_back]), the old one goes on; a repeat begins anew
//! ```
//! So whoever has the whole answer knows that the old session is over, and whoever is known not to have its head keeps it.
//! *What is left*: a head that the system took and the client never got, because it went away while the head was on its
//! way. It is signed out then. Where nothing may follow a head (204, 304, HEAD, an empty body for HTTP/1.0), the head's last
//! byte is the rest, so whoever hangs up during the commit is signed out as well: that the old session is over with the
//! answer comes first. A worker that is killed between the head and the commit leaves both sessions: its answer is cut, and
//! the old one ends by time. A client that closes its half of the connection behind its request (no browser does) counts as
//! gone: nothing is answered to a second sign-in of its, and the first one stays.

use accounts::{Code, Instead};
use h1::Kind;
use h1::response::ResponseHead;
use session::cookie;
use session::judge::Traffic;
use session::revoke::Scope;
use session::{Kind as Use, Refusal, Sid, Unsure, UserId, Verdict, Why};

use crate::attempt::{Exchange, Step};
use crate::client::{Client, Deaf};
use crate::door::admit::{forbidden, unsure};
use crate::door::marks::{Marks, Source, line};
use crate::door::{Door, Pass, Signed, Way, in_time};
use crate::own::{self, Ours};

/// What the head says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// Everything that stood in `Steadfast-Sign-In`; more than one is a mistake.
    sign_in: Vec<String>,
    sign_out: Option<Out>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    Session,
    User,
}

/// The head of an answer is there: does what it says. A step, if something else is answered.
pub(crate) async fn settle(exchange: &mut Exchange<'_>) -> Option<Step> {
    let code = exchange.scratch.answer.code;
    let pass = exchange.flight.pass.as_deref_mut()?;
    // Of an answer that was cut off before this one.
    pass.lines.clear();
    let door = exchange.client.site.door.clone();
    let fine = code < 400;
    if pass.open {
        let said = said(&exchange.scratch.answer, exchange.scratch.up.bytes());
        if pass.way != Way::Login && !said.sign_in.is_empty() {
            let path = exchange.scratch.head.path.of(exchange.client.buf.bytes());
            exchange.client.worker.notes.sign_in_elsewhere(path);
        }
        let ours = match (door, pass.way) {
            (Some(door), Way::Login) if fine && !said.sign_in.is_empty() => {
                sign_in(&door, pass, &said).await
            }
            (Some(door), Way::Logout) if fine => sign_out(&door, pass, said.sign_out).await,
            (Some(door), _) if said.sign_out.is_some() => {
                sign_out(&door, pass, said.sign_out).await
            }
            (Some(_) | None, _) => Ok(()),
        };
        if let Err(ours) = ours {
            let ours = ours.about(exchange.flight);
            exchange.flight.done();
            let answer = own::answer(exchange.client, exchange.scratch, exchange.upload, &ours);
            return Some(Step::Next(answer.await));
        }
    }
    let pass = exchange.flight.pass.as_deref_mut()?;
    let session = pass.session();
    pass.marks.write(&mut pass.lines, Source::Program, session);
    None
}

fn said(head: &ResponseHead, buf: &[u8]) -> Said {
    let mut said = Said::default();
    for (name, value) in head.steadfast(buf) {
        if name.eq_ignore_ascii_case(b"steadfast-sign-in") {
            said.sign_in
                .push(String::from_utf8(value.to_vec()).unwrap_or_default());
        } else if name.eq_ignore_ascii_case(b"steadfast-sign-out") {
            said.sign_out = match value {
                b"user" => Some(Out::User),
                b"session" if said.sign_out.is_none() => Some(Out::Session),
                _ => said.sign_out,
            };
        }
    }
    said
}

async fn sign_in(door: &Door, pass: &mut Pass, said: &Said) -> Result<(), Ours> {
    if let Some(forged) = pass.forged {
        return Err(forbidden(forged, &pass.marks));
    }
    let [user] = said.sign_in.as_slice() else {
        return Err(mistake(&pass.marks));
    };
    let (Some(user), Some(caller)) = (UserId::parse(user), &pass.caller) else {
        return Err(mistake(&pass.marks));
    };
    if pass.channel.cookie_name().is_none() {
        return Err(plain_http(&pass.marks));
    }
    let replaces = pass.session();
    let kept = door.accounts.sign_in(user, Use::Cookie, caller);
    let opened = match in_time(kept).await {
        Some(Ok(opened)) => opened,
        Some(Err(why)) => return Err(unsure(why, &pass.marks)),
        None => return Err(unsure(Unsure::Unreachable, &pass.marks)),
    };
    pass.signed = Some(Signed {
        opened: opened.session,
        replaces,
    });
    let max_age_s = door.config.absolute_ms / 1000;
    if let Some(cookie) = cookie::set(pass.channel, &opened.token, max_age_s) {
        line(&mut pass.lines, "Set-Cookie", &cookie);
    }
    // From now on the answer is about the new session.
    if let Some(admission) = &mut pass.admission {
        admission.session = opened.session;
    }
    Ok(())
}

/// The answer is certain, and its head for the client is in `down`: gives it to the client, all but its last byte if it
/// `ends` with it, before the session that a sign-in replaces ends. What is left of it stays in `down`.
pub(crate) async fn given(exchange: &mut Exchange<'_>, ends: bool) -> Result<(), Deaf> {
    let pass = exchange.flight.pass.as_deref();
    let signed = pass.and_then(|pass| pass.signed);
    if let (Some(signed), Some(door)) = (signed, exchange.client.site.door.clone())
        && let Some(old) = signed.replaces
    {
        let down = &mut exchange.scratch.down;
        let first = down.len() - usize::from(ends);
        if let Err(deaf) = headed(exchange.client, &down[..first]).await {
            taken_back(exchange).await;
            return Err(deaf);
        }
        down.drain(..first);
        replaced(&door, old).await;
    }
    if let Some(pass) = exchange.flight.pass.as_deref_mut() {
        pass.signed = None;
    }
    Ok(())
}

/// The same for an answer of the API, whose head is so long.
pub(crate) async fn told(
    client: &mut Client,
    door: &Door,
    instead: Instead,
    answer: &[u8],
    head: usize,
) -> Result<(), Deaf> {
    let (head, rest) = answer.split_at(head);
    if let Err(deaf) = headed(client, head).await {
        given_up(door, instead.opened).await;
        return Err(deaf);
    }
    replaced(door, instead.old).await;
    client.write(rest).await
}

/// Writes a head, unless the client is known to have gone: a socket takes what nobody will read.
async fn headed(client: &mut Client, head: &[u8]) -> Result<(), Deaf> {
    match client.is_gone().await {
        true => Err(Deaf::Gone),
        false => client.write(head).await,
    }
}

/// Ends what was replaced, and waits for it as long as for any answer of the store.
async fn replaced(door: &Door, old: Sid) {
    if let Some(ending) = door.accounts.replaced(Some(old)) {
        let _ended = in_time(ending).await;
    }
}

/// The client does not get the answer: nobody has the new session, and the old one goes on.
pub(crate) async fn taken_back(exchange: &mut Exchange<'_>) {
    let Some(pass) = exchange.flight.pass.as_deref_mut() else {
        return;
    };
    let Some(signed) = pass.signed.take() else {
        return;
    };
    pass.lines.clear();
    if let (Some(admission), Some(old)) = (&mut pass.admission, signed.replaces) {
        admission.session = old;
    }
    if let Some(door) = &exchange.client.site.door {
        given_up(door, signed.opened).await;
    }
}

/// Ends a session that nobody was told of.
async fn given_up(door: &Door, opened: Sid) {
    // If the store cannot just now: nobody knows its token.
    let _ended = in_time(door.accounts.sign_out(Scope::One(opened), Why::Replaced)).await;
}

async fn sign_out(door: &Door, pass: &mut Pass, out: Option<Out>) -> Result<(), Ours> {
    // A link of another site, to a page that signs in or out: whatever the program says, the session stays.
    if pass.forged.is_some() {
        return Ok(());
    }
    for token in std::mem::take(&mut pass.planted) {
        match door
            .verify(&token, &pass.realm, Traffic::Passive, false)
            .await
            .0
        {
            Verdict::Valid(other) => {
                end(door, pass, Scope::One(other.session)).await?;
            }
            Verdict::Unknown(why) => return Err(unsure(why, &pass.marks)),
            // Good elsewhere: it stays.
            Verdict::Invalid(Refusal::OtherRealm) => pass.cookie = false,
            Verdict::Invalid(_) => {}
        }
    }
    if let Some(admission) = pass.admission.take() {
        let scope = match out {
            Some(Out::User) => Scope::Within {
                user: admission.user,
                realm: pass.realm.clone(),
            },
            Some(Out::Session) | None => Scope::One(admission.session),
        };
        end(door, pass, scope).await?;
    }
    if pass.cookie
        && let Some(clear) = cookie::clear(pass.channel)
    {
        line(&mut pass.lines, "Set-Cookie", &clear);
    }
    Ok(())
}

async fn end(door: &Door, pass: &Pass, scope: Scope) -> Result<(), Ours> {
    match in_time(door.accounts.sign_out(scope, Why::SignedOut)).await {
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => Err(unsure(why, &pass.marks)),
        None => Err(unsure(Unsure::Unreachable, &pass.marks)),
    }
}

fn mistake(marks: &Marks) -> Ours {
    let mut lines = Vec::new();
    marks.write(&mut lines, Source::Gateway, None);
    let text = "the program's Steadfast-Sign-In is no user id: one line, 1 to 256 bytes, no spaces at its ends";
    Ours::problem(Code::BadSignIn, text, lines)
}

fn plain_http(marks: &Marks) -> Ours {
    let mut lines = Vec::new();
    marks.write(&mut lines, Source::Gateway, None);
    let text = "Nobody can be signed in over plain http from another machine. Use https, or let the \
                gateway trust the proxy that speaks it (trust, in the section of the gateway).";
    Ours::problem(Code::PlainHttp, text, lines)
}

impl Pass {
    /// Lines for the client's head.
    pub(crate) fn client_lines(&self) -> &[u8] {
        &self.lines
    }

    /// Whether somebody was signed in by an answer that the client has not got.
    pub(crate) fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    /// The same, in the place of a session that goes on until then.
    pub(crate) fn replaces(&self) -> bool {
        self.signed.is_some_and(|signed| signed.replaces.is_some())
    }

    /// Whether an answer of the program has to wait for [`settle`].
    pub(crate) fn settles(&self, answer: &ResponseHead) -> bool {
        let says = answer.has(Kind::Steadfast) || self.way == Way::Logout;
        (self.open && says) || !self.marks.is_empty()
    }
}
