//! Which installation a command is for.

use std::path::{Path, PathBuf};

use crate::{Identity, Info, Layout, Lock, RunDir, Surroundings};

/// An installation that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Where commands are taken.
    pub control: PathBuf,
    /// Run directory.
    pub run: PathBuf,
    /// What its `info.json` says.
    pub info: Info,
}

/// The answer to "which one?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This one.
    One(Installation),
    /// None runs; with the text for people.
    NotRunning(String),
    /// More than one runs and no configuration was named.
    Several(Vec<Installation>),
    /// The run directory cannot be used.
    Failed(String),
}

impl Found {
    /// The installation, or a message of complete sentences.
    pub fn one(self) -> Result<Installation, String> {
        match self {
            Found::One(installation) => Ok(installation),
            Found::NotRunning(text) | Found::Failed(text) => Err(text),
            Found::Several(all) => {
                let mut text = String::from("several are running; name one with -c:");
                for installation in all {
                    text.push_str(&format!(
                        "\n  {} (pid {})",
                        installation.name(),
                        installation.info.root_pid
                    ));
                }
                Err(text)
            }
        }
    }
}

impl Installation {
    /// The installation of `config`, or the only one that runs for this user.
    pub fn find(config: Option<&Path>) -> Found {
        Installation::find_in(config, &Surroundings::here())
    }

    /// The installation of `config` that runs as one of `users`: for root, which looks after everybody's. Whose it may
    /// be is for the caller to say, from what root trusts: anybody can make a directory of this name in /tmp.
    pub fn find_of(config: &Path, users: &[u32]) -> Option<Installation> {
        Installation::find_of_in(config, users, &Surroundings::here())
    }

    /// [`Installation::find_of`] with the environment as given.
    pub fn find_of_in(
        config: &Path,
        users: &[u32],
        surroundings: &Surroundings,
    ) -> Option<Installation> {
        let identity = Identity::of_file(config).ok()?;
        let of = |uid: &u32| {
            // Its own session's, or none: what this process has in its environment is another user's.
            let own = std::ffi::OsString::from(format!("/run/user/{uid}"));
            [Some(own), None].map(|xdg_runtime_dir| Surroundings {
                uid: *uid,
                xdg_runtime_dir,
                ..surroundings.clone()
            })
        };
        users.iter().flat_map(of).find_map(|theirs| {
            let layout = Layout::of(&identity, &theirs);
            let run_dir = RunDir::open_of(&layout.run, theirs.uid).ok()?;
            running_in(&run_dir)
        })
    }

    /// [`Installation::find`] with user and environment as given.
    pub fn find_in(config: Option<&Path>, surroundings: &Surroundings) -> Found {
        match config {
            Some(path) => by_config(path, surroundings),
            None => only_one(surroundings),
        }
    }

    /// Those of `config`, or of this user, that have lost their supervisor while their programs live on.
    pub fn kept(config: Option<&Path>) -> Vec<Installation> {
        Installation::kept_in(config, &Surroundings::here())
    }

    /// [`Installation::kept`] with user and environment as given.
    pub fn kept_in(config: Option<&Path>, surroundings: &Surroundings) -> Vec<Installation> {
        let runs: Vec<PathBuf> = match config {
            Some(path) => Identity::of_file(path)
                .map(|identity| Layout::of(&identity, surroundings).run)
                .into_iter()
                .collect(),
            None => std::fs::read_dir(surroundings.run_base())
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect(),
        };
        let mut all: Vec<Installation> = runs.iter().filter_map(|run| orphaned(run)).collect();
        all.sort_by(|a, b| a.run.cmp(&b.run));
        all
    }

    /// How people call it: its configuration or command.
    pub fn name(&self) -> String {
        if self.info.config.is_empty() {
            format!("-- {}", self.info.command)
        } else {
            self.info.config.clone()
        }
    }
}

fn by_config(path: &Path, surroundings: &Surroundings) -> Found {
    let identity = match Identity::of_file(path) {
        Ok(identity) => identity,
        Err(why) => return Found::Failed(why.to_string()),
    };
    let layout = Layout::of(&identity, surroundings);
    if let Some(installation) = running(&layout.run) {
        return Found::One(installation);
    }
    let root = Layout::of(
        &identity,
        &Surroundings {
            uid: 0,
            ..surroundings.clone()
        },
    );
    if surroundings.uid != 0 && root.run.exists() {
        return Found::NotRunning(format!(
            "{} is not running for this user, but it was started by root; try again with sudo",
            path.display()
        ));
    }
    if has_keepers(&layout.run) {
        return Found::NotRunning(format!(
            "{0} has no supervisor, but its programs are still kept; take them over with: steadfast run -c {0}\n  \
             or end them with: steadfast shutdown -c {0}",
            path.display()
        ));
    }
    Found::NotRunning(format!(
        "{0} is not running; start it with: steadfast run -c {0}",
        path.display()
    ))
}

fn only_one(surroundings: &Surroundings) -> Found {
    let base = surroundings.run_base();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&base).into_iter().flatten().flatten() {
        all.extend(running(&entry.path()));
    }
    all.sort_by(|a, b| a.run.cmp(&b.run));
    match (all.len(), all.pop()) {
        (1, Some(only)) => Found::One(only),
        (_, Some(last)) => {
            all.push(last);
            Found::Several(all)
        }
        (_, None) => Found::NotRunning(of_kept(&Installation::kept_in(None, surroundings))),
    }
}

/// The words where nothing runs: for programs that lost their supervisor, if there are some.
fn of_kept(all: &[Installation]) -> String {
    if all.is_empty() {
        return "nothing is running for this user; start it with: steadfast run -c supervisord.conf"
            .to_owned();
    }
    let mut text = String::from("no supervisor runs for this user, but programs are still kept:");
    for one in all {
        let name = one.name();
        text.push_str(&match one.info.config.is_empty() {
            true => format!("\n  {name}\n    end them with: steadfast shutdown"),
            false => format!(
                "\n  {name}\n    take them over with: steadfast run -c {name}\n    or end them with: steadfast shutdown -c {name}"
            ),
        });
    }
    text
}

fn orphaned(run: &Path) -> Option<Installation> {
    if Lock::holder(run).is_some() || !has_keepers(run) {
        return None;
    }
    let run_dir = RunDir::open(run).ok()?;
    Some(Installation {
        control: run_dir.control_socket(),
        run: run.to_path_buf(),
        info: run_dir.read_info().ok()?.unwrap_or_default(),
    })
}

fn running(run: &Path) -> Option<Installation> {
    running_in(&RunDir::open(run).ok()?)
}

fn running_in(run_dir: &RunDir) -> Option<Installation> {
    let pid = Lock::holder(run_dir.path())?;
    let mut info = run_dir.read_info().ok()?.unwrap_or_default();
    if info.root_pid == 0 {
        info.root_pid = pid;
    }
    Some(Installation {
        control: run_dir.control_socket(),
        run: run_dir.path().to_path_buf(),
        info,
    })
}

fn has_keepers(run: &Path) -> bool {
    let Ok(run_dir) = RunDir::open(run) else {
        return false;
    };
    run_dir
        .slots()
        .unwrap_or_default()
        .into_iter()
        .any(|number| sys::seq::Conn::connect(&run_dir.slot(number).control()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
        surroundings: Surroundings,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::tempdir().expect("directory");
            let surroundings = Surroundings {
                run_dir: Some(dir.path().join("run").into()),
                ..Surroundings::here()
            };
            World { dir, surroundings }
        }
        fn config(&self, name: &str) -> PathBuf {
            let path = self.dir.path().join(name);
            std::fs::write(&path, "").expect("written");
            path
        }
        fn start(&self, config: &Path) -> Lock {
            let layout = Layout::of(
                &Identity::of_file(config).expect("real"),
                &self.surroundings,
            );
            let run = RunDir::create(&layout).expect("made");
            let info = Info {
                config: config.display().to_string(),
                root_pid: 7,
                ..Info::default()
            };
            run.write_info(&info).expect("written");
            Lock::take(run.path(), std::time::Duration::ZERO).expect("locked")
        }
        fn find(&self, config: Option<&Path>) -> Result<Installation, String> {
            Installation::find_in(config, &self.surroundings).one()
        }
    }

    #[test]
    fn the_only_one_is_found_without_a_name() {
        let world = World::new();
        let (a, b) = (world.config("a.conf"), world.config("b.conf"));
        assert!(
            world
                .find(None)
                .expect_err("none")
                .contains("nothing is running")
        );
        let lock_a = world.start(&a);
        assert_eq!(
            world.find(None).expect("one").info.config,
            a.display().to_string()
        );
        assert!(
            world
                .find(Some(&b))
                .expect_err("not b")
                .contains("b.conf is not running")
        );
        let lock_b = world.start(&b);
        let several = world.find(None).expect_err("two");
        assert!(
            several.contains("a.conf (pid 7)") && several.contains("b.conf (pid 7)"),
            "{several}"
        );
        assert_eq!(
            world.find(Some(&b)).expect("named").info.config,
            b.display().to_string()
        );
        drop(lock_a);
        assert_eq!(
            world.find(None).expect("one left").info.config,
            b.display().to_string()
        );
        drop(lock_b);
        assert!(world.find(None).is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = World::new()
            .find(Some(Path::new("/no/such.conf")))
            .expect_err("missing");
        assert!(
            error.starts_with("cannot find the configuration /no/such.conf"),
            "{error}"
        );
    }
}
