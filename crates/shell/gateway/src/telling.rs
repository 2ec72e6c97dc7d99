//! What a worker tells its keeper: that it is ready, and what is wrong with the session store while it serves all the same.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use accounts::Trouble;
use tokio::sync::watch::Receiver;

/// Bytes of one line: written at once or not at all, whatever else is in the pipe.
const LINE_BYTES_MAX: usize = 1024;
/// A keeper that does not read is told again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// News for whoever keeps a worker.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// Connections are accepted.
    Ready,
    /// The session store cannot be used; None: it can again.
    Store(Option<&'a Trouble>),
}

/// Writes one piece of news. False: say it again later.
pub(crate) fn write(to: &OwnedFd, news: News<'_>) -> bool {
    match rustix::io::write(to, line(news).as_bytes()) {
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
        // If the keeper is gone, or older than these words, nobody wants to know.
        Ok(_) | Err(_) => true,
    }
}

fn line(news: News<'_>) -> String {
    let trouble = match news {
        News::Ready => return "ready\n".to_owned(),
        News::Store(None) => return "trouble\n".to_owned(),
        News::Store(Some(trouble)) => trouble,
    };
    let text = trouble.text.replace(['\n', '\r'], " ");
    let mut end = text.len().min(LINE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("trouble {} {}\n", trouble.kind, &text[..end])
}

/// Tells each change after what `troubles` has seen, for good, in a task of its own.
pub(crate) fn start(troubles: Receiver<Option<Trouble>>, tell: Rc<dyn Fn(News<'_>) -> bool>) {
    let follows = move || follow(troubles.clone(), tell.clone());
    tokio::task::spawn_local(bugs::again("news for the keeper", follows));
}

async fn follow(mut troubles: Receiver<Option<Trouble>>, tell: Rc<dyn Fn(News<'_>) -> bool>) {
    while troubles.changed().await.is_ok() {
        loop {
            let now = troubles.borrow_and_update().clone();
            if tell(News::Store(now.as_ref())) {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_bounded() {
        let trouble = Trouble {
            kind: "missing",
            text: format!("a\nb{}", "\u{e9}".repeat(LINE_BYTES_MAX)),
        };
        let line = line(News::Store(Some(&trouble)));
        assert!(line.starts_with("trouble missing a b\u{e9}") && line.ends_with('\n'));
        assert!(line.lines().count() == 1 && line.len() <= LINE_BYTES_MAX + 32);
    }
}
