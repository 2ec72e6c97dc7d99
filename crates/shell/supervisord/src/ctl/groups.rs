//! Commands about the file and its groups: avail, reread, add, remove, update.

use std::collections::{BTreeMap, BTreeSet};

use control::Fault as Kind;

use super::client::CallError;
use super::shell::{Flow, Ran, Shell, status};
use crate::names;
use crate::xmlrpc::Value;

/// `[[added, changed, removed]]`.
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl Changes {
    fn of(result: &Value) -> Result<Changes, CallError> {
        let bad = || CallError::Value("reloadConfig answered something else".to_owned());
        let lists = result.as_array().and_then(|outer| outer.first());
        let [added, changed, removed] = lists.and_then(Value::as_array).ok_or_else(bad)? else {
            return Err(bad());
        };
        let names = |list: &Value| -> Vec<String> {
            let items = list.as_array().unwrap_or(&[]).iter();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Ok(Changes {
            added: names(added),
            changed: names(changed),
            removed: names(removed),
        })
    }
}

impl Shell<'_, '_> {
    pub(super) fn avail(&mut self, arg: &str) -> Ran {
        if !arg.is_empty() {
            let words = "Error: avail accepts no arguments";
            return self.misused(words, status::GENERIC, "avail");
        }
        let configs = match self.call("getAllConfigInfo", &[]) {
            Ok(configs) => configs,
            Err(error) if error.is(Kind::ShutdownState) => {
                return self.fail("ERROR: supervisor shutting down", status::GENERIC);
            }
            Err(error) => return Err(error),
        };
        for config in configs.as_array().unwrap_or(&[]) {
            let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or("");
            let number = |key: &str| config.get(key).and_then(Value::as_int).unwrap_or(0);
            let truth = |key: &str| config.get(key).is_some_and(Value::truthy);
            let name = names::join(text("group"), text("name"));
            let in_use = if truth("inuse") { "in use" } else { "avail" };
            let auto = if truth("autostart") { "auto" } else { "manual" };
            let (group, process) = (number("group_prio"), number("process_prio"));
            self.say(&format!(
                "{name:<32} {in_use:<9} {auto:<9} {group}:{process}"
            ));
        }
        Ok(Flow::Next)
    }

    pub(super) fn reread(&mut self, arg: &str) -> Ran {
        if !arg.is_empty() {
            let words = "Error: reread accepts no arguments";
            return self.misused(words, status::GENERIC, "reread");
        }
        let result = match self.call("reloadConfig", &[]) {
            Ok(result) => result,
            Err(error) if error.is(Kind::ShutdownState) => {
                return self.fail("ERROR: supervisor shutting down", status::GENERIC);
            }
            Err(CallError::Fault(fault)) if fault.code == Kind::CantReread.code() => {
                return self.fail(&format!("ERROR: {}", fault.text), status::GENERIC);
            }
            Err(error) => return Err(error),
        };
        let changes = Changes::of(&result)?;
        let mut words = BTreeMap::new();
        for (names, word) in [
            (changes.added, "available"),
            (changes.changed, "changed"),
            (changes.removed, "disappeared"),
        ] {
            words.extend(names.into_iter().map(|name| (name, word)));
        }
        if words.is_empty() {
            self.say("No config updates to processes");
        }
        for (name, word) in words {
            self.say(&format!("{name}: {word}"));
        }
        Ok(Flow::Next)
    }

    pub(super) fn add(&mut self, arg: &str) -> Ran {
        for name in arg.split_whitespace() {
            match self.call("addProcessGroup", &[name.into()]) {
                Ok(_) => self.say(&format!("{name}: added process group")),
                Err(error) if error.is(Kind::ShutdownState) => {
                    self.fail("ERROR: shutting down", status::GENERIC)?;
                }
                Err(error) if error.is(Kind::AlreadyAdded) => {
                    self.say("ERROR: process group already active");
                }
                Err(error) if error.is(Kind::BadName) => {
                    self.fail(
                        &format!("ERROR: no such process/group: {name}"),
                        status::GENERIC,
                    )?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn remove(&mut self, arg: &str) -> Ran {
        for name in arg.split_whitespace() {
            let words = match self.call("removeProcessGroup", &[name.into()]) {
                Ok(_) => {
                    self.say(&format!("{name}: removed process group"));
                    continue;
                }
                Err(error) if error.is(Kind::StillRunning) => "process/group still running",
                Err(error) if error.is(Kind::BadName) => "no such process/group",
                Err(error) => return Err(error),
            };
            self.fail(&format!("ERROR: {words}: {name}"), status::GENERIC)?;
        }
        Ok(Flow::Next)
    }

    pub(super) fn update(&mut self, arg: &str) -> Ran {
        let changes = match self.call("reloadConfig", &[]) {
            Ok(result) => Changes::of(&result)?,
            Err(error) if error.is(Kind::ShutdownState) => {
                return self.fail("ERROR: already shutting down", status::GENERIC);
            }
            Err(error) => return Err(error),
        };
        let mut named: Vec<&str> = arg.split_whitespace().collect();
        if named.contains(&"all") {
            named.clear();
        }
        if !named.is_empty() {
            self.check_groups(&named, &changes.added)?;
        }
        let meant = |group: &&String| named.is_empty() || named.contains(&group.as_str());
        for group in changes.removed.iter().filter(meant) {
            let results = self.call("stopProcessGroup", &[group.as_str().into()])?;
            self.say(&format!("{group}: stopped"));
            let failed = i64::from(Kind::Failed.code());
            let fared = |result: &Value| result.get("status").and_then(Value::as_int);
            let results = results.as_array().unwrap_or(&[]);
            if results.iter().any(|result| fared(result) == Some(failed)) {
                self.fail(
                    &format!("{group}: has problems; not removing"),
                    status::GENERIC,
                )?;
                continue;
            }
            self.call("removeProcessGroup", &[group.as_str().into()])?;
            self.say(&format!("{group}: removed process group"));
        }
        for group in changes.changed.iter().filter(meant) {
            self.call("stopProcessGroup", &[group.as_str().into()])?;
            self.say(&format!("{group}: stopped"));
            self.call("removeProcessGroup", &[group.as_str().into()])?;
            self.call("addProcessGroup", &[group.as_str().into()])?;
            self.say(&format!("{group}: updated process group"));
        }
        for group in changes.added.iter().filter(meant) {
            self.call("addProcessGroup", &[group.as_str().into()])?;
            self.say(&format!("{group}: added process group"));
        }
        Ok(Flow::Next)
    }

    /// Says which of the named groups do not exist, neither in service nor new in the file.
    fn check_groups(&mut self, named: &[&str], added: &[String]) -> Result<(), CallError> {
        let infos = self.call("getAllProcessInfo", &[])?;
        let infos = infos.as_array().unwrap_or(&[]).iter();
        let mut groups: BTreeSet<&str> = infos
            .filter_map(|info| info.get("group").and_then(Value::as_str))
            .collect();
        groups.extend(added.iter().map(String::as_str));
        let wrong: BTreeSet<&&str> = named
            .iter()
            .filter(|name| !groups.contains(**name))
            .collect();
        for name in wrong {
            self.fail(&format!("ERROR: no such group: {name}"), status::GENERIC)?;
        }
        Ok(())
    }
}
