//! What the daemon itself does about a program, beside keeping it: see [`conf::Extras`].

use std::collections::BTreeMap;
use std::io::Read;

use conf::Spanned;
use finding::Finding;
use serde::{Deserialize, Serialize};

use crate::digits::hash;

/// Without `keepalive`: as often as the ping by hand that it replaces.
const KEEPALIVE_URL_MS: u64 = 30_000;
/// More than this is no page but a download, and it travels with the gateway's configuration.
const PAGE_BYTES_MAX: u64 = 256 * 1024;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Extras {
    /// Everything ends with its exit status when it ends.
    pub(crate) essential: bool,
    /// Bytes; 0 = no limit.
    pub(crate) memory_max: u64,
    /// Signal of `reload NAME`; 0 = none.
    pub(crate) reload_signal: i32,
    /// Who is told of trouble.
    pub(crate) notify: Option<Notify>,
    /// Asked from outside; empty = not.
    pub(crate) keepalive_url: Secret,
    /// How often.
    pub(crate) keepalive_url_ms: u64,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notify {
    /// By POST.
    Url(Secret),
    /// On the standard input of a command.
    Command(Vec<String>),
}

impl Notify {
    fn of(notify: &conf::Notify) -> Notify {
        match notify {
            conf::Notify::Url(url) => Notify::Url(Secret(url.clone())),
            conf::Notify::Command(words) => Notify::Command(words.clone()),
        }
    }

    /// Who is told where a program names nobody, and of the gateway.
    pub(crate) fn everybody(model: &conf::Model) -> Option<Notify> {
        let notify = model.steadfast.as_ref()?.notify.as_ref()?;
        Some(Notify::of(&notify.value))
    }
}

/// Text that may hold a token: never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Compared as text, too (`group_changes`): a digest tells two apart and says nothing.
        f.write_str(&hash(self.0.as_bytes()))
    }
}

impl Secret {
    /// Host of an address, which may be shown.
    pub(crate) fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or("");
        authority.rsplit('@').next().unwrap_or("")
    }
}

impl Extras {
    /// What the file says of a program.
    pub(crate) fn of(model: &conf::Model, program: &conf::Program) -> Extras {
        let more = &program.extras;
        Extras {
            essential: *more.essential,
            memory_max: more.memory_max.as_ref().map_or(0, |bytes| bytes.value),
            reload_signal: more
                .reload_signal
                .as_ref()
                .map_or(0, |signal| signal.value.0),
            notify: match &more.notify {
                Some(notify) => Some(Notify::of(&notify.value)),
                None => Notify::everybody(model),
            },
            keepalive_url: more
                .keepalive_url
                .as_ref()
                .map(|url| Secret(url.value.clone()))
                .unwrap_or_default(),
            keepalive_url_ms: program
                .keepalive
                .as_ref()
                .map_or(KEEPALIVE_URL_MS, |every| {
                    u64::try_from(every.as_millis()).unwrap_or(u64::MAX)
                }),
        }
    }
}

/// The keys of a program in words, for differences; what may hold a token as digests.
pub(crate) fn parts(program: &conf::Program) -> BTreeMap<String, String> {
    let more = &program.extras;
    let mut parts = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            parts.insert(name.to_owned(), value);
        }
    };
    if *more.essential {
        put("essential", "true".to_owned());
    }
    if let Some(bytes) = &more.memory_max {
        put("memory_max", crate::tend::size(bytes.value));
    }
    if let Some(signal) = &more.reload_signal {
        put("reload_signal", sys::signal::name(signal.value.0));
    }
    if let Some(notify) = &more.notify {
        let text = match &notify.value {
            conf::Notify::Url(url) => url.clone(),
            conf::Notify::Command(words) => words.join("\0"),
        };
        put("hidden notify", hash(text.as_bytes()));
    }
    if let Some(url) = &more.keepalive_url {
        put("hidden keepalive_url", hash(url.value.as_bytes()));
    }
    if let Some(page) = &more.maintenance_page {
        put("maintenance_page", page.value.clone());
    }
    parts
}

/// The text of a `maintenance_page`; one that cannot be read is said and left out, since the page of an outage must
/// not become one. Everybody reads it, and whoever owns its directory may put a link there: it is not followed to what is
/// not his.
pub(crate) fn page(path: Option<&Spanned<String>>, findings: &mut Vec<Finding>) -> String {
    let Some(path) = path else {
        return String::new();
    };
    let read = || -> Result<String, String> {
        let file = sys::files::regular(path.value.as_ref()).map_err(|why| why.to_string())?;
        let mut text = String::new();
        file.take(PAGE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|why| why.to_string())?;
        if text.len() as u64 > PAGE_BYTES_MAX {
            return Err(format!("it is larger than {} KB", PAGE_BYTES_MAX / 1024));
        }
        Ok(text)
    };
    read().unwrap_or_else(|why| {
        let message = format!("`maintenance_page` {} cannot be used: {why}", path.value);
        let finding = Finding::warning("maintenance-page", message)
            .at(path.span.clone())
            .effect("people see a short text instead");
        if !findings.contains(&finding) {
            findings.push(finding);
        }
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_by_its_host_only() {
        let secret = Secret("https://user:pw@hooks.example.org:8443/T0KEN?x".to_owned());
        assert_eq!(secret.host(), "hooks.example.org:8443");
        let shown = format!("{:?}", Notify::Url(secret));
        assert!(!shown.contains("T0KEN") && !shown.contains("pw"), "{shown}");
    }

    /// What is served, and what is said about it.
    fn read(path: &std::path::Path) -> (String, Vec<String>) {
        let mut findings = Vec::new();
        let path = Spanned {
            value: path.display().to_string(),
            span: None,
        };
        let text = page(Some(&path), &mut findings);
        assert!(findings.iter().all(|it| !it.is_error()));
        (text, findings.into_iter().map(|it| it.message).collect())
    }

    #[test]
    fn a_page_that_cannot_be_read_stops_nothing() {
        for path in ["/no/such/page.html", "/dev/zero", "/"] {
            let (text, findings) = read(path.as_ref());
            assert_eq!((text.as_str(), findings.len()), ("", 1), "{path}");
        }
    }

    #[test]
    fn a_page_is_published_only_if_it_is_its_makers() {
        use std::os::unix::fs::{MetadataExt, lchown, symlink};
        let dir = tempfile::tempdir().expect("a directory");
        let (keys, page) = (
            dir.path().join("keyring.json"),
            dir.path().join("page.html"),
        );
        std::fs::write(&keys, "of root").expect("written");
        symlink(&keys, &page).expect("linked");
        if std::fs::metadata(&keys).expect("there").uid() != 0 {
            return;
        }
        assert_eq!(read(&page).0, "of root", "root says so itself");
        lchown(&page, Some(4_000_001), None).expect("given");
        let (text, findings) = read(&page);
        assert_eq!(text, "");
        assert!(
            findings[0].contains("root does not follow it"),
            "{findings:?}"
        );
        lchown(&keys, Some(4_000_001), None).expect("given");
        assert_eq!(read(&page).0, "of root", "his own page");
    }
}
