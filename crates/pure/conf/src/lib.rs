//! `supervisord.conf`, read by exactly the rules of Supervisor 4.3, with our own keys and sections in the same file.
//!
//! ```text
//! files ──cut───> lines, items ──ini──> sections, merged ──read──> Model
//!            │ [include], %(here)s          │ expand: %(name)s      ├─ Spanned values: everything knows its place
//!            └ lossless tokens              └ Text keeps places     └─ findings: all errors at once
//! ```
//!
//! [`load`] does it all. It never stops at the first error: what has one is left out (a program, a gateway) or keeps its default,
//! and the rest is read. The crate opens no file; [`Files`] and [`Environment`] are the machine.
//!
//! # The file stays valid for the real supervisord
//! Supervisor reads keys by name and never looks at others, so our keys in `[program:x]` and our sections cannot disturb it. In
//! particular it does not %-expand them: a `%` in `ready = log:100%%` is ours alone. The exceptions, checked against
//! `supervisor/options.py` and by `tests/real_supervisor`:
//! * once there is an `[include]`, `%(here)s` is replaced as plain text in *every* value of every section, ours too (we do the same);
//! * in `[rpcinterface:x]` and `[ctlplugin:x]` every key is expanded and handed to the plugin, so no key of ours may stand there;
//! * `[supervisorctl]` is read by `supervisorctl` from the main file only, without includes.
//!
//! # Where we differ on purpose
//! Supervisor stops at the first error and runs nothing; we say all errors and leave out what is wrong. Beyond that we refuse:
//! names with control characters, empty names and expanded names with ` `, `:` or `/` (Supervisor checks before it expands);
//! commands that are empty or cannot be split (Supervisor finds out when it starts them: FATAL; so does
//! [`load_as_supervisor`]); an included file that cannot be
//! read (skipped there, so that its programs vanish); `stopsignal = 0`; `%s` without a name (it would write out the whole
//! environment); files with NUL bytes, lines over 1 MiB, files over 16 MiB; more than 10,000 processes of one program. What is
//! wrong in `[supervisorctl]` is a warning. Numbers outside of 64 bits are out of range.
//!
//! What Supervisor does silently is done and said: duplicate sections and keys, unknown ones, values of `environment` that are cut
//! short, groups and processes of one name, negative counts, nested includes.

pub mod argv;
mod cut;
mod environ;
mod expand;
mod files;
mod findings;
mod glob;
mod ini;
mod known;
mod load;
mod mapped;
pub mod model;
mod paths;
mod read;
mod suggest;
mod tree;
mod values;

pub use argv::SplitError;
pub use cut::LINE_BYTES_MAX;
pub use files::{Account, DirEntry, Environment, Files, Kind, MapFiles, ReadError};
pub use load::{INCLUDED_FILES_MAX, Loaded, TOTAL_BYTES_MAX, load, load_as_supervisor};
pub use mapped::{FileText, Text};
pub use model::*;
pub use tree::{SourceFile, Token, TokenKind};
pub use values::duration;

/// The largest file that is read, in bytes: 16 MiB is beyond any configuration written by people or by generators.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
