//! Wrong passwords, counted for all machines together: a table of at most as many rows as there are slots.
//!
//! The caller says which slots a try falls into and what they allow; here they are only kept, by the database's clock.
//! Two statements of one step each: what was counted is asked before a password is looked at, and a wrong one is added
//! afterwards. Rows are taken in their order, so that no two wait for each other in a circle.

use super::Postgres;
use crate::error::{Failure, Step};
use crate::rows::ms;

/// Milliseconds of the database's clock; the same throughout a statement.
macro_rules! now {
    () => {
        "(extract(epoch FROM statement_timestamp()) * 1000)::bigint"
    };
}

/// A clock that was set back would let a slot be used up for as long as it takes to catch up: it never is for longer than
/// the slot takes to fill.
const ASK: &str = concat!(
    "WITH w AS (SELECT slot, most FROM unnest($1::bigint[], $2::bigint[]) AS w(slot, most)), \
     mended AS (UPDATE steadfast.throttle t SET whole_ms = w.most + ",
    now!(),
    " FROM w WHERE t.slot = w.slot AND t.whole_ms > w.most + ",
    now!(),
    ") SELECT w.slot, greatest(0, least(t.whole_ms - ",
    now!(),
    ", w.most)) FROM w JOIN steadfast.throttle t ON t.slot = w.slot"
);
/// Two of the slots may be one.
const ADD: &str = concat!(
    "INSERT INTO steadfast.throttle AS t (slot, whole_ms) SELECT slot, sum(each)::bigint + ",
    now!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w(slot, each) GROUP BY slot ORDER BY slot \
     ON CONFLICT (slot) DO UPDATE SET whole_ms = greatest(t.whole_ms, ",
    now!(),
    ") + (excluded.whole_ms - ",
    now!(),
    ")"
);

impl Postgres {
    /// In how many milliseconds the budget of each slot is whole again, at most `most` of it. Slots that nobody has counted
    /// in are left out.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn used(&self, slots: &[(u64, u64)]) -> Result<Vec<(u64, u64)>, Failure> {
        let (places, most) = arrays(slots);
        let db = self.pool.lend().await?;
        let statement = db.prepared(ASK).await?;
        let lines = db
            .query(&statement, &[&places, &most])
            .await
            .map_err(Failure::at(Step::Read))?;
        db.give_back();
        let wrong = || Failure::new(Step::Read, "a count of passwords is not as we write it");
        let number = |line: &tokio_postgres::Row, i| {
            let value: i64 = line.try_get(i).map_err(Failure::at(Step::Read))?;
            u64::try_from(value).map_err(|_| wrong())
        };
        lines
            .iter()
            .map(|line| Ok((number(line, 0)?, number(line, 1)?)))
            .collect()
    }

    /// One more wrong password in these slots, each with the time that it takes away.
    ///
    /// # Errors
    /// It is not known to be counted.
    pub async fn wrong(&self, slots: &[(u64, u64)]) -> Result<(), Failure> {
        let (places, each) = arrays(slots);
        let db = self.pool.lend().await?;
        let statement = db.prepared(ADD).await?;
        let added = db.execute(&statement, &[&places, &each]).await;
        added.map_err(Failure::at(Step::Write))?;
        db.give_back();
        Ok(())
    }
}

fn arrays(slots: &[(u64, u64)]) -> (Vec<i64>, Vec<i64>) {
    slots
        .iter()
        .map(|(slot, time)| (ms(*slot), ms(*time)))
        .unzip()
}
