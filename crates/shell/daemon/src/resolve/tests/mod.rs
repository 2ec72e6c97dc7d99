//! Files in, definitions out.

mod gateways;
mod keys;
mod sessions;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wire::{Spec, Text};

use crate::machine::{Machine, environment};
use crate::model::Active;
use crate::resolve::{Context, Resolved, refresh_gateway, resolve};

struct Case {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
    before: Active,
}

fn case() -> Case {
    let env: BTreeMap<String, String> = [("PATH", "/bin"), ("TZ", "UTC")]
        .map(|(a, b)| (a.into(), b.into()))
        .into();
    Case {
        dir: tempfile::tempdir().expect("directory"),
        before: Active {
            base_env: env.clone(),
            ..Active::default()
        },
        env,
    }
}

impl Case {
    fn resolve(&self, text: &str) -> Resolved {
        self.resolved(text, false)
    }

    fn dry(&self, text: &str) -> Resolved {
        self.resolved(text, true)
    }

    fn resolved(&self, text: &str, dry: bool) -> Resolved {
        self.resolved_with(text, dry, false)
    }

    fn resolved_with(&self, text: &str, dry: bool, has_errors: bool) -> Resolved {
        let dir = self.dir.path().display().to_string();
        let text = format!(
            "[supervisord]\nchildlogdir = {dir}\nlogfile = NONE\n{}",
            text.replace("DIR", &dir)
        );
        let path = format!("{dir}/supervisord.conf");
        let loaded = conf::load(
            &path,
            &Machine {
                memory: Some((path.clone(), text)),
            },
            &environment(&self.env),
        );
        assert!(
            has_errors || !loaded.model.has_errors,
            "{:#?}",
            loaded.findings
        );
        let context = Context {
            before: &self.before,
            base_env: &self.env,
            run_dir: Path::new("/run/x"),
            state_dir: self.dir.path(),
            in_use: Some(&secrets::InUse::nothing()),
            dry,
        };
        resolve(&loaded.model, &context)
    }

    fn spec(&self, text: &str) -> Spec {
        let resolved = self.resolve(text);
        assert_eq!(
            resolved
                .findings
                .iter()
                .filter(|found| found.is_error())
                .count(),
            0,
            "{:#?}",
            resolved.findings
        );
        let slot = resolved.active.slots.first().expect("a slot");
        resolved.active.spec(slot)
    }
}

fn value<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
    let (_, value) = spec.env.iter().find(|(known, _)| known == name)?;
    match value {
        Text::Plain { text } => Some(text),
        Text::Socket { .. } | Text::Port { .. } => None,
    }
}

fn words(spec: &Spec) -> Vec<String> {
    let word = |text: &Text| match text {
        Text::Plain { text } => text.clone(),
        Text::Socket { before, after } => format!("{before}SOCKET{after}"),
        Text::Port { before, after } => format!("{before}PORT{after}"),
    };
    spec.argv.iter().map(word).collect()
}

fn config_of(resolved: &mut Resolved) -> routes::Config {
    refresh_gateway(&mut resolved.active, &BTreeSet::new(), Path::new("/run/x"));
    let gateway = resolved.active.slots.iter().find(|slot| slot.first);
    let bytes = &gateway.expect("a gateway").spec.config;
    routes::Config::from_bytes(bytes).expect("reads")
}
