//! A WebSocket: bytes both ways, until one side ends, nothing moves for too long, or the program is drained.
//!
//! A client whose program goes away is told so (1012, *service restart*: come again), and one whose session has ended as
//! well (1008, *policy violation*), if the program's last frame went to it whole; in the middle of one nothing can be said,
//! and the connection is closed.

use std::future::poll_fn;
use std::task::{Context, Poll};

use hold::{Event, Proof};

use crate::attempt::{Exchange, Step};
use crate::client::{Deaf, Fill, Next, STALLED};
use crate::deliver::deafness;
use crate::frames::{self, Frames};
use crate::handle::End;
use crate::limits::{STREAM_BYTES, STREAM_IDLE_MS_MAX};
use crate::note::Failed;

/// How far each direction is.
#[derive(Default)]
struct Ends {
    client: bool,
    up: bool,
    /// What the program has sent to the client so far.
    frames: Frames,
}

/// Carries a WebSocket whose head for the client is in `down`.
pub(crate) async fn tunnel(exchange: &mut Exchange<'_>) -> Step {
    if let Err(deaf) = exchange.client.write(&exchange.scratch.down).await {
        return deafness(exchange, deaf);
    }
    let answer_len = exchange.scratch.answer.len;
    exchange.scratch.up.consume(answer_len);
    exchange.upload.consume(&mut exchange.client.buf);
    exchange.client.arm(STREAM_IDLE_MS_MAX);
    let mut ends = Ends::default();
    let over = poll_fn(|cx| poll_both(cx, exchange, &mut ends)).await;
    let word = match over {
        Over::Ended => {
            exchange.flight.done();
            Some(frames::RESTART)
        }
        Over::MustEnd(why) => {
            exchange.flight.event(Event::HoldDrain);
            Some(match why {
                End::Drain => frames::RESTART,
                End::Revoked => frames::REVOKED,
            })
        }
        Over::Event(event) => {
            exchange.flight.event(event);
            matches!(event, Event::Ended(_)).then_some(frames::RESTART)
        }
        // Its head went with the first bytes of the tunnel: the note has no path.
        Over::Deaf(deaf) => {
            exchange.flight.event(Event::ClientGone);
            let program = &exchange.flight.target.name;
            let stalled = Failed { program, ..STALLED };
            return Step::Next(exchange.client.left(&stalled, deaf));
        }
    };
    if let Some(word) = word
        && !ends.client
        && ends.frames.is_between()
    {
        // Fails only if the client is gone.
        let _ = exchange.client.write(&word).await;
    }
    Step::Next(Next::Close)
}

/// How a tunnel ended.
enum Over {
    /// The program ended it: by a frame of its own, or without a word.
    Ended,
    /// Somebody else ended it.
    MustEnd(End),
    /// The policy has to hear of it.
    Event(Event),
    /// The client takes no more.
    Deaf(Deaf),
}

/// Ready when the tunnel is over.
fn poll_both(cx: &mut Context<'_>, exchange: &mut Exchange<'_>, ends: &mut Ends) -> Poll<Over> {
    if let Some(why) = exchange.client.handle.must_end() {
        return Poll::Ready(Over::MustEnd(why));
    }
    loop {
        let mut moved = false;
        match poll_out(cx, exchange, ends) {
            Poll::Ready(Ok(())) => moved = true,
            Poll::Ready(Err(event)) => return Poll::Ready(Over::Event(event)),
            Poll::Pending => {}
        }
        match poll_in(cx, exchange, ends) {
            Poll::Ready(Ok(())) => moved = true,
            Poll::Ready(Err(deaf)) => return Poll::Ready(Over::Deaf(deaf)),
            Poll::Pending => {}
        }
        if ends.up && exchange.scratch.up.is_empty() {
            return Poll::Ready(Over::Ended);
        }
        if !moved {
            break;
        }
        exchange.client.arm(STREAM_IDLE_MS_MAX);
    }
    match exchange.client.is_due() {
        true => Poll::Ready(Over::Event(Event::TimedOut)),
        false => Poll::Pending,
    }
}

/// Client to program.
fn poll_out(
    cx: &mut Context<'_>,
    exchange: &mut Exchange<'_>,
    ends: &mut Ends,
) -> Poll<Result<(), Event>> {
    let client = &mut *exchange.client;
    if !client.buf.is_empty() {
        return exchange
            .up
            .stream
            .poll_write(cx, client.buf.bytes())
            .map(|result| match result {
                Ok(count) => {
                    client.buf.consume(count);
                    Ok(())
                }
                Err(_) => Err(Event::Ended(Proof::Read)),
            });
    }
    if ends.client {
        return Poll::Pending;
    }
    client.poll_fill(cx, STREAM_BYTES).map(|fill| {
        if fill == Fill::End {
            ends.client = true;
            exchange.up.stream.shutdown();
        }
        Ok(())
    })
}

/// Program to client.
fn poll_in(
    cx: &mut Context<'_>,
    exchange: &mut Exchange<'_>,
    ends: &mut Ends,
) -> Poll<Result<(), Deaf>> {
    let up = &mut exchange.scratch.up;
    if !up.is_empty() {
        return exchange.client.poll_write(cx, up.bytes()).map_ok(|count| {
            ends.frames.passed(&up.bytes()[..count]);
            up.consume(count);
        });
    }
    if ends.up {
        return Poll::Pending;
    }
    exchange.poll_up(cx, STREAM_BYTES).map(|read| {
        ends.up = !matches!(read, Ok(count) if count > 0);
        Ok(())
    })
}
