//! What `check` says of keys before anything happens to them: that one will be made, what going back to Supervisor would
//! lose, what a rotation would end. None of it is wrong, and all of it is too late to learn afterwards.

use conf::{Listen, Spanned};
use finding::Finding;
use secrets::{Origin, Request, Value};

use crate::rotation;

/// The notes about the keys of one program.
pub(super) fn notes(
    program: &conf::Program,
    request: &Request<'_>,
    keys: &[Value],
) -> Vec<Finding> {
    let mut notes = Vec::new();
    for name in &program.secrets {
        match keys.iter().find(|key| key.name == name.value) {
            None => notes.push(to_be_made(program, name, request)),
            Some(key) => notes.extend(in_the_state_alone(program, name, request, &key.origin)),
        }
        notes.extend(not_signed_again(program, name));
    }
    notes.extend(gone_before_it_is_proved(program));
    notes
}

/// By hold, a wrong key is found when nothing is left that has the right one. Who wrote `replace` has decided.
fn gone_before_it_is_proved(program: &conf::Program) -> Option<Finding> {
    let prove = program.prove.as_ref()?;
    if *program.listen != Listen::Gateway || program.replace.is_set() {
        return None;
    }
    let message = format!(
        "[program:{}] `prove` finds a wrong key when the process with the right one is gone already: requests wait, then \
         get a 503, until that is mended",
        program.name
    );
    let finding = Finding::note("prove", message).at(prove.span.clone());
    Some(finding.hint(
        "replace = overlap keeps the old process until the new one is proved; replace = hold if two must not run at once",
    ))
}

/// A dry run finds no key: one that the app has elsewhere would lose against a new one.
fn to_be_made(program: &conf::Program, name: &Spanned<String>, request: &Request<'_>) -> Finding {
    let file = request.env_file.map(|path| {
        let gone = if path.exists() {
            ""
        } else {
            ", which does not exist"
        };
        format!(" nor in {}{gone}", path.display())
    });
    let message = format!(
        "[program:{}] {} is not in its environment{}: it will be made at the first start, and tokens signed with \
         another value stop counting",
        program.name,
        name.value,
        file.unwrap_or_default()
    );
    let back = match request.env_file {
        Some(path) => format!(
            "it is kept in {}: back under Supervisor everyone stays signed in if the app reads that file itself",
            path.display()
        ),
        None => format!(
            "it is kept in {} alone, where Supervisor does not look: to be able to go back, name an env_file that the app reads",
            request.state_dir.display()
        ),
    };
    Finding::note("secrets", message)
        .at(name.span.clone())
        .effect(back)
        .hint(format!(
            "to keep the value that the app has now: steadfast secrets import {} --program {} --stdin",
            name.value, program.name
        ))
}

/// Supervisor hands over what the file says and what it inherits, and nothing of ours.
fn in_the_state_alone(
    program: &conf::Program,
    name: &Spanned<String>,
    request: &Request<'_>,
    origin: &Origin,
) -> Option<Finding> {
    let kept = match origin {
        Origin::StateDir(path) => path.display(),
        Origin::Environment | Origin::EnvFile(_) => return None,
    };
    let (name, span) = (&name.value, name.span.clone());
    let program = &program.name;
    let message = format!("[program:{program}] {name} is kept in {kept} alone");
    let first = match request.env_file {
        None => "name an env_file that the app reads, then",
        Some(_) => "put it into its env_file",
    };
    let finding = Finding::note("secrets", message).at(span);
    Some(
        finding
            .effect("back under Supervisor it would be gone, and everyone signed out")
            .hint(format!(
                "to be able to go back, {first}: steadfast secrets show {name} --program {program} | \
                 steadfast secrets import {name} --program {program} --stdin"
            )),
    )
}

/// What the gateway does not hold over a rotation, for a program that reads one value.
fn not_signed_again(program: &conf::Program, name: &Spanned<String>) -> Option<Finding> {
    let signs = program.tokens.signer(&program.secrets) == Some(&name.value);
    if !signs || *program.listen != Listen::Gateway || program.tokens.fallbacks.is_some() {
        return None;
    }
    let name = &name.value;
    let cookie = program.tokens.cookie.as_ref().map(|it| it.value.as_str());
    let message = format!(
        "[program:{}] a new {name} (`secrets rotate`): {}",
        program.name,
        rotation::goes_on(cookie, name)
    );
    let tokens = match cookie {
        Some(_) => "",
        None => "jwt_cookie = NAME for tokens in a cookie; ",
    };
    Some(
        Finding::note("secrets", message)
            .at(program.secrets.first()?.span.clone())
            .hint(format!(
                "if the app does that: {tokens}{} if it reads older values",
                rotation::fallbacks(name)
            )),
    )
}
