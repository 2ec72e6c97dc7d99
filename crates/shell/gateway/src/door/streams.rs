//! Open WebSockets and event streams of sessions: a revocation closes them.
//!
//! The store's side only says *something has ended*, so that nothing has to be told apart between machines; each open
//! stream's token is then verified again. Looks are bounded in time, not in number: a store that is busy with sign-outs
//! is not asked about the same streams more than [`LOOK_MS_MIN`] apart.

use std::rc::Rc;
use std::time::Duration;

use session::judge::Traffic;
use session::{Refusal, Verdict};

use crate::door::{Door, Pass};
use crate::handle::Handle;
use crate::limits::LOOK_MS_MIN;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Open {
    token: String,
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
    let token = match (&pass.admission, &pass.token) {
        (Some(_), Some(token)) => token.clone(),
        (Some(_) | None, _) => return None,
    };
    let open = Open {
        token,
        handle: handle.clone(),
    };
    door.open.borrow_mut().push(open);
    if door.count() != pass.count {
        // It may have been ended since it was verified.
        door.look.notify_one();
    }
    Some(Watched {
        door: door.clone(),
        handle: handle.clone(),
    })
}

/// Looks at open streams whenever something has ended, for good.
pub(crate) async fn follow(door: Rc<Door>) {
    let mut ended = door.ended.clone();
    let mut told = true;
    loop {
        tokio::select! {
            changed = ended.changed(), if told => told = changed.is_ok(),
            () = door.look.notified() => {}
        }
        look(&door).await;
        tokio::time::sleep(Duration::from_millis(LOOK_MS_MIN)).await;
    }
}

async fn look(door: &Door) {
    let mut tokens: Vec<String> = door
        .open
        .borrow()
        .iter()
        .map(|open| open.token.clone())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    for token in tokens {
        let (verdict, _) = door.verify(&token, Traffic::Passive).await;
        let over = match verdict {
            // Time was judged when it was let in; a store that does not answer ends nothing.
            Verdict::Valid(_) | Verdict::Unknown(_) | Verdict::Invalid(Refusal::Idle) => false,
            Verdict::Invalid(_) => true,
        };
        for open in door.open.borrow().iter() {
            if over && open.token == token {
                open.handle.end_stream();
            }
        }
    }
}
