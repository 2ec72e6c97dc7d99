//! Pages of sessions in PostgreSQL.

use super::{Postgres, said, schema};
use crate::error::{Failure, Step};
use crate::listing::{Listed, Listing, Page};
use crate::rows::ms;

pub(super) async fn page(store: &Postgres, listing: &Listing) -> Result<Page, Failure> {
    let db = store.pool.lend().await?;
    let (created, seen) = (ms(listing.created_from_ms), ms(listing.seen_from_ms));
    let limit = listing.limit();
    let lines = match &listing.of {
        Some((user, realm)) => {
            let (seen_ms, id) = listing.before();
            let (user, realm) = (user.as_str(), realm.as_str());
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&user, &realm, &created, &seen, &seen_ms, &id, &limit];
            db.query(schema::LIST_OF, &values).await
        }
        None => {
            let behind = listing.behind();
            db.query(schema::LIST, &[&behind, &created, &seen, &limit])
                .await
        }
    };
    let lines = lines.map_err(said::at(Step::Read))?;
    db.give_back();
    let rows = lines.iter().map(|line| schema::row(line).map(Listed::from));
    let sessions = rows
        .collect::<Result<_, _>>()
        .map_err(|detail| Failure::new(Step::Read, detail))?;
    Ok(Page::of(sessions, listing))
}
