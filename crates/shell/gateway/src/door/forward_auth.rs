//! Sessions for programs behind another proxy: it asks here, before it passes a request on, whether it may.
//!
//! nginx (`auth_request`), Caddy and Traefik (`forward_auth`) send the head of their client's request; what they say in
//! `X-Forwarded-*` is believed, for the listener is private. The answer is 200 with the token for the program in
//! `Authorization`, never a bare user name that a program could be sent by somebody else; 401, 403 and 503 are for the
//! client. See docs/forward-auth.md.

use session::{Verdict, cookie};

use crate::client::{Client, Next};
use crate::door::admit::{Here, forbidden, is_preflight, look, no_key, unauthorized, unsure};
use crate::door::asked::{self, Act, InCookie, InHeader};
use crate::door::marks::{Marks, Source, line};
use crate::own::{self, Ours};
use crate::target::Target;
use crate::upload::Upload;
use crate::worker::Scratch;

/// Answers one question.
pub(crate) async fn serve(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &Upload,
    target: Option<&Target>,
) -> Next {
    let ours = match decide(client, scratch, target).await {
        Ok(ours) | Err(ours) => ours,
    };
    own::answer(client, scratch, upload, &ours).await
}

async fn decide(client: &Client, scratch: &Scratch, target: Option<&Target>) -> Result<Ours, Ours> {
    let site = &*client.site;
    let (head, read) = (&scratch.head, client.buf.bytes());
    let from = site.trust.origin(&client.peer, head, read);
    let marks = Marks::of(site, head, read, &from);
    let channel = asked::channel(&from);
    let sent = asked::in_cookie(head, read, channel);
    let bearer = asked::in_header(head, read);
    let method = head
        .lines
        .named(read, "x-forwarded-method")
        .map(cookie::text);
    // The proxy's own method says nothing about its client's: without the client's, what a browser asks may be anything.
    let browser = ["sec-fetch-site", "origin"];
    let browser = browser.map(|name| head.lines.named(read, name).is_some());
    let any = browser.contains(&true).then_some("POST");
    let act = Act {
        method: method.as_deref().or(any),
        bearer_only: sent == InCookie::None
            && matches!(bearer, InHeader::Ours(_) | InHeader::Bearer),
        ..Act::default()
    };
    if let Some(forged) = asked::forged(site, head, read, &from, act) {
        return Err(forbidden(forged, &marks));
    }
    let Some(door) = &site.door else {
        return Err(unsure(session::Unsure::Unreachable, &marks));
    };
    // Browsers send no credentials with one, and the program answers it, for nobody.
    let asks = is_preflight(head, read, method.as_deref());
    let bare = sent == InCookie::None && bearer == InHeader::None;
    if asks && bare && marks.origin.is_some() {
        let mut lines = Vec::new();
        marks.write(&mut lines, Source::Gateway, None);
        return Ok(Ours::passed(lines));
    }
    let here = Here {
        realm: &site.gate.realm,
        fresh: site.gate.fresh,
        traffic: asked::traffic(head, read),
    };
    let looked = look(door, here, &sent, &bearer).await;
    let (clear, session) = (looked.spoils_cookie(&sent), looked.session);
    match looked.verdict {
        Verdict::Unknown(why) => Err(unsure(why, &marks)),
        Verdict::Invalid(refusal) => {
            let clear = clear.then(|| cookie::clear(channel));
            Err(unauthorized(refusal, clear.flatten(), session, &marks))
        }
        Verdict::Valid(admission) => {
            let mut lines = Vec::new();
            let tokens = target.and_then(|target| Some((target, target.tokens.as_ref()?)));
            if let Some((target, tokens)) = tokens {
                let now_s = sys::clock::wall_ms() / 1000;
                let told = target.current_key();
                if !tokens.authorize(&mut lines, &admission, told, now_s) {
                    return Err(no_key(&marks));
                }
            }
            if marks.nonce.is_none() {
                line(
                    &mut lines,
                    "Steadfast-Session",
                    &admission.session.to_string(),
                );
            }
            marks.write(&mut lines, Source::Gateway, Some(admission.session));
            Ok(Ours::passed(lines))
        }
    }
}
