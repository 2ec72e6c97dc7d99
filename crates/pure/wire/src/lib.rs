//! Frames between root, daemon, keepers and gateways.
//!
//! ```text
//!           Order / Tell (socket pair)
//!   root ────────────────────────────── daemon
//!    │ fork                               │ Hello, Command / Report   slots/N/control
//!    └── keeper ──────────────────────────┘
//!          │ Hello, Notice / Publish      slots/N/events
//!        gateway
//! ```
//! Keepers may be months older than the daemon that adopts them, so every type here is tagged and additive:
//! a field is never renumbered, a number never reused. Nothing here knows a descriptor; those travel beside
//! the frame (SCM_RIGHTS) and the message says how many and in which order.

#[macro_use]
pub mod codec;
pub mod fact;
pub mod message;
pub mod signals;
pub mod spec;

pub use codec::{Error, Field};
pub use fact::{Counts, Fact, Leaving, Phase, State, Trouble};
pub use message::*;
pub use spec::{Address, Autorestart, Credentials, Prove, Ready, Replace, Sink, Spec, Text};

#[cfg(test)]
#[allow(missing_docs, unreachable_pub)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_the_way() {
        let spec = Spec {
            program: "backend".into(),
            argv: vec![
                "uvicorn".into(),
                Text::Socket {
                    before: "--uds=".into(),
                    after: String::new(),
                },
            ],
            env: vec![("A".into(), "b".into())],
            ready: Ready::Http {
                path: "/api/health".into(),
                host: "localhost".into(),
            },
            stdout: Sink::File {
                path: "/tmp/x".into(),
                max_bytes: 10,
                backups: 2,
            },
            exit_codes: vec![0, 2],
            credentials: Some(Credentials {
                name: "www".into(),
                uid: 33,
                gid: 33,
                groups: vec![33, 4],
            }),
            ..Spec::default()
        };
        assert_eq!(Spec::from_bytes(&spec.to_bytes()), Ok(spec));
    }

    #[test]
    fn an_old_reader_skips_what_it_does_not_know() {
        record! { pub struct New { 1 => a: u32, 2 => b: String, 9 => c: Vec<u64>, } }
        record! { pub struct Old { 2 => b: String, 7 => d: bool, } }
        let new = New {
            a: 7,
            b: "x".into(),
            c: vec![1, 2],
        };
        assert_eq!(
            decode::<Old>(&encode(&new)),
            Ok(Old {
                b: "x".into(),
                d: false
            })
        );
    }

    #[test]
    fn an_unknown_variant_is_named_and_every_cut_is_an_error() {
        choice! { pub enum Newer { 77 => Other { 1 => a: u32, }, } }
        assert_eq!(
            decode::<Report>(&encode(&Newer::Other { a: 1 })),
            Err(Error::Unknown(77))
        );
        let whole = encode(&Command::Start {
            op: 3,
            cause: Cause {
                why: Why::Operator,
                text: "root".into(),
            },
        });
        for cut in 0..whole.len() {
            assert!(decode::<Command>(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
