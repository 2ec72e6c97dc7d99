//! The worker that has taken over: where a request goes whose program reads a key that is younger than this worker.
//!
//! A rotation replaces the gateway first and the program then. Clients keep their connections, so the old worker still
//! gets requests; while the program restarts they wait here, and the generation that answers them reads a key that only
//! the new worker has. The listener is the new worker's by then: the request is passed on through it, with all that the
//! client sent, and the new worker looks at the session and makes the token.
//!
//! What a trusted proxy said about the client (`X-Forwarded-*`) has to be believed there, too. Where it would not be, the
//! channel could be taken for another one, and a cookie for none: then the request is answered with a 503 here. A client
//! without such a proxy speaks plain http either way; that the program sees this machine's address once is all.

use crate::client::Client;
use crate::forward::neighbour;
use crate::target::{Target, Up};

/// A connection to the successor; None: there is none, or it would not believe us.
pub(crate) async fn connect(client: &Client) -> Option<Up> {
    let site = &*client.site;
    let address = site.config.address.as_str();
    // Who is not leaving would reach itself.
    let believed = !client.peer.is_trusted() || site.trust.believes_neighbour(address);
    if !client.worker.leaving.get() || !believed {
        return None;
    }
    let address = match neighbour(address) {
        Some(address) => format!("tcp:{address}"),
        None => address.to_owned(),
    };
    Target::instead(&address).await.ok()
}
