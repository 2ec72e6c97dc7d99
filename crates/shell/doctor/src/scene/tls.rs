//! TLS as a client: whom to believe, and what the certificate of a server is worth.
//!
//! An address that somebody names is asked only if its certificate is accepted, since its path may hold a token. A program's own
//! address on this machine is asked in any case: its certificate is made for another name, so only its end is judged.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};
use trust::Anybody;

use crate::scene::bounded::Bounded;
use crate::scene::certificate;
use crate::time::{date, duration};

/// What a server that wants to know us answers; we have no certificate.
pub(crate) const WANTS_OURS: &str = "it wants a certificate of its clients";

/// Whom to believe.
#[derive(Clone)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    /// `None`: anybody, for a program's own address.
    judge: Option<Arc<WebPkiServerVerifier>>,
    ours: Arc<Ours>,
}

impl Trust {
    /// Those whom this system trusts: its list of roots, or that of `SSL_CERT_FILE`.
    pub(crate) fn system(env: &BTreeMap<String, String>) -> Result<Trust, String> {
        let named = env.get("SSL_CERT_FILE").filter(|path| !path.is_empty());
        let none = "this system has no list of root certificates; name one in SSL_CERT_FILE";
        let path = match named {
            Some(path) => path.as_str(),
            None => trust::system_roots().ok_or(none)?,
        };
        let mut roots = RootCertStore::empty();
        let found =
            CertificateDer::pem_file_iter(path).map_err(|error| format!("{path}: {error}"))?;
        // A list may hold one that is too old to be read; the others count.
        roots.add_parsable_certificates(found.flatten());
        let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), trust::provider())
            .build()
            .map_err(|error| format!("{path}: {error}"))?;
        Trust::new(judge.clone(), Some(judge))
    }

    /// Anybody.
    pub(crate) fn anybody() -> Result<Trust, String> {
        Trust::new(Arc::new(Anybody::new(trust::provider())), None)
    }

    fn new(
        verifier: Arc<dyn ServerCertVerifier>,
        judge: Option<Arc<WebPkiServerVerifier>>,
    ) -> Result<Trust, String> {
        let ours = Arc::new(Ours::default());
        let builder = ClientConfig::builder_with_provider(trust::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::clone(&ours) as Arc<dyn ResolvesClientCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Trust {
            config: Arc::new(config),
            judge,
            ours,
        })
    }

    /// Whether a server has asked for a certificate of ours since the last connection was begun ([`over`]).
    pub(crate) fn was_asked_for_ours(&self) -> bool {
        self.ours.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Trust) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Trust {}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whom = if self.judge.is_some() {
            "the system's roots"
        } else {
            "anybody"
        };
        f.write_str(whom)
    }
}

/// Our own certificate: there is none, but it is noted that a server wants one, since many say nothing more and hang up.
#[derive(Debug, Default)]
struct Ours(AtomicBool);

impl ResolvesClientCert for Ours {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// TLS over a connection; the handshake comes with the first byte.
pub(crate) fn over(
    stream: Bounded<TcpStream>,
    host: &str,
    trust: &Trust,
) -> Result<StreamOwned<ClientConnection, Bounded<TcpStream>>, String> {
    trust.ours.0.store(false, Ordering::Relaxed);
    let connection = ClientConnection::new(Arc::clone(&trust.config), name(host)?)
        .map_err(|error| words(&error))?;
    Ok(StreamOwned::new(connection, stream))
}

fn name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is not the name of a host"))
}

/// What a server's certificate is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Whom it was asked of.
    pub(crate) at: String,
    /// Seconds since 1970.
    pub(crate) from_unix_s: u64,
    pub(crate) until_unix_s: u64,
    /// Why it is not accepted.
    pub(crate) refused: Option<String>,
}

/// Shakes hands, whoever answers, and judges the certificate; `None` if there is none to judge.
pub(crate) fn look(
    mut stream: Bounded<TcpStream>,
    host: &str,
    port: u16,
    trust: &Trust,
    now_unix_s: u64,
) -> Option<Certificate> {
    let name = name(host).ok()?;
    let anybody = Trust::anybody().ok()?;
    let mut connection = ClientConnection::new(anybody.config, name.clone()).ok()?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    let (end, between) = connection.peer_certificates()?.split_first()?;
    let read = certificate::read(end)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now_unix_s));
    let verdict = match &trust.judge {
        Some(judge) => judge
            .verify_server_cert(end, between, &name, &[], now)
            .map(|_| ()),
        None if now_unix_s > read.until_unix_s => {
            Err(Error::InvalidCertificate(CertificateError::Expired))
        }
        None => Ok(()),
    };
    let refused = verdict
        .err()
        .map(|error| refused(&error, &read, between.len(), host, now_unix_s));
    Some(Certificate {
        at: format!("{host}:{port}"),
        from_unix_s: read.from_unix_s,
        until_unix_s: read.until_unix_s,
        refused,
    })
}

/// Why a certificate is not accepted, so that its owner knows what to do.
fn refused(
    error: &Error,
    read: &certificate::Read,
    between: usize,
    host: &str,
    now_unix_s: u64,
) -> String {
    let Error::InvalidCertificate(why) = error else {
        return error.to_string();
    };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "it ended on {}, {} ago",
            date(read.until_unix_s),
            duration(now_unix_s.saturating_sub(read.until_unix_s))
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("it is not valid before {}", date(read.from_unix_s))
        }
        _ if read.is_self_signed => "it is signed by itself, by nobody whom others trust".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            format!("it is for {}, not for {host}", names.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not for {host}")
        }
        CertificateError::UnknownIssuer if between == 0 => {
            "nobody whom this system trusts has signed it, and the server sends no certificate in between \
             (nginx: ssl_certificate takes fullchain.pem)"
                .to_owned()
        }
        CertificateError::UnknownIssuer => {
            "nobody whom this system trusts has signed it".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}

/// `DnsName("a.example")` as `a.example`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest);
    inner.trim_end_matches(')').trim_matches('"')
}

/// A failure below HTTP, if it is TLS's.
pub(crate) fn failure(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?.downcast_ref::<Error>()?;
    Some(words(inner))
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        Error::AlertReceived(AlertDescription::CertificateRequired) => WANTS_OURS.to_owned(),
        Error::AlertReceived(alert) => format!("it refuses TLS: {alert:?}"),
        Error::InvalidCertificate(_) => "its certificate is not accepted".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let read = |is_self_signed| certificate::Read {
            from_unix_s: 0,
            until_unix_s: 86_400,
            is_self_signed,
        };
        let said = |why: CertificateError, is_self_signed, between| {
            let error = Error::InvalidCertificate(why);
            refused(&error, &read(is_self_signed), between, "h", 3 * 86_400)
        };
        assert_eq!(
            said(CertificateError::Expired, true, 0),
            "it ended on 1970-01-02, 2d 00h ago"
        );
        assert!(said(CertificateError::UnknownIssuer, true, 0).contains("by itself"));
        assert!(said(CertificateError::UnknownIssuer, false, 0).contains("fullchain.pem"));
        assert!(!said(CertificateError::UnknownIssuer, false, 1).contains("fullchain"));
        assert_eq!(bare("DnsName(\"a.example\")"), "a.example");
    }

    #[test]
    fn a_list_of_roots_that_is_none_is_said() {
        let env = |path: &str| BTreeMap::from([("SSL_CERT_FILE".to_owned(), path.to_owned())]);
        let wrong = Trust::system(&env("/no/such")).expect_err("not there");
        assert!(wrong.contains("/no/such"), "{wrong}");
        let empty = Trust::system(&env("/dev/null")).expect_err("empty");
        assert!(empty.contains("/dev/null"), "{empty}");
    }
}
