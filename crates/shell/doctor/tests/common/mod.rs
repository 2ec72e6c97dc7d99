//! The doctor called as the binary calls it.

#[allow(dead_code)] // not every test reads the corpus
pub(crate) mod case;
#[allow(dead_code)] // not every test has a real supervisord
pub(crate) mod site;

use std::collections::BTreeMap;

/// What it said.
#[derive(Debug)]
#[allow(dead_code)] // as little
pub(crate) struct Said {
    /// Exit status.
    pub(crate) status: u8,
    /// Data.
    pub(crate) out: String,
    /// The rest.
    #[allow(dead_code)] // not every test looks at it
    pub(crate) err: String,
}

/// `steadfast doctor WORDS`, in an environment with a PATH only.
#[allow(dead_code)] // not every test calls it
pub(crate) fn doctor(words: &[&str]) -> Said {
    with_password(words, "")
}

/// The same with something on standard input.
#[allow(dead_code)] // few tests sign in
pub(crate) fn with_password(words: &[&str], input: &str) -> Said {
    at(words, input, &[], sys::clock::wall_ms() / 1000)
}

/// The same at another time, with more variables.
#[allow(dead_code)] // few tests care
pub(crate) fn at(words: &[&str], input: &str, more: &[(&str, &str)], now_unix_s: u64) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut env = BTreeMap::new();
    env.insert("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned());
    env.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    let mut io = doctor::Io {
        out: &mut out,
        err: &mut err,
        input: &mut input.as_bytes(),
        env,
        cwd: "/".to_owned(),
        now_unix_s,
    };
    let status = doctor::main(&words, &mut io);
    Said {
        status,
        out: String::from_utf8(out).expect("UTF-8"),
        err: String::from_utf8(err).expect("UTF-8"),
    }
}

#[allow(dead_code)] // nor at this
/// Codes and severities of what it finds.
pub(crate) fn findings(words: &[&str]) -> Vec<(String, String)> {
    let said = doctor(&[words, &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&said.out)
        .unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err));
    let text = |f: &serde_json::Value, name: &str| f[name].as_str().unwrap_or("").to_owned();
    let all = json["findings"].as_array().expect("findings");
    all.iter()
        .map(|f| (text(f, "code"), text(f, "severity")))
        .collect()
}
