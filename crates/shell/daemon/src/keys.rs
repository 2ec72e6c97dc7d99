//! Which programs of a configuration have keys, for `steadfast secrets`.

use std::path::{Path, PathBuf};

use rundir::{Identity, Layout, Surroundings};

use crate::machine::{Machine, environment};
use crate::resolve::{keeps_sessions, life_s, session_settings};

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
    /// How long the longest token lives that its key signs, in seconds.
    pub life_s: u64,
}

impl ProgramKeys {
    /// The question to the crate `secrets`. `in_use`: values that processes run with, if anybody can say.
    pub fn request<'a>(
        &'a self,
        now_unix_s: u64,
        in_use: Option<&'a secrets::InUse>,
    ) -> secrets::Request<'a> {
        secrets::Request {
            program: &self.program,
            names: &self.names,
            environment: &self.environment,
            env_file: self.env_file.as_deref(),
            state_dir: &self.state_dir,
            owner: self.owner,
            now_unix_s,
            life_s: self.life_s,
            in_use,
        }
    }
}

/// The programs of the configuration at `path` that have keys, in its order, with the environment that they inherit.
///
/// # Errors
/// If the configuration cannot be read; in complete sentences.
pub fn keys(path: &str, env: &secrets::Env) -> Result<Vec<ProgramKeys>, String> {
    let (model, state_dir) = read(path, env)?;
    Ok(of_model(&model, env, &state_dir))
}

/// Where the configuration at `path` keeps sessions, and whether anything in it asks for them.
///
/// # Errors
/// If the configuration cannot be read; in complete sentences.
pub fn sessions(path: &str, env: &secrets::Env) -> Result<(routes::Sessions, bool), String> {
    let (model, state_dir) = read(path, env)?;
    Ok((session_settings(&model, &state_dir), keeps_sessions(&model)))
}

/// The configuration, and the directory of its state.
fn read(path: &str, env: &secrets::Env) -> Result<(conf::Model, PathBuf), String> {
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
    Ok((loaded.model, state_dir))
}

/// Likewise, of a configuration that was read. Upstreams come last, as `upstream:NAME`.
pub(crate) fn of_model(
    model: &conf::Model,
    env: &secrets::Env,
    state_dir: &Path,
) -> Vec<ProgramKeys> {
    let names = |secrets: &[conf::Spanned<String>]| -> Vec<String> {
        secrets.iter().map(|name| name.value.clone()).collect()
    };
    let path =
        |path: &Option<conf::Spanned<String>>| path.as_ref().map(|path| PathBuf::from(&path.value));
    let programs = model.programs.iter().map(|program| {
        let process = program.processes.first();
        let mut environment = env.clone();
        environment.extend(
            process
                .map(|process| process.environment.clone())
                .unwrap_or_default(),
        );
        ProgramKeys {
            program: program.name.clone(),
            names: names(&program.secrets),
            environment,
            env_file: process.and_then(|process| path(&process.env_file)),
            state_dir: state_dir.to_owned(),
            owner: program.user.as_ref().map(|user| (user.uid, user.gid)),
            life_s: life_s(&program.tokens),
        }
    });
    let upstreams = model.upstreams.iter().map(|upstream| ProgramKeys {
        program: format!("upstream:{}", upstream.name),
        names: names(&upstream.secrets),
        environment: secrets::Env::new(),
        env_file: path(&upstream.env_file),
        state_dir: state_dir.to_owned(),
        owner: None,
        life_s: life_s(&upstream.tokens),
    });
    programs
        .chain(upstreams)
        .filter(|keys| !keys.names.is_empty())
        .collect()
}
