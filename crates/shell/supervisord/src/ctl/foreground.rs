//! `fg`: the output of a process as it comes, and lines that are typed to its standard input.
//!
//! ```text
//!   /logtail/NAME/stdout ─┐
//!   /logtail/NAME/stderr ─┼─▶ the terminal        until Ctrl-C, the end of the input, or the end of the process
//!   a line ──▶ sendProcessStdin, getProcessInfo
//! ```

use std::cell::RefCell;
use std::io::{self, Write};

use control::Fault as Kind;

use super::client::CallError;
use super::interrupt::{Interruptible, readable};
use super::shell::{Flow, Ran, Shell, status};
use super::tail::{connected, request};
use crate::xmlrpc::Value;

/// RUNNING.
const RUNNING: i64 = 20;

impl Shell<'_, '_> {
    pub(super) fn foreground(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let names: Vec<&str> = arg.split_whitespace().collect();
        let name = match names.as_slice() {
            [] => return self.misused("ERROR: no process name supplied", status::GENERIC, "fg"),
            [name] => (*name).to_owned(),
            _ => return self.fail("ERROR: too many process names supplied", status::GENERIC),
        };
        match self.state_of(&name) {
            Ok(RUNNING) => {}
            Ok(_) => return self.fail("ERROR: process not running", status::GENERIC),
            Err(error) if error.is(Kind::BadName) => {
                return self.fail("ERROR: bad process name supplied", status::GENERIC);
            }
            Err(CallError::Fault(fault)) => {
                self.say(&format!("ERROR: {}", fault_text(&fault)));
                return Ok(Flow::Next);
            }
            Err(error) => return Err(error),
        }
        let mut ctrl_c = self.catch()?;
        self.say("==> Press Ctrl-C to exit <==");
        let ran = self.in_front(&name, &mut ctrl_c);
        self.ctrl_c = Some(ctrl_c);
        ran.map(|()| Flow::Next)
    }

    fn state_of(&mut self, name: &str) -> Result<i64, CallError> {
        let info = self.call("getProcessInfo", &[name.into()])?;
        Ok(info.get("state").and_then(Value::as_int).unwrap_or(0))
    }

    fn in_front(&mut self, name: &str, ctrl_c: &mut Interruptible) -> Result<(), CallError> {
        let place = self.client.place()?;
        let credentials = self.client.credentials();
        let requests = ["stdout", "stderr"].map(|channel| {
            request(
                &place,
                credentials.as_deref(),
                &format!("/logtail/{name}/{channel}"),
            )
        });
        let client = self.client.clone();
        let stdin = self.io.stdin;
        let input = &mut *self.io.input;
        let out: &mut dyn Write = &mut *self.io.out;
        let out = RefCell::new(out);
        let follow = |index: usize| {
            let (place, request, out) = (&place, &requests[index], Shared(&out));
            async move {
                // A channel without a log has nothing to show.
                let mut out = out;
                let _ = connected(place, request.as_bytes(), &mut out).await;
                std::future::pending::<()>().await;
            }
        };
        let typed = async {
            loop {
                let mut line = String::new();
                if !readable(stdin).await || input.read_line(&mut line).unwrap_or(0) == 0 {
                    return "";
                }
                if !line.ends_with('\n') {
                    line.push('\n');
                }
                let sent = client
                    .ask("sendProcessStdin", &[name.into(), line.as_str().into()])
                    .await;
                let state = match sent {
                    Ok(_) => client.ask("getProcessInfo", &[name.into()]).await,
                    Err(error) if error.is(Kind::NotRunning) => return "Process got killed\n",
                    Err(error) => Err(error),
                };
                match state {
                    Ok(info) if info.get("state").and_then(Value::as_int) == Some(RUNNING) => {}
                    Ok(_) => return "Process got killed\n",
                    Err(CallError::Fault(fault)) => {
                        Shared(&out).say(&format!("ERROR: {}\n", fault_text(&fault)));
                        return "";
                    }
                    Err(error) => {
                        Shared(&out).say(&format!("{error}\n"));
                        return "";
                    }
                }
            }
        };
        let ended = ctrl_c.wait(async {
            tokio::select! {
                () = follow(0) => "",
                () = follow(1) => "",
                words = typed => words,
            }
        });
        let words = ended.unwrap_or("");
        Shared(&out).say(&format!("{words}Exiting foreground\n"));
        Ok(())
    }
}

fn fault_text(fault: &crate::xmlrpc::Fault) -> String {
    format!("<Fault {}: {}>", fault.code, super::repr(&fault.text))
}

/// One terminal for both streams; never borrowed across an await.
#[derive(Clone, Copy)]
struct Shared<'a, 'b>(&'a RefCell<&'b mut dyn Write>);

impl Shared<'_, '_> {
    fn say(self, text: &str) {
        let mut out = self.0.borrow_mut();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Write for Shared<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}
