//! `--url https://…`: real handshakes with certificates that are good, foreign, over, for another name.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use common::{Said, at};

/// Within the life of the certificates in tests/tls, which is a hundred years.
const NOW: u64 = 1_830_000_000;
/// A day before their end, 2126-11-05, and a day after it.
const LAST_DAY: u64 = 4_949_429_600;
const TOO_LATE: u64 = LAST_DAY + 2 * 86_400;

fn file(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server on every address of this machine; it answers by the name that it is asked by.
fn server(pem: &str) -> u16 {
    let chain = CertificateDer::pem_file_iter(file(pem)).expect("is read");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(file(pem)).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("0.0.0.0:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else { return };
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, socket);
            let mut bytes = [0; 4096];
            let Ok(n) = stream.read(&mut bytes) else {
                continue;
            };
            let request = String::from_utf8_lossy(&bytes[..n]).into_owned();
            let named = request.contains(&format!("\r\nHost: localhost:{port}\r\n"));
            let status = if named { "200 OK" } else { "421 Misdirected" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
            let _ = stream.flush();
        }
    });
    port
}

fn look(url: &str, roots: Option<&str>, now_unix_s: u64) -> Said {
    let roots = roots.map(file);
    let env: Vec<(&str, &str)> = roots
        .iter()
        .map(|r| ("SSL_CERT_FILE", r.as_str()))
        .collect();
    at(&["--url", url], "", &env, now_unix_s)
}

#[test]
fn a_good_certificate_and_the_answer_behind_it() {
    let port = server("leaf.pem");
    let said = look(
        &format!("https://localhost:{port}/health"),
        Some("ca.pem"),
        NOW,
    );
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("healthy: no findings"), "{}", said.out);
    let answers = format!("https://localhost:{port}/health answers");
    assert!(said.out.contains(&answers), "{}", said.out);
    assert!(
        said.out.contains(" ms, certificate until 2126-11-05\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("only its address is known"),
        "{}",
        said.out
    );
}

#[test]
fn a_certificate_that_is_not_accepted_is_found_with_the_reason() {
    let (known, own) = (server("leaf.pem"), server("selfsigned.pem"));
    for (url, roots, now, code, why) in [
        (
            format!("https://localhost:{known}/"),
            None,
            NOW,
            "SF410",
            "fullchain.pem",
        ),
        (
            format!("https://localhost:{own}/"),
            None,
            NOW,
            "SF410",
            "signed by itself",
        ),
        (
            format!("https://127.0.0.2:{known}/"),
            Some("ca.pem"),
            NOW,
            "SF410",
            "not for 127.0.0.2",
        ),
        (
            format!("https://localhost:{known}/"),
            Some("ca.pem"),
            TOO_LATE,
            "SF410",
            "it ended on 2126-11-05",
        ),
        (
            format!("https://localhost:{known}/health"),
            Some("ca.pem"),
            LAST_DAY,
            "SF411",
            "it ends on 2126-11-05, in ",
        ),
    ] {
        let said = look(&url, roots, now);
        assert_eq!(said.status, 1, "{url}: {}{}", said.out, said.err);
        assert!(said.out.starts_with_code(code), "{url}: {}", said.out);
        let joined = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(why), "{url}: {}", said.out);
        let asked = !said.out.contains("not seen: the health of");
        assert_eq!(asked, code == "SF411", "{}", said.out);
    }
}

#[test]
fn a_server_that_speaks_no_tls_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let _ = socket.read(&mut [0; 512]);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let said = look(
        &format!("https://localhost:{port}/health"),
        Some("ca.pem"),
        NOW,
    );
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    assert!(said.out.starts_with_code("SF406"), "{}", said.out);
    assert!(said.out.contains("it does not speak TLS"), "{}", said.out);
}

#[test]
fn without_roots_nothing_is_judged() {
    let said = look("https://localhost:1/", Some("none.pem"), NOW);
    assert_eq!(said.status, 2, "{}", said.out);
    assert!(said.err.contains("none.pem"), "{}", said.err);
}

trait Report {
    /// Whether the first finding has a code.
    fn starts_with_code(&self, code: &str) -> bool;
}

impl Report for String {
    fn starts_with_code(&self, code: &str) -> bool {
        let first = self.lines().find(|line| line.starts_with("SF"));
        first.is_some_and(|line| line.starts_with(code))
    }
}
