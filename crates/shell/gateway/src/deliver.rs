//! The answer on its way to the client: a small one as a whole, a large one in pieces, a stream until somebody ends it.

use std::future::poll_fn;
use std::task::{Context, Poll};

use h1::Framing;
use h1::body::Decoder;
use h1::chunk;
use h1::response::{Answer, BodyAs, Deliver, write_downstream};
use h1::{Version, response::Delivered};
use hold::{Event, Proof, Stage, Verdict};

use crate::attempt::{Exchange, Outcome, Step};
use crate::client::{Deaf, Next};
use crate::door::{Pass, settle, streams};
use crate::limits::{STREAM_BYTES, STREAM_IDLE_MS_MAX, WHOLE_ANSWER_BYTES_MAX};
use crate::own;
use crate::tunnel;

/// Passes the answer on, whose head is parsed.
pub(crate) async fn deliver(mut exchange: Exchange<'_>) -> Step {
    {
        let flight = &mut *exchange.flight;
        flight
            .target
            .answered(&flight.worker.room, &mut flight.request);
    }
    if exchange
        .flight
        .pass
        .as_ref()
        .is_some_and(|pass| pass.settles(&exchange.scratch.answer))
        && let Some(step) = Box::pin(settle::settle(&mut exchange)).await
    {
        return step;
    }
    let answer = &exchange.scratch.answer;
    let stream = answer.answer == Answer::Switched || answer.event_stream;
    match answer.framing {
        _ if stream => {}
        Framing::None => return whole(exchange, 0).await,
        Framing::Length(length) if length <= WHOLE_ANSWER_BYTES_MAX => {
            return whole(exchange, length as usize).await;
        }
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {}
    }
    let flight = &mut *exchange.flight;
    if stream {
        let handle = exchange.client.handle.clone();
        flight
            .target
            .stream(&flight.worker.room, &mut flight.request, &handle);
        let door = exchange.client.site.door.as_ref();
        let _watched = door
            .zip(flight.pass.as_deref())
            .and_then(|(door, pass)| streams::watch(door, pass, &handle));
        let step = match exchange.scratch.answer.answer {
            Answer::Switched => {
                let delivered = head(&mut exchange, true);
                match given(&mut exchange, &delivered).await {
                    Some(step) => step,
                    None => tunnel::tunnel(&mut exchange).await,
                }
            }
            Answer::Final | Answer::Continue | Answer::Interim => relay(&mut exchange).await,
        };
        exchange.flight.target.stream_over(&handle);
        return step;
    }
    flight
        .target
        .begun(&flight.worker.room, &mut flight.request);
    exchange.scratch.up.reserve(STREAM_BYTES);
    let step = relay(&mut exchange).await;
    let Exchange {
        client,
        scratch,
        flight,
        up,
        ..
    } = exchange;
    if step_is_again(&step) && scratch.answer.keep_alive && scratch.up.is_empty() {
        let slot = flight.request.slot();
        flight.target.give_back(slot, up, client.worker.now());
    }
    step
}

/// The answer, whose head is in `down`, goes to the client from here on. A step, if it does not take it.
async fn given(exchange: &mut Exchange<'_>, delivered: &Delivered) -> Option<Step> {
    if !is_signed(exchange) {
        return None;
    }
    let ends = match delivered.body {
        BodyAs::Nothing => true,
        BodyAs::Plain => exchange.scratch.answer.framing == Framing::Length(0),
        BodyAs::Chunks | BodyAs::Rechunked | BodyAs::Tunnel => false,
    };
    let given = Box::pin(settle::given(exchange, ends)).await;
    if let Err(deaf) = given {
        return Some(deafness(exchange, deaf));
    }
    written(exchange);
    None
}

fn is_signed(exchange: &Exchange<'_>) -> bool {
    let pass = exchange.flight.pass.as_deref();
    pass.is_some_and(Pass::is_signed)
}

fn step_is_again(step: &Step) -> bool {
    matches!(step, Step::Next(Next::Again))
}

/// Writes the head for the client into `down`.
fn head(exchange: &mut Exchange<'_>, may_keep: bool) -> Delivered {
    let client = &exchange.client;
    let request = &exchange.scratch.head;
    let flight = &*exchange.flight;
    let mut extra = own::timing(flight.request.waited_ms()).into_bytes();
    if let Some(pass) = &flight.pass {
        extra.extend_from_slice(pass.client_lines());
    }
    let deliver = Deliver {
        keep_alive: request.keep_alive && may_keep && !client.worker.leaving.get(),
        client_is_1_0: request.version == Version::Http10,
        end_apart: flight.pass.as_deref().is_some_and(Pass::replaces),
        extra: &extra,
    };
    let scratch = &mut *exchange.scratch;
    scratch.down.clear();
    write_downstream(
        &mut scratch.down,
        &scratch.answer,
        scratch.up.bytes(),
        &deliver,
    )
}

/// Reads a small answer to its end before the client gets a byte; until then it can still be repeated.
async fn whole(mut exchange: Exchange<'_>, body: usize) -> Step {
    let need = exchange.scratch.answer.len + body;
    if exchange.scratch.up.len() < need {
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = exchange.poll_upload(cx) {
                return Poll::Ready(outcome);
            }
            while exchange.scratch.up.len() < need {
                match exchange.poll_up(cx, need) {
                    Poll::Ready(Ok(0) | Err(_)) => {
                        return Poll::Ready(Outcome::Event(Event::Ended(Proof::Read)));
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => return exchange.poll_others(cx),
                }
            }
            Poll::Ready(Outcome::There)
        })
        .await;
        if let Some(step) = outcome.settle(exchange.flight) {
            if is_signed(&exchange) {
                Box::pin(settle::taken_back(&mut exchange)).await;
            }
            return step;
        }
    }
    let uploaded = exchange.is_uploaded();
    let delivered = head(&mut exchange, uploaded);
    // The program has done its part, however slow the client is.
    let flight = &mut *exchange.flight;
    flight
        .target
        .begun(&flight.worker.room, &mut flight.request);
    flight.done();
    if let Some(step) = given(&mut exchange, &delivered).await {
        return step;
    }
    let Exchange {
        client,
        scratch,
        flight,
        upload,
        up,
        ..
    } = exchange;
    scratch
        .down
        .extend_from_slice(&scratch.up.bytes()[scratch.answer.len..need]);
    if delivered.body == BodyAs::Rechunked {
        scratch.down.extend_from_slice(chunk::END);
    }
    let in_step = scratch.up.len() == need;
    let slot = flight.request.slot();
    if uploaded && in_step && scratch.answer.keep_alive {
        flight.target.give_back(slot, up, client.worker.now());
    }
    if let Err(deaf) = client.write(&scratch.down).await {
        return Step::Next(own::left(client, scratch, &flight.target.name, deaf));
    }
    if !delivered.keep_alive {
        return Step::Next(Next::Close);
    }
    upload.consume(&mut client.buf);
    Step::Next(Next::Again)
}

/// How the pieces of an answer are written.
struct Relay {
    decoder: Decoder,
    /// Chunks of ours around what the decoder hands out.
    chunks: bool,
    stream: bool,
}

/// Passes a large answer or an event stream on as it comes.
async fn relay(exchange: &mut Exchange<'_>) -> Step {
    let stream = exchange.flight.request.stage() == Stage::Stream;
    // While the body is still on its way up, nobody knows where the next request would begin.
    let delivered = head(exchange, exchange.is_uploaded());
    let framing = exchange.scratch.answer.framing;
    if let Some(step) = given(exchange, &delivered).await {
        return step;
    }
    let answer_len = exchange.scratch.answer.len;
    exchange.scratch.up.consume(answer_len);
    let (chunks, payload) = match delivered.body {
        BodyAs::Chunks => (stream, stream),
        BodyAs::Rechunked => (true, true),
        BodyAs::Plain | BodyAs::Nothing | BodyAs::Tunnel => (false, true),
    };
    let mut relay = Relay {
        decoder: match payload {
            true => Decoder::payload(framing, u64::MAX),
            false => Decoder::framed(framing, u64::MAX),
        },
        chunks,
        stream,
    };
    loop {
        if let Some(step) = forward(exchange, &mut relay).await {
            return step;
        }
        if relay.decoder.is_finished() {
            return finish(exchange, &relay, &delivered).await;
        }
        let outcome = poll_fn(|cx| relay.poll_more(cx, exchange)).await;
        let Outcome::There = outcome else {
            return broken(exchange, &relay, outcome).await;
        };
    }
}

impl Relay {
    /// Waits for more of the answer.
    fn poll_more(&mut self, cx: &mut Context<'_>, exchange: &mut Exchange<'_>) -> Poll<Outcome> {
        if self.stream && exchange.client.handle.must_end().is_some() {
            return Poll::Ready(Outcome::Event(Event::HoldDrain));
        }
        if let Poll::Ready(outcome) = exchange.poll_upload(cx) {
            return Poll::Ready(outcome);
        }
        if exchange.is_uploaded() && !exchange.client.is_due() {
            exchange.client.arm(match self.stream {
                true => STREAM_IDLE_MS_MAX,
                false => exchange.client.site.config.answer_ms_max,
            });
        }
        match exchange.poll_up(cx, STREAM_BYTES) {
            Poll::Ready(Ok(0)) => Poll::Ready(match self.decoder.end_of_input() {
                Ok(()) => Outcome::There,
                Err(_) => Outcome::Event(Event::Ended(Proof::Read)),
            }),
            Poll::Ready(Ok(_)) => Poll::Ready(Outcome::There),
            Poll::Ready(Err(_)) => Poll::Ready(Outcome::Event(Event::Ended(Proof::Read))),
            Poll::Pending => exchange.poll_others(cx),
        }
    }
}

/// Writes what is there, the head in front.
async fn forward(exchange: &mut Exchange<'_>, relay: &mut Relay) -> Option<Step> {
    loop {
        let scratch = &mut *exchange.scratch;
        let more = !scratch.up.is_empty() && !relay.decoder.is_finished();
        if !more && scratch.down.is_empty() {
            return None;
        }
        if more {
            let Ok(progress) = relay.decoder.decode(scratch.up.bytes()) else {
                let outcome = Outcome::Event(Event::BadAnswer);
                return Some(broken(exchange, relay, outcome).await);
            };
            let data = &scratch.up.bytes()[progress.data];
            match relay.chunks {
                true => chunk::write(&mut scratch.down, data),
                false => scratch.down.extend_from_slice(data),
            }
            scratch.up.consume(progress.consumed);
            if !scratch.up.is_empty() && scratch.down.len() < STREAM_BYTES {
                continue;
            }
        }
        let mut at = 0;
        let down = poll_fn(|cx| poll_down(cx, exchange, relay.stream, &mut at)).await;
        exchange.scratch.down.clear();
        match down {
            Down::Written => {}
            // The client does not even take what there is: no clean end is possible, and none holds a drain up.
            Down::MustEnd => {
                exchange.flight.event(Event::HoldDrain);
                return Some(Step::Next(Next::Abort));
            }
            Down::Deaf(deaf) => return Some(deafness(exchange, deaf)),
            Down::Upload(outcome) => return Some(broken(exchange, relay, outcome).await),
        }
    }
}

/// How a write of a part of the answer ended.
enum Down {
    /// All of it is written.
    Written,
    /// A stream that has to end, to a client that does not take what there is.
    MustEnd,
    /// The client takes no more.
    Deaf(Deaf),
    /// The body that is still on its way up decides.
    Upload(Outcome),
}

/// The client takes no more of an answer that has begun.
pub(crate) fn deafness(exchange: &mut Exchange<'_>, deaf: Deaf) -> Step {
    exchange.flight.event(Event::ClientGone);
    let program = &exchange.flight.target.name;
    Step::Next(own::left(exchange.client, exchange.scratch, program, deaf))
}

fn poll_down(
    cx: &mut Context<'_>,
    exchange: &mut Exchange<'_>,
    stream: bool,
    at: &mut usize,
) -> Poll<Down> {
    if let Poll::Ready(outcome) = exchange.poll_upload(cx) {
        return Poll::Ready(Down::Upload(outcome));
    }
    while *at < exchange.scratch.down.len() {
        let rest = &exchange.scratch.down[*at..];
        match exchange.client.poll_write(cx, rest) {
            Poll::Ready(Ok(count)) => *at += count,
            Poll::Pending if stream && exchange.client.handle.must_end().is_some() => {
                return Poll::Ready(Down::MustEnd);
            }
            Poll::Ready(Err(deaf)) => return Poll::Ready(Down::Deaf(deaf)),
            Poll::Pending => return Poll::Pending,
        }
    }
    written(exchange);
    Poll::Ready(Down::Written)
}

/// The client has taken what there was for it.
fn written(exchange: &mut Exchange<'_>) {
    match exchange.is_uploaded() {
        true => exchange.client.handle.disarm(),
        // The body that is still on its way up has to move on, or nothing ever ends this.
        false => exchange.client.arm(exchange.body_ms()),
    }
}

/// The answer is complete.
async fn finish(exchange: &mut Exchange<'_>, relay: &Relay, delivered: &Delivered) -> Step {
    if relay.chunks
        && let Err(deaf) = exchange.client.write(chunk::END).await
    {
        return deafness(exchange, deaf);
    }
    exchange.flight.done();
    if !delivered.keep_alive || !exchange.is_uploaded() {
        return Step::Next(Next::Close);
    }
    exchange.upload.consume(&mut exchange.client.buf);
    Step::Next(Next::Again)
}

/// The answer will not be complete.
async fn broken(exchange: &mut Exchange<'_>, relay: &Relay, outcome: Outcome) -> Step {
    let event = match outcome {
        Outcome::Event(event) => event,
        // The client breaks the rules or is too slow in the middle of its own answer.
        Outcome::There | Outcome::Refuse(_) | Outcome::Late => Event::ClientGone,
    };
    let verdict = exchange.flight.event(event);
    if verdict == Verdict::EndStream && relay.chunks {
        // Fails only if the client is gone.
        let _ = exchange.client.write(chunk::END).await;
    }
    Step::Verdict(verdict)
}
