//! A small app of `tests/apps` behind the gateway, and what people hold who signed in at it.

use crate::harness::{exe, free_port, head, workspace};
use crate::signed_in::people;
use storm::installation::{Installation, Said};

pub(super) struct App {
    pub(super) installation: Installation,
    pub(super) port: u16,
    /// Without the sections behind it.
    pub(super) config: String,
}

/// The app of this command (`@PORT@` is its port), with these keys and sections behind them; ready.
pub(super) fn start(command: &str, keys: &str) -> App {
    let mut installation = Installation::new(exe()).expect("a directory");
    let no_bytecode = ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    installation.env.push(no_bytecode);
    let port = free_port();
    let dir = installation.dir().display();
    let config = format!(
        "{head}
[steadfast]
state_dir = {dir}/state
[program:app]
command = {command}
directory = {apps}
redirect_stderr = true
stdout_logfile = {dir}/app.log
listen = gateway
ready = http:/api/health
env_file = {dir}/.env
secrets = SECRET_KEY
{keys}",
        head = head(installation.dir()),
        apps = workspace().join("steadfast/tests/apps").display(),
    );
    let config = config.replace("@PORT@", &port.to_string());
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    let up = installation.wait_ready("app", storm::wait::PATIENCE);
    assert!(
        up.is_some(),
        "{}\n{:?}",
        installation.output(),
        std::fs::read_to_string(installation.path("app.log"))
    );
    App {
        installation,
        port,
        config,
    }
}

impl App {
    /// `steadfast ARGS`, which must end with 0.
    pub(super) fn say(&self, args: &[&str]) -> Said {
        let said = self.installation.say(args).expect("runs");
        let log = std::fs::read_to_string(self.installation.path("app.log"));
        assert_eq!(said.exit, 0, "{args:?}: {}\n{log:?}", said.text());
        said
    }

    /// Status and body of a GET with this header.
    pub(super) fn get(&self, path: &str, header: &str) -> (u16, String) {
        people::ask(self.port, "GET", path, header, "")
    }

    pub(super) fn status(&self, path: &str, header: &str) -> u16 {
        self.get(path, header).0
    }
}

/// As a header.
pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}
