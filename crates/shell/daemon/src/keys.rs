//! Which keys the programs of a configuration have, for `steadfast secrets`: reads, decides nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rundir::{Identity, Layout, Surroundings};

use crate::machine::{Machine, environment};

/// The keys of one program, as `secrets::Request` wants them.
#[derive(Debug, Clone)]
pub struct ProgramKeys {
    /// Name of the program.
    pub program: String,
    /// Names of its keys (`secrets = …`).
    pub names: Vec<String>,
    /// The environment that it would get, keys and env file left out.
    pub environment: BTreeMap<String, String>,
    /// Its env file, absolute.
    pub env_file: Option<PathBuf>,
    /// Where keys without an env file live.
    pub state_dir: PathBuf,
    /// Who owns an env file that is made anew.
    pub owner: Option<(u32, u32)>,
}

/// The keys of every program of the configuration at `path`.
///
/// # Errors
/// If the configuration cannot be read, as a sentence.
pub fn keys(path: &str, env: &BTreeMap<String, String>) -> Result<Vec<ProgramKeys>, String> {
    let loaded = conf::load(path, &Machine::default(), &environment(env));
    if loaded.unreadable {
        let words = loaded.findings.first().map(|finding| finding.message.clone());
        return Err(words.unwrap_or_else(|| format!("{path} cannot be read")));
    }
    let identity = Identity::of_file(Path::new(path)).map_err(|why| why.to_string())?;
    let layout = Layout::of(&identity, &Surroundings::here());
    let named = loaded.model.steadfast.as_ref().and_then(|steadfast| steadfast.state_dir.as_ref());
    let state_dir = named.map_or(layout.state, |dir| PathBuf::from(&dir.value));
    let programs = loaded.model.programs.iter().filter(|program| !program.secrets.is_empty());
    Ok(programs
        .filter_map(|program| {
            let process = program.processes.first()?;
            let mut environment = env.clone();
            environment.extend(process.environment.clone());
            Some(ProgramKeys {
                program: program.name.clone(),
                names: program.secrets.iter().map(|name| name.value.clone()).collect(),
                environment,
                env_file: process.env_file.as_ref().map(|path| PathBuf::from(&path.value)),
                state_dir: state_dir.clone(),
                owner: program.user.as_ref().map(|user| (user.uid, user.gid)),
            })
        })
        .collect())
}
