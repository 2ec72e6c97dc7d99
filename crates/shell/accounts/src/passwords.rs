//! Password hashes (argon2id) on threads of their own.
//!
//! A hash costs 20 ms and 19 MiB by intent. So it never runs where verdicts are given: few threads of a low
//! priority, a short queue, and *busy* (503) when that is full. Every try costs the same, as much as the costliest hash
//! that any user may have: an unknown user's is over a hash that nobody's password has, and one whose hash was made
//! for less (before the cost was calibrated) is padded. So the time of an answer does not tell who has an account.
//!
//! A panic ends the try in which it happened (it is told *busy*), never the thread: [`bugs::Pause`].

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use bugs::Pause;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Hashes that wait, for each worker: at 20 ms each the last one waits about half a second on one thread.
const QUEUE_MAX: usize = 24;
/// A low priority: whoever verifies comes first. Not the lowest: a machine that others keep busy would let nobody sign in
/// (at 19 a thread gets a seventieth of what another gets, at 10 a tenth).
const NICE: i32 = 10;
/// Memory of one hash, KiB: what OWASP names as the least for argon2id with t = 2.
pub(crate) const MEMORY_KIB_MIN: u32 = 19 * 1024;
/// Passes over it at least.
pub(crate) const PASSES_MIN: u32 = 2;
/// Measurements of one cost; the quickest counts.
const CALIBRATION_TRIES: u32 = 3;
/// Longer passwords are refused unread: nobody types them, and hashing megabytes is work for an attacker.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Default for Cost {
    fn default() -> Cost {
        Cost {
            memory_kib: MEMORY_KIB_MIN,
            passes: PASSES_MIN,
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "m={},t={},p=1", self.memory_kib, self.passes)
    }
}

impl Cost {
    /// Reads what `Display` writes; less than the least is not taken.
    pub(crate) fn parse(text: &str) -> Option<Cost> {
        let rest = text.strip_prefix("m=")?.strip_suffix(",p=1")?;
        let (memory, passes) = rest.split_once(",t=")?;
        let (memory_kib, passes) = (memory.parse().ok()?, passes.parse().ok()?);
        let enough = memory_kib >= MEMORY_KIB_MIN && passes >= PASSES_MIN;
        let cost = Cost { memory_kib, passes };
        (enough && cost.argon().is_some()).then_some(cost)
    }

    /// That of a hash. None: it cannot be read.
    pub(crate) fn of(phc: &str) -> Option<Cost> {
        let made = PasswordHash::new(phc).ok()?;
        let made = Params::try_from(&made).ok()?;
        Some(Cost {
            memory_kib: made.m_cost(),
            passes: made.t_cost(),
        })
    }

    /// What a hash touches, KiB: its time is proportional to that.
    fn work_kib(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// The costlier of two.
    pub(crate) fn more(self, other: Cost) -> Cost {
        if other.work_kib() > self.work_kib() {
            other
        } else {
            self
        }
    }

    /// What is to be hashed in addition, so that a try of this cost takes as long as one of `most`.
    fn padding(spent: Option<Cost>, most: Cost) -> Option<Cost> {
        let spent_kib = spent.map_or(0, Cost::work_kib);
        let left_kib = most.work_kib().saturating_sub(spent_kib);
        let one = u64::from(MEMORY_KIB_MIN);
        let passes = u32::try_from((left_kib + one / 2) / one).ok()?;
        (passes > 0).then_some(Cost {
            memory_kib: MEMORY_KIB_MIN,
            passes,
        })
    }

    fn argon(self) -> Option<Argon2<'static>> {
        let params = Params::new(self.memory_kib, self.passes, 1, None).ok()?;
        Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    /// The passes that take about this long here, at the least memory. Run it on a machine that has nothing else to do.
    pub(crate) fn calibrate(target: Duration) -> Cost {
        let mut cost = Cost::default();
        loop {
            // The quickest counts: whatever else the machine does meanwhile makes it slower, never faster.
            let tries = (0..CALIBRATION_TRIES).map(|_| {
                let began = Instant::now();
                let _hash = hash("a password of usual length", cost);
                began.elapsed()
            });
            // The next pass must still fit.
            let one = tries.min().unwrap_or_default() / cost.passes;
            if one * (cost.passes + 1) > target || cost.passes >= 64 {
                return cost;
            }
            let fits = target.as_nanos() / one.as_nanos().max(1);
            let fits = u32::try_from(fits).unwrap_or(64).min(64);
            cost.passes = fits.max(cost.passes + 1);
        }
    }

    /// Whether the hash was made with other parameters.
    pub(crate) fn differs(self, phc: &str) -> bool {
        Cost::of(phc) != Some(self)
    }
}

/// A PHC string for this password.
pub(crate) fn hash(password: &str, cost: Cost) -> Option<String> {
    let salt = SaltString::encode_b64(&crate::kept::random::<16>()).ok()?;
    let argon = cost.argon()?;
    let hash = argon.hash_password(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

/// Whether it is this password. A hash that cannot be read is nobody's.
fn verify(password: &str, phc: &str) -> bool {
    let fits = |phc: &str| {
        PasswordHash::new(phc).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        })
    };
    fits(phc)
}

enum Work {
    Verify {
        password: String,
        /// None: there is no such user.
        phc: Option<String>,
        /// What every try costs.
        most: Cost,
        reply: oneshot::Sender<Checked>,
    },
    Hash {
        password: String,
        cost: Cost,
        reply: oneshot::Sender<Option<String>>,
    },
    /// A bug of ours.
    #[cfg(test)]
    Bug,
}

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) right: bool,
    /// KiB that were touched for it.
    pub(crate) work_kib: u64,
}

/// The queue is full, or its threads are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// The threads. They end with the last sender.
#[derive(Debug, Clone)]
pub(crate) struct Pool(SyncSender<Work>);

impl Pool {
    pub(crate) fn start() -> Result<Pool, String> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for n in 0..threads() {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new().name(format!("passwords-{n}"));
            let started = thread.spawn(move || run(&receiver));
            started.map_err(|error| format!("cannot start a thread for passwords: {error}"))?;
        }
        Ok(Pool(sender))
    }

    pub(crate) async fn verify(
        &self,
        password: String,
        phc: Option<String>,
        most: Cost,
    ) -> Result<Checked, Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Verify {
            password,
            phc,
            most,
            reply,
        })?;
        answer.await.map_err(|_| Busy)
    }

    pub(crate) async fn hash(&self, password: String, cost: Cost) -> Result<String, Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Hash {
            password,
            cost,
            reply,
        })?;
        answer.await.ok().flatten().ok_or(Busy)
    }

    fn send(&self, work: Work) -> Result<(), Busy> {
        // Full, or its threads are gone: the same to whoever asks.
        self.0.try_send(work).map_err(|_| Busy)
    }
}

/// Half of the cores and not more than four: each worker has as many, and each needs its memory.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 4)
}

fn run(receiver: &Mutex<Receiver<Work>>) {
    // Linux gives each thread its own. Refused: then at the usual priority.
    let _refused = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    let mut nobody: Option<(Cost, String)> = None;
    let mut pause = Pause::default();
    loop {
        let next = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(work) = next else { return };
        // What is kept between two is changed in one step.
        let done = catch_unwind(AssertUnwindSafe(|| carry_out(work, &mut nobody)));
        if done.is_err() {
            pause.rest(Instant::now());
        }
    }
}

fn carry_out(work: Work, nobody: &mut Option<(Cost, String)>) {
    match work {
        // Whoever asked has gone: a storm of clients that give up costs nothing.
        Work::Verify { reply, .. } if reply.is_closed() => {}
        Work::Verify {
            password,
            phc,
            most,
            reply,
        } => {
            let known = phc.is_some();
            let phc = phc.or_else(|| nobodys(nobody, most));
            let mut checked = check(&password, &phc.unwrap_or_default(), most);
            checked.right &= known;
            let _gone = reply.send(checked);
        }
        Work::Hash {
            password,
            cost,
            reply,
        } => {
            let _gone = reply.send(hash(&password, cost));
        }
        #[cfg(test)]
        Work::Bug => panic!("a bug of the test's"),
    }
}

/// Looks at a password, in the time that every try takes.
fn check(password: &str, phc: &str, most: Cost) -> Checked {
    let right = verify(password, phc);
    let spent = Cost::of(phc);
    let padding = Cost::padding(spent, most);
    let mut work_kib = spent.map_or(0, Cost::work_kib);
    if let Some(padding) = padding
        && hash(password, padding).is_some()
    {
        work_kib += padding.work_kib();
    }
    Checked { right, work_kib }
}

/// A hash of random bytes, made once for each cost.
fn nobodys(kept: &mut Option<(Cost, String)>, cost: Cost) -> Option<String> {
    if kept.as_ref().is_none_or(|(made, _)| *made != cost) {
        let random = session::Sid(crate::kept::random()).to_string();
        *kept = Some((cost, hash(&random, cost)?));
    }
    kept.as_ref().map(|(_, phc)| phc.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_cost_and_fits_its_password_only() {
        let cost = Cost::parse("m=20480,t=3,p=1").expect("a cost");
        let phc = hash("correct horse", cost).expect("hashed");
        assert!(phc.starts_with("$argon2id$v=19$m=20480,t=3,p=1$"), "{phc}");
        assert!(verify("correct horse", &phc));
        assert!(!verify("correct horse ", &phc));
        assert!(!verify("", &phc) && !verify("correct horse", "") && !verify("x", "$1$abc"));
        assert!(!cost.differs(&phc) && Cost::default().differs(&phc));
        assert!(cost.differs("$1$abc"));
        assert_eq!(Cost::parse(&cost.to_string()), Some(cost));
        for weak in [
            "m=19455,t=2,p=1",
            "m=19456,t=1,p=1",
            "m=1,t=1,p=1",
            "",
            "m=19456,t=2,p=2",
        ] {
            assert_eq!(Cost::parse(weak), None, "{weak}");
        }
    }

    #[tokio::test]
    async fn every_try_costs_as_much_as_the_costliest_hash() {
        let cost = |text: &str| Cost::parse(text).expect("a cost");
        let most = cost("m=19456,t=5,p=1");
        let pool = Pool::start().expect("started");
        let mut spent = Vec::new();
        for phc in [
            None,
            hash("correct horse", most),
            hash("correct horse", Cost::default()),
            hash("correct horse", cost("m=38912,t=2,p=1")),
            Some("$1$abc".to_owned()),
        ] {
            for password in ["correct horse", "wrong"] {
                let tried = pool.verify(password.to_owned(), phc.clone(), most).await;
                let tried = tried.expect("not busy");
                let real = phc
                    .as_deref()
                    .is_some_and(|phc| phc.starts_with("$argon2id"));
                assert_eq!(tried.right, real && password != "wrong", "{phc:?}");
                spent.push(tried.work_kib);
            }
        }
        spent.dedup();
        assert_eq!(spent, [5 * 19_456]);
        assert_eq!(most.more(Cost::default()), Cost::default().more(most));
    }
    #[tokio::test]
    async fn a_panic_ends_no_thread() {
        let pool = Pool::start().expect("started");
        for _ in 0..=threads() {
            pool.send(Work::Bug).expect("not full");
        }
        let phc = hash("correct horse", Cost::default());
        let tried = pool.verify("correct horse".to_owned(), phc, Cost::default());
        assert!(tried.await.expect("somebody looks").right);
    }
}
