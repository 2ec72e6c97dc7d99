//! The frozen definition of one slot: all that its keeper needs, with nothing left to look up.
//!
//! The daemon resolves users, files, expansions and keys; a keeper that outlives the daemon by months restarts
//! its program from this alone. A spec travels in a memfd, since a SEQPACKET frame ends at about 212 kB.

use crate::codec::Field;

choice! {
    /// A word of the command line or a value of the environment. The socket's path and the port belong to a
    /// generation, so the keeper puts them in when it starts one.
    pub enum Text {
        /// As it is.
        1 => Plain { 1 => text: String, },
        /// `before`, the path of the generation's Unix socket, `after`.
        2 => Socket { 1 => before: String, 2 => after: String, },
        /// `before`, the generation's loopback TCP port, `after`.
        3 => Port { 1 => before: String, 2 => after: String, },
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::Plain {
            text: String::new(),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::Plain {
            text: text.to_owned(),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::Plain { text }
    }
}

choice! {
    /// Where a program's output goes.
    pub enum Sink {
        /// Nowhere (`NONE`).
        1 => Nowhere {},
        /// A file that the keeper opens, appends to and rotates.
        2 => File { 1 => path: String, 2 => max_bytes: u64, 3 => backups: u32, },
        /// Root's own standard output (`/dev/stdout`, `/dev/fd/1`).
        3 => RootStdout {},
        /// Root's own standard error (`/dev/stderr`, `/dev/fd/2`).
        4 => RootStderr {},
        /// A device or pipe that is written but never rotated (`/dev/...`, a FIFO).
        5 => Device { 1 => path: String, },
    }
}

impl Default for Sink {
    fn default() -> Self {
        Sink::Nowhere {}
    }
}

choice! {
    /// When a generation counts as ready.
    pub enum Ready {
        /// Supervisor's rule: it lived for `startsecs`.
        1 => Lived {},
        /// The first successful connect to its address (a program behind the gateway without `ready`).
        2 => Connect {},
        /// `http:PATH`: a 2xx answer on its address.
        3 => Http { 1 => path: String, 2 => host: String, },
        /// `tcp`: a connect to its address, checked again by keepalive.
        4 => Tcp {},
        /// `fd:N`: a newline (or any byte) written to descriptor N by the program.
        5 => Descriptor { 1 => number: i32, },
        /// `log:REGEX`: a line of its output that matches.
        6 => Log { 1 => pattern: String, },
        /// `notify`: `READY=1` on NOTIFY_SOCKET, from the program's own tree.
        7 => Notify {},
        /// `exec:CMD`: this command exits with 0.
        8 => Exec { 1 => argv: Vec<String>, },
    }
}

impl Default for Ready {
    fn default() -> Self {
        Ready::Lived {}
    }
}

choice! {
    /// Where a generation answers.
    pub enum Address {
        /// Nothing is known to listen.
        1 => Unknown {},
        /// A Unix socket that the keeper names per generation: `APP_DIR/GENERATION.sock`.
        2 => GenerationSocket {},
        /// A free loopback TCP port that the keeper picks per generation.
        3 => GenerationPort {},
        /// A Unix socket of a fixed path.
        4 => Unix { 1 => path: String, },
        /// A TCP address `host:port` of its own or held for it.
        5 => Tcp { 1 => address: String, },
    }
}

impl Default for Address {
    fn default() -> Self {
        Address::Unknown {}
    }
}

word! {
    /// `autorestart`.
    pub enum Autorestart {
        /// `unexpected`: after an exit whose status is not in `exitcodes`.
        1 => Unexpected = "unexpected",
        /// `false`.
        2 => Never = "false",
        /// `true`.
        3 => Always = "true",
    }
}

word! {
    /// `replace`: how a new generation takes over.
    pub enum Replace {
        /// Drain and stop the old one, then start the new one.
        1 => Hold = "hold",
        /// Start the new one, switch when it is ready, then drain and stop the old one.
        2 => Overlap = "overlap",
    }
}

record! {
    /// Who a process runs as; resolved by the daemon, since keepers do no NSS lookups.
    pub struct Credentials {
        /// User name, for messages, `USER` and `LOGNAME`.
        1 => name: String,
        /// User id.
        2 => uid: u32,
        /// Primary group id.
        3 => gid: u32,
        /// Supplementary groups.
        4 => groups: Vec<u32>,
    }
}

record! {
    /// What a program has to accept before it is ready. It names the key; the value is in the environment.
    pub struct Prove {
        /// Path of the GET.
        1 => path: String,
        /// Variable of the key.
        2 => variable: String,
        /// `HS256`, `HS384` or `HS512`.
        3 => alg: String,
        /// Whose token it is.
        4 => user: String,
        /// As `session::claims::Shape` reads it.
        5 => claims: String,
    }
}

record! {
    /// See the module.
    pub struct Spec {
        /// Name of the `[program:x]` section.
        1 => program: String,
        /// Group name as Supervisor shows it.
        2 => group: String,
        /// Process name as Supervisor shows it (`process_name`, expanded).
        3 => process: String,
        /// Identity of this definition, a hash made by the daemon. Equal hash = nothing changed.
        4 => hash: String,
        /// The command. `argv[0]` without a slash is searched in the `PATH` of `env`.
        5 => argv: Vec<Text>,
        /// The whole environment.
        6 => env: Vec<(String, Text)>,
        /// `directory`.
        7 => directory: Option<String>,
        /// `user`; None keeps the keeper's own.
        8 => credentials: Option<Credentials>,
        /// `umask`.
        9 => umask: Option<u32>,
        /// Where stdout goes.
        10 => stdout: Sink,
        /// Where stderr goes; not used with `redirect_stderr`.
        11 => stderr: Sink,
        /// stderr goes into stdout's pipe.
        12 => redirect_stderr: bool,
        /// `autorestart`.
        13 => autorestart: Autorestart,
        /// `startsecs`.
        14 => start_secs: u32,
        /// `startretries`.
        15 => start_retries: u32,
        /// `exitcodes`.
        16 => exit_codes: Vec<i32>,
        /// `stopsignal`, a signal number.
        17 => stop_signal: i32,
        /// `stopwaitsecs`.
        18 => stop_wait_ms: u64,
        /// `stopasgroup`.
        19 => stop_as_group: bool,
        /// `killasgroup`.
        20 => kill_as_group: bool,
        /// Leftovers of a dead process are killed (only with `[steadfast]` or `listen` other than own); otherwise named in a warning.
        21 => kill_leftovers: bool,
        /// (S) A FATAL process is tried again every 60 s.
        22 => retry_fatal: bool,
        /// Readiness check.
        23 => ready: Ready,
        /// `ready_timeout`.
        24 => ready_timeout_ms: u64,
        /// `keepalive`: period of the check while running; 0 = off.
        25 => keepalive_ms: u64,
        /// `unhealthy = restart after N`; 0 = report.
        26 => unhealthy_after: u32,
        /// `replace`.
        27 => replace: Replace,
        /// `drain_timeout`.
        28 => drain_timeout_ms: u64,
        /// Where it answers.
        29 => address: Address,
        /// Directory of the generation sockets (`slots/N/app`), made by the daemon.
        30 => app_dir: String,
        /// How many listening sockets come with the spec; they become descriptors 3, 4, … with LISTEN_FDS set.
        31 => listeners: u32,
        /// A role of ours: exec'd from `/proc/self/exe` instead of `argv[0]`.
        32 => role_of_ours: bool,
        /// Configuration for a role of ours, handed over as a memfd whose number is in `STEADFAST_CONFIG_FD`.
        33 => config: Vec<u8>,
        /// A gateway stands in front: stops and replacements are drained.
        34 => gated: bool,
        /// `restart_window`: how long requests may wait after an operator's stop was answered.
        35 => restart_window_ms: u64,
        /// The gateway may connect although it is not root: umask 0 at bind time is needed (hypercorn, granian, Node).
        36 => open_socket: bool,
        /// `stderr`/`stdout` of hidden roles; Supervisor's listings leave the slot out.
        37 => hidden: bool,
        /// `[supervisord] minfds`: open files that it may have at least (RLIMIT_NOFILE); 0 = as root's.
        38 => min_fds: u64,
        /// `[supervisord] minprocs`: processes that its user may have at least (RLIMIT_NPROC); 0 = as root's.
        39 => min_procs: u64,
        /// Number of the key (`routes::JwtKey::id`) in its environment; 0 = none that a gateway knows.
        40 => key: u32,
        /// `restart_delay`: pause before each start that follows an end by itself; 0 = none but the back-off.
        41 => restart_delay_ms: u64,
        /// `oneshot`: it is RUNNING until it ends, and never ready before; a start is answered with its end.
        42 => oneshot: bool,
        /// `log_prefix`: before each line of its output; empty = none.
        43 => log_prefix: String,
        /// `log_format = json`: its output is written as one JSON object a line.
        44 => log_json: bool,
        /// `prove`: readiness waits until the program accepts a token that is signed with its own key.
        48 => prove: Option<Prove>,
        /// An event listener: its stdin and stdout speak Supervisor's listener protocol.
        50 => listener: bool,
        /// `stdout_events_enabled`.
        51 => stdout_events: bool,
        /// `stderr_events_enabled`.
        52 => stderr_events: bool,
        /// `stdout_capture_maxbytes`; 0 = nothing is captured.
        53 => stdout_capture: u64,
        /// `stderr_capture_maxbytes`.
        54 => stderr_capture: u64,
        /// `[supervisord] strip_ansi`.
        55 => strip_ansi: bool,
        /// `stdout_syslog`: lines of stdout go to the system's log as well.
        56 => stdout_syslog: bool,
        /// `stderr_syslog`.
        57 => stderr_syslog: bool,
        /// Socket of the system's log; empty = `/dev/log`.
        58 => syslog: String,
        /// A FastCGI program: the first listener is its standard input, and no LISTEN_FDS is set.
        59 => socket_stdin: bool,
        /// Its command cannot be split into words: Supervisor's `spawnerr`, for it is found at each start only; empty = it can.
        60 => unparsable: String,
    }
}

impl Spec {
    /// `group:process`, the name of the slot for people; just the name where both are the same.
    pub fn label(&self) -> String {
        label(&self.group, &self.process)
    }
    /// The bytes for the memfd.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
    /// Reads the memfd's bytes.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Spec, crate::Error> {
        Spec::get(&mut bytes)
    }
}

/// `group:process`, or just the name where both are the same (Supervisor's `make_namespec`).
pub fn label(group: &str, process: &str) -> String {
    if group == process {
        group.to_owned()
    } else {
        format!("{group}:{process}")
    }
}
