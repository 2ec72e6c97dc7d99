//! What the daemon asks or tells outside: HTTP requests and commands of the owner's, on threads of their own.
//!
//! The daemon's loop never waits for them: each has a deadline, there are at most [`AT_ONCE_MAX`] at a time, and what
//! finds no place is dropped by the caller. https is rustls with Mozilla's roots; `SSL_CERT_FILE` names others, as
//! elsewhere.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Requests and commands at one time: an outside that hangs must not cost a thread for each program.
pub(crate) const AT_ONCE_MAX: usize = 4;
/// From the name look-up to the last byte of the answer.
const HTTP_MAX: Duration = Duration::from_secs(10);
/// A command that sends a mail is done by then.
const COMMAND_MAX: Duration = Duration::from_secs(30);
/// Bytes of a command's output that are kept for the words of a failure.
const SAID_BYTES_MAX: u64 = 2048;

/// Places for what is under way.
#[derive(Debug, Clone)]
pub(crate) struct Outside(Arc<Semaphore>);

impl Default for Outside {
    fn default() -> Outside {
        Outside(Arc::new(Semaphore::new(AT_ONCE_MAX)))
    }
}

impl Outside {
    /// Does something that blocks, when there is a place.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let place = self.0.clone().acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        work.await.unwrap_or_else(|why| Err(why.to_string()))
    }
}

/// `roots`: a file of certificates instead of Mozilla's.
fn agent(roots: Option<std::ffi::OsString>) -> Result<ureq::Agent, String> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig};
    let mut tls = TlsConfig::builder();
    if let Some(path) = roots {
        let pem = std::fs::read(&path)
            .map_err(|why| format!("SSL_CERT_FILE {}: {why}", path.to_string_lossy()))?;
        let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                Ok(_) | Err(_) => None,
            })
            .collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(HTTP_MAX))
        .user_agent(concat!("steadfast/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .build();
    Ok(ureq::Agent::new_with_config(config))
}

/// The words of an error, without the address, which may hold a token.
fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code) => format!("it answered {code}"),
        ureq::Error::Timeout(_) => format!("no answer within {} s", HTTP_MAX.as_secs()),
        ureq::Error::HostNotFound => "its host is not known".to_owned(),
        ureq::Error::Io(why) => why.to_string(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::BadUri(_) => "it is not an address".to_owned(),
        other => format!("{other}"),
    }
}

/// Sends a JSON text by POST; an answer of 2xx is success.
pub(crate) fn post(url: &str, json: &str) -> Result<(), String> {
    post_trusting(url, json, std::env::var_os("SSL_CERT_FILE"))
}

fn post_trusting(url: &str, json: &str, roots: Option<std::ffi::OsString>) -> Result<(), String> {
    let request = agent(roots)?
        .post(url)
        .header("Content-Type", "application/json");
    request
        .send(json)
        .map(|_| ())
        .map_err(|error| words(&error))
}

/// Asks once; an answer below 400 is success.
pub(crate) fn get(url: &str) -> Result<(), String> {
    agent(std::env::var_os("SSL_CERT_FILE"))?
        .get(url)
        .call()
        .map(|_| ())
        .map_err(|error| words(&error))
}

/// Runs a command with `input` on its standard input.
pub(crate) fn command(argv: &[String], input: &str) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    let (program, args) = argv.split_first().ok_or("the command is empty")?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|why| format!("`{program}`: {why}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // The body is smaller than a pipe; a command that does not read it loses nothing but it.
        // A line, so that `read` in a shell and `cat >> file` do what is meant.
        let _ = stdin
            .write_all(input.as_bytes())
            .and_then(|()| stdin.write_all(b"\n"));
    }
    let pid = rustix::process::Pid::from_child(&child);
    if !ends_within(pid, COMMAND_MAX) {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        let _ = child.wait();
        return Err(format!(
            "`{program}` did not end within {} s",
            COMMAND_MAX.as_secs()
        ));
    }
    let status = child.wait().map_err(|why| why.to_string())?;
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What it left running may hold the pipe: only what is there is read.
        let _ = rustix::io::ioctl_fionbio(&stderr, true);
        let _ = stderr.take(SAID_BYTES_MAX).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().rev().find(|line| !line.trim().is_empty());
    let line = line.map(|line| format!(": {}", finding::escape(line)));
    Err(format!(
        "`{program}` ended with {status}{}",
        line.unwrap_or_default()
    ))
}

/// Waits for the end of a process of ours, which stays to be reaped.
fn ends_within(pid: rustix::process::Pid, most: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
        return true;
    };
    let end = Instant::now() + most;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = rustix::time::Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_its_input_and_its_failure_is_told() {
        let sh = |script: &str| ["sh", "-c", script].map(str::to_owned);
        assert_eq!(
            command(&sh("grep -q fatal"), "{\"event\":\"fatal\"}"),
            Ok(())
        );
        let error = command(&sh("echo no mail server >&2; exit 3"), "x").expect_err("failed");
        assert!(error.ends_with(": no mail server"), "{error}");
        assert!(command(&["/no/such".to_owned()], "").is_err());
    }

    const SERVER: &str = "import ssl,http.server,sys
class H(http.server.BaseHTTPRequestHandler):
 def do_POST(s):
  sys.stdout.write(s.rfile.read(int(s.headers['content-length'])).decode()+'\\n'); sys.stdout.flush()
  s.send_response(204); s.end_headers()
 def log_message(*a): pass
server=http.server.HTTPServer(('127.0.0.1',0),H)
context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[1])
server.socket=context.wrap_socket(server.socket,server_side=True)
print(server.server_address[1],flush=True)
server.serve_forever()";

    #[test]
    fn https_is_spoken_and_certificates_are_checked() {
        use std::io::{BufRead, BufReader};
        let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
        let mut server = Command::new("python3")
            .args(["-c", SERVER, &format!("{tls}/leaf.pem")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
        let port = lines.next().expect("a port").expect("text");
        let url = format!("https://127.0.0.1:{port}/hook");
        let trusted = Some(format!("{tls}/ca.pem").into());
        assert_eq!(post_trusting(&url, "{\"a\":1}", trusted), Ok(()));
        assert_eq!(lines.next().expect("a body").expect("text"), "{\"a\":1}");
        let stranger = post_trusting(&url, "{}", None);
        assert!(stranger.is_err(), "nobody signed for it");
        let _ = server.kill();
        let _ = server.wait();
    }

    #[test]
    fn an_error_never_repeats_the_address() {
        let error = post("http://127.0.0.1:1/T0KEN", "{}").expect_err("nobody is there");
        assert!(!error.contains("T0KEN"), "{error}");
    }
}
