//! The client for browsers, in this binary: built from `clients/browser`, whose tests check that it is fresh, so that
//! building Steadfast needs no Node.

use std::fmt::Write as _;
use std::sync::OnceLock;

/// An ES module: `createSession` and `<steadfast-status>`.
const TEXT: &str = include_str!("../assets/client.js");

/// What is served.
pub(crate) struct Client {
    pub(crate) text: &'static str,
    /// With its quotes; of the content, so that a page fetches it again only after an update.
    pub(crate) etag: &'static str,
}

/// The client.
pub(crate) fn client() -> Client {
    static ETAG: OnceLock<String> = OnceLock::new();
    let etag = ETAG.get_or_init(|| {
        let mut text = String::from("\"");
        for byte in &session::hash(TEXT.as_bytes())[..12] {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('"');
        text
    });
    Client { text: TEXT, etag }
}
