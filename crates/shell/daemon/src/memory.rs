//! What became of the last commands, for clients that lost the daemon (or their patience) and ask again.

use std::collections::VecDeque;

use control::Done;
use tokio::sync::watch;

/// Commands that are remembered: more than any number of people and tools have under way at once.
pub(crate) const COMMANDS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory(VecDeque<(String, watch::Receiver<Option<Done>>)>);

impl Memory {
    /// Takes a command in; the sender says how it ended. None: it has no id, or is known already.
    pub(crate) fn begin(&mut self, id: &str) -> Option<watch::Sender<Option<Done>>> {
        if id.is_empty() || self.find(id).is_some() {
            return None;
        }
        if self.0.len() >= COMMANDS_MAX {
            self.0.pop_front();
        }
        let (send, receive) = watch::channel(None);
        self.0.push_back((id.to_owned(), receive));
        Some(send)
    }

    /// How a command ended, or will.
    pub(crate) fn find(&self, id: &str) -> Option<watch::Receiver<Option<Done>>> {
        self.0
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, receive)| receive.clone())
    }
}

/// Waits for the end of a remembered command.
pub(crate) async fn outcome(mut end: watch::Receiver<Option<Done>>) -> Done {
    match end.wait_for(Option::is_some).await {
        Ok(done) => done.clone().unwrap_or_else(lost),
        Err(_) => lost(),
    }
}

fn lost() -> Done {
    Done::failed(
        2,
        "the command was lost before it ended; see: steadfast status",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::Body;

    #[test]
    fn an_end_can_be_asked_for_again_and_old_ones_are_forgotten() {
        let mut memory = Memory::default();
        let send = memory.begin("a").expect("new");
        assert!(memory.begin("a").is_none(), "known");
        assert!(memory.begin("").is_none(), "without id");
        send.send_replace(Some(Done::ok(Body::Nothing)));
        assert_eq!(
            memory.find("a").expect("known").borrow().clone(),
            Some(Done::ok(Body::Nothing))
        );
        for number in 0..COMMANDS_MAX {
            memory.begin(&number.to_string());
        }
        assert!(memory.find("a").is_none());
    }
}
