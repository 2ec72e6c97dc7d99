//! A reading connection, opened when it is needed and compared anew after every error.

use crate::error::Failure;
use crate::place::{FileId, Place};
use crate::schema::{self, Dumb};
use rusqlite::Connection;
use session::StoreId;
use std::sync::Arc;

pub(crate) struct Reader {
    place: Arc<Place>,
    ours: StoreId,
    /// None after an error: opened again, and compared again, by the next one who asks.
    open: Option<(Connection, FileId)>,
}

impl Reader {
    pub(crate) fn new(place: Arc<Place>, ours: StoreId) -> Self {
        Self {
            place,
            ours,
            open: None,
        }
    }

    /// Another connection to the same store.
    pub(crate) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.place), self.ours)
    }

    /// Runs a read; after an error the connection is dropped, so that a store that comes back is seen.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Dumb> {
        self.read_or(|db| work(db).map_err(schema::dumb))
    }

    pub(crate) fn read_or<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Dumb>,
    ) -> Result<T, Dumb> {
        // A file that was replaced under us would answer for ever as it was then. One that was moved away still says
        // what is true: nobody can write into it.
        let file = self.place.file();
        if let (Some((_, open)), Ok(file)) = (&self.open, &file)
            && open != file
        {
            self.open = None;
        }
        let (db, _) = match &mut self.open {
            Some(open) => open,
            None => {
                let file = file.map_err(Dumb::Failed)?;
                let db = self.opened()?;
                self.open.insert((db, file))
            }
        };
        work(db).inspect_err(|_| self.open = None)
    }

    fn opened(&self) -> Result<Connection, Dumb> {
        let db = schema::open_reader(&self.place.database())?;
        let about = schema::about(&db)?;
        if about.id == self.ours && about.lost_rows {
            Err(Dumb::Unreadable("it has lost its sessions".into()))
        } else if about.id == self.ours {
            Ok(db)
        } else {
            let text = format!("store {}, not {}", about.id, self.ours);
            Err(Dumb::Unreadable(text))
        }
    }
}

/// For whoever asked for more than a verdict.
pub(crate) fn failed(dumb: Dumb) -> Failure {
    match dumb {
        Dumb::Failed(failure) => failure,
        Dumb::Unreadable(detail) => Failure::new(crate::error::Step::Read, detail),
    }
}
