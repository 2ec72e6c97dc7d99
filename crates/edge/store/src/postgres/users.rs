//! Users and settings in PostgreSQL.

use super::{Postgres, end_all, raise, said};
use crate::error::{Failure, Step};
use crate::limits::LIST_ROWS_MAX;
use crate::rows::ms;
use crate::users::{User, UserChange};
use session::UserId;
use session::revoke::Scope;
use tokio_postgres::Row as Line;

const COLUMNS: &str = "SELECT name, hash, disabled, created_ms, changed_ms FROM steadfast.account WHERE \
     ($1::text IS NULL OR name = $1) ORDER BY name LIMIT $2";
const SETTING: &str = "SELECT value FROM steadfast.setting WHERE name = $1";

fn user(line: &Line) -> Result<User, Failure> {
    let at = said::at(Step::Read);
    let wrong = || Failure::new(Step::Read, "an account is not as we write it");
    let time = |i: usize| {
        let value: i64 = line.try_get(i).map_err(&at)?;
        u64::try_from(value).map_err(|_| wrong())
    };
    Ok(User {
        name: UserId::parse(line.try_get(0).map_err(&at)?).ok_or_else(wrong)?,
        hash: line.try_get(1).map_err(&at)?,
        disabled: line.try_get(2).map_err(&at)?,
        created_ms: time(3)?,
        changed_ms: time(4)?,
    })
}

pub(super) async fn all(store: &Postgres, name: Option<&UserId>) -> Result<Vec<User>, Failure> {
    let db = store.pool.lend().await?;
    let most = i64::try_from(LIST_ROWS_MAX).unwrap_or(i64::MAX);
    let statement = db.prepared(COLUMNS).await?;
    let lines = db
        .query(&statement, &[&name.map(UserId::as_str), &most])
        .await
        .map_err(said::at(Step::Read))?;
    db.give_back();
    lines.iter().map(user).collect()
}

pub(super) async fn change(
    store: &Postgres,
    name: &UserId,
    change: &UserChange,
    at_ms: u64,
) -> Result<bool, Failure> {
    let at = said::at(Step::Write);
    let mut db = store.pool.lend().await?;
    let open = store.begin(&mut db).await?;
    let (user, now) = (name.as_str(), ms(at_ms));
    let changed = match change {
        UserChange::Add { hash } => {
            let sql = "INSERT INTO steadfast.account VALUES ($1, $2, FALSE, $3, $3) ON CONFLICT (name) DO NOTHING";
            open.execute(sql, &[&user, hash, &now]).await
        }
        UserChange::Password { hash } => {
            let sql = "UPDATE steadfast.account SET hash = $2, changed_ms = $3 WHERE name = $1";
            open.execute(sql, &[&user, hash, &now]).await
        }
        UserChange::Rehash { old, new } => {
            let sql = "UPDATE steadfast.account SET hash = $3 WHERE name = $1 AND hash = $2";
            open.execute(sql, &[&user, old, new]).await
        }
        UserChange::Disable | UserChange::Enable => {
            let disabled = *change == UserChange::Disable;
            let sql = "UPDATE steadfast.account SET disabled = $2, changed_ms = $3 WHERE name = $1";
            open.execute(sql, &[&user, &disabled, &now]).await
        }
        UserChange::Remove => {
            let sql = "DELETE FROM steadfast.account WHERE name = $1";
            open.execute(sql, &[&user]).await
        }
    };
    let done = changed.map_err(&at)? == 1;
    let mut count = None;
    if let (true, Some(why)) = (done, change.ends()) {
        end_all(&open, &Scope::User(name.clone()), why, at_ms).await?;
        count = Some(raise(&open).await?);
    }
    open.commit().await.map_err(said::at(Step::Commit))?;
    db.give_back();
    if let Some(count) = count {
        store.raised(count).await?;
    }
    Ok(done)
}

pub(super) async fn setting(store: &Postgres, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let db = store.pool.lend().await?;
    let found = db.query_opt(SETTING, &[&name]).await;
    let found = found.map_err(said::at(Step::Read))?;
    db.give_back();
    let value = found.map(|line| line.try_get(0));
    value.transpose().map_err(said::at(Step::Read))
}

pub(super) async fn set(
    store: &Postgres,
    name: &str,
    value: &[u8],
    keep: bool,
) -> Result<Vec<u8>, Failure> {
    let sql = if keep {
        "INSERT INTO steadfast.setting VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
    } else {
        "INSERT INTO steadfast.setting VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2"
    };
    let db = store.pool.lend().await?;
    db.execute(sql, &[&name, &value])
        .await
        .map_err(said::at(Step::Write))?;
    db.give_back();
    setting(store, name).await.map(Option::unwrap_or_default)
}
