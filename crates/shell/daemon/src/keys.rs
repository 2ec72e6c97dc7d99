//! Which programs of a configuration have keys, for `steadfast secrets`.

use std::path::{Path, PathBuf};

use rundir::{Identity, Layout, Surroundings};

use crate::machine::{Machine, environment};

/// A program with keys: what `secrets::Request` is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramKeys {
    /// The program.
    pub program: String,
    /// Names of its keys.
    pub names: Vec<String>,
    /// The environment that it would get, keys and env file aside.
    pub environment: secrets::Env,
    /// Its env file, absolute.
    pub env_file: Option<PathBuf>,
    /// Where keys are kept that have no env file.
    pub state_dir: PathBuf,
    /// User and group of the program, if it has any of its own.
    pub owner: Option<(u32, u32)>,
}

/// The programs of the configuration at `path` that have keys, in its order, with the environment that they inherit.
///
/// # Errors
/// If the configuration cannot be read; in complete sentences.
pub fn keys(path: &str, env: &secrets::Env) -> Result<Vec<ProgramKeys>, String> {
    let loaded = conf::load(path, &Machine::default(), &environment(env));
    if loaded.unreadable {
        let first = loaded
            .findings
            .first()
            .map(|finding| finding.message.clone());
        return Err(first.unwrap_or_else(|| format!("{path} cannot be read")));
    }
    let identity = Identity::of_file(Path::new(path)).map_err(|why| why.to_string())?;
    let layout = Layout::of(&identity, &Surroundings::here());
    let named = loaded
        .model
        .steadfast
        .as_ref()
        .and_then(|ours| ours.state_dir.as_ref());
    let state_dir = named.map_or(layout.state, |dir| PathBuf::from(&dir.value));
    let with_keys = loaded
        .model
        .programs
        .iter()
        .filter(|program| !program.secrets.is_empty());
    let keys = with_keys.map(|program| {
        let process = program.processes.first();
        let mut environment = env.clone();
        environment.extend(
            process
                .map(|process| process.environment.clone())
                .unwrap_or_default(),
        );
        ProgramKeys {
            program: program.name.clone(),
            names: program
                .secrets
                .iter()
                .map(|name| name.value.clone())
                .collect(),
            environment,
            env_file: process
                .and_then(|process| process.env_file.as_ref())
                .map(|path| PathBuf::from(&path.value)),
            state_dir: state_dir.clone(),
            owner: program.user.as_ref().map(|user| (user.uid, user.gid)),
        }
    });
    Ok(keys.collect())
}
