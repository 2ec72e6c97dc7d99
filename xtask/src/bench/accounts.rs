//! Sessions beside PyJWT, jsonwebtoken and pgbench: the measuring is an example of the crate `accounts`, built for release.

use crate::setup;
use crate::shell::{self, cargo};

pub(crate) fn run() -> Result<(), String> {
    let python = setup::venv()?.join("bin/python");
    let example = [
        "run",
        "--release",
        "--locked",
        "--package",
        "accounts",
        "--example",
        "bench_sessions",
    ];
    shell::run(cargo().args(example).env("STEADFAST_PY", python))
}
