//! Keys in sentences: where they are, what is asked for, what comes out and what lies on disk afterwards.

mod files;
mod made;
mod mounts;
mod precedence;
mod replaced;
mod told;

use secrets::{Env, Error, InUse, Origin, Request, Resolved, Secret, SystemRandom, resolve, set};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const OLD: &str = "8d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e7041b8f5c2d9e6a7304";
const OTHER: &str = "1b8f5c2d9e6a73048d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e704";

struct Site {
    _dir: tempfile::TempDir,
    root: PathBuf,
    env: Env,
    env_file: Option<PathBuf>,
    names: Vec<String>,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    Site {
        _dir: dir,
        root,
        env: Env::new(),
        env_file: None,
        names: vec!["SECRET_KEY".to_owned()],
    }
}

impl Site {
    fn environment(mut self, value: &str) -> Self {
        self.env.insert("SECRET_KEY".into(), value.into());
        self
    }

    fn env_file(mut self, text: Option<&str>) -> Self {
        let path = self.root.join(".env");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        self.env_file = Some(path);
        self
    }

    fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.root.join(".env")).unwrap()
    }

    fn with<T>(&self, act: impl FnOnce(&Request<'_>) -> T) -> T {
        act(&Request {
            program: "backend",
            names: &self.names,
            environment: &self.env,
            env_file: self.env_file.as_deref(),
            state_dir: &self.state(),
            owner: None,
            now_unix_s: 1_700_000_000,
            life_s: 1_000,
            in_use: Some(&InUse::nothing()),
        })
    }

    fn resolve(&self) -> Resolved {
        self.with(|r| resolve(r, &mut SystemRandom)).unwrap()
    }

    fn key(&self) -> (String, bool) {
        let resolved = self.resolve();
        (
            resolved.keys[0].secret.expose().to_owned(),
            resolved.keys[0].made,
        )
    }

    fn set(&self, value: &str) -> Result<Origin, Error> {
        self.with(|r| set(r, "SECRET_KEY", &Secret::new(value), &mut SystemRandom))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn verify_only(resolved: &Resolved) -> Vec<&str> {
    resolved
        .verify_only
        .iter()
        .map(|(_, secret)| secret.expose())
        .collect()
}
