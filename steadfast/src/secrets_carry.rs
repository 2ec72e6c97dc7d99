//! `steadfast secrets export` and `import`: keys on their way to another machine, so that nobody is signed out by a move.
//!
//! Values leave by standard output and come by standard input, and only where that was asked for by a flag: a value in
//! argv is seen by every user of the machine, and one that appears in a terminal by mistake stays in its scrollback.

use secrets::{Announced, Request, Secret, SystemRandom};
use serde::{Deserialize, Serialize};

use super::{input, is_so, kept_in, named, refuse_weak};
use crate::printer;

/// Version of the format; a reader refuses a newer one.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Export {
    steadfast_keys: u32,
    keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct Key {
    name: String,
    /// A program that names it: names may be the same in several env files.
    program: String,
    /// `signs` or `verifies`.
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_s: Option<u64>,
    /// It was retired without an end: it has so long when nothing runs with it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    life_s: Option<u64>,
    value: String,
}

/// Prints every value of these keys that still counts; compromised ones stay here.
pub(super) fn export(
    requests: &[Request<'_>],
    names: &[String],
    stdout: bool,
) -> Result<u8, String> {
    if !stdout {
        return Err(
            "export prints keys as they are, and whoever reads them can sign in as anybody; if that is meant: \
             steadfast secrets export --stdout > keys.json, and keep that file to yourself (chmod 600)"
                .to_owned(),
        );
    }
    for name in names {
        let known = requests.iter().any(|request| request.names.contains(name));
        if !known {
            named(requests, name, None)?;
        }
    }
    let mut keys: Vec<Key> = Vec::new();
    for request in requests {
        for name in request.names {
            if !names.is_empty() && !names.contains(name) {
                continue;
            }
            let ring = secrets::ring(request, name).map_err(|why| why.to_string())?;
            for kept in ring.iter().filter(|kept| !kept.compromised) {
                let value = kept.secret.expose();
                if keys
                    .iter()
                    .any(|key| key.name == *name && key.value == value)
                {
                    continue;
                }
                keys.push(Key {
                    name: name.clone(),
                    program: request.program.to_owned(),
                    status: if kept.signs { "signs" } else { "verifies" }.to_owned(),
                    until_s: Some(kept.until_unix_s).filter(|until| *until != 0),
                    life_s: Some(kept.life_s).filter(|life| *life != 0 && kept.until_unix_s == 0),
                    value: value.to_owned(),
                });
            }
        }
    }
    let export = Export {
        steadfast_keys: VERSION,
        keys,
    };
    let text = serde_json::to_string_pretty(&export).map_err(|why| why.to_string())?;
    printer::out(&text);
    printer::warning("these are keys as they are: whoever reads them can sign in as anybody");
    Ok(0)
}

/// One bare value that is imported.
pub(super) struct One<'a> {
    /// The key's name.
    pub(super) name: &'a str,
    /// Whose, if that was said.
    pub(super) program: Option<&'a str>,
    /// It signs nothing yet.
    pub(super) verify_only: bool,
}

/// Takes keys in: what signed there signs here from now on, what was here and what verified there verifies.
pub(super) fn import(
    requests: &[Request<'_>],
    one: Option<One<'_>>,
    stdin: bool,
    weak: bool,
) -> Result<u8, String> {
    if !stdin {
        return Err(
            "a key is read from standard input only, where nobody else sees it: \
             steadfast secrets import --stdin < keys.json"
                .to_owned(),
        );
    }
    let what = one.as_ref().map_or("what came".to_owned(), |one| {
        format!("the value of {}", one.name)
    });
    let text = input(&what)?;
    if let Some(One {
        name,
        program,
        verify_only,
    }) = one
    {
        let value = Secret::new(text.trim_end_matches(['\n', '\r']));
        let request = named(requests, name, program)?;
        refuse_weak(name, &value, weak)?;
        match verify_only {
            true => announce(request, name, &value)?,
            false => keep(request, name, &value)?,
        }
        return Ok(0);
    }
    // serde's words quote what they found, which may be a key.
    let export: Export = serde_json::from_str(&text).map_err(|why| {
        format!(
            "standard input is not what `steadfast secrets export` prints (line {}, column {}); for one bare value \
             name its key: steadfast secrets import SECRET_KEY --stdin",
            why.line(),
            why.column()
        )
    })?;
    if export.steadfast_keys != VERSION {
        return Err(format!(
            "these keys are of format {}, this program knows {VERSION}",
            export.steadfast_keys
        ));
    }
    // Everything is known before anything is written.
    let mut targets = Vec::new();
    for key in &export.keys {
        let own = requests
            .iter()
            .find(|request| request.program == key.program && request.names.contains(&key.name));
        targets.push(match own {
            Some(request) => request,
            None => named(requests, &key.name, None)?,
        });
        if key.status == "signs" {
            refuse_weak(&key.name, &Secret::new(key.value.as_str()), weak)?;
        }
    }
    for (key, request) in export.keys.iter().zip(&targets) {
        if key.status == "signs" {
            keep(request, &key.name, &Secret::new(key.value.as_str()))?;
        }
    }
    let mut retired = 0;
    for (key, request) in export.keys.iter().zip(&targets) {
        if key.status != "signs" {
            let end = match (key.until_s, key.life_s) {
                (Some(until_s), _) => secrets::End::Until(until_s),
                (None, Some(life_s)) => secrets::End::After(life_s.max(request.life_s)),
                (None, None) => secrets::End::Open,
            };
            let value = [(Secret::new(key.value.as_str()), end)];
            retired += secrets::admit(request, &key.name, &value, &mut SystemRandom)
                .map_err(|why| why.to_string())?;
        }
    }
    if retired > 0 {
        printer::note(&format!("{retired} older values still verify"));
    }
    Ok(0)
}

/// Keeps a value that has signed tokens elsewhere.
fn keep(request: &Request<'_>, name: &str, value: &Secret) -> Result<(), String> {
    let so = is_so(request, name, value)?;
    // Also then: it may be marked as one that no program was given.
    let kept = secrets::import(request, name, value, &mut SystemRandom);
    let kept = kept.map_err(|error| error.to_string())?;
    if !so {
        kept_in(name, &kept, value);
    }
    Ok(())
}

/// Keeps a value that is going to sign, and tells what it does meanwhile.
fn announce(request: &Request<'_>, name: &str, value: &Secret) -> Result<(), String> {
    let announced = secrets::announce(request, name, value, &mut SystemRandom);
    let announced = announced.map_err(|why| match why {
        secrets::Error::NoSuchKey { name } => format!(
            "{name} has no value here beside which another one could verify; take over the one that signs first: \
             steadfast secrets import {name} --stdin"
        ),
        why => why.to_string(),
    })?;
    match announced {
        Announced::Verifies(id) => printer::note(&format!(
            "{name}  key {id} verifies and signs nothing yet; what verifies tokens gets it with: steadfast update"
        )),
        Announced::AlreadySo(id) => {
            printer::note(&format!(
                "{name}  key {id} has this value and verifies already"
            ));
        }
        Announced::Signs => {
            printer::note(&format!("{name} has this value already, and signs with it"))
        }
        Announced::Compromised => {
            return Err(format!(
                "{name} was not changed: this value was given up as compromised"
            ));
        }
    }
    Ok(())
}
