//! The worker that has taken over: where a request goes whose program reads a key that is younger than this worker.
//!
//! A rotation replaces the gateway first and the program then. Clients keep their connections, so the old worker still
//! gets requests; while the program restarts they wait here, and the generation that answers them reads a key that only
//! the new worker has. The listener is the new worker's by then: the request is passed on through it, with all that the
//! client sent, and the new worker looks at the session and makes the token.
//!
//! What is said about the client (`X-Forwarded-*`: a trusted proxy's word, or the client's own address) has to be believed
//! there, too. Where it would not be, the client would be taken for somebody on this machine: apps open pages to those, and
//! a cookie could be taken for one of another channel. Then the request is answered with a 503 here.

use crate::client::Client;
use crate::forward::neighbour;
use crate::target::{Target, Up};

/// A connection to the successor; None: there is none, or it would not believe us.
pub(crate) async fn connect(client: &Client) -> Option<Up> {
    let site = &*client.site;
    let address = site.config.address.as_str();
    // Who is not leaving would reach itself.
    let believed = site.trust.believes_neighbour(address);
    if !client.worker.leaving.get() || !believed {
        return None;
    }
    let address = match neighbour(address) {
        Some(address) => format!("tcp:{address}"),
        None => address.to_owned(),
    };
    Target::instead(&address).await.ok()
}
