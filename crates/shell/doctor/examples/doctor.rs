//! The doctor alone, without the rest of Steadfast: `cargo run -p doctor --example doctor -- -c FILE`.
#![allow(clippy::exit)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut io = doctor::Io {
        out: &mut out,
        err: &mut err,
        input: &mut std::io::stdin(),
        env: std::env::vars().collect(),
        cwd: std::env::current_dir().map_or_else(|_| "/".into(), |d| d.display().to_string()),
        now_unix_s: sys::clock::wall_ms() / 1000,
    };
    ExitCode::from(match words.split_first() {
        Some((first, rest)) if first == "explain" => {
            doctor::explain(rest.first().map_or("", String::as_str), &mut io)
        }
        Some(_) | None => doctor::main(&words, &mut io),
    })
}
