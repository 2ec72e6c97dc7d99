//! What a person sees where a program reads a problem: a browser that goes to a page (a link, a bookmark, a typed address)
//! shows whatever comes back, and `{"type":"urn:steadfast:…` tells nobody what to do. Status and lines are the same; it is
//! never a redirect, because a script that asked for data would follow it and take the login page for its answer.

use h1::Kind;
use h1::request::{Method, RequestHead};

use crate::site::Site;

/// Nothing of it runs, nothing is loaded, and nobody frames it.
pub(crate) const POLICY: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
                                 form-action 'none'; frame-ancestors 'none'; base-uri 'none'\r\n";

/// Whether a browser goes to a page with this request. What it says itself (`Sec-Fetch-Mode`) decides; over plain http
/// browsers do not say it, and old ones never do.
pub(crate) fn is_for_people(site: &Site, head: &RequestHead, buf: &[u8]) -> bool {
    let safe = match site.config.forward_auth {
        // What a proxy asks about; its own method says nothing of its client's.
        Some(_) => matches!(
            head.lines.named(buf, "x-forwarded-method"),
            Some(b"GET" | b"HEAD")
        ),
        None => matches!(head.method, Method::Get | Method::Head),
    };
    if !safe {
        return false;
    }
    let begins = |line: &&h1::Line| {
        let name = line.name().of(buf);
        name.get(..10)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"sec-fetch-"))
    };
    match head.lines.as_slice().iter().find(begins) {
        Some(_) => head.lines.named(buf, "sec-fetch-mode") == Some(b"navigate"),
        None => prefers_html(head, buf),
    }
}

/// Whether `Accept` names HTML, and wants it more than JSON. `*/*` alone is what scripts send.
fn prefers_html(head: &RequestHead, buf: &[u8]) -> bool {
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    for line in head.lines.values(buf, Kind::Accept) {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        for range in line.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1.0, |it| it.parse::<f32>().unwrap_or(0.0));
            match media {
                "text/html" | "application/xhtml+xml" => html = html.max(weight),
                "application/json" | "application/problem+json" => json = json.max(weight),
                _ => {}
            }
        }
    }
    html > json
}

/// The page of a 401; `known`: there was a session.
pub(crate) fn sign_in(known: bool, login: Option<&str>) -> String {
    let (title, text, again) = match known {
        true => (
            "Your session has ended",
            "Sign in again to go on.",
            " again",
        ),
        false => (
            "Sign in first",
            "This page is for people who are signed in.",
            "",
        ),
    };
    let link = login.map_or_else(String::new, |login| {
        format!("<p><a href=\"{}\">Sign in{again}</a></p>\n", escaped(login))
    });
    page(title, text, &link)
}

/// The page of a 503 about sessions.
pub(crate) fn unsure() -> String {
    page(
        "One moment, please",
        "It cannot be checked right now whether you are signed in. Nobody was signed out. Load this page again in a moment.",
        "",
    )
}

fn page(title: &str, text: &str, more: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;\
         margin:20vh auto;padding:0 1rem}}</style>\n<h1>{title}</h1>\n<p>{text}</p>\n{more}"
    )
}

/// A path of the configuration may hold what HTML means something by.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use h1::{Limits, Scan, Status};

    fn check(lines: &str, wanted: bool) {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        let limits = Limits::default();
        let read = h1::request::parse(text.as_bytes(), &mut Scan::default(), &limits, &mut head);
        assert!(matches!(read, Ok(Status::Complete)), "{text}");
        assert_eq!(prefers_html(&head, text.as_bytes()), wanted, "{lines}");
    }

    #[test]
    fn who_prefers_html() {
        check("", false);
        check("Accept: */*\r\n", false);
        check("Accept: text/*\r\n", false);
        check("Accept: application/json, text/plain, */*\r\n", false);
        check("Accept: application/json, text/html\r\n", false);
        check("Accept: application/json, text/html;q=0.9\r\n", false);
        check("Accept: text/html;q=0, */*\r\n", false);
        check("Accept: text/html;q=nan\r\n", false);
        check("Accept: text/htmlx\r\n", false);
        check("Accept: text/html\r\n", true);
        check("accept: TEXT/HTML ; level=1 ; Q=0.2\r\n", true);
        check(
            "Accept: application/json;q=0.5\r\nAccept: text/html\r\n",
            true,
        );
        check(
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n",
            true,
        );
    }

    #[test]
    fn a_path_stays_a_path() {
        let page = sign_in(true, Some("/in\"><script>alert('x')</script>&"));
        assert!(
            page.contains(
                "href=\"/in&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\""
            ),
            "{page}"
        );
        assert!(!sign_in(false, None).contains("<a "));
    }
}
