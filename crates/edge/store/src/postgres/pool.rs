//! Connections: made when needed, kept when good, dropped when anything went wrong.

use super::{said, tls};
use crate::error::{Failure, Step};
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections of one gateway: beyond this PostgreSQL gains nothing, and its own limit is 100 for everybody.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may take to be made, or to come free: a request waits for it.
const CONNECT_MS_MAX: u64 = 2_000;
/// How long a connection may be silent while something is to be heard.
const SILENT_MS_MAX: u64 = 6_000;

pub(crate) struct Pool {
    config: Config,
    /// For people: [`said::name`].
    name: String,
    tls: MakeRustlsConnect,
    idle: Arc<Mutex<Vec<Connection>>>,
    room: Arc<Semaphore>,
}

/// What moves a connection's bytes.
pub(super) type Driver = tokio_postgres::Connection<
    tokio_postgres::Socket,
    <MakeRustlsConnect as MakeTlsConnect<tokio_postgres::Socket>>::Stream,
>;

struct Connection {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
}

/// A connection in use. Dropped without [`Lent::give_back`], it is closed: nobody knows what state it is in.
pub(crate) struct Lent {
    connection: Connection,
    idle: Arc<Mutex<Vec<Connection>>>,
    _room: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        // The error may quote the URL, and that holds a password.
        let (url, wish) = tls::split(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|_| Failure::new(Step::Open, "the URL is not one of PostgreSQL"))?;
        let name = said::name(&config);
        config.ssl_mode(wish.mode());
        config.connect_timeout(Duration::from_millis(CONNECT_MS_MAX));
        config.application_name("steadfast");
        // A peer that vanished without a word: TCP alone gives up after 15 minutes, an idle listener after two hours.
        config.tcp_user_timeout(Duration::from_millis(SILENT_MS_MAX));
        config.keepalives_idle(Duration::from_millis(SILENT_MS_MAX));
        config.keepalives_interval(Duration::from_millis(CONNECT_MS_MAX));
        config.keepalives_retries(3);
        // An acknowledged commit is on disk, whatever the server's default is.
        config.options("-c synchronous_commit=on -c statement_timeout=5000");
        Ok(Self {
            config,
            name,
            tls: wish.connector()?,
            idle: Arc::default(),
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// Which database it is, for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The failure, with the database that it is about.
    pub(crate) fn named(&self, failure: Failure) -> Failure {
        Failure::new(failure.step, format!("{}: {}", self.name, failure.detail))
    }

    pub(crate) async fn lend(&self) -> Result<Lent, Failure> {
        let patience = Duration::from_millis(CONNECT_MS_MAX);
        let room = tokio::time::timeout(patience, Arc::clone(&self.room).acquire_owned()).await;
        let room = room.map_err(|_| Failure::new(Step::Queue, "all connections are in use"))?;
        let room = room.map_err(Failure::at(Step::Queue))?;
        let kept = loop {
            let next = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            match next {
                Some(connection) if connection.client.is_closed() => {}
                other => break other,
            }
        };
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect(patience).await?,
        };
        Ok(Lent {
            connection,
            idle: Arc::clone(&self.idle),
            _room: room,
        })
    }

    /// A connection of nobody's, to be driven by the caller.
    pub(super) async fn connected(&self) -> Result<(Client, Driver), Failure> {
        let made = self.config.connect(self.tls.clone()).await;
        made.map_err(|error| self.named(said::at(Step::Open)(error)))
    }

    async fn connect(&self, patience: Duration) -> Result<Connection, Failure> {
        let made = tokio::time::timeout(patience, self.connected()).await;
        let late = |_| self.named(Failure::new(Step::Open, "it does not answer"));
        let made = made.map_err(late)?;
        let (client, driver) = made?;
        tokio::spawn(async move {
            // Its end is seen by the client, as `is_closed` and as the error of whatever it was asked.
            let _end = driver.await;
        });
        Ok(Connection {
            client,
            statements: Mutex::default(),
        })
    }
}

impl Lent {
    /// It did what it was asked and may be used again.
    pub(crate) fn give_back(self) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.connection);
    }

    /// The statement, prepared once for each connection.
    pub(crate) async fn prepared(&self, sql: &str) -> Result<Statement, Failure> {
        let known = self
            .connection
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sql)
            .cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self
            .connection
            .client
            .prepare(sql)
            .await
            .map_err(said::at(Step::Read))?;
        let mut statements = self
            .connection
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Deref for Lent {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.connection.client
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.connection.client
    }
}
