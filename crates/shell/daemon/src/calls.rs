//! The way of a request into the loop, and of its end back.

use control::{Answer, Control, Done, Progress, Request};
use tokio::sync::{mpsc, oneshot};

/// A request on its way into the loop.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) progress: Progress,
    pub(crate) answer: oneshot::Sender<Done>,
}

/// The way into the loop, for fronts.
#[derive(Debug, Clone)]
pub(crate) struct Handle(mpsc::UnboundedSender<Call>);

impl Handle {
    /// A handle, and where its calls come out.
    pub(crate) fn new() -> (Handle, mpsc::UnboundedReceiver<Call>) {
        let (send, receive) = mpsc::unbounded_channel();
        (Handle(send), receive)
    }
}

impl Control for Handle {
    fn call<'a>(&'a self, request: Request, progress: Progress) -> Answer<'a> {
        let (answer, end) = oneshot::channel();
        let sent = self.0.send(Call {
            request,
            progress,
            answer,
        });
        Box::pin(async move {
            let gone = || Done::failed(2, "the daemon is ending");
            if sent.is_err() {
                return gone();
            }
            end.await.unwrap_or_else(|_| gone())
        })
    }
}
