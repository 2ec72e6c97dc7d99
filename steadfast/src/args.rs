//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps a web backend up and its users signed in: supervises programs as Supervisor does, and lets requests
/// wait through a restart instead of failing.
#[derive(Debug, Parser)]
#[command(
    name = "steadfast",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The configuration; it names the installation too. Without it: the only one that runs; for run and check
    /// the usual places of supervisord.conf.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything in a supervisord.conf, or one command, and keep it up.
    Run(Run),
    /// Say what runs.
    Status {
        /// Processes; all when empty. `all`, `group:*` and `group:name` as in Supervisor.
        names: Vec<String>,
        /// Show our own gateway too.
        #[arg(long)]
        all: bool,
    },
    /// Start processes.
    Start {
        /// Processes, or `all`.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stop processes. Requests get 503 from the start.
    Stop {
        /// Processes, or `all`.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Replace processes; requests wait meanwhile. A program that reloads itself (reload_signal) is replaced like any
    /// other: `reload NAME` sends the signal.
    Restart {
        /// Processes, or `all`.
        #[arg(required = true)]
        names: Vec<String>,
        /// Instead of the program's `replace`: hold or overlap.
        #[arg(long, value_parser = ["hold", "overlap"])]
        mode: Option<String>,
    },
    /// Read the configuration and say what differs; changes nothing.
    Reread,
    /// Read the configuration and bring everything in line; restarts only what changed.
    Update {
        /// Only these groups.
        groups: Vec<String>,
    },
    /// As update; with --all everything is replaced, as Supervisor's reload does. With names: send these programs
    /// their reload_signal.
    Reload {
        /// Programs that reload themselves (reload_signal is set).
        #[arg(conflicts_with = "all")]
        names: Vec<String>,
        /// Replace what did not change, too.
        #[arg(long)]
        all: bool,
    },
    /// Say what update would do, step by step.
    Plan,
    /// Print what Prometheus reads from /metrics of Supervisor's HTTP servers.
    Metrics,
    /// Print the end of a log.
    Tail {
        /// Process.
        name: String,
        /// `stdout` or `stderr`, as for supervisorctl.
        #[arg(value_parser = ["stdout", "stderr"], conflicts_with = "stderr")]
        channel: Option<String>,
        /// Print what comes, until Ctrl-C.
        #[arg(short, long)]
        follow: bool,
        /// Standard error instead of standard output.
        #[arg(long)]
        stderr: bool,
        /// How many bytes of the end.
        #[arg(long, default_value_t = 1600)]
        bytes: u32,
    },
    /// Print the last lines of one or all programs, or of Steadfast itself (--main).
    Logs {
        /// Process; all when empty.
        names: Vec<String>,
        /// How many lines of each.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Print what comes, until Ctrl-C (one process).
        #[arg(short, long)]
        follow: bool,
        /// The activity log.
        #[arg(long)]
        main: bool,
    },
    /// Send a signal to processes.
    Signal {
        /// `HUP`, `SIGHUP` or `1`.
        signal: String,
        /// Processes, or `all`.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Print the pid of Steadfast, or of processes.
    Pid {
        /// Processes, or `all`.
        names: Vec<String>,
    },
    /// End everything, in order.
    Shutdown,
    /// Look for mistakes in a configuration and say what will be run.
    Check(Check),
    /// What started and ended, when and why.
    History {
        /// Process; all when empty.
        name: Option<String>,
        /// How many entries.
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: u32,
    },
    /// Why a process restarted, what it cost, what to do; or what a finding of the doctor means (SF101).
    Explain {
        /// Process, or code of a finding.
        name: String,
    },
    /// Find out why a deployment restarts or signs people out, with evidence and the fix. Needs no daemon.
    #[command(disable_help_flag = true)]
    Doctor {
        /// Options of the doctor; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Show what makes Steadfast run a configuration of Supervisor's; the file stays valid for Supervisor.
    #[command(disable_help_flag = true)]
    Adopt {
        /// FILE (or -c FILE) [--nginx FILE] [--write]; --help says more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The keys that programs are given.
    Secrets {
        /// What to do.
        #[command(subcommand)]
        action: Secrets,
    },
    /// Built-in users: who may sign in with a password.
    Users {
        /// What to do.
        #[command(subcommand)]
        action: Users,
    },
    /// Who is signed in.
    Sessions {
        /// What to do.
        #[command(subcommand)]
        action: Sessions,
    },
    /// A sample web app behind the gateway, to try everything on.
    Demo(Demo),
    /// Supervisor's own command line, with its texts and exit codes.
    #[command(disable_help_flag = true)]
    Ctl {
        /// Arguments as for supervisorctl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the manual page, or write all of them into a directory.
    Man {
        /// Write steadfast.1 and a page for each command there.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Make supervisord and supervisorctl beside this program, as links to it. Nothing that is there is replaced.
    Links {
        /// Another directory.
        #[arg(value_name = "DIR", conflicts_with = "dir")]
        place: Option<PathBuf>,
        /// The same.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Remove the links that this made.
        #[arg(long)]
        remove: bool,
    },
    /// Print completions for a shell.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Detach, once everything that starts by itself was started.
    #[arg(long)]
    pub(crate) daemon: bool,
    /// Allow development servers and reloaders.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Instead of a configuration: one command, behind the gateway where its server is known.
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Configuration, if not given with -c.
    pub(crate) file: Option<PathBuf>,
    /// Allow development servers and reloaders.
    #[arg(long)]
    pub(crate) dev: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Names, where they live and how good they are. Never values.
    List,
    /// Print one value.
    Show {
        /// Name.
        name: String,
        /// Whose, if two programs have a key of this name in homes of their own.
        #[arg(long)]
        program: Option<String>,
    },
    /// Set a value, read from standard input. Programs get it at the next `steadfast update`.
    Set {
        /// Name.
        name: String,
        /// Whose, if two programs have a key of this name in homes of their own.
        #[arg(long)]
        program: Option<String>,
        /// Take a value that is weak, too.
        #[arg(long)]
        weak: bool,
    },
    /// Make a new key and restart the programs that have it, one after the other, unnoticed: tokens of the old key go on.
    Rotate {
        /// Name.
        name: String,
        /// The key leaked: tokens that it or an older one signed are refused from now on, and their owners sign in again.
        #[arg(long)]
        compromised: bool,
    },
    /// Take keys over from another installation (what export printed), or the value of one key that an app had.
    Import {
        /// Name, if one bare value comes; without it a whole export.
        name: Option<String>,
        /// Whose, if two programs have a key of this name in homes of their own.
        #[arg(long, requires = "name")]
        program: Option<String>,
        /// Take values that are weak, too.
        #[arg(long)]
        weak: bool,
        /// Read standard input. Values are never taken from the command line, where everybody sees them.
        #[arg(long)]
        stdin: bool,
        /// It verifies and does not sign yet: for a key that several machines share, given to each before it signs on one.
        #[arg(long, requires = "name")]
        verify_only: bool,
    },
    /// Print keys with their values, for import elsewhere.
    Export {
        /// Names; all when empty.
        names: Vec<String>,
        /// Print to standard output. Whoever reads it can sign in as anybody.
        #[arg(long)]
        stdout: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Add a user. The password is asked for twice, or read from standard input.
    Add {
        /// Name.
        name: String,
    },
    /// Set another password, read likewise. Ends all sessions of the user.
    Passwd {
        /// Name.
        name: String,
    },
    /// Let a user not sign in any more, and end all its sessions.
    Disable {
        /// Name.
        name: String,
    },
    /// Let a disabled user sign in again.
    Enable {
        /// Name.
        name: String,
    },
    /// Forget a user and its password, and end all its sessions.
    Remove {
        /// Name.
        name: String,
    },
    /// Names, and who is disabled.
    List,
    /// Measure what password hashes may cost on this machine, while nothing else runs.
    Calibrate {
        /// One hash is to take so long, milliseconds.
        #[arg(long, default_value_t = 100)]
        ms: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// Living sessions, newest activity first.
    List,
    /// End a session, or all of a user.
    Revoke {
        /// Its id, from `sessions list`.
        #[arg(conflicts_with = "user")]
        id: Option<String>,
        /// All sessions of this user.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Give up sessions of a lost store: their holders have to sign in again.
    ForgetStore,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Load and faults for so long, then a table (`20s`, `2m`).
    #[arg(long, value_name = "TIME")]
    pub(crate) storm: Option<String>,
    /// Users of the storm.
    #[arg(long)]
    pub(crate) users: Option<usize>,
    /// Port of the gateway.
    #[arg(long, default_value_t = 8001)]
    pub(crate) port: u16,
}
