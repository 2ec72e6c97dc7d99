//! The power fails in mid-login and mid-refresh: what was acknowledged is there.
//!
//! The process under test runs with `kit/unsynced.c` before libc: that keeps each file as it was at its last fsync. The
//! cut is made afterwards, from those bytes and from the ones that were written since, block by block: none of them
//! reached the disk, or any subset of them, in any order. So a commit that is acknowledged before its fsync is caught,
//! and so is a fsync that is missing between two writes. (`dm-log-writes` would need root and a device.)
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::{at, user};
use session::judge::open;
use session::rotating::Refresh;
use session::{Entropy, Hidden, Kind, Policy, Token, hash};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use store::{Answer, RefreshAsk, Refreshed, Sqlite, Store as _};

const DIR: &str = "STORE_TEST_POWER_DIR";
const FROM: &str = "STORE_TEST_POWER_FROM";
const ROUNDS: u32 = 12;
const EACH: u32 = 10_000;
/// The smallest piece that a disk writes whole.
const BLOCK: usize = 512;
/// The files that are cut: the index of the log is made anew by whoever opens the database.
const INDEX: &str = "sessions.db-shm";

fn rotating(n: u32) -> (session::Row, Token) {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let bytes = |label: u8| Hidden::new(hash(&[&n.to_be_bytes()[..], &[label]].concat()));
    let random = Entropy {
        id,
        secret: bytes(1),
        key: bytes(2),
    };
    open(kit::ID, Kind::Rotating, user("ada"), random, "", at(0))
}

fn ask(token: &Token, n: u32) -> RefreshAsk {
    let Token::Rotating(token) = token.clone() else {
        panic!("rotating")
    };
    let a = Hidden::new(hash(&n.to_be_bytes()));
    RefreshAsk {
        ask: Refresh {
            token,
            a,
            r: [9; 16],
        },
        context: String::new(),
        policy: Policy::default(),
        time: at(0),
        realm: session::Realm::default(),
        traffic: session::Traffic::Active,
    }
}

/// The program that loses power: signs in, refreshes, and tells what was acknowledged.
#[tokio::test]
async fn victim() {
    let (Ok(dir), Ok(from)) = (std::env::var(DIR), std::env::var(FROM)) else {
        return;
    };
    let store = kit::opened(dir.as_ref());
    let from: u32 = from.parse().expect("a number");
    let mut out = std::io::stdout();
    for n in from..from + EACH {
        let (row, token) = rotating(n);
        store.insert(row).await.expect("kept");
        writeln!(out, "acknowledged {n} {}", token.expose()).expect("told");
        let Refreshed::Granted(next) = store.refresh(ask(&token, n)).await.expect("kept") else {
            panic!("granted");
        };
        let next = Token::Rotating(next).expose();
        writeln!(out, "acknowledged {n} {next}").expect("told");
        if n % 3 == 0 {
            let ended = session::revoke::Scope::One(rotating(n).0.id);
            let revoked = store
                .revoke(ended, session::Why::Revoked, kit::NOW_MS)
                .await;
            revoked.expect("kept");
            writeln!(out, "acknowledged {n} ended").expect("told");
        }
    }
}

fn preloaded(dir: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kit/unsynced.c");
    let library = dir.join("unsynced.so");
    let made = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .args([source, "-lpthread"])
        .status()
        .expect("cc runs: SQLite is built with it, too");
    assert!(made.success());
    library
}

struct Random(u64);
impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the disk holds after the cut. `luck`: of ten written and unsynced blocks so many arrived.
fn cut(live: &Path, kept: &Path, into: &Path, random: &mut Random, luck: u64) {
    let names = fs::read_to_string(kept.join("names")).unwrap_or_default();
    let now: HashMap<u64, PathBuf> = fs::read_dir(live)
        .expect("read")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (fs::metadata(&path).expect("there").ino(), path))
        .collect();
    for line in names.lines() {
        let (inode, name) = line.split_once(' ').expect("inode and name");
        if name == INDEX {
            continue;
        }
        let old = fs::read(kept.join(format!("i{inode}"))).unwrap_or_default();
        let number = inode.parse().expect("a number");
        let new = now
            .get(&number)
            .map_or_else(|| old.clone(), |path| fs::read(path).expect("read"));
        let length = if random.below(10) < luck {
            new.len()
        } else {
            old.len()
        };
        let mut bytes = Vec::with_capacity(length);
        for at in (0..length).step_by(BLOCK) {
            let of = |file: &[u8]| {
                let mut block = file.get(at..).unwrap_or_default().to_vec();
                // What was never written reads as zeros.
                block.resize(BLOCK, 0);
                block
            };
            let arrived = random.below(10) < luck;
            bytes.extend(of(if arrived { &new } else { &old }));
        }
        bytes.truncate(length);
        fs::write(into.join(name), bytes).expect("written");
    }
}

/// Every session that was acknowledged: its tokens, and whether it was ended.
type Told = HashMap<u32, (Vec<String>, bool)>;

/// Says what is not there.
async fn all_there(dir: &Path, told: &Told) -> Result<(), String> {
    let store = Sqlite::open(dir, kit::OTHER).map_err(|error| error.to_string())?;
    if store.shelf().ours != kit::ID {
        return Err("the store was lost".to_owned());
    }
    let newest = told.keys().max().copied().unwrap_or(0);
    for (n, (tokens, ended)) in told {
        let last = Token::parse(tokens.last().expect("one")).expect("a token");
        let Answer::Row(row) = store.find(&last).await else {
            return Err(format!("sign-in {n} was lost"));
        };
        if row.ended.is_some() {
            continue;
        }
        if *ended {
            return Err(format!("the end of {n} was lost"));
        }
        let alive = kit::verdict(&store, &last, at(0)).await;
        if !matches!(alive, session::Verdict::Valid(_)) {
            return Err(format!("{n}: {alive:?}"));
        }
        // Each asks for a commit: the last few are the ones in question.
        if n + 3 < newest {
            continue;
        }
        // The client whose answer was lost asks again, and its successor is the one that it was told.
        let first = Token::parse(&tokens[0]).expect("a token");
        let again = store.refresh(ask(&first, *n)).await.expect("kept");
        let Refreshed::Granted(next) = again else {
            return Err(format!("{n} was refused: {again:?}"));
        };
        if let Some(told) = tokens.get(1)
            && Token::Rotating(next).expose() != *told
        {
            return Err(format!("{n} was told another successor"));
        }
    }
    Ok(())
}

/// A process that lived until it had acknowledged so much, and what it left.
struct Life {
    live: PathBuf,
    kept: PathBuf,
    told: Told,
}

impl Life {
    /// `syncs`: after so many it does not sync any more.
    fn lived(dir: &Path, library: &Path, from: u32, until: u32, syncs: Option<u32>) -> Self {
        let (live, kept) = (dir.join("live"), dir.join("kept"));
        fs::create_dir_all(&live).expect("made");
        fs::create_dir(&kept).expect("made");
        let mut victim = Command::new(std::env::current_exe().expect("this test"));
        victim
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .env(DIR, &live)
            .env(FROM, from.to_string())
            .env("LD_PRELOAD", library)
            .env("UNSYNCED_LIVE", &live)
            .env("UNSYNCED_KEPT", &kept)
            .envs(syncs.map(|it| ("UNSYNCED_SYNCS", it.to_string())))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut victim = victim.spawn().expect("started");
        let lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
        let (mut told, mut count) = (Told::new(), 0);
        for line in lines.map_while(Result::ok) {
            let Some((_, said)) = line.split_once("acknowledged ") else {
                continue;
            };
            let (n, what) = said.split_once(' ').expect("number and token");
            let entry = told.entry(n.parse().expect("a number")).or_default();
            match what {
                "ended" => entry.1 = true,
                token => entry.0.push(token.to_owned()),
            }
            count += 1;
            if count == until {
                victim.kill().expect("killed");
            }
        }
        victim.wait().expect("reaped");
        assert!(count >= until, "the victim got as far as {count}");
        Self { live, kept, told }
    }

    /// Whether sessions have reached the database itself: the log was checkpointed, and that was synced.
    fn checkpointed(&self) -> bool {
        let names = fs::read_to_string(self.kept.join("names")).unwrap_or_default();
        let database = names.lines().find_map(|it| it.strip_suffix(" sessions.db"));
        let kept = database.map(|inode| fs::read(self.kept.join(format!("i{inode}"))));
        let bytes = kept.expect("its name was synced").expect("so was it");
        bytes.windows(3).any(|it| it == b"ada")
    }
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_the_power_fails() {
    let place = tempfile::tempdir().expect("a directory");
    let library = preloaded(place.path());
    let mut random = Random(0x5eed_cafe);
    let mut checkpointed = 0;
    for round in 0..ROUNDS {
        let dir = place.path().join(format!("round-{round}"));
        // From the first sign-in on; later rounds get as far as checkpoints of the log.
        let until = 1 + 4 * round * round;
        let life = Life::lived(&dir, &library, round * EACH, until, None);
        checkpointed += u32::from(life.checkpointed());
        for luck in [0, 3, 7] {
            let into = dir.join(format!("cut-{luck}"));
            fs::create_dir(&into).expect("made");
            cut(&life.live, &life.kept, &into, &mut random, luck);
            if let Err(wrong) = all_there(&into, &life.told).await {
                panic!("round {round}, luck {luck}: {wrong}");
            }
        }
        fs::remove_dir_all(&dir).expect("removed");
    }
    let reached = format!("{checkpointed} of {ROUNDS} rounds reached a checkpoint");
    assert!(checkpointed > 0 && checkpointed < ROUNDS, "{reached}");
}

/// The same cut, after a process that acknowledges what it has not synced.
#[tokio::test]
async fn what_was_not_synced_is_missed() {
    let place = tempfile::tempdir().expect("a directory");
    let library = preloaded(place.path());
    let dir = place.path().join("round");
    let life = Life::lived(&dir, &library, 0, 100, Some(50));
    let into = dir.join("cut");
    fs::create_dir(&into).expect("made");
    cut(&life.live, &life.kept, &into, &mut Random(1), 0);
    let said = all_there(&into, &life.told).await;
    let wrong = said.expect_err("half of the commits were never synced");
    assert!(wrong.ends_with("was lost"), "{wrong}");
    assert_ne!(wrong, "the store was lost");
}
