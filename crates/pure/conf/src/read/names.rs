//! Sections and keys that nobody reads.
//!
//! Supervisor ignores them in silence, and so the file goes on being valid there. In a section that only we have there is
//! nobody else whom a word could be for, and a mistyped `auth` or `[gateway:x]` would let everyone in: there, and for a
//! section that is nearly one of ours, it is an error, and what it stands in is left out.

use std::collections::BTreeSet;

use finding::{Finding, Severity, looks_secret};

use super::Reader;
use crate::findings::Findings;
use crate::ini::{Entry, Ini, Section};
use crate::known::{self, Kind, Known};

/// Names that are errors, and where they stand.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    /// Sections of ours with a key that they do not know, or with a line that cannot be read.
    pub(crate) sections: BTreeSet<String>,
    /// Sections that are nearly one of ours, and of which kind.
    pub(crate) near: Vec<(String, Kind)>,
    /// One of them is nearly `[sessions]`.
    pub(crate) near_sessions: bool,
    /// Programs of which a key is said that decides who has to sign in, which only a gateway can ask for.
    pub(crate) asking: BTreeSet<String>,
    /// Such a key stands in a section that is no program's.
    pub(crate) asking_all: bool,
    /// `[DEFAULT]` wants a sign-in, which is every gateway's; a program to which none leads has none.
    pub(crate) asking_default: bool,
}

const NOBODY_ASKED: &str = "as it is, nobody would be asked to sign in, so nobody is let in";

/// A longer kind is none of ours, mistyped.
const KIND_BYTES_MAX: usize = 24;

/// Complains about them.
pub(super) fn check(reader: &mut Reader<'_>) {
    let ini = reader.ini;
    let ours = has_ours(ini);
    let mut wrong = Wrong::default();
    for section in &ini.sections {
        let Some((kind, own)) = known::section(&section.name) else {
            unknown_section(section, ours, &mut wrong, reader.findings);
            continue;
        };
        if kind == Kind::CtlPlugin {
            let message = format!(
                "[{}]: a plugin of supervisorctl is Python code, and Steadfast's supervisorctl runs none",
                section.name
            );
            let finding = Finding::warning("conf.not-supported", message)
                .at(section.header.clone())
                .effect("its commands are not there; everything else is")
                .hint(
                    "the supervisorctl of PyPI reads this section and talks to Steadfast as well",
                );
            reader.findings.push(finding);
        }
        if kind.is_ours() && section.has_junk {
            wrong.sections.insert(section.name.clone());
        }
        for (key, entry) in section.options.iter().filter(|(_, entry)| !entry.inherited) {
            if !known::key_is_unknown(kind, key) {
                known_key(kind, key, entry, reader.findings);
                continue;
            }
            if kind.is_ours() {
                wrong.sections.insert(section.name.clone());
            }
            if ours && known::is_about_sign_in(key) {
                match kind {
                    Kind::Program | Kind::FcgiProgram | Kind::EventListener => {
                        wrong.asking.insert(own.to_owned());
                    }
                    Kind::Supervisord
                    | Kind::UnixHttp
                    | Kind::InetHttp
                    | Kind::Ctl
                    | Kind::Include
                    | Kind::Group
                    | Kind::RpcInterface
                    | Kind::CtlPlugin
                    | Kind::Steadfast
                    | Kind::Gateway
                    | Kind::Upstream
                    | Kind::Sessions => wrong.asking_all = true,
                }
            }
            unknown_key((kind, ours), &section.name, key, entry, reader.findings);
        }
    }
    for (key, entry) in ini.defaults.iter().filter(|(key, _)| !known::any_key(key)) {
        let message = format!("`{key}` in [DEFAULT] is a key of no section");
        let full = reader
            .findings
            .is_full("conf.unknown-key", Severity::Warning);
        let near = known::near_sign_in(key).filter(|_| ours && !full);
        wrong.asking_all |= near.is_some();
        let finding = match near {
            Some(near) => Finding::error(
                "conf.unknown-key",
                format!("{message}; did you mean `{near}`?"),
            )
            .effect(NOBODY_ASKED),
            None => Finding::warning("conf.unknown-key", message),
        };
        reader.findings.push(finding.at(entry.key_span()));
    }
    wrong.asking_all |= ours && ini.has_stray;
    let auth = ini.defaults.get("auth");
    wrong.asking_default = auth.is_some_and(|entry| entry.text.as_str().trim() != "off");
    reader.wrong = wrong;
}

/// Whether the file says anything that is for us alone.
fn has_ours(ini: &Ini) -> bool {
    let program = |key: &String| known::key_is_ours(Kind::Program, key);
    ini.defaults.keys().any(program)
        || ini.sections.iter().any(|section| {
            known::section(&section.name).is_some_and(|(kind, _)| {
                kind.is_ours()
                    || section
                        .options
                        .keys()
                        .any(|key| known::key_is_ours(kind, key))
            })
        })
}

fn unknown_section(section: &Section, ours: bool, wrong: &mut Wrong, findings: &mut Findings) {
    let code = "conf.unknown-section";
    // Distances to every name cost time, and a file may be full of such sections.
    let kind = section.name.split(':').next().unwrap_or_default();
    let far = !ours || kind.len() > KIND_BYTES_MAX;
    if far && findings.is_full(code, Severity::Warning) {
        findings.push(Finding::warning(code, ""));
        return;
    }
    let near = known::suggest_section(&section.name);
    let meant = near.as_deref().and_then(known::section);
    let mut message = format!("[{}] is not a section that is known", section.name);
    if let Some(near) = &near {
        let named = match near.ends_with(':') {
            true => format!("{near}x"),
            false => near.clone(),
        };
        message = format!("{message}; did you mean [{named}]?");
    }
    let finding = match meant {
        Some((kind, _)) if ours && kind.is_ours() => {
            wrong.near.push((section.name.clone(), kind));
            Finding::error(code, message).effect(match kind {
                Kind::Gateway => "nobody is let in where it would lead, until it is mended",
                Kind::Sessions => "gateways that ask for a sign-in stay closed",
                _ => "it is ignored",
            })
        }
        Some(_) | None => Finding::warning(code, message).effect("it is ignored"),
    };
    findings.push(finding.at(section.header.clone()));
}

fn known_key(kind: Kind, key: &str, entry: &Entry, findings: &mut Findings) {
    match known::key(kind, key) {
        Ok(Known::Yes) | Err(_) => {}
        Ok(Known::Ignored) => {
            let message =
                format!("`{key}` has no effect in the file; Supervisor ignores it as well");
            findings.push(Finding::warning("conf.ignored-key", message).at(entry.key_span()));
        }
        Ok(Known::Without) => {
            let message = format!(
                "`{key}` of [steadfast] has no effect: what runs has to be found by commands that read no file"
            );
            let finding = Finding::warning("conf.no-effect", message).at(entry.key_span());
            findings.push(finding.hint(
                "to move it, name STEADFAST_RUN_DIR in the environment of `steadfast run` and of every command",
            ));
        }
    }
}

fn unknown_key(
    (kind, ours): (Kind, bool),
    section: &str,
    key: &str,
    entry: &Entry,
    findings: &mut Findings,
) {
    let about_sign_in = ours && known::is_about_sign_in(key);
    let severity = match kind.is_ours() || about_sign_in {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let complaint = |message: String| {
        let mut finding = Finding::warning("conf.unknown-key", message);
        finding.severity = severity;
        finding
    };
    if findings.is_full("conf.unknown-key", severity) {
        findings.push(complaint(String::new()));
        return;
    }
    let shown = match section.split_once(':') {
        Some((kind, _)) => format!("{kind}:x"),
        None => section.to_string(),
    };
    let belongs = known::where_it_belongs(key);
    let near = known::key(kind, key).err().flatten();
    let what = format!("`{key}` is not a key of [{shown}]");
    let mut finding = match (belongs.as_slice(), near) {
        ([_, ..], _) => complaint(format!("{what}; it belongs in {}", belongs.join(" or "))),
        ([], Some(near)) => complaint(format!("{what}; did you mean `{near}`?")),
        ([], None) if kind.is_ours() => complaint(what),
        ([], None) => complaint(format!("{what}; it is ignored")),
    };
    finding = match kind {
        Kind::Gateway => finding.effect("the gateway stays closed"),
        Kind::Upstream => finding.effect("the upstream is left out"),
        Kind::Sessions => finding.effect("gateways that ask for a sign-in stay closed"),
        _ if about_sign_in => finding.effect(NOBODY_ASKED),
        _ => finding,
    };
    let mut span = entry.key_span();
    // A mistyped `password` is still one.
    if near.is_some_and(looks_secret) {
        span.text = key.into();
        span.column = 1;
    }
    findings.push(finding.at(span));
}
