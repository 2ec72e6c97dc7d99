//! One attempt: send a request on one connection and wait for the head of its answer.
//!
//! The rules need to know to the byte what the program can have read, so the first send is one call, and everything
//! after it makes the request *handed over*. A failed write decides nothing: the read side tells how the connection
//! ended, and an early answer may be there.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Context, Poll};

use h1::request::Forward;
use h1::response::{Answer, Asked, write_interim};
use h1::{Kind, Scan, Status, Version};
use hold::{Event, Proof, Stage, Verdict};

use crate::client::{Client, Deaf, Fill, Next};
use crate::deliver;
use crate::door::admit::{look_again, no_key, overtaken};
use crate::door::dispatch::{Dress, NoKey, dress};
use crate::door::marks::Marks;
use crate::exchange::{Flight, invite, whole_body};
use crate::limits::{
    AHEAD_BYTES_MAX, BODY_PROGRESS_BYTES_MIN, BODY_PROGRESS_MS, SEND_PROOF_BYTES_MAX, STREAM_BYTES,
};
use crate::own;
use crate::successor;
use crate::target::Up;
use crate::upload::Upload;
use crate::worker::Scratch;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Step {
    /// The request is over.
    Next(Next),
    /// The policy's word on a failure.
    Verdict(Verdict),
    /// The client's body breaks the rules.
    Refuse(h1::Reject),
    /// The client's body does not arrive.
    Late,
}

/// How a wait on the program's connection ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What was waited for is there.
    There,
    /// The policy has to be asked.
    Event(Event),
    /// See [`Step::Refuse`].
    Refuse(h1::Reject),
    /// See [`Step::Late`].
    Late,
}

impl Outcome {
    /// Asks the policy, unless what was waited for is there.
    pub(crate) fn settle(self, flight: &mut Flight) -> Option<Step> {
        match self {
            Outcome::There => None,
            Outcome::Event(event) => Some(Step::Verdict(flight.event(event))),
            Outcome::Refuse(reject) => Some(Step::Refuse(reject)),
            Outcome::Late => Some(Step::Late),
        }
    }
}

/// Everything that is polled while a request is with the program.
pub(crate) struct Exchange<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) flight: &'a mut Flight,
    pub(crate) upload: &'a mut Upload,
    pub(crate) up: Up,
    out_at: usize,
    /// Writes to the program fail; what it still sends counts.
    deaf: bool,
    uploaded: bool,
    moved: usize,
    client_owes: bool,
}

/// See the module.
pub(crate) async fn attempt(
    client: &mut Client,
    scratch: &mut Scratch,
    flight: &mut Flight,
    upload: &mut Upload,
) -> Step {
    if scratch.head.expect_continue && !upload.is_held() && !upload.invited {
        if !invite(client, upload).await {
            return Step::Verdict(flight.event(Event::ClientGone));
        }
        if upload.fits(scratch.head.len)
            && let Some(next) = whole_body(client, scratch, upload).await
        {
            flight.event(Event::ClientGone);
            return Step::Next(next);
        }
        flight.pass.iter_mut().for_each(|pass| pass.has_waited());
    }
    flight.request.body_held(upload.is_held());
    let now = client.worker.now();
    let mut up = match flight.target.connect(&flight.request, now).await {
        Ok(up) => up,
        Err(_) => return Step::Verdict(flight.event(Event::ConnectFailed)),
    };
    let tokens = flight.target.tokens.as_ref();
    let lacks = tokens.is_some_and(|tokens| tokens.lacks(up.key));
    let mut passed_on = false;
    if lacks && let Some(other) = Box::pin(successor::connect(client)).await {
        (up, passed_on) = (other, true);
    }
    if up.fresh {
        let room = &flight.worker.room;
        flight.target.connected(room, &mut flight.request);
    }
    // The client's body and the connection took their time. Who goes out on an idle connection waited for neither.
    if (up.fresh || upload.invited)
        && overtaken(client, flight)
        && let Some(ours) = Box::pin(look_again(client, flight)).await
    {
        flight.done();
        return Step::Next(own::answer(client, scratch, upload, &ours).await);
    }
    let pass = flight.pass.as_deref();
    let tokens = flight.target.tokens.as_ref();
    // A key that only the successor has: the program would refuse what this worker lets through as it is.
    let brings = scratch.head.has(Kind::Authorization) || scratch.head.has(Kind::Cookie);
    let stranded = lacks && brings && !passed_on && client.worker.leaving.get();
    scratch.dress.clear();
    let dressed = match passed_on {
        true => Ok(Dress::default()),
        false if stranded => Err(NoKey),
        false => {
            let read = client.buf.bytes();
            dress(
                &mut scratch.dress,
                pass,
                tokens,
                up.key,
                &scratch.head,
                read,
            )
        }
    };
    let Ok(dress) = dressed else {
        let marks = pass.map(|pass| &pass.marks);
        let ours = no_key(marks.unwrap_or(&Marks::default())).about(flight);
        flight.done();
        return Step::Next(own::answer(client, scratch, upload, &ours).await);
    };
    if let Err(error) = write_request(client, scratch, upload, dress) {
        return Step::Refuse(error.into());
    }
    client.arm(client.site.config.answer_ms_max);
    let mut exchange = Exchange {
        client,
        scratch,
        flight,
        upload,
        up,
        out_at: 0,
        deaf: false,
        uploaded: false,
        moved: 0,
        client_owes: false,
    };
    if let Some(step) = exchange.first_send().await.settle(exchange.flight) {
        return step;
    }
    if let Some(step) = exchange.answer_head().await {
        return step;
    }
    deliver::deliver(exchange).await
}

/// Puts the head out, with the body behind it if both fit one send.
fn write_request(
    client: &Client,
    scratch: &mut Scratch,
    upload: &mut Upload,
    dress: Dress,
) -> Result<(), h1::BodyError> {
    let read = client.buf.bytes();
    let trust = &client.site.trust;
    let origin = trust.origin(&client.peer, &scratch.head, read);
    let forward = Forward {
        client: origin.client,
        proto: origin.proto,
        host: origin.host,
        trusted_proxy: origin.trusted_proxy,
        extra: &scratch.dress,
        drop_authorization: dress.drop_authorization,
        drop_cookies: dress.drop_cookies,
    };
    scratch.out.clear();
    scratch.up.clear();
    h1::request::write_upstream(&mut scratch.out, &scratch.head, read, &forward);
    upload.begin();
    if upload.is_held() && scratch.out.len() + upload.held_bytes() <= SEND_PROOF_BYTES_MAX {
        upload.feed(&client.buf, &mut scratch.out, SEND_PROOF_BYTES_MAX)?;
    }
    Ok(())
}

impl Exchange<'_> {
    /// The one send that may turn out unread.
    async fn first_send(&mut self) -> Outcome {
        let wrote = poll_fn(
            |cx| match self.up.stream.poll_write(cx, &self.scratch.out) {
                Poll::Pending if self.client.is_due() => Poll::Ready(None),
                other => other.map(Some),
            },
        )
        .await;
        let unix = self.up.stream.is_unix();
        let request = &mut self.flight.request;
        match wrote {
            Some(Ok(count)) => {
                let whole = count == self.scratch.out.len() && count <= SEND_PROOF_BYTES_MAX;
                match unix && whole {
                    true => request.sent(),
                    false => request.handed_over(),
                }
                self.out_at = count;
                Outcome::There
            }
            // Nothing was taken, so nothing was read.
            Some(Err(_)) if unix => Outcome::Event(Event::Ended(Proof::Unread {
                fresh: self.up.fresh,
            })),
            Some(Err(_)) => {
                request.handed_over();
                Outcome::Event(Event::Ended(Proof::Read))
            }
            None => {
                request.handed_over();
                Outcome::Event(Event::TimedOut)
            }
        }
    }

    /// Waits for the final head, sending the rest of the body meanwhile; what comes before it is passed on. None: it is
    /// there.
    async fn answer_head(&mut self) -> Option<Step> {
        let asked = Asked::of(&self.scratch.head);
        let mut scan = Scan::default();
        loop {
            let outcome = poll_fn(|cx| self.poll_head(cx, &mut scan, asked)).await;
            let interim = self.scratch.answer.answer == Answer::Interim;
            if !matches!(outcome, Outcome::There) || !interim {
                return outcome.settle(self.flight);
            }
            if let Err(deaf) = self.pass_interim().await {
                return Some(deliver::deafness(self, deaf));
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, scan: &mut Scan, asked: Asked) -> Poll<Outcome> {
        if let Poll::Ready(outcome) = self.poll_upload(cx) {
            return Poll::Ready(outcome);
        }
        loop {
            if !self.scratch.up.is_empty()
                && let Some(outcome) = self.parse_head(scan, asked)
            {
                return Poll::Ready(outcome);
            }
            match self.poll_up(cx, STREAM_BYTES) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Outcome::Event(Event::Ended(Proof::Read)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(proof)) => {
                    return Poll::Ready(Outcome::Event(Event::Ended(proof)));
                }
                Poll::Pending => return self.poll_others(cx),
            }
        }
    }

    /// Hands a 102 or 103 to the client (RFC 9110, section 15.2), unless it speaks HTTP/1.0, which does not know them. The
    /// program decides whom it gives hints: what stands in front of it sees no more than without us. It is not the answer:
    /// the client does not count as having begun to read one, and gets a whole answer whatever becomes of the program.
    async fn pass_interim(&mut self) -> Result<(), Deaf> {
        let Scratch {
            head,
            answer,
            up,
            down,
            ..
        } = &mut *self.scratch;
        down.clear();
        write_interim(down, answer, up.bytes(), head.version == Version::Http10);
        up.consume(answer.len);
        if down.is_empty() || !self.flight.interim.admits(down.len()) {
            return Ok(());
        }
        self.client.write(down).await
    }

    fn parse_head(&mut self, scan: &mut Scan, asked: Asked) -> Option<Outcome> {
        let limits = h1::Limits::default();
        loop {
            let Scratch { answer, up, .. } = &mut *self.scratch;
            match h1::response::parse(up.bytes(), scan, asked, &limits, answer) {
                Ok(Status::Complete) => match answer.answer {
                    Answer::Final | Answer::Switched | Answer::Interim => {
                        return Some(Outcome::There);
                    }
                    // We have asked for the body ourselves.
                    Answer::Continue => up.consume(answer.len),
                },
                Ok(Status::Partial) => return None,
                Err(_) => return Some(Outcome::Event(Event::BadAnswer)),
            }
        }
    }

    /// Reads from the program once. An error tells whether it can have read the request.
    pub(crate) fn poll_up(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<usize, Proof>> {
        let Some(room) = self.scratch.up.room(max) else {
            return Poll::Pending;
        };
        self.up
            .stream
            .poll_read(cx, room)
            .map(|result| match result {
                Ok(count) => {
                    self.scratch.up.filled(count);
                    self.flight.request.handed_over();
                    Ok(count)
                }
                Err(error) => {
                    let reset = matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    );
                    let unread = reset
                        && self.up.stream.is_unix()
                        && self.flight.request.stage() == Stage::Sent;
                    Err(match unread {
                        true => Proof::Unread {
                            fresh: self.up.fresh,
                        },
                        false => Proof::Read,
                    })
                }
            })
    }

    /// What can end a wait besides the program: the client, the deadline.
    pub(crate) fn poll_others(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if self.uploaded {
            let held = self.upload.base() + self.upload.held_bytes();
            if self.client.poll_gone(cx, held + AHEAD_BYTES_MAX).is_ready() {
                return Poll::Ready(Outcome::Event(Event::ClientGone));
            }
        }
        if !self.client.is_due() {
            return Poll::Pending;
        }
        Poll::Ready(match self.client_owes {
            true => Outcome::Late,
            false => Outcome::Event(Event::TimedOut),
        })
    }

    /// Moves the rest of the request's body; ready only when that fails for good.
    pub(crate) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        while !self.uploaded && !self.deaf {
            while self.out_at < self.scratch.out.len() {
                let rest = &self.scratch.out[self.out_at..];
                match self.up.stream.poll_write(cx, rest) {
                    Poll::Pending => {
                        if std::mem::take(&mut self.client_owes) {
                            // Now it is the program that does not go on.
                            self.client.arm(self.client.site.config.answer_ms_max);
                        }
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(count)) => {
                        self.out_at += count;
                        self.flight.request.handed_over();
                        self.progress(count);
                    }
                    Poll::Ready(Err(_)) => {
                        self.deaf = true;
                        return Poll::Pending;
                    }
                }
            }
            self.scratch.out.clear();
            self.out_at = 0;
            self.upload.written(&mut self.client.buf);
            if self.upload.is_finished() {
                self.uploaded = true;
                self.client_owes = false;
                self.client.arm(self.client.site.config.answer_ms_max);
                break;
            }
            let (buf, out) = (&self.client.buf, &mut self.scratch.out);
            if let Err(error) = self.upload.feed(buf, out, STREAM_BYTES) {
                return Poll::Ready(Outcome::Refuse(error.into()));
            }
            if out.is_empty() && !self.upload.is_finished() {
                if !self.client_owes {
                    self.client_owes = true;
                    self.moved = 0;
                    self.client.arm(BODY_PROGRESS_MS);
                }
                let max = self.upload.base() + STREAM_BYTES;
                match self.client.poll_fill(cx, max) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Fill::Data) => {}
                    Poll::Ready(Fill::End | Fill::Late | Fill::Full) => {
                        return Poll::Ready(Outcome::Event(Event::ClientGone));
                    }
                }
            }
        }
        Poll::Pending
    }

    /// Bytes of the body went on: when they are enough, the client has time for more.
    fn progress(&mut self, count: usize) {
        self.moved += count;
        if self.moved >= BODY_PROGRESS_BYTES_MIN {
            self.moved = 0;
            self.client_owes = false;
        }
    }

    /// How long a body that is still on its way up may stand still: less if it is the client that does not go on.
    pub(crate) fn body_ms(&self) -> u64 {
        match self.client_owes {
            true => BODY_PROGRESS_MS,
            false => self.client.site.config.answer_ms_max,
        }
    }

    /// The body went out to its end, and the program took it.
    pub(crate) fn is_uploaded(&self) -> bool {
        self.uploaded
    }
}
