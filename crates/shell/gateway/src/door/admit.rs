//! May this request pass, and as whom: decided once, before it waits.
//!
//! | | `off` | `optional`, and what `required` leaves open | `required` | login path | logout path |
//! |---|---|---|---|---|---|
//! | valid | - | identity | identity | identity | identity |
//! | invalid, none | - | passes | 401 | passes | passes |
//! | unknown | - | 503 | 503 | passes | 503 |
//! | forged | - | 403 | 403 | 403 | 403 |
//!
//! A preflight of CORS from an origin that may act here passes: browsers send no credentials with one, and the program
//! answers it. A GET of a login or logout page may come from anywhere, but signs nobody in or out unless the browser says
//! that a page of ours (or the person, by typing) asked for it: whatever the program answers to a link on another site,
//! it does not know who wanted that. So it is for every spelling that the program may read as its logout page.

use std::rc::Rc;

use accounts::Code;
use h1::Kind;
use h1::request::{Method, RequestHead};
use routes::Auth;
use session::cookie;
use session::csrf::Forged;
use session::judge::Traffic;
use session::{Kind as Use, Realm, Refusal, Sid, Token, Unsure, Verdict};

use crate::client::Client;
use crate::door::asked::{self, Act, InCookie, InHeader};
use crate::door::marks::{Marks, Source, line};
use crate::door::{Door, Pass, Way, in_time};
use crate::exchange::Flight;
use crate::own::Ours;
use crate::site::Placed;

/// The realm of our challenges.
const REALM: &str = "steadfast";
/// `Retry-After` of an *unknown*: a store is back in seconds, or needs somebody.
const RETRY_UNSURE_S: u32 = 1;

/// How far the decision came without the store.
pub(crate) enum Decision {
    /// It may pass. None: there is nothing to remember about this request.
    Passes(Option<Box<Pass>>),
    /// The store has to be asked: [`ask`].
    Ask(Box<Asking>),
}

/// A decision that waits for the store.
pub(crate) struct Asking {
    door: Rc<Door>,
    pass: Pass,
    traffic: Traffic,
    sent: InCookie,
    bearer: InHeader,
}

/// How credentials are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    /// Whose sessions count.
    pub(crate) realm: &'a Realm,
    /// Whether a verdict has to be fresh.
    pub(crate) fresh: bool,
    pub(crate) traffic: Traffic,
}

/// Decides what can be decided at once: most requests bring no credential, or one that the cache may speak for.
///
/// # Errors
/// What to answer instead.
pub(crate) fn begin(
    client: &Client,
    head: &RequestHead,
    placed: Placed<'_>,
) -> Result<Decision, Ours> {
    let Placed { gate, needs, .. } = placed;
    let auth = needs.auth;
    let site = &*client.site;
    let buf = client.buf.bytes();
    let from = site.trust.origin(&client.peer, head, buf);
    let marks = Marks::of(site, head, buf, &from);
    let channel = asked::channel(&from);
    let way = gate.way(head, buf);
    let open = auth != Auth::Off || way != Way::Plain;
    let bearer = asked::in_header(head, buf);
    let clean_cookies = site.watched && head.has(Kind::Cookie);
    let mut pass = Pass {
        admission: None,
        count: 0,
        required: auth == Auth::Required && way == Way::Plain,
        open,
        realm: needs.realm.clone(),
        fresh: needs.fresh,
        waited: false,
        by_cookie: false,
        way,
        cookie: false,
        drop_authorization: site.watched && matches!(bearer, InHeader::Ours(_)),
        clean_cookies,
        forged: None,
        channel,
        caller: None,
        marks,
        lines: Vec::new(),
        signed: None,
        planted: Vec::new(),
    };
    if !open {
        let idle = pass.marks.is_empty() && !pass.drop_authorization && !clean_cookies;
        return Ok(Decision::Passes((!idle).then(|| Box::new(pass))));
    }
    let sent = asked::in_cookie(head, buf, channel);
    pass.cookie = sent != InCookie::None;
    let bearer_only = !pass.cookie && matches!(bearer, InHeader::Ours(_) | InHeader::Bearer);
    let safe = matches!(head.method, Method::Get | Method::Head | Method::Options);
    let signs_out = match way {
        Way::Logout => true,
        Way::Plain => safe && gate.may_sign_out(head, buf),
        Way::Login => false,
    };
    let act = Act {
        login: way == Way::Login || (signs_out && safe),
        bearer_only,
        ..Act::default()
    };
    let forged = asked::forged(site, head, buf, &from, act);
    match forged {
        None => {}
        forged if safe && (signs_out || way == Way::Login) && !is_upgrade(head) => {
            pass.forged = forged;
        }
        Some(forged) => return Err(forbidden(forged, &pass.marks)),
    }
    if way == Way::Login {
        let here = (needs.realm, needs.fresh);
        pass.caller = Some(Box::new(asked::caller(head, buf, &from, here)));
    }
    let Some(door) = &site.door else {
        return Err(unsure(Unsure::Unreachable, &pass.marks));
    };
    if let (InCookie::Several(all), Way::Logout) = (&sent, way) {
        pass.planted.clone_from(all);
    }
    if is_preflight(head, buf, None) && pass.marks.origin.is_some() {
        pass.open = false;
        return Ok(Decision::Passes(Some(Box::new(pass))));
    }
    let traffic = asked::traffic(head, buf);
    let (verdict, count) = match at_once(door, (needs.realm, traffic), &sent, &bearer) {
        Some(decided) => decided,
        None => {
            pass.count = door.count();
            let door = door.clone();
            return Ok(Decision::Ask(Box::new(Asking {
                door,
                pass,
                traffic,
                sent,
                bearer,
            })));
        }
    };
    pass.count = count;
    settle(pass, Looked::at_once(verdict), &sent).map(|pass| Decision::Passes(Some(pass)))
}

/// The rest of [`begin`].
///
/// # Errors
/// What to answer instead.
pub(crate) async fn ask(asking: Box<Asking>) -> Result<Option<Box<Pass>>, Ours> {
    let Asking {
        door,
        pass,
        traffic,
        sent,
        bearer,
    } = *asking;
    let here = Here {
        realm: &pass.realm,
        fresh: pass.fresh,
        traffic,
    };
    let looked = look(&door, here, &sent, &bearer).await;
    settle(pass, looked, &sent).map(Some)
}

/// What needs no question to the store, and the count of revocations that was read for it.
fn at_once(
    door: &Door,
    (realm, traffic): (&Realm, Traffic),
    sent: &InCookie,
    bearer: &InHeader,
) -> Option<(Verdict, u64)> {
    let token = match (sent, bearer) {
        (InCookie::None, InHeader::None | InHeader::Other) => {
            return Some((Verdict::Invalid(Refusal::Absent), door.count()));
        }
        (InCookie::One(Some(token)), _) if token.kind() == Use::Cookie => token,
        (InCookie::None, InHeader::Ours(Some(token))) if token.kind() != Use::Cookie => token,
        (_, _) => return None,
    };
    let (admission, count) = door.accounts.recalled(token, realm, traffic)?;
    Some((Verdict::Valid(admission), count))
}

fn is_upgrade(head: &RequestHead) -> bool {
    head.upgrade != h1::request::Upgrade::None
}

/// `method`: another one than the head's, what a proxy asks about.
pub(crate) fn is_preflight(head: &RequestHead, buf: &[u8], method: Option<&str>) -> bool {
    method.map_or(head.method == Method::Options, |it| it == "OPTIONS")
        && head.framing.is_empty()
        && head
            .lines
            .named(buf, "access-control-request-method")
            .is_some()
}

/// What was found out about the credentials of a request.
pub(crate) struct Looked {
    pub(crate) verdict: Verdict,
    pub(crate) session: Option<Sid>,
    /// Why the cookie signs nobody in; a header may, all the same.
    of_cookie: Option<Refusal>,
}

impl Looked {
    fn at_once(verdict: Verdict) -> Looked {
        Looked {
            verdict,
            session: None,
            of_cookie: None,
        }
    }

    /// Whether the browser's cookie is to be taken away: what is wrong with the header says nothing about it.
    pub(crate) fn spoils_cookie(&self, sent: &InCookie) -> bool {
        // One of several is not ours.
        matches!(sent, InCookie::One(_)) && self.of_cookie.is_some_and(Refusal::spoils_cookie)
    }
}

/// The verdict about the credentials: the cookie's, or the header's where the cookie signs nobody in.
pub(crate) async fn look(
    door: &Door,
    here: Here<'_>,
    sent: &InCookie,
    bearer: &InHeader,
) -> Looked {
    let by_cookie = match sent {
        InCookie::None => None,
        InCookie::Several(_) => Some((Verdict::Invalid(Refusal::Malformed), None)),
        InCookie::One(token) => {
            let fits = |kind| kind == Use::Cookie;
            Some(verify(door, here, token.as_ref(), fits).await)
        }
    };
    let of_cookie = match &by_cookie {
        Some((Verdict::Invalid(refusal), _)) => Some(*refusal),
        Some(_) | None => None,
    };
    let (verdict, session) = match (by_cookie, bearer) {
        (Some((Verdict::Invalid(_), _)) | None, InHeader::Ours(token)) => {
            verify(door, here, token.as_ref(), |kind| kind != Use::Cookie).await
        }
        (Some(found), _) => found,
        (None, InHeader::Bearer) => (Verdict::Invalid(Refusal::Malformed), None),
        (None, InHeader::None | InHeader::Other) => (Verdict::Invalid(Refusal::Absent), None),
    };
    Looked {
        verdict,
        session,
        of_cookie,
    }
}

/// The verdict about one token; `fits` says whether it came as its kind does.
async fn verify(
    door: &Door,
    here: Here<'_>,
    token: Option<&Token>,
    fits: impl Fn(Use) -> bool,
) -> (Verdict, Option<Sid>) {
    match token {
        None => (Verdict::Invalid(Refusal::Malformed), None),
        Some(read) if !fits(read.kind()) => (Verdict::Invalid(Refusal::WrongUse), None),
        Some(read) => {
            door.verify(read, here.realm, here.traffic, here.fresh)
                .await
        }
    }
}

/// The table.
fn settle(mut pass: Pass, looked: Looked, sent: &InCookie) -> Result<Box<Pass>, Ours> {
    let clear = looked.spoils_cookie(sent);
    pass.by_cookie = pass.cookie && looked.of_cookie.is_none();
    // Good elsewhere: whatever happens here, it stays.
    pass.cookie &= looked.of_cookie != Some(Refusal::OtherRealm);
    let session = looked.session;
    match looked.verdict {
        Verdict::Valid(admission) => {
            pass.drop_authorization = true;
            pass.admission = Some(admission);
        }
        Verdict::Invalid(refusal) if pass.required => {
            let clear = clear.then(|| cookie::clear(pass.channel)).flatten();
            return Err(unauthorized(refusal, clear, session, &pass.marks));
        }
        Verdict::Unknown(why) if pass.way != Way::Login => return Err(unsure(why, &pass.marks)),
        Verdict::Invalid(_) | Verdict::Unknown(_) => {}
    }
    Ok(Box::new(pass))
}

/// Whether the session of a request has to be looked at again: some were ended since it was admitted, or it has waited
/// and nobody tells this gateway any more.
pub(crate) fn overtaken(client: &Client, flight: &Flight) -> bool {
    match (flight.pass.as_deref(), client.site.door.as_ref()) {
        (Some(pass), Some(door)) => {
            pass.admission.is_some() && door.accounts.overtaken(pass.count, pass.waited)
        }
        (Some(_) | None, _) => false,
    }
}

/// A request that revocations have overtaken leaves for its program: was its own session ended? Time is not judged
/// again.
pub(crate) async fn look_again(client: &Client, flight: &mut Flight) -> Option<Ours> {
    let pass = flight.pass.as_deref_mut()?;
    let door = client.site.door.as_ref()?;
    let admission = pass.admission.as_ref()?;
    // Before the store is asked: what is ended while it answers is looked at once more.
    let count = door.count();
    let fresh = pass.fresh;
    let still = door.accounts.still(admission.clone(), pass.count, fresh);
    let late = Verdict::Unknown(Unsure::Unreachable);
    let over = match in_time(still).await.unwrap_or(late) {
        Verdict::Valid(_) => {
            (pass.count, pass.waited) = (count, false);
            return None;
        }
        Verdict::Unknown(why) => unsure(why, &pass.marks),
        Verdict::Invalid(refusal) => {
            let clear =
                (pass.by_cookie && refusal.spoils_cookie()).then(|| cookie::clear(pass.channel));
            unauthorized(refusal, clear.flatten(), pass.session(), &pass.marks)
        }
    };
    Some(over.about(flight))
}

/// 401, by RFC 6750.
pub(crate) fn unauthorized(
    refusal: Refusal,
    clear: Option<String>,
    session: Option<Sid>,
    marks: &Marks,
) -> Ours {
    let mut lines = Vec::new();
    line(&mut lines, "WWW-Authenticate", &refusal.challenge(REALM));
    if let Some(clear) = clear {
        line(&mut lines, "Set-Cookie", &clear);
    }
    marks.write(&mut lines, Source::Gateway, session);
    Ours::problem(refusal.into(), refusal.text(), lines).for_people()
}

/// 503: nobody is signed out.
pub(crate) fn unsure(why: Unsure, marks: &Marks) -> Ours {
    let mut lines = Vec::new();
    marks.write(&mut lines, Source::Gateway, None);
    Ours::problem(Code::Unknown, why.text(), lines)
        .retry_after(RETRY_UNSURE_S)
        .for_people()
}

/// 403.
pub(crate) fn forbidden(forged: Forged, marks: &Marks) -> Ours {
    let mut lines = Vec::new();
    marks.write(&mut lines, Source::Gateway, None);
    Ours::problem(Code::Forged, forged.text(), lines)
}

/// The target of a request was started with a key that this gateway does not have (yet).
pub(crate) fn no_key(marks: &Marks) -> Ours {
    let mut lines = Vec::new();
    marks.write(&mut lines, Source::Gateway, None);
    let text = "the program was started with a key that this gateway does not have yet; try again";
    Ours::problem(Code::NoKey, text, lines).retry_after(RETRY_UNSURE_S)
}
