//! The examples with keys: PyJWT, simplejwt and jose verify tokens of ours (`prove`, or they would not be ready), and the
//! gateway verifies theirs (or it would not sign them again).

use super::people;
use crate::harness::{exe, free_port, node_modules, venv, workspace};
use storm::installation::Installation;

struct Example {
    installation: Installation,
    port: u16,
    program: &'static str,
}

/// An example as it is, but for its port, with a check of ours where it has none.
fn start(name: &str, program: &'static str) -> Example {
    let mut installation = Installation::new(exe()).expect("a directory");
    for entry in std::fs::read_dir(workspace().join("examples").join(name)).expect("read") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            let to = installation.dir().join(entry.file_name());
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = venv("python").parent().expect("bin").display().to_string();
    let env = [
        ("PATH", format!("{bin}:{path}")),
        ("NODE_PATH", node_modules().display().to_string()),
    ];
    installation
        .env
        .extend(env.map(|(name, value)| (name.to_owned(), value)));
    let port = free_port();
    let text = std::fs::read_to_string(installation.config()).expect("read");
    let mut text = ["8001", "8002", "8003"]
        .iter()
        .fold(text, |text, old| text.replace(old, &port.to_string()));
    if !text.contains("prove =") {
        text = text.replace(
            "secrets = SECRET_KEY\n",
            "secrets = SECRET_KEY\nprove = /api/auth/verify\n",
        );
    }
    assert!(text.contains("prove = /api/auth/verify"), "{text}");
    installation.configure(&text).expect("written");
    installation.run().expect("started");
    let up = installation.wait_ready(program, storm::wait::PATIENCE);
    assert!(
        up.is_some(),
        "{name}: {}\n{:?}",
        installation.output(),
        std::fs::read_to_string(installation.path(&format!("{program}.log")))
    );
    Example {
        installation,
        port,
        program,
    }
}

impl Example {
    /// A token from before three rotations is good after them; one of nobody is not.
    fn tokens_survive_rotations(&self) {
        let credential = people::sign_in(self.port, "ann");
        for _ in 0..3 {
            let said = self
                .installation
                .say(&["secrets", "rotate", "SECRET_KEY"])
                .expect("runs");
            assert_eq!(said.exit, 0, "{}: {}", self.program, said.text());
            let (status, body) = people::ask(self.port, "GET", "/api/auth/verify", &credential, "");
            assert_eq!(status, 200, "{}: {body}", self.program);
            assert!(body.contains("ann"), "{body}");
        }
        let forged = "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.\r\n";
        assert_eq!(
            people::status(self.port, "GET", "/api/auth/verify", forged),
            401
        );
    }
}

#[test]
fn pyjwt_in_fastapi_verifies_ours_and_we_its() {
    start("fastapi", "backend").tokens_survive_rotations();
    let l1 = start("fastapi-l1", "backend");
    l1.tokens_survive_rotations();
    // `open`, and nothing beside it.
    for (path, status) in [
        ("/api/health", 200),
        ("/api/health/../auth/verify", 401),
        ("/docs", 401),
    ] {
        assert_eq!(people::status(l1.port, "GET", path, ""), status, "{path}");
    }
}

#[test]
fn simplejwt_in_django_verifies_ours_and_we_its() {
    let django = start("django", "web");
    let body = r#"{"user":"ann","password":"demo"}"#;
    let (status, body) = people::ask(django.port, "POST", "/api/auth/login", "", body);
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    django.tokens_survive_rotations();
    // What Django itself signed: it was handed the older keys.
    let value = body["signed"].as_str().expect("signed");
    let path = format!("/api/signed?value={value}");
    assert_eq!(people::status(django.port, "GET", &path, ""), 200);
}

#[test]
fn jose_in_node_verifies_ours_and_we_its() {
    start("node-jose", "web").tokens_survive_rotations();
}
