//! TLS to PostgreSQL, by the URL's `sslmode` and `sslrootcert` as libpq reads them.
//!
//! | sslmode | encrypted | the server is checked |
//! |---|---|---|
//! | `disable` | no | - |
//! | `prefer` (the default) | if the server can | no |
//! | `require` | yes | no; with `sslrootcert`, yes |
//! | `verify-ca`, `verify-full` | yes | against `sslrootcert` or the system's roots, with its name |
//!
//! `verify-ca` checks the name as well: libpq does not, and that is hardly ever meant. Only `verify-*` keeps out somebody
//! who sits in between.

use crate::error::{Failure, Step};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;
use trust::Anybody;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    Verify,
}

/// What the URL says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    mode: Mode,
    roots: Option<String>,
}

/// Takes `sslmode` and `sslrootcert` out of the URL, which its parser knows only half.
pub(super) fn split(url: &str) -> Result<(String, Wish), Failure> {
    let mut wish = Wish {
        mode: Mode::Prefer,
        roots: None,
    };
    let wrong = || {
        let text = "sslmode is none of disable, prefer, require, verify-ca, verify-full";
        Failure::new(Step::Open, text)
    };
    let mut take = |name: &str, value: &str| -> Result<bool, Failure> {
        match (name, value) {
            ("sslmode", "disable") => wish.mode = Mode::Disable,
            ("sslmode", "prefer" | "allow") => wish.mode = Mode::Prefer,
            ("sslmode", "require") => wish.mode = Mode::Require,
            ("sslmode", "verify-ca" | "verify-full") => wish.mode = Mode::Verify,
            ("sslmode", _) => return Err(wrong()),
            ("sslrootcert", path) => wish.roots = Some(path.replace("%2F", "/")),
            _ => return Ok(false),
        }
        Ok(true)
    };
    let (base, joint, parts): (&str, &str, Vec<&str>) = match url.split_once('?') {
        Some((base, query)) => (base, "&", query.split('&').collect()),
        None if url.contains("://") => (url, "&", Vec::new()),
        // The other form: `host=… user=…`. A value in quotes may hold blanks: then nothing is taken out.
        None if url.contains('\'') => ("", " ", Vec::new()),
        None => ("", " ", url.split_whitespace().collect()),
    };
    if base.is_empty() && parts.is_empty() {
        return Ok((url.to_owned(), wish));
    }
    let mut kept = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if !take(name, value)? {
            kept.push(part);
        }
    }
    let rest = kept.join(joint);
    let url = match (base.is_empty(), rest.is_empty()) {
        (true, _) => rest,
        (false, true) => base.to_owned(),
        (false, false) => format!("{base}?{rest}"),
    };
    if wish.roots.is_some() && wish.mode == Mode::Require {
        wish.mode = Mode::Verify;
    }
    Ok((url, wish))
}

impl Wish {
    pub(super) fn mode(&self) -> tokio_postgres::config::SslMode {
        match self.mode {
            Mode::Disable => tokio_postgres::config::SslMode::Disable,
            Mode::Prefer => tokio_postgres::config::SslMode::Prefer,
            Mode::Require | Mode::Verify => tokio_postgres::config::SslMode::Require,
        }
    }

    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, Failure> {
        let provider = trust::provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(Failure::at(Step::Open))?;
        let config = match self.mode {
            Mode::Verify => builder
                .with_root_certificates(self.roots()?)
                .with_no_client_auth(),
            Mode::Disable | Mode::Prefer | Mode::Require => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody::new(provider)))
                .with_no_client_auth(),
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let named = self.roots.as_deref().filter(|path| *path != "system");
        let path = match named {
            Some(path) => path,
            None => trust::system_roots().ok_or_else(|| {
                Failure::new(
                    Step::Open,
                    "this system has no list of roots; name one: sslrootcert",
                )
            })?,
        };
        let said =
            |error: &dyn std::fmt::Display| Failure::new(Step::Open, format!("{path}: {error}"));
        let mut roots = RootCertStore::empty();
        let found = CertificateDer::pem_file_iter(path).map_err(|error| said(&error))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| said(&error))?;
            // A system's list may hold one that is too old to be read; the others count.
            let added = roots.add(certificate);
            if named.is_some() {
                added.map_err(|error| said(&error))?;
            }
        }
        if roots.is_empty() {
            return Err(said(&"it holds no certificate"));
        }
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_says() {
        let said = |url: &str| split(url).map(|(url, wish)| (url, wish.mode, wish.roots));
        let kept = |url: &str, mode, roots: Option<&str>| {
            Ok((url.to_owned(), mode, roots.map(str::to_owned)))
        };
        assert_eq!(
            said("postgres://a:b@c/d"),
            kept("postgres://a:b@c/d", Mode::Prefer, None)
        );
        assert_eq!(
            said("postgres://c/d?sslmode=verify-full&sslrootcert=%2Fca.pem&connect_timeout=3"),
            kept(
                "postgres://c/d?connect_timeout=3",
                Mode::Verify,
                Some("/ca.pem")
            )
        );
        assert_eq!(
            said("postgres://c/d?sslmode=disable"),
            kept("postgres://c/d", Mode::Disable, None)
        );
        assert_eq!(
            said("host=/run user=x sslmode=require"),
            kept("host=/run user=x", Mode::Require, None)
        );
        assert_eq!(
            said("postgres://c?sslmode=require&sslrootcert=/x"),
            kept("postgres://c", Mode::Verify, Some("/x"))
        );
        assert!(said("postgres://c?sslmode=sure").is_err());
    }
}
