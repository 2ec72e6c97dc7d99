//! Answers of ours: the one place where a failure becomes HTTP.

use std::borrow::Cow;

use accounts::Code;
use h1::respond::{self, Media, Own};
use hold::Why;

use crate::client::{Client, Deaf, Next, STALLED};
use crate::door::marks::{Marks, Source};
use crate::door::page;
use crate::exchange::Flight;
use crate::note::Failed;
use crate::upload::Upload;
use crate::worker::Scratch;

/// What to answer, and what to note.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    status: u16,
    text: &'static str,
    retry_after_s: Option<u32>,
    waited_ms: Option<u64>,
    repeats: u8,
    program: String,
    page: Page,
    /// A name for programs; the text is then given as RFC 9457 says.
    code: Option<Code>,
    /// Further lines for the client.
    lines: Vec<u8>,
}

/// What may stand in for the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    None,
    /// The operator's page, for all but those who want JSON.
    Operators,
    /// One about sessions, for browsers that go to a page.
    Sessions,
}

impl Ours {
    /// No route fits.
    pub(crate) fn not_found() -> Ours {
        Ours {
            status: 404,
            text: "no program is configured for this host and path",
            retry_after_s: None,
            waited_ms: None,
            repeats: 0,
            program: String::new(),
            page: Page::None,
            code: None,
            lines: Vec::new(),
        }
    }

    /// A word about sessions.
    pub(crate) fn problem(code: Code, text: &'static str, lines: Vec<u8>) -> Ours {
        Ours {
            status: code.status().as_u16(),
            text,
            code: Some(code),
            lines,
            ..Ours::not_found()
        }
    }

    /// A proxy may pass the request on that it asked about.
    pub(crate) fn passed(lines: Vec<u8>) -> Ours {
        Ours {
            status: 200,
            text: "",
            lines,
            ..Ours::not_found()
        }
    }

    /// Worth another try.
    pub(crate) fn retry_after(self, seconds: u32) -> Ours {
        Ours {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    /// A person who comes to a page with a browser reads a page.
    pub(crate) fn for_people(self) -> Ours {
        Ours {
            page: Page::Sessions,
            ..self
        }
    }

    /// Marks what is said for a client that asks whose word it is.
    pub(crate) fn marked(mut self, marks: &Marks) -> Ours {
        marks.write(&mut self.lines, Source::Gateway, None);
        self
    }

    /// It was about this request.
    pub(crate) fn about(self, flight: &Flight) -> Ours {
        Ours {
            waited_ms: flight.request.waited_ms(),
            repeats: flight.request.repeats(),
            program: flight.target.name.clone(),
            ..self
        }
    }

    /// For a request that could not be served.
    pub(crate) fn of(why: Why, flight: &Flight) -> Ours {
        Ours {
            status: why.status(),
            text: why.text(),
            retry_after_s: why.retry_after_s(),
            waited_ms: flight.request.waited_ms(),
            repeats: flight.request.repeats(),
            program: flight.target.name.clone(),
            page: match why.status() {
                503 => Page::Operators,
                _ => Page::None,
            },
            code: None,
            lines: match &flight.pass {
                Some(pass) => pass.gateway_lines(),
                None => Vec::new(),
            },
        }
    }

    /// For the note of an answer that was cut; the client gets no more.
    pub(crate) fn broken(flight: &Flight) -> Ours {
        Ours {
            text: "the answer was cut: the program's connection ended or stood still",
            page: Page::None,
            ..Ours::of(Why::MayHaveRun, flight)
        }
    }
}

/// `Server-Timing` for an answer that waited.
pub(crate) fn timing(waited_ms: Option<u64>) -> String {
    match waited_ms {
        Some(ms) => format!("Server-Timing: hold;dur={ms}\r\n"),
        None => String::new(),
    }
}

/// Answers; the connection stays open if the request's body is known to its end.
pub(crate) async fn answer(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &Upload,
    ours: &Ours,
) -> Next {
    let keep = scratch.head.keep_alive && upload.is_held() && !client.worker.leaving.get();
    let read = client.buf.bytes();
    let mut extra = timing(ours.waited_ms).into_bytes();
    extra.extend_from_slice(&ours.lines);
    let page = page_of(client, scratch, ours);
    if let Some(Cow::Owned(_)) = page {
        extra.extend_from_slice(page::POLICY.as_bytes());
    }
    let own = Own {
        retry_after_s: ours.retry_after_s,
        keep_alive: keep,
        extra: &extra,
        ..Own::to(&scratch.head, read, ours.status, ours.text)
    };
    scratch.down.clear();
    if let Some(page) = page {
        write_page(&mut scratch.down, &own, "text/html; charset=utf-8", &page);
    } else if let Some(code) = ours.code {
        let problem = problem(ours, code);
        write_page(
            &mut scratch.down,
            &own,
            "application/problem+json",
            &problem,
        );
    } else if ours.text.is_empty() {
        write_page(&mut scratch.down, &own, "text/plain; charset=utf-8", "");
    } else {
        respond::own(&mut scratch.down, &own);
    }
    // A 401 is no failure, and a password's typos are nobody's business.
    if ours.status >= 500 || ours.code.is_none() && ours.status >= 400 {
        note(client, scratch, ours);
    }
    if let Err(deaf) = client.write(&scratch.down).await {
        return left(client, scratch, &ours.program, deaf);
    }
    if !keep {
        return Next::Close;
    }
    upload.consume(&mut client.buf);
    Next::Again
}

/// The page that stands in for the text; an owned one is ours.
fn page_of<'a>(client: &'a Client, scratch: &Scratch, ours: &Ours) -> Option<Cow<'a, str>> {
    let (site, head, read) = (&client.site, &scratch.head, client.buf.bytes());
    let operators = Some(site.config.maintenance_page.as_str());
    let operators = operators.filter(|page| !page.is_empty());
    match ours.page {
        Page::None => None,
        Page::Operators => operators
            .filter(|_| Media::wanted(head, read) == Media::Text)
            .map(Cow::Borrowed),
        Page::Sessions if !page::is_for_people(site, head, read) => None,
        Page::Sessions if ours.status == 503 => {
            Some(operators.map_or_else(|| page::unsure().into(), Cow::Borrowed))
        }
        Page::Sessions => {
            let known = ours.code != Some(Code::NoCredential);
            Some(page::sign_in(known, site.login(head, read)).into())
        }
    }
}

/// What follows when the client takes no more of an answer of `program`; that it stalled is noted.
pub(crate) fn left(client: &Client, scratch: &Scratch, program: &str, deaf: Deaf) -> Next {
    let read = client.buf.bytes();
    let stalled = Failed {
        program,
        method: scratch.head.method_text.of(read),
        path: scratch.head.path.of(read),
        ..STALLED
    };
    client.left(&stalled, deaf)
}

/// Notes a failure.
pub(crate) fn note(client: &Client, scratch: &Scratch, ours: &Ours) {
    let read = client.buf.bytes();
    let failed = Failed {
        program: &ours.program,
        method: scratch.head.method_text.of(read),
        path: scratch.head.path.of(read),
        status: ours.status,
        why: ours.text,
        waited_ms: ours.waited_ms.unwrap_or_default(),
        repeats: ours.repeats,
    };
    client.worker.notes.failed(&failed, client.worker.now());
}

/// RFC 9457. Texts of ours need no escapes.
fn problem(ours: &Ours, code: Code) -> String {
    let (status, title) = (ours.status, respond::phrase(ours.status));
    let (detail, code) = (ours.text, code.name());
    debug_assert!(!detail.contains(['"', '\\', '\n']));
    format!(
        "{{\"type\":\"urn:steadfast:problem:{code}\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\",\"code\":\"{code}\",\"source\":\"gateway\"}}\n"
    )
}

/// A body of another kind than a line of text: the operator's own page, a problem.
fn write_page(out: &mut Vec<u8>, own: &Own<'_>, media: &str, page: &str) {
    let connection = match (own.keep_alive, own.client_is_1_0) {
        (false, _) => "Connection: close\r\n",
        (true, true) => "Connection: keep-alive\r\n",
        (true, false) => "",
    };
    let retry = match own.retry_after_s {
        Some(seconds) => format!("Retry-After: {seconds}\r\n"),
        None => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n{retry}{connection}",
        own.status,
        respond::phrase(own.status),
        page.len(),
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(own.extra);
    out.extend_from_slice(b"\r\n");
    if !own.head_only {
        out.extend_from_slice(page.as_bytes());
    }
}
