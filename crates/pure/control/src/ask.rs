//! The client's side of the wire: one line out, lines back.

use std::io::{BufRead, BufReader, Read, Write};

use crate::reply::{Done, ProgressLine, Reply};
use crate::request::Request;

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// Nothing was sent.
    Unsent,
    /// The daemon may have it: the connection ended before the answer.
    Lost,
    /// What came is no reply.
    Strange(serde_json::Error),
}

/// Sends `request` to a daemon and hands on what it says until the end. How long to wait and how much to read is for
/// whoever made the streams.
pub fn ask(
    mut to: impl Write,
    from: impl Read,
    request: &Request,
    progress: impl Fn(&ProgressLine),
) -> Result<Done, Unanswered> {
    let mut line = serde_json::to_string(request).map_err(|_| Unanswered::Unsent)?;
    line.push('\n');
    to.write_all(line.as_bytes())
        .map_err(|_| Unanswered::Lost)?;
    for line in BufReader::new(from).lines() {
        let line = line.map_err(|_| Unanswered::Lost)?;
        match serde_json::from_str(&line).map_err(Unanswered::Strange)? {
            Reply::Progress(line) => progress(&line),
            Reply::Done(done) => return Ok(done),
        }
    }
    Err(Unanswered::Lost)
}
