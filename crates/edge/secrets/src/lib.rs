//! Keys: read them where people keep them, make them once, hand them over, never show them.
//!
//! ```text
//!               beats                 beats                 beats
//! environment ────────> env_file ────────> state_dir ────────> making one
//! ```
//! A key that exists is never made again: a new one would sign everyone out. Where two places disagree, the stronger
//! one wins, the other value is kept in the keyring as *verify-only* (tokens that it signed still verify) and the
//! disagreement is reported. A new key goes into the program's `env_file`, so that going back to Supervisor keeps
//! everyone signed in if the app reads that file; without one it goes into `state_dir`.
//!
//! Programs that name the same key share it: one trust domain per name and home (an env file, or the state directory).
//! Every value that a key had is in the keyring with its number, so that old tokens still verify.
//!
//! *Invariant*: no value leaves this crate but through [`Secret::expose`]; errors, warnings and `Debug` never hold one.
//! *Invariant*: a file is never left half written: a new one is renamed over it. The exception is a file that cannot
//! be replaced (a bind mount of the file itself, a directory without write permission): it is appended to in place by
//! one write. *Invariant*: reading ([`find`], [`list`]) writes nothing.

mod announce;
mod envfile;
mod envtext;
mod error;
mod home;
mod in_use;
mod keyring;
mod list;
mod lock;
mod look;
mod model;
mod replace;
mod resolve;
mod rotate;
mod secret;
mod set;
mod strength;

pub use announce::{Announced, announce};
pub use envfile::{Entry, EnvFile, Problem, parse};
pub use error::{Error, Step};
pub use home::Volatile;
pub use in_use::{Ended, InUse};
pub use keyring::Status;
pub use list::list;
pub use lock::held;
pub use look::{find, ring, show};
pub use model::{Env, Found, Kept, Listed, Origin, Request, Resolved, Value, Warning};
pub use resolve::{inspect, load_env_file, resolve};
pub use rotate::{How, Old, Rotated, VERIFY_MAX, finish, rotate, settle};
pub use secret::{Random, Secret, SystemRandom};
pub use set::{End, admit, import, set};
pub use strength::{Weakness, strength};
