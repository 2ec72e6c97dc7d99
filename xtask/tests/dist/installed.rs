//! The `.deb` as people meet it: `dpkg -i` into a bare Debian, used, removed, purged. Nothing of it may stay.
//!
//! The Debian is a copy of the one that `cargo xtask test` makes, so that no test sees what another has left.

use super::output;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is written by installing anything at all: dpkg's own books, and the user that stays, as Debian's policy has it
/// (files may still be owned by it).
const BOOKS: [&str; 11] = [
    "var/lib/dpkg",
    "var/log/dpkg.log",
    "var/lib/systemd",
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
    "etc/subuid",
    "etc/subgid",
    // Emptied at every start of a machine.
    "tmp",
    "run",
];

/// The daemon by the words of its unit, with the tools beside it; as PID 1's child, with /proc.
const USED: &str = r#"
set -e
steadfast links
test "$(supervisord -v)" = 4.3.0
steadfast check /etc/steadfast/supervisord.conf
printf '[program:web]\ncommand = sleep 1000\nstartsecs = 0\n' > /etc/steadfast/conf.d/web.conf
/usr/bin/steadfast run -c /etc/steadfast/supervisord.conf > /tmp/out 2>&1 &
root=$!
tries=0
until supervisorctl -c /etc/steadfast/supervisord.conf status web | grep RUNNING; do
    tries=$((tries + 1))
    test $tries -lt 300 || { cat /tmp/out; exit 1; }
    sleep 0.1
done
steadfast -c /etc/steadfast/supervisord.conf reload
steadfast -c /etc/steadfast/supervisord.conf status
supervisorctl -c /etc/steadfast/supervisord.conf shutdown
wait $root
test -f /var/log/steadfast/supervisord.log
steadfast links --remove
rm /etc/steadfast/conf.d/web.conf /tmp/out
"#;

pub(super) fn into_a_bare_debian(package: &Path, dir: &Path) {
    assert!(
        rustix::process::geteuid().is_root(),
        "a package is installed by root: run this test as root (its Debian is a directory of its own)"
    );
    let debian = Debian::copy(dir);
    let before = debian.files();
    std::fs::copy(package, debian.root.join("tmp/steadfast.deb")).expect("copied");
    debian.run("dpkg --install /tmp/steadfast.deb");
    let state = debian.run("dpkg-query --show --showformat '${Status}' steadfast");
    assert_eq!(state, "install ok installed");
    // What dpkg says is there is there, with the sums of the package.
    assert_eq!(debian.run("dpkg --verify steadfast"), "");
    debian.run("getent passwd steadfast");
    let home = debian.run("find / -xdev -user steadfast -not -path '/proc/*'");
    assert_eq!(home, "", "its user owns nothing before anything has run");
    debian.run("systemd-analyze verify --man=no /lib/systemd/system/steadfast.service");
    debian.run("bash -n /usr/share/bash-completion/completions/steadfast");
    let page = debian.run("gzip -dc /usr/share/man/man1/steadfast.1.gz");
    assert!(page.contains(".TH"), "{page}");
    let used = debian.inside(USED);
    assert!(used.contains("web"), "{used}");

    // Removed: what the operator may have written stays; the rest goes.
    debian.run("dpkg --remove steadfast");
    for (path, stays) in [
        ("usr/bin/steadfast", false),
        ("lib/systemd/system/steadfast.service", false),
        ("etc/steadfast/supervisord.conf", true),
        ("var/log/steadfast/supervisord.log", true),
    ] {
        assert_eq!(debian.root.join(path).exists(), stays, "{path}");
    }
    debian.run("dpkg --purge steadfast");
    assert_eq!(changes(&before, &debian.files()), Vec::<String>::new());
}

struct Debian {
    root: PathBuf,
}

impl Debian {
    /// A copy of the one that `cargo xtask test` makes.
    fn copy(dir: &Path) -> Debian {
        let made = match std::env::var_os("STEADFAST_DEBIAN") {
            Some(path) => PathBuf::from(path),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debian"),
        };
        assert!(
            made.join("usr/bin/dpkg").is_file(),
            "{} is no Debian: run `cargo xtask test`, which makes it",
            made.display()
        );
        let root = dir.join("debian");
        output(
            Command::new("cp")
                .args(["--archive", "--reflink=auto"])
                .args([&made, &root]),
        );
        Debian { root }
    }

    /// What a command says in it that must succeed.
    fn run(&self, script: &str) -> String {
        self.answer(Command::new("chroot").arg(&self.root), script)
    }

    /// The same with /proc and processes of its own, which a daemon needs and which end with the script.
    fn inside(&self, script: &str) -> String {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child"]);
        command.arg(format!("--mount-proc={}", self.root.join("proc").display()));
        self.answer(command.arg("chroot").arg(&self.root), script)
    }

    fn answer(&self, command: &mut Command, script: &str) -> String {
        let done = command
            .args(["sh", "-c", script])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{script}: {}\n{said}{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        said
    }

    /// Every file with its size and mode, but for the books.
    fn files(&self) -> BTreeMap<String, (u64, u32)> {
        let mut files = BTreeMap::new();
        let mut todo = vec![self.root.clone()];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(&dir).expect("read").flatten() {
                let path = entry.path();
                let name = path.strip_prefix(&self.root).expect("below it");
                let name = name.display().to_string();
                let plain = name.trim_end_matches('-');
                if BOOKS.contains(&plain) {
                    continue;
                }
                let meta = std::fs::symlink_metadata(&path).expect("there");
                if meta.is_dir() {
                    todo.push(path);
                    files.insert(name, (0, meta.mode()));
                } else {
                    files.insert(name, (meta.size(), meta.mode()));
                }
            }
        }
        files
    }
}

/// What is not as it was.
fn changes(
    before: &BTreeMap<String, (u64, u32)>,
    after: &BTreeMap<String, (u64, u32)>,
) -> Vec<String> {
    let gone = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| format!("gone: {name}"));
    let other = after
        .iter()
        .filter_map(|(name, what)| match before.get(name) {
            None => Some(format!("left behind: {name}")),
            Some(was) if was != what => Some(format!("changed: {name}")),
            Some(_) => None,
        });
    gone.chain(other).collect()
}
