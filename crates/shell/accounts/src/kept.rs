//! Either store as one type, and where it is.

use routes::Sessions;
use session::judge::{Shelf, Sweep};
use session::revoke::{Line, Scope};
use session::{Row, Sid, StoreId, Token, Touch, UserId, Why};
use std::path::{Path, PathBuf};
use store::{
    Answer, Failure, Listing, OpenError, Page, Postgres, RefreshAsk, Refreshed, Revoked, Sqlite,
    Store, User, UserChange,
};

/// Where the configuration says that sessions are kept.
#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    /// The URL may hold a password: it is shown nowhere.
    Postgres {
        url: String,
        dir: PathBuf,
    },
}

impl Place {
    pub(crate) fn parse(config: &Sessions) -> Result<Place, String> {
        let store = config.store.as_str();
        let (scheme, rest) = store.split_once(':').unwrap_or_default();
        match scheme {
            "sqlite" if !rest.is_empty() => Ok(Place::Sqlite(rest.into())),
            "postgres" | "postgresql" if !config.state_dir.is_empty() => Ok(Place::Postgres {
                url: store.to_owned(),
                dir: config.state_dir.clone().into(),
            }),
            "postgres" | "postgresql" => Err(
                "the session store is a PostgreSQL, but no directory for its marker is named: set state_dir"
                    .to_owned(),
            ),
            _ => Err("the session store is neither sqlite:DIRECTORY nor postgres://…".to_owned()),
        }
    }

    /// Which store it is, for people.
    pub(crate) fn named(&self) -> String {
        match self {
            Place::Sqlite(dir) => store::named(&format!("sqlite:{}", dir.display())),
            Place::Postgres { url, .. } => store::named(url),
        }
    }

    /// The directory of what is kept about sessions on this machine.
    pub(crate) fn dir(&self) -> &Path {
        match self {
            Place::Sqlite(dir) | Place::Postgres { dir, .. } => dir,
        }
    }

    /// Opens it, or makes it at the first start.
    pub(crate) async fn open(&self) -> Result<Kept, OpenError> {
        let (new_id, gateway) = (StoreId(random()), StoreId(random()));
        match self {
            Place::Sqlite(dir) => {
                let dir = dir.clone();
                // It waits for other processes that migrate: never on the thread that serves.
                let opened = tokio::task::spawn_blocking(move || Sqlite::open(&dir, new_id)).await;
                let opened = opened.map_err(|error| {
                    OpenError::Failed(Failure {
                        step: store::Step::Open,
                        detail: error.to_string(),
                    })
                })?;
                opened.map(Kept::Sqlite)
            }
            Place::Postgres { url, dir } => Postgres::open(url, dir, new_id, gateway)
                .await
                .map(Kept::Postgres),
        }
    }

    /// `sessions forget-store`.
    pub(crate) async fn forget(&self) -> Result<StoreId, Failure> {
        let new_id = StoreId(random());
        match self {
            Place::Sqlite(dir) => store::forget(dir, new_id),
            Place::Postgres { url, dir } => Postgres::forget(url, dir, new_id).await,
        }
    }
}

/// Bytes from the system. A machine without randomness can sign nobody in, and says so by ending.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// An open store.
#[derive(Clone)]
pub(crate) enum Kept {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

macro_rules! either {
    ($self:ident, $it:ident => $work:expr) => {
        match $self {
            Kept::Sqlite($it) => $work,
            Kept::Postgres($it) => $work,
        }
    };
}

impl Store for Kept {
    fn shelf(&self) -> Shelf {
        either!(self, it => it.shelf())
    }
    fn line(&self) -> Result<Line, Failure> {
        either!(self, it => it.line())
    }
    fn tend(&self) {
        either!(self, it => it.tend());
    }
    async fn find(&self, token: &Token) -> Answer {
        either!(self, it => it.find(token).await)
    }
    async fn look(&self, id: Sid) -> Answer {
        either!(self, it => it.look(id).await)
    }
    async fn shelf_now(&self) -> Result<Shelf, OpenError> {
        either!(self, it => it.shelf_now().await)
    }
    async fn insert(&self, row: Row) -> Result<(), Failure> {
        either!(self, it => it.insert(row).await)
    }
    async fn refresh(&self, ask: RefreshAsk) -> Result<Refreshed, Failure> {
        either!(self, it => it.refresh(ask).await)
    }
    async fn revoke(&self, scope: Scope, why: Why, at_ms: u64) -> Result<Revoked, Failure> {
        either!(self, it => it.revoke(scope, why, at_ms).await)
    }
    fn touch(&self, id: Sid, touch: Touch) {
        either!(self, it => it.touch(id, touch));
    }
    async fn list(&self, listing: Listing) -> Result<Page, Failure> {
        either!(self, it => it.list(listing).await)
    }
    async fn user(&self, name: &UserId) -> Result<Option<User>, Failure> {
        either!(self, it => it.user(name).await)
    }
    async fn users(&self) -> Result<Vec<User>, Failure> {
        either!(self, it => it.users().await)
    }
    async fn change_user(
        &self,
        name: UserId,
        change: UserChange,
        at_ms: u64,
    ) -> Result<bool, Failure> {
        either!(self, it => it.change_user(name, change, at_ms).await)
    }
    async fn setting(&self, name: &'static str) -> Result<Option<Vec<u8>>, Failure> {
        either!(self, it => it.setting(name).await)
    }
    async fn set_setting(
        &self,
        name: &'static str,
        value: Vec<u8>,
        keep: bool,
    ) -> Result<Vec<u8>, Failure> {
        either!(self, it => it.set_setting(name, value, keep).await)
    }
    async fn sweep(&self, limits: Sweep) -> Result<usize, Failure> {
        either!(self, it => it.sweep(limits).await)
    }
    fn seen_ms(&self) -> u64 {
        either!(self, it => it.seen_ms())
    }
}
