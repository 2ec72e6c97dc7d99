//! The sample web app: an ordinary single-process backend that can be broken on purpose.
//!
//! It stands for the backend of the story: it takes a moment to start, signs tokens with `SECRET_KEY` (and makes
//! a key of its own when none is given, which is the story's mistake), and counts its effects in a file, so
//! that a request which ran twice is seen even if the app died in between.

mod effects;
mod operator;
mod page;
mod routes;
mod token;

use hyper_util::rt::TokioIo;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

pub use effects::count_effects;

/// How long the app takes to start unless told otherwise: what a Python app needs for its imports.
const BOOT_MS: u64 = 300;
/// After SIGTERM requests in flight may take so long.
const FINISH_MS_MAX: u64 = 10_000;

/// What was asked for on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Listen on a Unix socket.
    pub uds: Option<PathBuf>,
    /// Listen on this port of 127.0.0.1.
    pub port: Option<u16>,
    /// Take so long before listening; None = [`BOOT_MS`].
    pub boot_ms: Option<u64>,
    /// Fail as a broken deploy does.
    pub broken: bool,
    /// Never listen.
    pub stuck: bool,
    /// Be the hand on the demo page's buttons, for the installation with this configuration.
    pub operate: Option<PathBuf>,
}

impl Options {
    /// Reads `--uds PATH | --port N [--boot-ms N] [--broken] [--stuck] [--operate CONFIG]`.
    pub fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| rest.next().cloned())
                    .ok_or_else(|| format!("{name} needs a value"))
            };
            match name {
                "--uds" => options.uds = Some(PathBuf::from(value()?)),
                "--port" => options.port = Some(number(name, &value()?)?),
                "--boot-ms" => options.boot_ms = Some(number(name, &value()?)?),
                "--broken" => options.broken = true,
                "--stuck" => options.stuck = true,
                "--operate" => options.operate = Some(PathBuf::from(value()?)),
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        if options.uds.is_none() && options.port.is_none() {
            return Err("one of --uds PATH and --port N is needed".into());
        }
        Ok(options)
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, String> {
    value
        .parse()
        .map_err(|_| format!("{name}: not a number: {value}"))
}

/// Runs the app until SIGTERM or SIGINT; the exit status. `log` gets what an app would log.
pub fn run(args: &[String], log: &mut dyn Write) -> u8 {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(why) => {
            let _ = writeln!(log, "demo app: {why}");
            return 2;
        }
    };
    if options.broken {
        let _ = writeln!(
            log,
            "demo app: ImportError: no module named 'the_new_dependency'"
        );
        return 1;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(log, "demo app: no runtime: {error}");
            return 1;
        }
    };
    let local = tokio::task::LocalSet::new();
    match local.block_on(&runtime, serve(options, log)) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(log, "demo app: {error}");
            1
        }
    }
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What this process is.
#[derive(Clone)]
enum Part {
    App(Rc<routes::App>),
    Operator(Rc<operator::Operator>),
}

impl Part {
    async fn answer(self, request: hyper::Request<hyper::body::Incoming>) -> routes::Reply {
        match self {
            Part::App(app) => routes::answer(app, request).await,
            Part::Operator(operator) => operator::answer(operator, request).await,
        }
    }
}

async fn serve(options: Options, log: &mut dyn Write) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let part = match &options.operate {
        Some(config) => Part::Operator(Rc::new(operator::Operator::new(config.clone())?)),
        None => Part::App(Rc::new(routes::App::from_environment(log)?)),
    };
    tokio::time::sleep(Duration::from_millis(options.boot_ms.unwrap_or(BOOT_MS))).await;
    if options.stuck {
        std::future::pending::<()>().await;
    }
    let socket = listen(&options).await?;
    let _ = writeln!(log, "demo app: pid {} is up", std::process::id());
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    let builder = hyper::server::conn::http1::Builder::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&socket) => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let Ok(stream) = accepted else { continue };
        let part = part.clone();
        let service = hyper::service::service_fn(move |request| part.clone().answer(request));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        tokio::task::spawn_local(async move {
            // A client that goes away is not the app's concern.
            let _ = connection.await;
        });
    }
    drop(socket);
    // Requests in flight may end, as in any good server; an endless stream is cut.
    let _ = tokio::time::timeout(Duration::from_millis(FINISH_MS_MAX), graceful.shutdown()).await;
    Ok(())
}

async fn listen(options: &Options) -> std::io::Result<Socket> {
    if let Some(path) = &options.uds {
        let listener = UnixListener::bind(path)?;
        // As uvicorn does: the directory guards the socket, not its mode.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        return Ok(Socket::Unix(listener));
    }
    let port = options.port.unwrap_or_default();
    Ok(Socket::Tcp(TcpListener::bind(("127.0.0.1", port)).await?))
}

type Stream = TokioIo<Box<dyn Duplex>>;

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Duplex for T {}

async fn accept(socket: &Socket) -> std::io::Result<Stream> {
    let stream: Box<dyn Duplex> = match socket {
        Socket::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Socket::Unix(listener) => Box::new(listener.accept().await?.0),
    };
    Ok(TokioIo::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn arguments_are_read_in_both_spellings() {
        assert_eq!(
            parse("--uds /a/b").map(|o| o.uds),
            Ok(Some(PathBuf::from("/a/b")))
        );
        assert_eq!(parse("--port=8001").map(|o| o.port), Ok(Some(8001)));
        assert_eq!(parse("--port x"), Err("--port: not a number: x".into()));
        assert!(parse("").is_err() && parse("--what").is_err() && parse("--uds").is_err());
    }

    #[test]
    fn a_broken_deploy_says_why_and_fails() {
        let mut log = Vec::new();
        assert_eq!(
            run(&["--port".into(), "1".into(), "--broken".into()], &mut log),
            1
        );
        assert!(String::from_utf8_lossy(&log).contains("ImportError"));
    }
}
