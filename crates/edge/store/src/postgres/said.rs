//! What PostgreSQL said, in its own words: the error's own text hides them ("db error").

use crate::error::{Failure, Step};
use std::error::Error as _;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// PostgreSQL's own, where the URL names none.
const PORT: u16 = 5432;

/// For `map_err`.
pub(super) fn at(step: Step) -> impl Fn(tokio_postgres::Error) -> Failure {
    move |error| Failure::new(step, words(&error))
}

/// The server's message, or what the system said, with what it was said about. The message's detail is left out: it may
/// quote rows.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The same of a URL; nothing but its kind if it is none.
pub(crate) fn name_of(url: &str) -> String {
    match super::tls::split(url).map(|(url, _)| url.parse()) {
        Ok(Ok(config)) => name(&config),
        Ok(Err(_)) | Err(_) => "postgres".to_owned(),
    }
}

/// `postgres HOST:PORT/DATABASE` as the URL has them, without user and password.
pub(super) fn name(config: &Config) -> String {
    let ports = config.get_ports();
    let mut hosts = Vec::new();
    for (i, host) in config.get_hosts().iter().enumerate() {
        let port = ports.get(i).or(ports.first()).copied().unwrap_or(PORT);
        hosts.push(match host {
            Host::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
            Host::Tcp(host) => format!("{host}:{port}"),
            Host::Unix(dir) => format!("{}:{port}", dir.display()),
        });
    }
    // The database is named like the user where the URL names none.
    let database = config.get_dbname().or(config.get_user()).unwrap_or("");
    format!("postgres {}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_store_has_no_password() {
        let named = |url: &str| name(&url.parse().expect("a URL"));
        for (url, text) in [
            (
                "postgres://ada:pw@db.example/app",
                "postgres db.example:5432/app",
            ),
            ("postgres://ada:pw@[::1]:5433", "postgres [::1]:5433/ada"),
            ("postgres://a@x:1,y:2/app", "postgres x:1,y:2/app"),
            (
                "host=/run/pg user=ada password=pw",
                "postgres /run/pg:5432/ada",
            ),
        ] {
            assert_eq!(named(url), text);
        }
    }
}
