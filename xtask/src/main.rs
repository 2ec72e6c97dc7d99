//! Chores, the one entry for them: `cargo xtask test | ci | bench [gateway|sessions|supervise|accounts|doctor]`.
//!
//! Everything that a chore needs beside Rust it installs itself, pinned, and says so. Nothing is skipped in
//! silence: what cannot be had ends the chore.

mod bench;
mod browser;
mod dist;
mod fuzz;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

const USAGE: &str = "cargo xtask CHORE

  test               install what the tests need, check format and lints, run every test
  test FILTER…       only the tests whose names contain a filter, without format and lints
  browser            only the browser client: types, unit tests, package, Chromium
  ci                 the same as test, as .ci/run calls it
  dist               build the release binary and pack it: .tar.gz, .deb, Python wheel
  dist --binary FILE --out DIR --fast
                     pack this binary, there, with little compression
  fuzz [SECONDS]     every target of fuzz/ and every random walk for a minute, or for so long
  bench gateway      the gateway beside nginx
  bench sessions     the gateway with auth = required beside itself without
  bench supervise    supervision beside supervisord and s6
  bench accounts     verifications, refreshes, a million sessions; PyJWT, jsonwebtoken, pgbench beside them
  bench doctor       the doctor on 50 programs, against its budget of 300 ms
  bench              all of them";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["ci" | "test"] => test::all(),
        ["browser"] => browser::checks(),
        ["test", filters @ ..] => test::some(filters),
        ["dist", options @ ..] => dist::pack(options),
        ["fuzz"] => fuzz::run(None),
        ["fuzz", seconds] => fuzz::run(Some(seconds)),
        ["bench"] => bench::gateway::run()
            .and_then(|()| bench::supervise::run())
            .and_then(|()| bench::doctor::run())
            .and_then(|()| bench::accounts::run())
            .and_then(|()| bench::sessions::run()),
        ["bench", "accounts"] => bench::accounts::run(),
        ["bench", "gateway"] => bench::gateway::run(),
        ["bench", "sessions"] => bench::sessions::run(),
        ["bench", "supervise"] => bench::supervise::run(),
        ["bench", "doctor"] => bench::doctor::run(),
        _ => Err(USAGE.to_owned()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            shell::note(&why);
            ExitCode::FAILURE
        }
    }
}
