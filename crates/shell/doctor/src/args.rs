//! The doctor's own words on the command line.

use std::path::PathBuf;

use clap::Parser;

/// Looks at what runs here, and says what is wrong with it, how that is known and what mends it.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "steadfast doctor", disable_version_flag = true)]
pub(crate) struct Args {
    /// This configuration of Supervisor's, its includes and the processes started from it; nothing else
    #[arg(short = 'c', long = "configuration", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Only what Supervisor runs, found by its processes and usual places
    #[arg(long, conflicts_with_all = ["config", "pid", "url"])]
    pub(crate) supervisord: bool,
    /// This process and those below it
    #[arg(long, value_name = "N", conflicts_with_all = ["config", "url"])]
    pub(crate) pid: Option<i32>,
    /// What answers at this address (http://HOST:PORT/PATH)
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub(crate) url: Option<String>,
    /// Proves that file changes do not restart: puts a new file beside the code, watches, takes it away
    #[arg(long)]
    pub(crate) live: bool,
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
