//! The doctor's own words on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Looks at what runs here, and says what is wrong with it, how that is known and what mends it.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "steadfast doctor", disable_version_flag = true)]
pub(crate) struct Args {
    /// This configuration of Supervisor's, its includes and the processes
    /// started from it; nothing else
    #[arg(
        verbatim_doc_comment,
        short = 'c',
        long = "configuration",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Only what Supervisor runs, found by its processes and usual places
    #[arg(long, conflicts_with_all = ["config", "pid", "url"])]
    pub(crate) supervisord: bool,
    /// This process and those below it
    #[arg(long, value_name = "N", conflicts_with_all = ["config", "url"])]
    pub(crate) pid: Option<i32>,
    /// What answers at this address (https://HOST/PATH)
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub(crate) url: Option<String>,
    /// Proves that file changes do not restart: puts a new file beside the
    /// code, watches for 4 s (or TIME, as in --live=2m), takes it away;
    /// measures pings, sees what grows and who writes there (as root)
    #[arg(verbatim_doc_comment, long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "4s",
          value_parser = watched_for)]
    pub(crate) live: Option<Duration>,
    /// With --live: restarts each program once by its owner's own command,
    /// and sees whether it comes back
    #[arg(verbatim_doc_comment, long, requires = "live")]
    pub(crate) allow_restart: bool,
    /// With --allow-restart: signs in here before (a POST of user and
    /// password, as JSON or as a form), and sees whether the token is valid
    /// after the restart
    #[arg(verbatim_doc_comment, long, value_name = "URL", requires_all = ["allow_restart", "user"])]
    pub(crate) login: Option<String>,
    /// Who signs in at --login; the password is STEADFAST_DOCTOR_PASSWORD,
    /// or the first line of standard input
    #[arg(verbatim_doc_comment, long, value_name = "NAME", requires = "login")]
    pub(crate) user: Option<String>,
    /// Instead of --login: a command that prints a token
    #[arg(long, value_name = "COMMAND", requires_all = ["allow_restart", "verify"], conflicts_with = "login")]
    pub(crate) token_from: Option<String>,
    /// Where the token is verified (GET, 2xx is valid); without it `verify`
    /// beside --login
    #[arg(
        verbatim_doc_comment,
        long,
        value_name = "URL",
        requires = "allow_restart"
    )]
    pub(crate) verify: Option<String>,
    /// Mends what can be mended safely, or only these rules
    #[arg(long, value_name = "CODE", num_args = 0.., value_delimiter = ',')]
    pub(crate) fix: Option<Vec<String>>,
    /// With --fix: shows what would be changed and changes nothing
    #[arg(long, requires = "fix")]
    pub(crate) diff: bool,
    /// The report as JSON
    #[arg(long, conflicts_with = "sarif")]
    pub(crate) json: bool,
    /// The report as SARIF 2.1.0
    #[arg(long)]
    pub(crate) sarif: bool,
    /// Only these rules, or all that begin so (SF1)
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) select: Vec<String>,
    /// Not these rules
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Only files: no processes, sockets or logs
    #[arg(long)]
    pub(crate) files_only: bool,
    /// Lists all rules
    #[arg(long)]
    pub(crate) rules: bool,
}

/// The slowest reloader known looks once a second and may need another second to stop what runs.
pub(crate) const TOUCH: Duration = Duration::from_secs(4);
/// How long `--live` may watch: a slow leak shows within a day.
const LIVE_MAX: Duration = Duration::from_secs(86_400);

fn watched_for(text: &str) -> Result<Duration, String> {
    let time = conf::duration(text)?;
    match (TOUCH..=LIVE_MAX).contains(&time) {
        true => Ok(time),
        false => Err("it takes 4s at least, and 24h at most".to_owned()),
    }
}

impl Args {
    /// Whether a rule is wanted.
    pub(crate) fn wants(&self, code: &str) -> bool {
        let named = |list: &[String]| {
            list.iter()
                .any(|c| code.starts_with(&c.to_ascii_uppercase()))
        };
        (self.select.is_empty() || named(&self.select)) && !named(&self.ignore)
    }
}
