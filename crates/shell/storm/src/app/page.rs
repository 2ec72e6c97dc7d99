//! The page that the demo shows, and the browser client that it uses: no asset comes from anywhere else.

/// `/`: what happens now, and what to try.
pub(super) const PAGE: &str = include_str!("../../assets/page.html");

/// `/client.js`: the same bundle that gateways serve.
pub(super) const CLIENT: &str = include_str!("../../../accounts/assets/client.js");
