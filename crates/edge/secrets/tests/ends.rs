//! Ends of retired keys: they follow the processes that run with them, as `session::keyring` has it.

use secrets::{Env, How, InUse, Old, Request, SystemRandom, admit, resolve, ring, rotate, settle};
use session::keyring::{KeyId, Keyring, Rotation};
use std::path::{Path, PathBuf};

const LIFE_S: u64 = 100;
const NAME: &str = "SECRET_KEY";

struct Site {
    _dir: tempfile::TempDir,
    state: PathBuf,
    now_s: u64,
    names: Vec<String>,
    env: Env,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let site = Site {
        state: dir.path().join("state"),
        _dir: dir,
        now_s: 1_000,
        names: vec![NAME.to_owned()],
        env: Env::new(),
    };
    site.resolve(Some(&InUse::nothing()));
    site
}

fn running(ids: &[u32]) -> InUse {
    let mut in_use = InUse::nothing();
    ids.iter().for_each(|id| in_use.add(Some(NAME), *id));
    in_use
}

impl Site {
    fn request<'a>(&'a self, state_dir: &'a Path, in_use: Option<&'a InUse>) -> Request<'a> {
        Request {
            program: "app",
            names: &self.names,
            environment: &self.env,
            env_file: None,
            state_dir,
            owner: None,
            now_unix_s: self.now_s,
            life_s: LIFE_S,
            in_use,
        }
    }

    fn resolve(&self, in_use: Option<&InUse>) {
        resolve(&self.request(&self.state, in_use), &mut SystemRandom).unwrap();
    }

    fn rotate(&self, in_use: Option<&InUse>) -> Old {
        let request = self.request(&self.state, in_use);
        let done = rotate(&[request], NAME, How::Overlap, &mut SystemRandom).unwrap();
        done[0].old
    }

    fn settle(&self, in_use: &InUse) -> Vec<(u32, u64)> {
        let ended = settle(&self.state, in_use, self.now_s, LIFE_S, &mut SystemRandom).unwrap();
        let new = ended.iter().filter(|end| end.new);
        new.map(|end| (end.id, end.until_unix_s)).collect()
    }

    /// Numbers and ends of the values that a gateway is told of.
    fn ring(&self) -> Vec<(u32, u64)> {
        let nothing = InUse::nothing();
        let ring = ring(&self.request(&self.state, Some(&nothing)), NAME).unwrap();
        ring.iter().map(|key| (key.id, key.until_unix_s)).collect()
    }
}

#[test]
fn a_retired_key_has_no_end_while_a_process_runs_with_it() {
    let mut site = site();
    let old = running(&[1]);
    assert_eq!(site.rotate(Some(&old)), Old::InUse { life_s: LIFE_S });
    // A replacement that fails, an update much later, and one that fails again.
    for _ in 0..3 {
        site.now_s += 10 * LIFE_S;
        site.resolve(Some(&old));
        assert_eq!(site.ring(), [(1, 0), (2, 0)]);
    }
    // The last process with it has stopped: from now on it counts.
    let new = running(&[2]);
    assert_eq!(site.settle(&new), [(1, site.now_s + LIFE_S)]);
    assert_eq!(site.settle(&new), []);
    site.now_s += LIFE_S - 1;
    site.resolve(Some(&new));
    assert_eq!(site.ring().len(), 2);
    site.now_s += 1;
    site.resolve(Some(&new));
    assert_eq!(site.ring(), [(2, 0)]);
}

#[test]
fn at_rest_the_end_is_known_at_once() {
    let site = site();
    assert_eq!(
        site.rotate(Some(&InUse::nothing())),
        Old::Until(site.now_s + LIFE_S)
    );
}

#[test]
fn where_nobody_knows_what_runs_nothing_ends() {
    let mut site = site();
    assert_eq!(site.rotate(None), Old::InUse { life_s: LIFE_S });
    site.now_s += 10 * LIFE_S;
    site.resolve(None);
    assert_eq!(site.ring(), [(1, 0), (2, 0)]);
    assert_eq!(site.settle(&InUse::nothing()), [(1, site.now_s + LIFE_S)]);
}

#[test]
fn an_end_of_an_older_version_is_lifted_while_a_process_runs_with_the_key() {
    let mut site = site();
    site.rotate(Some(&InUse::nothing()));
    let path = site.state.join("keyring.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let older: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("life_s"))
        .collect();
    let older = older.join("\n").replace(",\n    }", "\n    }");
    assert_ne!(older, text);
    std::fs::write(&path, older).unwrap();
    site.now_s += 10 * LIFE_S;
    site.resolve(Some(&running(&[1])));
    assert_eq!(site.ring(), [(1, 0), (2, 0)]);
}

#[test]
fn a_value_whose_key_nobody_can_name_counts_for_every_key() {
    let mut in_use = InUse::nothing();
    in_use.add(None, 1);
    in_use.add(Some("OTHER"), 7);
    in_use.add(Some(NAME), 0);
    let known = [(NAME, 1), ("OTHER", 1), ("OTHER", 7), (NAME, 7), (NAME, 0)];
    let has: Vec<bool> = known
        .iter()
        .map(|(name, id)| in_use.has(name, *id))
        .collect();
    assert_eq!(has, [true, true, true, false, false]);
}

#[test]
fn a_value_from_elsewhere_keeps_the_end_that_it_came_with() {
    let mut site = site();
    let until = site.now_s + 5;
    let value = [(
        secrets::Secret::new("another, from another machine, 0123456"),
        secrets::End::Until(until),
    )];
    let nothing = InUse::nothing();
    admit(
        &site.request(&site.state, Some(&nothing)),
        NAME,
        &value,
        &mut SystemRandom,
    )
    .unwrap();
    site.settle(&nothing);
    assert_eq!(site.ring(), [(1, 0), (2, until)]);
    site.now_s = until;
    site.settle(&nothing);
    assert_eq!(site.ring(), [(1, 0)]);
}

/// The keyring on disk and the model of `pure/session` go the same way: rotations, starts, stops and time in every
/// order that a small generator comes up with.
#[test]
fn the_keyring_on_disk_is_the_model() {
    for seed in 1..40_u64 {
        let mut site = site();
        let mut model = Keyring::new(b"first");
        let mut lives: Vec<u32> = vec![1];
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut story = Vec::new();
        for _ in 0..40 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match (dice >> 33) % 6 {
                0 if model.keys().len() < secrets::VERIFY_MAX => {
                    let until_s = site.now_s + LIFE_S;
                    assert!(model.rotate(&[0], Rotation::Overlap { until_s }));
                    site.rotate(Some(&running(&lives)));
                    story.push("rotate".to_owned());
                }
                1 if lives.len() < 3 => {
                    let signing = model.signing().0 + 1;
                    lives.push(signing);
                    story.push(format!("start {signing}"));
                }
                2 if !lives.is_empty() => {
                    let gone = lives.remove(0);
                    if !lives.contains(&gone) {
                        model.stopped(KeyId(gone - 1), site.now_s, LIFE_S);
                    }
                    site.settle(&running(&lives));
                    story.push(format!("stop {gone}"));
                }
                step => {
                    site.now_s += [1, LIFE_S / 2, LIFE_S][usize::try_from(step % 3).unwrap()];
                    story.push(format!("{} s", site.now_s));
                }
            }
            let in_use: Vec<KeyId> = lives.iter().map(|id| KeyId(id - 1)).collect();
            model.expire(site.now_s, &in_use);
            site.resolve(Some(&running(&lives)));
            let on_disk: Vec<u32> = site.ring().iter().map(|(id, _)| *id).collect();
            let in_model: Vec<u32> = model.keys().iter().map(|key| key.id.0 + 1).collect();
            assert_eq!(on_disk, in_model, "seed {seed}: {story:?}");
        }
    }
}
