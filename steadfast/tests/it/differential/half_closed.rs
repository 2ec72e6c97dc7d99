//! Clients that close their sending half behind the request (`nc -N`): they still want the answer.

use super::{Side, compare};
use crate::harness::seconds;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

const CONFIG: &str = "
[program:a]
command = sh -c 'echo a line; exec sleep 86495'
startsecs = 0
stdout_logfile = {dir}/a.log
[program:late]
command = sleep 86496
autostart = false
startsecs = 2
";

impl Side {
    /// Sends a request and nothing more, and writes down the first line of the answer and its body.
    fn half_closed(&mut self, request: &str) {
        let answer = self.ask_half_closed(request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        // One of the two sends a log in chunks: their sizes are lines of their own.
        let chunk = |line: &&str| !line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let body: Vec<&str> = body.lines().map(str::trim_end).filter(chunk).collect();
        let status = head.lines().next().unwrap_or_default();
        // HTTP/1.0 and 1.1 are no matter of this.
        let status = status.split_once(' ').map_or(status, |(_, status)| status);
        // What is said of an error differs.
        let body = if status.starts_with("200") {
            body
        } else {
            Vec::new()
        };
        self.note(&format!("{status}\n{}", body.join("\n")));
    }

    fn ask_half_closed(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.installation.path("s.sock")).expect("connects");
        let patience = Some(seconds(30));
        stream.set_read_timeout(patience).expect("set");
        stream.write_all(request.as_bytes()).expect("written");
        stream.shutdown(Shutdown::Write).expect("half of it");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .expect("an answer, and its end");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn call(method: &str, params: &str) -> String {
    let body = format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    );
    let length = body.len();
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[test]
fn a_client_that_closes_its_half_is_answered() {
    compare(CONFIG, |side| {
        side.wait_file("a.log", "a line");
        side.half_closed(&call("supervisor.getState", ""));
        side.half_closed(&call("supervisor.no_such", ""));
        // What is followed ends with the follower; what there was is told.
        side.half_closed("GET /logtail/a HTTP/1.1\r\nHost: localhost\r\n\r\n");
        side.half_closed("GET /logtail/nobody HTTP/1.0\r\nHost: localhost\r\n\r\n");
        if side.ours {
            // A call that takes its time; the real one has closed by then.
            let name = "<param><value><string>late</string></value></param>";
            let answer = side.ask_half_closed(&call("supervisor.startProcess", name));
            assert!(answer.contains("<boolean>1</boolean>"), "{answer}");
            // More followers than there may be at once, each gone before the next: none of them is kept.
            for _ in 0..100 {
                let tail = "GET /logtail/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
                let answer = side.ask_half_closed(tail);
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        }
    });
}
