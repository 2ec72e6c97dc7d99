//! Gathers the scene that the arguments ask for.

use std::path::Path;

use crate::args::Args;
use crate::disk::Disk;
use crate::io::Io;
use crate::model::Env;
use crate::scene::app::Apps;
use crate::scene::config::Look;
use crate::scene::{Scene, Source, Subject, ask, config, discover, http};

/// Looks.
///
/// # Errors
/// Why nothing could be looked at.
pub(crate) fn look(args: &Args, io: &Io<'_>, disk: &Disk) -> Result<Scene, String> {
    let mut scene = Scene {
        now_unix_s: io.now_unix_s,
        ..Scene::default()
    };
    let look = Look {
        running: !args.files_only,
    };
    let around = conf::Environment {
        env: io.env.clone(),
        cwd: io.cwd.clone(),
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    };
    let mut apps = Apps::new();
    if let Some(path) = &args.config {
        let shown = path.display().to_string();
        if !config::add(&mut scene, &shown, disk, &around, look) {
            return Err(unreadable(path, disk));
        }
    } else if let Some(pid) = args.pid {
        if !discover::process(&mut scene, pid, disk, &mut apps) {
            return Err(format!("there is no process {pid}"));
        }
    } else if let Some(url) = &args.url {
        at_url(&mut scene, url, &io.env)?;
        return Ok(scene);
    } else {
        for path in discover::configurations() {
            config::add(&mut scene, &path.display().to_string(), disk, &around, look);
        }
        if !args.supervisord {
            discover::units(&mut scene, Path::new("/"), disk, &mut apps, look);
            if look.running {
                discover::listening(&mut scene, disk, &mut apps);
            }
        }
        if scene.configs.is_empty() && scene.subjects.is_empty() {
            return Err(
                "nothing that it knows runs here; name it: -c FILE, --pid N or --url URL"
                    .to_owned(),
            );
        }
    }
    if look.running {
        ask::ask_health(&mut scene);
    }
    Ok(scene)
}

/// A server of which only the address is known.
fn at_url(scene: &mut Scene, url: &str, env: &Env) -> Result<(), String> {
    let http::Place {
        target,
        host: authority,
        path,
    } = http::address(url, env)?;
    let path = Some(path).filter(|p| p != "/");
    let certificate = http::certificate(&target, scene.now_unix_s);
    let refused = certificate.as_ref().is_some_and(|c| c.refused.is_some());
    let health = match refused {
        true => None,
        false => http::health(&target, &authority, path.as_deref()),
    };
    if refused {
        scene.not_seen(format!(
            "the health of {authority}: it is not asked while its certificate is not accepted"
        ));
    }
    scene.subjects.push(Subject {
        health,
        was_asked: true,
        certificate,
        ..Subject::new(authority, Source::Address)
    });
    Ok(())
}

/// Why a configuration could not be read.
fn unreadable(path: &Path, disk: &Disk) -> String {
    let why = match disk.bytes(path, conf::FILE_BYTES_MAX) {
        Ok(_) => "it is no text".to_owned(),
        Err(error) => error.words(),
    };
    format!("{} cannot be read: {why}", path.display())
}
