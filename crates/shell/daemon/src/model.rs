//! The active model: what the daemon wants to be true. It is written before the daemon acts, so that the next daemon
//! knows what the last one was about, and it is all that the next one needs: the file on disk may be half edited.
//!
//! Environments share nearly everything with the base environment, so a slot holds only what differs ([`Slot::pack`],
//! [`Active::spec`]), in memory as on disk: 1000 programs fit in a few megabytes.

use std::collections::{BTreeMap, BTreeSet};

use plan::Key;
use serde::{Deserialize, Serialize};
use wire::{Spec, Text};

use crate::places::Places;

/// Version of `active.json`. A reader refuses a newer one: a model read wrongly would stop the wrong programs.
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Active {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// Real path of the configuration; empty for `run -- COMMAND`.
    pub(crate) config: String,
    /// Hash of all its files when it was read.
    pub(crate) stamp: String,
    /// Root's environment as it was at the first boot: programs get the same one for as long as anything is kept.
    pub(crate) base_env: BTreeMap<String, String>,
    /// `[supervisord]` and the servers.
    pub(crate) settings: Settings,
    /// Explicit gateways and what derived ones need.
    pub(crate) gateway: GatewayDef,
    /// Everything that has a place.
    pub(crate) slots: Vec<Slot>,
    /// What errors of the file left out.
    pub(crate) left_out: Vec<crate::left::LeftOut>,
    /// The next slot's number; never reused while anything is kept.
    pub(crate) next_slot: u32,
    /// Where slots stand.
    #[serde(skip)]
    pub(crate) places: Places,
}

impl Default for Active {
    fn default() -> Active {
        Active {
            version: VERSION,
            config: String::new(),
            stamp: String::new(),
            base_env: BTreeMap::new(),
            settings: Settings::default(),
            gateway: GatewayDef::default(),
            slots: Vec::new(),
            left_out: Vec::new(),
            next_slot: 0,
            places: Places::default(),
        }
    }
}

/// What the daemon itself is told by the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// There is a `[steadfast]` section.
    pub(crate) steadfast: bool,
    /// Activity log; empty = none.
    pub(crate) logfile: String,
    /// Bytes at which it is rotated; 0 = never.
    pub(crate) logfile_bytes_max: u64,
    /// Rotated files that are kept.
    pub(crate) logfile_backups: u32,
    /// Supervisor's number of the least level (`info` = 20).
    pub(crate) loglevel: u32,
    /// Pidfile; empty = none.
    pub(crate) pidfile: String,
    /// Stay in the foreground.
    pub(crate) nodaemon: bool,
    /// No log on stdout.
    pub(crate) silent: bool,
    /// `logfile = syslog`.
    pub(crate) syslog: bool,
    /// `identifier`.
    pub(crate) identifier: String,
    /// Directory of AUTO logs.
    pub(crate) childlogdir: String,
    /// Old AUTO logs stay.
    pub(crate) nocleanup: bool,
    /// Where ledger and keys are; empty = the default of the installation.
    pub(crate) state_dir: String,
    /// `[unix_http_server]` and `[inet_http_server]`.
    pub(crate) servers: Vec<Server>,
}

/// One of Supervisor's HTTP servers.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Server {
    /// Path of a Unix socket, or empty.
    pub(crate) unix: String,
    /// `HOST:PORT` otherwise.
    pub(crate) tcp: String,
    /// Mode of the Unix socket.
    pub(crate) mode: u32,
    /// Owner of the Unix socket.
    pub(crate) owner: Option<(u32, Option<u32>)>,
    /// User, or empty.
    pub(crate) username: String,
    /// Password, plain or `{SHA}…`.
    pub(crate) password: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({}{})", self.unix, self.tcp)
    }
}

/// What the keys of Supervisor's servers begin with, among those of listeners.
pub(crate) const SERVER: &str = "rpc:";

impl Server {
    /// Key under which root keeps its listener.
    pub(crate) fn key(&self) -> String {
        if self.unix.is_empty() {
            format!("{SERVER}{}", self.tcp)
        } else {
            format!("{SERVER}unix:{}", self.unix)
        }
    }
}

/// The gateway, but for what follows from the slots.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GatewayDef {
    /// Listeners of `[gateway:x]` sections; their order is that of the file.
    pub(crate) listeners: Vec<routes::Listener>,
    /// `[upstream:x]`: name to address.
    pub(crate) upstreams: BTreeMap<String, String>,
    /// How those that can be asked are asked whether they are ready.
    pub(crate) upstreams_ready: BTreeMap<String, routes::Ready>,
    /// Workers.
    pub(crate) workers: u32,
    /// Client connections per worker.
    pub(crate) connections_max: u32,
    /// User it runs as: name, uid, gid, groups. None = as the daemon.
    pub(crate) user: Option<(String, u32, u32, Vec<u32>)>,
    /// Where sessions are kept, if any are; may hold a password.
    pub(crate) sessions: Option<routes::Sessions>,
    /// Who is told of the gateway's trouble.
    pub(crate) notify: Option<crate::extras::Notify>,
    /// Tokens of programs and upstreams, by their name; they hold keys.
    pub(crate) jwts: BTreeMap<String, routes::Jwt>,
}

impl GatewayDef {
    /// The group of its user.
    pub(crate) fn gid(&self) -> Option<u32> {
        self.user.as_ref().map(|(_, _, gid, _)| *gid)
    }
}

/// One slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Slot {
    /// Number of its directory.
    pub(crate) number: u32,
    /// Supervisor's group.
    pub(crate) group: String,
    /// Supervisor's process name.
    pub(crate) process: String,
    /// Program.
    pub(crate) program: String,
    /// Definition, without the environment that it shares; [`Active::spec`] is the whole of it.
    #[serde(with = "spec_hex")]
    pub(crate) spec: Spec,
    /// Variables of the base environment that it must not have.
    pub(crate) without: Vec<String>,
    /// Whether it should run: `autostart` at first, then the last command.
    pub(crate) up: bool,
    /// Priority of the group.
    pub(crate) group_priority: i64,
    /// Priority.
    pub(crate) priority: i64,
    /// A gateway.
    pub(crate) first: bool,
    /// Programs that must be ready before it.
    pub(crate) depends_on: Vec<String>,
    /// Keys of its listeners in the order of the spec.
    pub(crate) listeners: Vec<String>,
    /// Name by which gateways' routes call it; empty = not behind a gateway.
    pub(crate) target: String,
    /// Listeners that the gateway opens for it (`listen = gateway`).
    pub(crate) derived: Vec<routes::Listener>,
    /// Name of the key that signs its tokens (the value is that of `spec.key`); empty = none.
    pub(crate) signing: String,
    /// Where it is reached, for people.
    pub(crate) shown: String,
    /// Out of service since an operator removed it; it vanishes at this wall time. 0 = in service.
    pub(crate) removed_until_ms: u64,
    /// `autostart`.
    pub(crate) autostart: bool,
    /// Supervisor's view of its configuration ([`control::ConfigInfo`]) as JSON, a tenth of the size of the map.
    pub(crate) config: String,
    /// Parts of the definition in words, for differences; no secret values. As JSON, like `config`.
    pub(crate) parts: String,
    /// Owner of its sockets' directory.
    pub(crate) owner: Option<u32>,
    /// What the daemon itself does about it.
    pub(crate) extras: crate::extras::Extras,
    /// The pool of event listeners that it belongs to; the pool's name is that of its group.
    pub(crate) pool: Option<Box<Pool>>,
}

/// What the processes of an `[eventlistener:x]` share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pool {
    /// `buffer_size`.
    pub(crate) buffer_size: u32,
    /// Names of types and families, sorted.
    pub(crate) events: Vec<String>,
}

/// See [`Slot::definition`].
pub(crate) type Definition<'a> = (
    &'a str,
    &'a [String],
    Option<&'a Pool>,
    bool,
    i64,
    i64,
    &'a [String],
    &'a [routes::Listener],
    &'a crate::extras::Extras,
);

impl Slot {
    /// Its name.
    pub(crate) fn key(&self) -> Key {
        Key::new(self.group.clone(), self.process.clone())
    }
    /// Leaves out of the definition's environment what is as in the base environment.
    pub(crate) fn pack(&mut self, base_env: &BTreeMap<String, String>) {
        let own: BTreeSet<&str> = self
            .spec
            .env
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        self.without = base_env
            .keys()
            .filter(|name| !own.contains(name.as_str()))
            .cloned()
            .collect();
        self.spec.env.retain(|(name, value)| match value {
            Text::Plain { text } => base_env.get(name) != Some(text),
            Text::Socket { .. } | Text::Port { .. } => true,
        });
        self.spec.env.shrink_to_fit();
    }
    /// In service: shown and started.
    pub(crate) fn in_service(&self) -> bool {
        self.removed_until_ms == 0
    }
    /// As a plan compares it, on these addresses.
    pub(crate) fn planned(&self, listeners: Vec<String>) -> plan::Slot {
        plan::Slot {
            key: self.key(),
            program: self.program.clone(),
            hash: self.spec.hash.clone(),
            up: self.up && self.in_service(),
            group_priority: self.group_priority,
            priority: self.priority,
            first: self.first,
            depends_on: self.depends_on.clone(),
            listeners,
        }
    }
    /// Identity of everything that an update compares.
    pub(crate) fn definition(&self) -> Definition<'_> {
        (
            &self.spec.hash,
            &self.listeners,
            self.pool.as_deref(),
            self.autostart,
            self.group_priority,
            self.priority,
            &self.depends_on,
            &self.derived,
            &self.extras,
        )
    }
}

impl Active {
    /// The slot of this name.
    pub(crate) fn slot(&self, key: &Key) -> Option<&Slot> {
        self.slots.get(self.places.find(&self.slots, key)?)
    }
    /// Likewise.
    pub(crate) fn slot_mut(&mut self, key: &Key) -> Option<&mut Slot> {
        let place = self.places.find(&self.slots, key)?;
        self.slots.get_mut(place)
    }
    /// Slots in service that are no gateways.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Slot> {
        self.slots
            .iter()
            .filter(|slot| slot.in_service() && !slot.first)
    }
    /// Names of groups in service, in order of priority.
    pub(crate) fn groups(&self) -> Vec<String> {
        let mut groups: Vec<(i64, String)> = self
            .programs()
            .map(|slot| (slot.group_priority, slot.group.clone()))
            .collect();
        groups.sort();
        groups.dedup();
        groups.into_iter().map(|(_, name)| name).collect()
    }

    /// The whole definition of a slot, as its keeper gets it.
    pub(crate) fn spec(&self, slot: &Slot) -> Spec {
        let mut env: BTreeMap<String, Text> = self
            .base_env
            .iter()
            .map(|(name, value)| (name.clone(), Text::from(value.as_str())))
            .collect();
        for name in &slot.without {
            env.remove(name);
        }
        env.extend(slot.spec.env.iter().cloned());
        Spec {
            env: env.into_iter().collect(),
            ..slot.spec.clone()
        }
    }

    /// The bytes of `active.json`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and string-keyed maps always serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads them.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Active, String> {
        let active: Active = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match active.version {
            VERSION => Ok(active),
            other => Err(format!(
                "it was written by another version (format {other})"
            )),
        }
    }
}

/// A definition as hexadecimal digits of its wire bytes.
mod spec_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use wire::Spec;

    use crate::digits::{hex, unhex};

    pub(super) fn serialize<S: Serializer>(spec: &Spec, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(&spec.to_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Spec, D::Error> {
        let text = String::deserialize(from)?;
        let bytes =
            unhex(&text).ok_or_else(|| D::Error::custom("a definition is not hexadecimal"))?;
        Spec::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_comes_back_whole_and_shares_the_environment() {
        let base: BTreeMap<String, String> = [("PATH", "/bin"), ("LANG", "C"), ("X", "1")]
            .map(|(a, b)| (a.into(), b.into()))
            .into();
        let spec = Spec {
            program: "a".into(),
            env: vec![
                ("LANG".into(), "de".into()),
                ("PATH".into(), "/bin".into()),
                (
                    "SOCK".into(),
                    Text::Socket {
                        before: "x".into(),
                        after: String::new(),
                    },
                ),
            ],
            ..Spec::default()
        };
        let mut slot = Slot {
            number: 3,
            group: "g".into(),
            process: "a".into(),
            spec: spec.clone(),
            ..Slot::default()
        };
        slot.pack(&base);
        assert_eq!(
            (slot.spec.env.len(), slot.without.as_slice()),
            (2, &["X".to_owned()][..])
        );
        let active = Active {
            base_env: base,
            slots: vec![slot],
            ..Active::default()
        };
        assert_eq!(active.spec(&active.slots[0]), spec);
        let bytes = active.to_bytes();
        assert_eq!(Active::from_bytes(&bytes).as_ref(), Ok(&active));
        let newer = String::from_utf8_lossy(&bytes).replace("\"version\":1", "\"version\":2");
        assert!(
            Active::from_bytes(newer.as_bytes())
                .expect_err("newer")
                .contains("another version")
        );
        assert!(Active::from_bytes(b"{\"slots\":[{\"spec\":\"zz\"}]}").is_err());
    }
}
