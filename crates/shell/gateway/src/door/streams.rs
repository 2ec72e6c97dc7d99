//! Open WebSockets and event streams of sessions: a revocation closes them.
//!
//! The store's side only says *something has ended*, so that nothing has to be told apart between machines; each open
//! stream's session is then looked at again. Looks are bounded in time, not in number: a store that is busy with sign-outs
//! is not asked about the same streams more than [`LOOK_MS_MIN`] apart. A WebSocket gets a last word (1008).

use std::rc::Rc;
use std::time::Duration;

use session::Sid;

use crate::door::{Door, Pass, in_time};
use crate::handle::{End, Handle};
use crate::limits::LOOK_MS_MIN;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Open {
    session: Sid,
    handle: Rc<Handle>,
}

/// Takes its stream out when it is over.
#[derive(Debug)]
pub(crate) struct Watched {
    door: Rc<Door>,
    handle: Rc<Handle>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.door
            .open
            .borrow_mut()
            .retain(|open| !Rc::ptr_eq(&open.handle, &self.handle));
    }
}

/// A stream begins. It is watched while the value lives.
pub(crate) fn watch(door: &Rc<Door>, pass: &Pass, handle: &Rc<Handle>) -> Option<Watched> {
    let open = Open {
        session: pass.session()?,
        handle: handle.clone(),
    };
    let first = door.open.borrow().is_empty();
    door.open.borrow_mut().push(open);
    if first || door.count() != pass.count {
        // It may have been ended since it was verified; and while nothing is open, nobody listens.
        door.look.notify_one();
    }
    Some(Watched {
        door: door.clone(),
        handle: handle.clone(),
    })
}

/// Looks at open streams whenever something has ended, for good, in a task of its own.
pub(crate) fn start(door: &Rc<Door>) {
    let door = door.clone();
    let follows = move || follow(door.clone());
    tokio::task::spawn_local(bugs::again("open streams", follows));
}

async fn follow(door: Rc<Door>) {
    let mut ended = door.accounts.ended();
    // What ended while nobody followed.
    look(&door).await;
    loop {
        tokio::select! {
            Ok(()) = ended.changed(), if !door.open.borrow().is_empty() => {}
            () = door.look.notified() => {}
        }
        look(&door).await;
        tokio::time::sleep(Duration::from_millis(LOOK_MS_MIN)).await;
    }
}

/// Time was judged when they were let in; a store that does not answer ends nothing.
async fn look(door: &Door) {
    let mut sessions: Vec<Sid> = door.open.borrow().iter().map(|open| open.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    for session in sessions {
        // A store in a file answers at once: without a pause thousands of streams would be one long moment for all others.
        tokio::task::yield_now().await;
        if !in_time(door.accounts.over(session)).await.unwrap_or(false) {
            continue;
        }
        for open in door.open.borrow().iter() {
            if open.session == session {
                open.handle.end_stream(End::Revoked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefMut;

    impl Door {
        /// While it is held, whoever looks at open streams panics.
        pub(crate) fn open_held(&self) -> RefMut<'_, Vec<Open>> {
            self.open.borrow_mut()
        }

        /// A stream of this session is open.
        pub(crate) fn opened(&self, session: Sid, handle: &Rc<Handle>) {
            let handle = handle.clone();
            self.open.borrow_mut().push(Open { session, handle });
        }
    }
}
