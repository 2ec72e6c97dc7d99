//! One request: route, wait, send, send again, answer. What may wait and what may be repeated is decided by [`hold`];
//! this is the loop that does it.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, ready};

use h1::request::Method;
use h1::respond;
use h1::{Kind, Scan};
use hold::{Event, Key, Place, Request, Verdict, Why};

use crate::attempt::{self, Step};
use crate::client::{Client, Fill, Next};
use crate::door::admit::{self, Decision, look_again, overtaken};
use crate::door::marks::Marks;
use crate::door::{Pass, api, forward_auth};
use crate::handle::Told;
use crate::limits::{
    AHEAD_BYTES_MAX, BODY_PROGRESS_MS, INTERIM_BYTES_MAX, INTERIM_MAX, PARKED_BODY_BYTES_MAX,
    PARKED_OVERHEAD_BYTES, STREAM_BYTES,
};
use crate::own::{self, Ours};
use crate::target::Target;
use crate::upload::Upload;
use crate::worker::{Scratch, Worker};

/// A request with its place at a target: whatever ends the task, nothing stays counted.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) target: Rc<Target>,
    pub(crate) worker: Rc<Worker>,
    pub(crate) request: Request,
    /// What was decided about its session; None: nothing.
    pub(crate) pass: Option<Box<Pass>>,
    pub(crate) interim: Interim,
    parked: Option<Key>,
}

/// What went to the client ahead of the answer; it is none, so the request is as repeatable as before.
#[derive(Debug, Default)]
pub(crate) struct Interim {
    count: u8,
    bytes: usize,
}

impl Interim {
    /// Whether one more of so many bytes may be passed on; it is counted if so.
    pub(crate) fn admits(&mut self, bytes: usize) -> bool {
        let fits = self.count < INTERIM_MAX && self.bytes + bytes <= INTERIM_BYTES_MAX;
        if fits {
            self.count += 1;
            self.bytes += bytes;
        }
        fits
    }
}

impl Flight {
    pub(crate) fn event(&mut self, event: Event) -> Verdict {
        self.target
            .event(&self.worker.room, &mut self.request, event)
    }

    pub(crate) fn done(&mut self) {
        self.target.done(&self.worker.room, &mut self.request);
    }

    fn over(&mut self) {
        if let Some(key) = self.parked.take() {
            self.target.leave(&self.worker.room, key);
        }
        self.done();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What it belongs to may be what the panic left torn. A second one out of here would end the process before
            // the others have their answers.
            let _told = catch_unwind(AssertUnwindSafe(|| self.over()));
        } else {
            self.over();
        }
    }
}

/// What ends a wait.
enum Waited {
    Go,
    Answer(Why),
    Gone,
    Refuse(h1::Reject),
}

/// Serves the request whose head was parsed into the scratch on the desk.
pub(crate) async fn exchange(client: &mut Client, desk: &mut Option<Box<Scratch>>) -> Next {
    let Some(scratch) = desk.as_deref_mut() else {
        return Next::Gone;
    };
    let (mut flight, mut upload) = match admit(client, scratch).await {
        Ok(admitted) => admitted,
        Err(next) => return next,
    };
    let mut verdict = flight.target.arrive(&mut flight.request, Place::Back);
    loop {
        verdict = match verdict {
            Verdict::Forward(_) => {
                if overtaken(client, &flight)
                    && let Some(ours) = Box::pin(look_again(client, &mut flight)).await
                {
                    flight.done();
                    let scratch = desk.get_or_insert_with(|| client.worker.take_scratch());
                    return own::answer(client, scratch, &upload, &ours).await;
                }
                match sent(client, desk, &mut flight, &mut upload).await {
                    Ok(verdict) => verdict,
                    Err(next) => return next,
                }
            }
            Verdict::Park(_) => match parked(client, desk, &mut flight, &mut upload).await {
                Waited::Go => {
                    flight.pass.iter_mut().for_each(|pass| pass.has_waited());
                    Verdict::Forward(flight.request.slot())
                }
                Waited::Answer(why) => Verdict::Answer(why),
                Waited::Gone => return Next::Gone,
                Waited::Refuse(reject) => {
                    let scratch = desk.get_or_insert_with(|| client.worker.take_scratch());
                    return client.refuse(scratch, reject).await;
                }
            },
            Verdict::Answer(why) => {
                let Some(scratch) = desk.as_deref_mut() else {
                    return Next::Gone;
                };
                let ours = Ours::of(why, &flight);
                return own::answer(client, scratch, &upload, &ours).await;
            }
            Verdict::Abort => {
                if let Some(scratch) = desk.as_deref() {
                    own::note(client, scratch, &Ours::broken(&flight));
                }
                return Next::Abort;
            }
            Verdict::EndStream | Verdict::Repeat | Verdict::Stay => return Next::Close,
            Verdict::Leave => return Next::Gone,
        };
    }
}

/// Finds the target of a request, and reads its body first if it is small.
async fn admit(client: &mut Client, scratch: &mut Scratch) -> Result<(Flight, Upload), Next> {
    let site = client.site.clone();
    let head = &scratch.head;
    let mut upload = Upload::new(head, site.limits.body_bytes_max);
    if let Err(error) = upload.look(&client.buf) {
        return Err(client.refuse(scratch, error.into()).await);
    }
    if site.watched && site.is_ours(head, client.buf.bytes()) {
        return Err(Box::pin(ours(client, scratch, &mut upload)).await);
    }
    let head = &scratch.head;
    let asks = site.watched || head.has(Kind::Steadfast);
    let Some(placed) = site.place(head, client.buf.bytes()) else {
        let read = client.buf.bytes();
        let from = site.trust.origin(&client.peer, head, read);
        let ours = Ours::not_found().marked(&Marks::of(&site, head, read, &from));
        return Err(own::answer(client, scratch, &upload, &ours).await);
    };
    let (target, mut pass) = (placed.target.clone(), None);
    if asks {
        let decided = match admit::begin(client, head, placed) {
            Ok(Decision::Passes(pass)) => Ok(pass),
            Ok(Decision::Ask(asking)) => Box::pin(admit::ask(asking)).await,
            Err(ours) => Err(ours),
        };
        pass = match decided {
            Ok(pass) => pass,
            Err(ours) => return Err(own::answer(client, scratch, &upload, &ours).await),
        };
    }
    if !upload.is_held() && !head.expect_continue && upload.fits(head.len) {
        if let Some(next) = whole_body(client, scratch, &mut upload).await {
            return Err(next);
        }
        pass.iter_mut().for_each(|pass| pass.has_waited());
    }
    let head = &scratch.head;
    let origin = site.trust.origin(&client.peer, head, client.buf.bytes());
    let safe = match head.method {
        Method::Get | Method::Head | Method::Options => true,
        Method::Post | Method::Put | Method::Delete | Method::Patch | Method::Other => false,
    };
    let flight = Flight {
        target,
        worker: client.worker.clone(),
        request: Request::new(origin.key, safe, site.config.hold_ms),
        pass,
        interim: Interim::default(),
        parked: None,
    };
    Ok((flight, upload))
}

/// Answers what no program gets: the API of sessions, and everything on a private listener.
async fn ours(client: &mut Client, scratch: &mut Scratch, upload: &mut Upload) -> Next {
    let site = client.site.clone();
    match (&site.config.forward_auth, &site.door) {
        (None, Some(door)) => api::serve(client, scratch, upload, door).await,
        (Some(_), _) | (None, None) => {
            let target = site.spoken_for.as_deref();
            forward_auth::serve(client, scratch, upload, target).await
        }
    }
}

/// One attempt, and what the policy says to its end; or what follows, if the request is over.
async fn sent(
    client: &mut Client,
    desk: &mut Option<Box<Scratch>>,
    flight: &mut Flight,
    upload: &mut Upload,
) -> Result<Verdict, Next> {
    let Some(scratch) = desk.as_deref_mut() else {
        return Err(Next::Gone);
    };
    match attempt::attempt(client, scratch, flight, upload).await {
        Step::Next(next) => Err(next),
        Step::Refuse(reject) => {
            flight.event(Event::ClientGone);
            Err(client.refuse(scratch, reject).await)
        }
        Step::Late => {
            flight.event(Event::ClientGone);
            Err(client.late(scratch).await)
        }
        Step::Verdict(Verdict::Park(_) | Verdict::Repeat) => {
            Ok(flight.target.arrive(&mut flight.request, Place::Front))
        }
        Step::Verdict(other) => Ok(other),
    }
}

/// Reads a small body to its end, so that it goes out in one send with its head.
pub(crate) async fn whole_body(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &mut Upload,
) -> Option<Next> {
    client.arm(BODY_PROGRESS_MS);
    loop {
        match client.fill(upload.base() + STREAM_BYTES).await {
            Fill::Data | Fill::Full => {}
            Fill::End => return Some(Next::Gone),
            Fill::Late => return Some(client.late(scratch).await),
        }
        match upload.look(&client.buf) {
            Ok(true) => return None,
            Ok(false) => {}
            Err(error) => return Some(client.refuse(scratch, error.into()).await),
        }
    }
}

/// Asks for a body that the client holds back (RFC 9110, section 10.1.1).
pub(crate) async fn invite(client: &mut Client, upload: &mut Upload) -> bool {
    upload.invited = true;
    client.write(respond::CONTINUE).await.is_ok()
}

/// Waits in the queue with no more memory than the request's own bytes. Reads a bounded part of its body meanwhile,
/// and notices when the client leaves.
async fn parked(
    client: &mut Client,
    desk: &mut Option<Box<Scratch>>,
    flight: &mut Flight,
    upload: &mut Upload,
) -> Waited {
    if let Some(scratch) = desk.take() {
        client.worker.give_scratch(scratch);
    }
    client.buf.shrink();
    let worker = client.worker.clone();
    let bytes = client.buf.capacity() as u64 + PARKED_OVERHEAD_BYTES;
    // The queue owns the request until it gives it back; what stands here meanwhile counts nowhere.
    let request = std::mem::replace(&mut flight.request, Request::new([0; 16], false, 0));
    let waited = match flight
        .target
        .park(&worker.room, request, bytes, &client.handle)
    {
        Ok(key) => {
            flight.parked = Some(key);
            worker.keep_ticking();
            client.handle.disarm();
            let waited = wait(client, flight, upload, key).await;
            if !matches!(waited, Waited::Gone | Waited::Refuse(_)) {
                flight.parked = None;
            }
            waited
        }
        Err((request, why)) => {
            flight.request = request;
            Waited::Answer(why)
        }
    };
    if matches!(waited, Waited::Gone | Waited::Refuse(_)) {
        // At once: a refusal takes time to write, and what is released meanwhile would be counted for ever.
        if let Some(key) = flight.parked.take() {
            flight.target.leave(&worker.room, key);
        }
        return waited;
    }
    // The same bytes parse to the same head as before.
    let scratch = desk.insert(worker.take_scratch());
    let limits = &client.site.limits;
    let read = client.buf.bytes();
    match h1::request::parse(read, &mut Scan::default(), limits, &mut scratch.head) {
        Ok(h1::Status::Complete) => waited,
        Ok(h1::Status::Partial) | Err(_) => Waited::Gone,
    }
}

async fn wait(client: &mut Client, flight: &mut Flight, upload: &mut Upload, key: Key) -> Waited {
    let target = flight.target.clone();
    let worker = client.worker.clone();
    let mut full = false;
    poll_fn(|cx| {
        match client.handle.take_told() {
            Some(Told::Go(request)) => {
                flight.request = request;
                return Poll::Ready(Waited::Go);
            }
            Some(Told::Answer(request, why)) => {
                flight.request = request;
                return Poll::Ready(Waited::Answer(why));
            }
            None => {}
        }
        loop {
            let max = match upload.is_held() {
                true => upload.base() + upload.held_bytes() + AHEAD_BYTES_MAX,
                false => upload.base() + PARKED_BODY_BYTES_MAX,
            };
            if full || client.buf.len() >= max {
                // A hang-up behind a body that is not read is not seen.
                return Poll::Pending;
            }
            if ready!(client.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Waited::Gone);
            }
            let growth = client.buf.growth(max) as u64;
            if growth > 0 && !target.grow(&worker.room, key, growth) {
                full = true;
                return Poll::Pending;
            }
            match ready!(client.poll_fill(cx, max)) {
                Fill::End => return Poll::Ready(Waited::Gone),
                Fill::Data => {
                    if let Err(error) = upload.look(&client.buf) {
                        return Poll::Ready(Waited::Refuse(error.into()));
                    }
                }
                Fill::Full | Fill::Late => return Poll::Pending,
            }
        }
    })
    .await
}
