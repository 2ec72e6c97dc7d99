//! News of revocations: a hint beside the lease's poll, so that a sign-out is acknowledged in milliseconds, not in seconds.
//!
//! Nothing depends on it. A notification that is lost costs the time until the next poll.

use super::pool::Pool;
use super::{Postgres, said};
use crate::error::{Failure, Step};
use std::future::poll_fn;
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Client};

/// The channel's name, in the database.
pub(super) const CHANNEL: &str = "steadfast_revoked";

/// A connection that only listens.
pub struct News {
    heard: watch::Receiver<u64>,
    /// Its end would end the connection.
    _client: Client,
}

impl News {
    /// Ready when sessions were ended since the last call; an error when the connection is gone.
    ///
    /// # Errors
    /// Listen again later.
    pub async fn next(&mut self) -> Result<(), Failure> {
        self.heard.changed().await.map_err(Failure::at(Step::Count))
    }
}

impl Postgres {
    /// Listens for revocations.
    ///
    /// # Errors
    /// The database says no: the poll goes on.
    pub async fn listen(&self) -> Result<News, Failure> {
        listen(&self.pool).await
    }
}

async fn listen(pool: &Pool) -> Result<News, Failure> {
    let (client, mut connection) = pool.connected().await?;
    let (sender, heard) = watch::channel(0);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                sender.send_modify(|count| *count += 1);
            }
        }
    });
    client
        .batch_execute(&format!("LISTEN {CHANNEL}"))
        .await
        .map_err(said::at(Step::Count))?;
    Ok(News {
        heard,
        _client: client,
    })
}
