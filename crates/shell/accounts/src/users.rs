//! Signing in with a password, and what commands do with users and sessions.
//!
//! ```text
//!  count the try ─► look the user up ─► hash (queue, low priority) ─► right? give the try back ─► open a session
//!      │ 429            │ 503               │ 503 busy                  │ 401                        │ 503
//!                                                                                    └─► is the account still as it was?
//! ```
//! The last look is for a password that was changed, or an account that was disabled or removed, between the hash and the
//! new session: each ends all sessions, and this one would have slipped through.

use crate::common::is_common;
use crate::door::locked;
use crate::field::Field;
use crate::kept::{Kept, random};
use crate::limits::COMMAND_ROWS_MAX;
use crate::passwords::{Busy, Cost, PASSWORD_BYTES_MAX, Pool, hash};
use crate::throttle::{Throttle, Try};
use crate::together::Together;
use crate::{Accounts, Caller, Opened, context};
use session::judge::{addressed, bounded, living_since};
use session::revoke::Scope;
use session::rotating::Refresh;
use session::token::Link;
use session::{
    Hidden, Kind, Realm, Row, Sid, Token, Traffic, Unsure, UserId, Verdict, Why, device,
};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{
    After, Answer, Listed, Listing, Page, RefreshAsk, Refreshed, Store as _, User, UserChange,
};

/// Names of settings in the store.
const DEVICE_KEY: &str = "device_key";
const COST: &str = "argon2";
/// The costliest hash that somebody may have: users follow a calibration one by one.
const COST_MOST: &str = "argon2_most";
/// A shorter password is refused: NIST SP 800-63B and OWASP ASVS name eight as the least.
const PASSWORD_CHARS_MIN: usize = 8;

/// Signed in.
pub(crate) struct Granted {
    pub(crate) opened: Opened,
    /// For the cookie by which this browser is known from now on.
    pub(crate) device: Option<String>,
}

/// Not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Credentials,
    Throttled { wait_ms: u64 },
    Busy,
    Unsure(Unsure),
}

/// An account, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Nobody can sign in.
    pub disabled: bool,
    /// Unix seconds.
    pub created_at_s: u64,
    /// Unix seconds of the last change of the password or of `disabled`.
    pub changed_at_s: u64,
}

impl Accounts {
    pub(crate) async fn login(
        &self,
        name: &UserId,
        password: String,
        devices: &[&str],
        kind: Kind,
        caller: &Caller,
    ) -> Result<Granted, Refused> {
        // Nobody's, and nothing was hashed: what costs an attacker nothing is not counted.
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(Refused::Credentials);
        }
        let kept = self.door.kept_now().await.map_err(Refused::Unsure)?;
        let key = self.device_key(&kept).await.map_err(Refused::Unsure)?;
        let known = devices
            .iter()
            .find_map(|value| device::known(&key, name, value));
        let by = Try {
            address: &caller.address,
            account: name.as_str(),
            device: known,
        };
        let counted = locked(self.throttle()).count(by, sys::clock::wall_ms());
        let counted = counted.map_err(|wait_ms| Refused::Throttled { wait_ms })?;
        let together = Together::of(&kept, &key, by);
        // Not given up half way, whatever becomes of the client: a wrong password would be counted here only.
        let (accounts, user) = (self.clone(), name.clone());
        let checked = tokio::spawn(accounts.counted(kept.clone(), user, password, together));
        let checked = checked.await.unwrap_or(Err(Refused::Busy));
        match checked {
            // A wrong password stays counted.
            Err(Refused::Credentials) => return Err(Refused::Credentials),
            Ok(_) | Err(_) => locked(self.throttle()).give_back(counted),
        }
        let user = checked?;
        let opened = self
            .sign_in(name.clone(), kind, caller)
            .await
            .map_err(Refused::Unsure)?;
        if let Err(refused) = last_look(kept.user(name).await, &user) {
            let ended = self.sign_out(Scope::One(opened.session), Why::Revoked);
            ended.await.map_err(Refused::Unsure)?;
            return Err(refused);
        }
        let nonce = known.unwrap_or_else(random);
        let device = || device::with(&key, name, nonce, devices);
        let device = (kind == Kind::Cookie).then(device);
        Ok(Granted { opened, device })
    }

    /// The user, if it is the password.
    async fn checked(
        &self,
        kept: &Arc<Kept>,
        name: &UserId,
        password: String,
    ) -> Result<User, Refused> {
        let unsure = |_| Refused::Unsure(Unsure::Unreachable);
        let user = kept.user(name).await.map_err(unsure)?;
        let (cost, most) = costs(kept).await.map_err(Refused::Unsure)?;
        let pool = self.pool().map_err(|Busy| Refused::Busy)?;
        let phc = user.as_ref().map(|user| user.hash.clone());
        let again = phc.clone().filter(|phc| cost.differs(phc));
        let again = again.map(|old| (old, password.clone()));
        let checked = pool.verify(password, phc, most).await;
        let right = checked.map_err(|Busy| Refused::Busy)?.right;
        match user {
            Some(user) if right && !user.disabled => {
                if let Some((old, password)) = again {
                    rehash(pool, Arc::clone(kept), name.clone(), old, password, cost);
                }
                Ok(user)
            }
            Some(_) | None => Err(Refused::Credentials),
        }
    }

    /// As [`Accounts::checked`], counted with the other machines.
    async fn counted(
        self,
        kept: Arc<Kept>,
        name: UserId,
        password: String,
        together: Option<Together>,
    ) -> Result<User, Refused> {
        let Some(together) = together else {
            return self.checked(&kept, &name, password).await;
        };
        match together.wait_ms().await {
            Ok(0) => {}
            Ok(wait_ms) => return Err(Refused::Throttled { wait_ms }),
            Err(_) => return Err(Refused::Unsure(Unsure::Unreachable)),
        }
        let checked = self.checked(&kept, &name, password).await;
        if let Err(Refused::Credentials) = checked {
            together.wrong().await;
        }
        checked
    }

    /// Shared with the other workers; the store is open, so its directory is there.
    fn throttle(&self) -> &Mutex<Throttle> {
        self.throttle.get_or_init(|| {
            let field = Field::shared(self.door.place.dir());
            Mutex::new(Throttle::new(field))
        })
    }

    fn pool(&self) -> Result<Pool, Busy> {
        let started = self.pool.get_or_init(Pool::start);
        started.clone().map_err(|_| Busy)
    }

    /// The key of the devices' cookies: made once for each store, shared by all gateways.
    async fn device_key(&self, kept: &Kept) -> Result<Hidden, Unsure> {
        let ours = kept.shelf().ours;
        if let Some((store, key)) = &*locked(&self.device_key)
            && *store == ours
        {
            return Ok(key.clone());
        }
        let unsure = |_| Unsure::Unreachable;
        let bytes = match kept.setting(DEVICE_KEY).await.map_err(unsure)? {
            Some(bytes) => bytes,
            None => kept
                .set_setting(DEVICE_KEY, random::<32>().to_vec(), true)
                .await
                .map_err(unsure)?,
        };
        let key = Hidden::new(bytes.try_into().map_err(|_| Unsure::Unreachable)?);
        *locked(&self.device_key) = Some((ours, key.clone()));
        Ok(key)
    }

    /// The successor of a rotating token; else the verdict.
    pub(crate) async fn refresh(
        &self,
        token: Link,
        a: Hidden,
        caller: &Caller,
        traffic: Traffic,
    ) -> Result<Link, Verdict> {
        let mut kept = self.door.kept_now().await.map_err(Verdict::Unknown)?;
        let whole = Token::Rotating(token.clone());
        if let Err(verdict) = addressed(&whole, kept.shelf()) {
            if !matches!(verdict, Verdict::Unknown(_))
                || !self.door.look_for_a_stranger(&kept).await
            {
                return Err(verdict);
            }
            kept = self.door.kept_now().await.map_err(Verdict::Unknown)?;
            addressed(&whole, kept.shelf())?;
        }
        let ask = RefreshAsk {
            ask: Refresh {
                token,
                a,
                r: random(),
            },
            context: bounded(&context(caller)),
            policy: self.door.policy,
            time: self.door.time(),
            realm: caller.realm.clone(),
            traffic,
        };
        match kept.refresh(ask).await {
            Ok(Refreshed::Granted(link)) => Ok(link),
            Ok(Refreshed::Refused(refusal)) => Err(Verdict::Invalid(refusal)),
            Ok(Refreshed::Unknown(unsure)) => Err(Verdict::Unknown(unsure)),
            Err(_) => Err(Verdict::Unknown(Unsure::Unreachable)),
        }
    }

    /// A session's row.
    pub(crate) async fn row(&self, session: Sid) -> Result<Option<Row>, Unsure> {
        match self.door.kept_now().await?.look(session).await {
            Answer::Row(row) => Ok(Some(*row)),
            Answer::Nothing => Ok(None),
            Answer::Unreachable(_) => Err(Unsure::Unreachable),
            Answer::Distrusted(alarm) => Err(Unsure::Distrusted(alarm)),
        }
    }

    /// Sessions that are neither ended nor too old: everybody's, or those of a user in one realm.
    pub(crate) async fn living(
        &self,
        of: Option<(UserId, Realm)>,
        after: Option<After>,
        rows_max: usize,
    ) -> Result<Page, Unsure> {
        let kept = self.door.kept_now().await?;
        let since = living_since(self.door.policy, self.door.time());
        let listing = Listing {
            of,
            created_from_ms: since.created_ms,
            seen_from_ms: since.seen_ms,
            after,
            rows_max,
        };
        kept.list(listing).await.map_err(|_| Unsure::Unreachable)
    }
}

/// The account once its session was opened, beside the one whose password was right. What the store does not say is
/// not a wrong password.
fn last_look(now: Result<Option<User>, store::Failure>, then: &User) -> Result<(), Refused> {
    match now {
        Ok(Some(now)) if !now.disabled && now.changed_ms == then.changed_ms => Ok(()),
        Ok(_) => Err(Refused::Credentials),
        Err(_) => Err(Refused::Unsure(Unsure::Unreachable)),
    }
}

/// Under the parameters of now, after the sign-in and without anybody waiting for it.
fn rehash(pool: Pool, kept: Arc<Kept>, name: UserId, old: String, password: String, cost: Cost) {
    tokio::spawn(async move {
        if let Ok(new) = pool.hash(password, cost).await {
            let change = UserChange::Rehash { old, new };
            // Not written: then at the next sign-in.
            let _unsure = kept.change_user(name, change, 0).await;
        }
    });
}

/// What new hashes cost, and what every try costs: no less than the hash of any user.
async fn costs(kept: &Kept) -> Result<(Cost, Cost), Unsure> {
    let cost = read_cost(kept, COST).await?.unwrap_or_default();
    let most = read_cost(kept, COST_MOST).await?;
    Ok((cost, most.unwrap_or_default().more(cost)))
}

async fn read_cost(kept: &Kept, name: &'static str) -> Result<Option<Cost>, Unsure> {
    let bytes = kept.setting(name).await;
    let bytes = bytes.map_err(|_| Unsure::Unreachable)?.unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(Cost::parse(&text))
}

/// What commands do. Errors are complete sentences.
impl Accounts {
    /// Adds a user.
    ///
    /// # Errors
    /// The name or the password is not taken, or there is such a user.
    pub async fn add_user(&self, name: &str, password: &str) -> Result<(), String> {
        let user = user_id(name)?;
        let hash = self.hashed(&user, password).await?;
        if self.change(&user, UserChange::Add { hash }).await? {
            return Ok(());
        }
        Err(format!(
            "there is a user {name} already; change the password with: steadfast users passwd {name}"
        ))
    }

    /// Sets another password, which ends all sessions of the user.
    ///
    /// # Errors
    /// The password is not taken, or there is no such user.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<(), String> {
        let user = user_id(name)?;
        let hash = self.hashed(&user, password).await?;
        let done = self.change(&user, UserChange::Password { hash }).await?;
        if done { Ok(()) } else { Err(no_user(name)) }
    }

    /// Lets nobody sign in under this name any more and ends all its sessions; or lets them again.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), String> {
        let change = match disabled {
            true => UserChange::Disable,
            false => UserChange::Enable,
        };
        let done = self.change(&user_id(name)?, change).await?;
        if done { Ok(()) } else { Err(no_user(name)) }
    }

    /// Forgets a user and its password, and ends all its sessions.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn remove_user(&self, name: &str) -> Result<(), String> {
        let done = self.change(&user_id(name)?, UserChange::Remove).await?;
        if done { Ok(()) } else { Err(no_user(name)) }
    }

    /// All users by name.
    ///
    /// # Errors
    /// The store does not say.
    pub async fn users(&self) -> Result<Vec<Account>, String> {
        let kept = self.kept_or_why().await?;
        let users = kept.users().await.map_err(|failure| failure.to_string())?;
        let account = |user: User| Account {
            name: user.name.to_string(),
            disabled: user.disabled,
            created_at_s: user.created_ms / 1000,
            changed_at_s: user.changed_ms / 1000,
        };
        Ok(users.into_iter().map(account).collect())
    }

    /// All living sessions, newest activity first.
    ///
    /// # Errors
    /// The store does not say.
    pub async fn sessions(&self) -> Result<Vec<Listed>, String> {
        self.kept_or_why().await?;
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.living(None, after, COMMAND_ROWS_MAX).await;
            let page = page.map_err(|unsure| unsure.text().to_owned())?;
            all.extend(page.sessions);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        all.sort_by_key(|it| Reverse((it.seen_ms, it.id)));
        Ok(all)
    }

    /// Ends one session, by its public name. Says whether it was alive.
    ///
    /// # Errors
    /// It is not known to be kept, or the text names no session.
    pub async fn revoke_session(&self, id: &str) -> Result<bool, String> {
        let session = Sid::parse(id).ok_or_else(|| {
            format!("{id} names no session; steadfast sessions list shows their names")
        })?;
        self.revoked(Scope::One(session)).await.map(|n| n > 0)
    }

    /// Ends all sessions of a user, built-in or a program's. Says how many.
    ///
    /// # Errors
    /// It is not known to be kept.
    pub async fn revoke_user(&self, name: &str) -> Result<usize, String> {
        self.revoked(Scope::User(user_id(name)?)).await
    }

    /// Measures how many passes take about this long here, and keeps that for new passwords; others follow at their
    /// next sign-in. Returns it in words.
    ///
    /// # Errors
    /// It is not known to be kept.
    pub async fn calibrate(&self, target: Duration) -> Result<String, String> {
        let kept = self.kept_or_why().await?;
        let cost = Cost::calibrate(target);
        let (before, _) = costs(&kept).await.map_err(|it| it.text().to_owned())?;
        let users = kept.users().await.map_err(|failure| failure.to_string())?;
        let theirs = users.iter().filter_map(|user| Cost::of(&user.hash));
        let most = theirs.fold(cost.more(before), Cost::more);
        // First what every try costs: no moment in which a known user's takes longer than an unknown one's.
        for (name, cost) in [(COST_MOST, most), (COST, cost)] {
            let value = cost.to_string().into_bytes();
            let kept = kept.set_setting(name, value, false).await;
            kept.map_err(|failure| failure.to_string())?;
        }
        Ok(cost.to_string())
    }

    async fn revoked(&self, scope: Scope) -> Result<usize, String> {
        self.kept_or_why().await?;
        let ended = self.end(scope, Why::Revoked).await;
        ended.map_err(|unsure| unsure.text().to_owned())
    }

    async fn change(&self, name: &UserId, change: UserChange) -> Result<bool, String> {
        let kept = self.kept_or_why().await?;
        let now_ms = self.door.time().now_ms;
        let done = kept.change_user(name.clone(), change, now_ms).await;
        done.map_err(|failure| failure.to_string())
    }

    async fn hashed(&self, user: &UserId, password: &str) -> Result<String, String> {
        if password.is_empty() {
            return Err("the password is empty; nothing was changed".to_owned());
        }
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(format!(
                "the password has more than {PASSWORD_BYTES_MAX} bytes; nothing was changed"
            ));
        }
        if password.chars().count() < PASSWORD_CHARS_MIN {
            return Err(format!(
                "the password has fewer than {PASSWORD_CHARS_MIN} characters and can be guessed; nothing was changed"
            ));
        }
        if is_common(password, user.as_str()) {
            return Err(
                "the password is among those that are tried first (a common word or name with a few digits, a walk over \
                 the keyboard, digits alone); take several words that nobody would put together; nothing was changed"
                    .to_owned(),
            );
        }
        let kept = self.kept_or_why().await?;
        let (cost, _) = costs(&kept)
            .await
            .map_err(|unsure| unsure.text().to_owned())?;
        hash(password, cost).ok_or_else(|| "the password cannot be hashed".to_owned())
    }

    async fn kept_or_why(&self) -> Result<Arc<Kept>, String> {
        let kept = self.door.kept_now().await;
        kept.map_err(|unsure| self.trouble().unwrap_or_else(|| unsure.text().to_owned()))
    }
}

fn user_id(name: &str) -> Result<UserId, String> {
    UserId::parse(name).ok_or_else(|| {
        "a user name has 1 to 256 bytes, no control characters and no space at either end"
            .to_owned()
    })
}

fn no_user(name: &str) -> String {
    format!("there is no user {name}; steadfast users list shows all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_answer_the_last_look_is_no_wrong_password() {
        let user = User {
            name: UserId::parse("ada").expect("a user id"),
            hash: String::new(),
            disabled: false,
            created_ms: 1,
            changed_ms: 2,
        };
        let changed = |change: fn(&mut User)| {
            let mut user = user.clone();
            change(&mut user);
            Ok(Some(user))
        };
        let silent = store::Failure {
            step: store::Step::Read,
            detail: "database is locked".to_owned(),
        };
        let cases = [
            (Ok(Some(user.clone())), Ok(())),
            (changed(|it| it.disabled = true), Err(Refused::Credentials)),
            (changed(|it| it.changed_ms = 3), Err(Refused::Credentials)),
            (Ok(None), Err(Refused::Credentials)),
            (Err(silent), Err(Refused::Unsure(Unsure::Unreachable))),
        ];
        for (now, said) in cases {
            assert_eq!(last_look(now, &user), said);
        }
    }
}
