//! The console: one page in the place of Supervisor's web interface. The list of processes with their states, the end of
//! their logs as it grows, and buttons.
//!
//! ```text
//!   GET  /                  the page; it asks for /console/status every two seconds
//!   GET  /console/status    the table alone
//!   GET  /logtail/NAME      a log as it grows, shown below the table
//!   POST /console/ACTION    restart, start, stop, with name and token; back to the page
//! ```
//! *Invariant*: nothing changes by GET. *Invariant*: without a password nobody is asked who they are, so the page only
//! shows. A POST needs the token of this server (random at its start, only in a page that was served with the
//! password) and, where the browser says it, the same origin.

use std::fmt::Write;

use bytes::Bytes;
use control::ProcessInfo;
use subtle::ConstantTimeEq;

use super::percent::unquoted;
use crate::methods::Rpc;
use crate::names;
use crate::xmlrpc::Value;

/// Bytes of a form: an action's name and token.
pub(super) const FORM_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the token before it is written as hex digits.
const TOKEN_BYTES: usize = 16;

/// What a page may do.
#[derive(Debug, Clone)]
pub(super) struct Console {
    /// None: it only shows.
    token: Option<String>,
}

impl Console {
    /// For a server with or without a password.
    pub(super) fn new(password: bool) -> Console {
        let mut bytes = [0; TOKEN_BYTES];
        // Without randomness there is no token, and so no button.
        let random = std::fs::File::open("/dev/urandom")
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Console {
            token: (password && random.is_ok()).then_some(token),
        }
    }

    /// The whole page.
    pub(super) async fn page(&self, rpc: &Rpc, said: &str) -> String {
        let table = self.table(rpc).await;
        let said = escape(said);
        let mode = match self.token {
            Some(_) => "",
            None => {
                "<p class=\"note\">Read-only: set <code>username</code> and <code>password</code> of this server to get buttons.</p>"
            }
        };
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>Steadfast</title><style>{STYLE}</style></head><body><h1>Steadfast</h1>\
             <p id=\"said\" role=\"status\">{said}</p>{mode}<div id=\"table\">{table}</div>\
             <section id=\"log\" hidden><h2></h2><pre></pre></section><script>{SCRIPT}</script></body></html>"
        )
    }

    /// The table alone.
    pub(super) async fn table(&self, rpc: &Rpc) -> String {
        let all = match rpc.all().await {
            Ok(all) => all,
            Err(fault) => return format!("<p>{}</p>", escape(&fault.text)),
        };
        let mut text = String::from(
            "<table><thead><tr><th>Process<th>State<th>Since<th>Log<th></tr></thead><tbody>",
        );
        for info in &all {
            self.row(&mut text, info);
        }
        text + "</tbody></table>"
    }

    fn row(&self, text: &mut String, info: &ProcessInfo) {
        let name = escape(&names::join(&info.group, &info.name));
        let _ = write!(
            text,
            "<tr><td>{name}<td class=\"{0}\">{0}<td>{1}<td>",
            escape(&info.state),
            escape(&info.description)
        );
        for (channel, path) in [
            ("stdout", &info.stdout_logfile),
            ("stderr", &info.stderr_logfile),
        ] {
            if !path.is_empty() {
                let _ = write!(
                    text,
                    "<button type=\"button\" class=\"log\" data-name=\"{name}\" data-channel=\"{channel}\">{channel}</button> "
                );
            }
        }
        text.push_str("<td>");
        let Some(token) = &self.token else { return };
        let actions: &[&str] = match names::is_running(info.state_code) {
            true => &["restart", "stop"],
            false => &["start"],
        };
        for action in actions {
            let _ = write!(
                text,
                "<form method=\"post\" action=\"/console/{action}\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
                 <input type=\"hidden\" name=\"name\" value=\"{name}\"><button>{action}</button></form> "
            );
        }
    }

    /// Carries an action out; what it came to, in words, or None if it is refused.
    pub(super) async fn act(&self, rpc: &Rpc, action: &str, form: &Bytes) -> Option<String> {
        let token = self.token.as_ref()?;
        let fields = fields(form);
        let field = |name: &str| {
            let mut found = fields.iter().filter(|(key, _)| key == name);
            found.next().map(|(_, value)| value.as_str())
        };
        let given = field("token")?;
        if !bool::from(given.as_bytes().ct_eq(token.as_bytes())) {
            return None;
        }
        let name = field("name")?;
        let call = |method: &'static str| {
            let rpc = rpc.clone();
            let params = [Value::from(name)];
            async move { rpc.call(method, &params).await }
        };
        let ended = match action {
            "start" => call("supervisor.startProcess").await,
            "stop" => call("supervisor.stopProcess").await,
            "restart" => match call("supervisor.stopProcess").await {
                Err(fault) if fault.code != control::Fault::NotRunning.code() => Err(fault),
                Ok(_) | Err(_) => call("supervisor.startProcess").await,
            },
            _ => return None,
        };
        Some(match ended {
            Ok(_) => format!("{action} {name}: done"),
            Err(fault) => format!("{action} {name}: {}", fault.text),
        })
    }
}

/// The fields of a form (application/x-www-form-urlencoded); what is not one is left out.
fn fields(form: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(form);
    let plain = |text: &str| unquoted(&text.replace('+', " "));
    let field = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((plain(name)?, plain(value)?))
    };
    text.split('&').filter_map(field).collect()
}

/// Text for an element or an attribute in double quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.3rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d8dee4}\
th{font-weight:600;color:#57606a}form{display:inline}button{font:inherit;padding:.1rem .6rem;border:1px solid #afb8c1;border-radius:4px;background:#f6f8fa;cursor:pointer}\
button:hover{background:#eaeef2}.RUNNING{color:#116329}.FATAL,.BACKOFF{color:#a40e26;font-weight:600}.STARTING,.STOPPING{color:#7d4e00}.STOPPED,.EXITED{color:#57606a}\
.note{color:#57606a}pre{background:#f6f8fa;padding:.8rem;overflow:auto;max-height:24rem;white-space:pre-wrap}#said:empty{display:none}#said{background:#ddf4ff;padding:.4rem .8rem}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}th,td{border-color:#30363d}button{background:#21262d;color:#e6edf3;border-color:#6e7681}pre{background:#161b22}\
.RUNNING{color:#3fb950}.FATAL,.BACKOFF{color:#ff7b72}.STARTING,.STOPPING{color:#d29922}#said{background:#0c2d6b}}";

/// A little: the table anew every two seconds, and a log as it grows. Without it the page shows and its forms work.
const SCRIPT: &str = "const table=document.getElementById('table'),log=document.getElementById('log'),pre=log.querySelector('pre');let following=null;\
setInterval(async()=>{if(document.hidden)return;try{const r=await fetch('/console/status');if(r.ok)table.innerHTML=await r.text()}catch{}},2000);\
table.addEventListener('click',async e=>{const b=e.target.closest('button.log');if(!b)return;following?.abort();following=new AbortController();\
log.hidden=false;log.querySelector('h2').textContent=b.dataset.name+' '+b.dataset.channel;pre.textContent='';\
try{const r=await fetch('/logtail/'+encodeURIComponent(b.dataset.name)+'/'+b.dataset.channel,{signal:following.signal});\
if(!r.ok){pre.textContent='There is no log yet.';return}const reader=r.body.pipeThrough(new TextDecoderStream()).getReader();\
for(;;){const{value,done}=await reader.read();if(done)break;pre.textContent=(pre.textContent+value).slice(-100000);pre.scrollTop=pre.scrollHeight}}catch{}});";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_escapes() {
        assert_eq!(
            fields(b"name=g%3Aa+b&token=x&junk&c=%zz"),
            [
                ("name".into(), "g:a b".into()),
                ("token".into(), "x".into())
            ]
        );
        assert_eq!(
            escape("<a b=\"c\">'&"),
            "&lt;a b=&quot;c&quot;&gt;&#39;&amp;"
        );
    }

    #[test]
    fn a_token_only_with_a_password_and_never_the_same() {
        assert!(Console::new(false).token.is_none());
        let token = || Console::new(true).token.expect("a token");
        assert_ne!(token(), token());
        assert_eq!(token().len(), 2 * TOKEN_BYTES);
    }
}
