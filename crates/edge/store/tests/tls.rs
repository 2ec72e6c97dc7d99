//! TLS to a real PostgreSQL: encrypted where asked for, and a server that cannot prove its name gets nothing.
#![allow(missing_docs, reason = "a test")]

mod kit;
#[path = "kit/server.rs"]
mod server;

use kit::ID;
use server::Server;
use session::StoreId;
use std::path::Path;
use std::process::Command;
use store::{OpenError, Postgres};

fn openssl(dir: &Path, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(dir).output();
    let output = output.expect("openssl runs: PostgreSQL's package depends on it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A root, another root, and a certificate of the first for `localhost`.
fn certificates(dir: &Path) {
    for name in ["root", "other"] {
        let (key, crt, subject) = (
            format!("{name}.key"),
            format!("{name}.crt"),
            format!("/CN={name}"),
        );
        let args = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ];
        let rest = [
            "-keyout",
            &key,
            "-out",
            &crt,
            "-subj",
            &subject,
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        ];
        openssl(dir, &[&args[..], &rest].concat());
    }
    let args = [
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        "server.key",
    ];
    openssl(
        dir,
        &[&args[..], &["-out", "server.csr", "-subj", "/CN=localhost"]].concat(),
    );
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").expect("written");
    let args = [
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "root.crt",
        "-CAkey",
        "root.key",
        "-CAcreateserial",
    ];
    openssl(
        dir,
        &[
            &args[..],
            &["-days", "2", "-extfile", "names", "-out", "server.crt"],
        ]
        .concat(),
    );
}

#[tokio::test]
async fn it_is_encrypted_and_checked_as_the_url_says() {
    let made = tempfile::tempdir().expect("a directory");
    certificates(made.path());
    let (server, port) = Server::start_with_tls(made.path());
    let root = made.path().join("root.crt").display().to_string();
    let other = made.path().join("other.crt").display().to_string();
    let open = async |host: &str, rest: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("postgres://steadfast@{host}:{port}/postgres?{rest}");
        match Postgres::open(&url, dir.path(), ID, StoreId([1; 8])).await {
            Ok(_) => Ok(()),
            Err(OpenError::Failed(failure)) => Err(failure.to_string()),
            Err(error) => panic!("{error}"),
        }
    };
    // The server takes nothing over TCP that is not encrypted (`hostssl` only).
    open("localhost", "sslmode=disable")
        .await
        .expect_err("refused by the server");
    for mode in ["sslmode=prefer", "sslmode=require", ""] {
        open("localhost", mode).await.expect(mode);
    }
    let full = format!("sslmode=verify-full&sslrootcert={root}");
    open("localhost", &full).await.expect("proved");
    open("127.0.0.1", &full).await.expect_err("another name");
    let wrong = format!("sslmode=verify-full&sslrootcert={other}");
    open("localhost", &wrong).await.expect_err("another root");
    open("localhost", "sslmode=verify-full")
        .await
        .expect_err("not a root of the system");
    let said = open("localhost", "sslmode=verify-full&sslrootcert=/nowhere").await;
    assert!(said.expect_err("no file").contains("/nowhere"));
    drop(server);
}
