//! s6 with any number of services, in a directory of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use storm::{procfs, wait};

/// Everything has ended after this.
const END_S_MAX: u64 = 30;

/// See the module; dropping it ends everything.
pub(crate) struct S6 {
    dir: std::path::PathBuf,
    scan: Child,
}

impl S6 {
    /// `count` services that run `sleep WORD`, and when s6-svscan was started (the service directories are made before).
    pub(crate) fn start(count: usize, word: &str) -> Result<(S6, Instant), String> {
        let dir = std::env::temp_dir().join(format!("s6-bench-{}-{word}", std::process::id()));
        for number in 0..count {
            service(&dir.join(format!("p{number}")), word)
                .map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        let begun = Instant::now();
        let scan = Command::new("s6-svscan")
            .args(["-c", &(count + 10).to_string()])
            .arg(&dir)
            .env("S6_BENCH_DIR", &dir)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("s6-svscan: {error}"))?;
        Ok((S6 { dir, scan }, begun))
    }

    /// Pid of s6-svscan.
    pub(crate) fn root(&self) -> i32 {
        self.scan.id() as i32
    }

    /// s6-svscan and its s6-supervise processes.
    pub(crate) fn supervisors(&self) -> Vec<i32> {
        let own = procfs::mentioning(&self.dir.display().to_string());
        own.into_iter()
            .filter(|process| {
                process
                    .argv
                    .first()
                    .is_some_and(|name| name.contains("s6-"))
            })
            .map(|process| process.pid)
            .collect()
    }
}

fn service(dir: &Path, word: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let run = dir.join("run");
    std::fs::write(&run, format!("#!/bin/sh\nexec sleep {word}\n"))?;
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755))
}

impl Drop for S6 {
    fn drop(&mut self) {
        let _ = Command::new("s6-svscanctl")
            .arg("-t")
            .arg(&self.dir)
            .status();
        let word = self.dir.display().to_string();
        let ended = wait::until(Duration::from_secs(END_S_MAX), || {
            let _ = self.scan.try_wait();
            procfs::mentioning(&word).is_empty().then_some(())
        });
        if ended.is_none() {
            for process in procfs::mentioning(&word) {
                procfs::signal(process.pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.scan.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
