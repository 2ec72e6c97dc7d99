//! Whether what answers is still our store: another database may stand under this name by now, or this one may have been
//! emptied. A row that is missing says nothing there, and what is written there is neither kept nor heard of.
//! *Invariant*: nothing is written into a store that is not believed, or it would look whole again.

use super::pool::Lent;
use super::{Postgres, said, schema};
use crate::error::{Failure, OpenError, Step};
use crate::store::{Answer, Refreshed};
use session::judge::Shelf;
use session::{Alarm, Refusal, StoreId, Unsure};
use tokio_postgres::{GenericClient, Statement, Transaction};

/// What the database says about itself.
struct Stands {
    shelf: Shelf,
    lost_rows: bool,
}

async fn read(
    db: &impl GenericClient,
    statement: &Statement,
) -> Result<Result<Stands, &'static str>, Failure> {
    let at = said::at(Step::Read);
    let Some(line) = db.query_opt(statement, &[]).await.map_err(&at)? else {
        return Ok(Err("its meta table is empty"));
    };
    let id: Vec<u8> = line.try_get(0).map_err(&at)?;
    let Ok(id) = id.try_into() else {
        return Ok(Err("its id has another length"));
    };
    Ok(Ok(Stands {
        shelf: Shelf {
            ours: StoreId(id),
            others_forgotten: line.try_get(2).map_err(&at)?,
        },
        lost_rows: line.try_get(1).map_err(&at)?,
    }))
}

impl Postgres {
    async fn alarm(
        &self,
        db: &impl GenericClient,
        statement: &Statement,
    ) -> Result<Option<Alarm>, Failure> {
        Ok(match read(db, statement).await? {
            Err(_) => Some(Alarm::Unreadable),
            Ok(stands) if stands.shelf.ours != self.shelf.ours => Some(Alarm::Foreign),
            Ok(stands) if stands.lost_rows => Some(Alarm::Empty),
            Ok(_) => None,
        })
    }

    /// What the database says about itself, whichever store it is.
    pub(super) async fn stands_now(&self) -> Result<Shelf, OpenError> {
        let db = self.pool.lend().await?;
        let statement = db.prepared(schema::STANDS).await?;
        let stands = read(&*db, &statement).await?;
        db.give_back();
        let alarm = |alarm, detail| OpenError::Distrusted {
            alarm,
            store: self.pool.name().to_owned(),
            detail,
        };
        match stands {
            Ok(Stands {
                shelf,
                lost_rows: false,
            }) => Ok(shelf),
            Ok(Stands { shelf, .. }) => Err(alarm(Alarm::Empty, format!("store {}", shelf.ours))),
            Err(detail) => Err(alarm(Alarm::Unreadable, detail.to_owned())),
        }
    }

    pub(super) async fn asked(&self, sql: &str, key: Vec<u8>) -> Result<Answer, Failure> {
        let db = self.pool.lend().await?;
        let statement = db.prepared(sql).await?;
        let found = db.query_opt(&statement, &[&key]).await;
        let answer = match found.map_err(said::at(Step::Read))? {
            Some(line) => match schema::row(&line) {
                Ok(row) => Answer::Row(Box::new(row)),
                Err(_) => Answer::Distrusted(Alarm::Unreadable),
            },
            None => self.missing(&db).await?,
        };
        db.give_back();
        Ok(answer)
    }

    /// A refresh that found no row.
    pub(super) async fn sure(&self, answer: Refreshed) -> Result<Refreshed, Failure> {
        if !matches!(answer, Refreshed::Refused(Refusal::NotFound)) {
            return Ok(answer);
        }
        let db = self.pool.lend().await?;
        let stands = self.missing(&db).await?;
        db.give_back();
        Ok(match stands {
            Answer::Distrusted(alarm) => Refreshed::Unknown(Unsure::Distrusted(alarm)),
            Answer::Row(_) | Answer::Nothing | Answer::Unreachable(_) => answer,
        })
    }

    async fn missing(&self, db: &Lent) -> Result<Answer, Failure> {
        let statement = db.prepared(schema::STANDS).await?;
        let alarm = self.alarm(&**db, &statement).await?;
        Ok(alarm.map_or(Answer::Nothing, Answer::Distrusted))
    }

    /// Begins to write; what is lent is broken until it is given back, so that an error in between drops the connection.
    pub(super) async fn begin<'a>(&self, db: &'a mut Lent) -> Result<Transaction<'a>, Failure> {
        let statement = db.prepared(schema::STANDS).await?;
        let open = db.transaction().await.map_err(said::at(Step::Write))?;
        match self.alarm(&open, &statement).await? {
            None => Ok(open),
            Some(alarm) => Err(Failure::new(
                Step::Write,
                format!("the database is not to be believed any more: {alarm:?}"),
            )),
        }
    }
}
