//! Many processes: what has to be done, and in which order, so that what is true becomes what is wanted.
//!
//! ```text
//!   desired (active model) ──┐
//!                            ├── reconcile(…, intent) ──> steps ──> the daemon acts, facts change, and so on
//!   observed (keepers' facts)┘
//! ```
//! There is one path. A first boot is a world in which nothing is kept; an adoption after the daemon or root died is a
//! world in which everything is; `update` differs from both only in what is desired. A path that only runs in an
//! emergency would be a path that does not work.
//!
//! The rules:
//!
//! * A slot whose keeper holds the wanted definition is left alone, whatever state its process is in: states are the
//!   keeper's business. So a second `reconcile` after the steps were done finds nothing to do.
//! * A definition that the keeper refused (a replacement that never became ready) counts as settled, or a daemon that
//!   comes back would try it again and again; an operator's `update` tries it again ([`Intent::Update`]).
//! * Starting goes by priority as in Supervisor (groups, then processes, lower first) without waiting for one another,
//!   except that a dependant waits until what it depends on is ready. Gateways come first: a port that answers "wait"
//!   is better than one that refuses. Stopping goes the other way round, dependants before what they depend on, but
//!   gateways first again at a shutdown, so that no request is handed to a program that is about to end.
//!
//! Dependencies form no cycle (the configuration's reader refuses one); were there one, its slots would follow in order
//! of priority rather than be lost.

mod model;
mod order;
mod reconcile;
mod text;

pub use model::{Desired, Intent, Key, Observed, Seen, Slot, Step};
pub use order::{dependants, shutdown_waves, start_order, waits_for};
pub use reconcile::reconcile;
pub use text::line;
