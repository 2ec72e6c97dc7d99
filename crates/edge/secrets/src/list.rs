//! The table of keys, for people: no values.

use std::cmp::Reverse;

use crate::envtext::EnvText;
use crate::error::Error;
use crate::keyring::{self, Key, Keyring, Status, View, fingerprint};
use crate::look::look;
use crate::model::{Found, Listed, Origin, Request};
use crate::strength::strength;

/// Every key that these programs name, and the values that verify only: names and homes as the programs name them, the
/// values of each with the newest first.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn list(requests: &[Request<'_>]) -> Result<Vec<Listed>, Error> {
    let mut rows: Vec<Listed> = Vec::new();
    for request in requests {
        let ring = Keyring::read(request.state_dir)?;
        let file = EnvText::read(request)?;
        for name in request.names {
            let found = look(request, name, &file, &ring);
            let view = request.view(name);
            add_row(
                &mut rows,
                request.program,
                signing_row(request, &view, found.as_ref(), &ring),
            );
            for old in ring.kept(&view).filter(|k| {
                found.as_ref().is_none_or(|f| f.secret != k.value)
                    && !keyring::is_over(k, request.now_unix_s)
            }) {
                add_row(&mut rows, request.program, older_row(request, old));
            }
        }
    }
    sort(&mut rows);
    Ok(rows)
}

/// The keyring keeps its values in the order in which they came to sign, which a value that signs again changes.
fn sort(rows: &mut [Listed]) {
    let mut groups: Vec<(String, Origin)> = Vec::new();
    for row in rows.iter() {
        if !groups.iter().any(|(name, home)| is_of(row, name, home)) {
            groups.push((row.name.clone(), row.home.clone()));
        }
    }
    // One without a number was not in force yet: nothing is newer.
    let newest_first = |row: &Listed| (row.id != 0, Reverse(row.id));
    rows.sort_by_key(|row| {
        let group = groups
            .iter()
            .position(|(name, home)| is_of(row, name, home));
        (group, newest_first(row))
    });
}

fn is_of(row: &Listed, name: &str, home: &Origin) -> bool {
    row.name == name && row.home == *home
}

fn signing_row(
    request: &Request<'_>,
    view: &View<'_>,
    found: Option<&Found>,
    ring: &Keyring,
) -> Listed {
    let kept = found.and_then(|f| ring.find(view, &f.secret));
    Listed {
        name: view.name.to_owned(),
        id: kept.map_or(0, |k| k.id),
        // One that was given up and stands in the env file or the environment all the same: somebody put it back.
        status: kept
            .map(|k| k.status)
            .filter(|status| *status == Status::Compromised)
            .unwrap_or(Status::Signs),
        origin: found.map(|f| f.origin.clone()),
        fingerprint: found.map_or_else(String::new, |f| fingerprint(&f.secret)),
        programs: Vec::new(),
        home: home_of(request),
        weak: found.map_or_else(Vec::new, |f| strength(f.secret.expose())),
        since_unix_s: kept.map(|k| k.since_unix_s),
        until_unix_s: None,
        unused: kept.is_some_and(|k| k.unused),
    }
}

fn older_row(request: &Request<'_>, old: &Key) -> Listed {
    // What signs elsewhere only verifies here.
    let (status, weak) = match old.status {
        Status::Compromised => (Status::Compromised, Vec::new()),
        Status::Signs | Status::Verifies => (Status::Verifies, strength(old.value.expose())),
    };
    Listed {
        name: old.name.clone(),
        id: old.id,
        status,
        origin: Some(Origin::StateDir(keyring::path(request.state_dir))),
        fingerprint: fingerprint(&old.value),
        programs: Vec::new(),
        home: home_of(request),
        weak,
        since_unix_s: Some(old.since_unix_s),
        until_unix_s: Some(old.until_unix_s).filter(|until| *until != 0),
        unused: false,
    }
}

/// Programs that share a value share its row; one that is still to be made, in one home.
fn add_row(rows: &mut Vec<Listed>, program: &str, row: Listed) {
    let same = |r: &&mut Listed| {
        r.name == row.name
            && r.status == row.status
            && r.fingerprint == row.fingerprint
            && (r.origin.is_some() || r.home == row.home)
    };
    match rows.iter_mut().find(same) {
        Some(there) => there.programs.push(program.to_owned()),
        None => rows.push(Listed {
            programs: vec![program.to_owned()],
            ..row
        }),
    }
}

/// Where a key of it is kept that is made.
fn home_of(request: &Request<'_>) -> Origin {
    let file = request
        .env_file
        .map(|path| Origin::EnvFile(path.to_owned()));
    file.unwrap_or_else(|| Origin::StateDir(keyring::path(request.state_dir)))
}
