//! The doctor on real servers under the real supervisord: each is found, mended by what the report says, and healthy then.

mod common;

use std::fs;
use std::process::Command;

use common::doctor;
use common::site::{KEY, Site, bad, until, venv};

const ASGI: &str = "import os
KEY = os.environ['SECRET_KEY']
async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            message = await receive()
            await send({'type': message['type'] + '.complete'})
            if message['type'] == 'lifespan.shutdown':
                return
    await receive()
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'application/json')]})
    await send({'type': 'http.response.body', 'body': b'{\"status\":\"ok\"}'})
";
const WSGI: &str = "import os
KEY = os.environ['SECRET_KEY']
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', '15')])
    return [b'{\"status\":\"ok\"}']
";
const FLASK: &str = "from flask import Flask
app = Flask(__name__)
@app.get('/api/health')
def health():
    return {'status': 'ok'}
";
const DJANGO: &str = "import sys
from django.conf import settings
from django.http import JsonResponse
from django.urls import path
settings.configure(DEBUG=True, ALLOWED_HOSTS=['*'], ROOT_URLCONF=__name__, SECRET_KEY='x' * 3 + 'y')
urlpatterns = [path('api/health', lambda request: JsonResponse({'status': 'ok'}))]
if __name__ == '__main__':
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
";
const NODE: &str = "require('http').createServer((q, s) => { s.setHeader('content-type', 'application/json'); s.end('{\"status\":\"ok\"}') }).listen(process.env.BIND, '127.0.0.1')\n";

fn key() -> String {
    format!("environment = SECRET_KEY=\"{KEY}\"\n")
}

/// Touches a file of the program until its log tells of the restart.
fn touch(site: &Site, name: &str, sign: &str) {
    let text = fs::read_to_string(site.path("app").join(name)).expect("is read");
    let before = site.logs().matches(sign).count();
    let mut times = 0u32;
    until("the reloader notices", || {
        if times.is_multiple_of(100) {
            fs::write(site.path("app").join(name), format!("{text}\n")).expect("written");
        }
        times += 1;
        (site.logs().matches(sign).count() > before).then_some(())
    });
    site.answers();
}

/// What `--fix CODE` and then the printed command do; the touch test must pass with the same pid.
fn cure(site: &Site, code: &str) {
    let finding = site.finding(code);
    let fix = finding["fix"].as_str().expect("a fix");
    let (ours, command) = fix.split_once(" && ").expect("two commands");
    assert_eq!(
        ours,
        format!("steadfast doctor -c {} --fix {code}", site.config())
    );
    let said = doctor(&["-c", &site.config(), "--fix", code]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.err.contains(&format!("then run: {command}")),
        "{}",
        said.err
    );
    let old = site.pid();
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .status()
        .expect("sh runs");
    assert!(status.success(), "{command}");
    until("a new process", || (site.pid() != old).then_some(()));
    site.answers();
}

/// A touch test that must pass with the same pid, and nothing of warning or above.
fn healthy(site: &Site) {
    until("it answers its health check", || {
        bad(&site.report(&["--select", "SF4"]))
            .is_empty()
            .then_some(())
    });
    stays(site, &[], &[]);
}

/// A touch test that must pass with the same pid; nothing but these of warning or above.
fn stays(site: &Site, left: &[&str], words: &[&str]) {
    let pid = site.pid();
    let report = site.report(&[words, &["--live"]].concat());
    assert_eq!(bad(&report), left, "{}", site.text());
    let list = report["checklist"].as_array().expect("a checklist");
    let point = list
        .iter()
        .find(|p| p["name"] == "file changes do not restart");
    let point = point.expect("the point");
    assert_eq!(point["state"], "yes", "{report}");
    let words = point["evidence"].as_str().unwrap_or("");
    assert!(words.contains(&format!("pid {pid} stayed")), "{words}");
    let touched = &report["live"]["touched"][0];
    assert_eq!(
        (&touched["pid"], &touched["restarted"]),
        (&pid.into(), &false.into())
    );
    assert!(
        touched["up_s"].as_u64() > touched["up_before_s"].as_u64(),
        "{touched}"
    );
    assert_eq!(site.pid(), pid);
    let left: Vec<_> = fs::read_dir(site.path("app"))
        .expect("listed")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|n| n.to_string_lossy().starts_with("steadfast_touch")),
        "{left:?}"
    );
}

#[test]
fn the_story_uvicorn_reload_under_the_real_supervisord() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --workers 1 --reload",
        venv("uvicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", ASGI)]);
    until("it watches", || {
        site.logs()
            .contains("Started reloader process")
            .then_some(())
    });
    touch(&site, "server.py", "detected changes in 'server.py'");
    let report = site.report(&[]);
    let first = &report["findings"][0];
    // The root cause first, the flag underlined, the watches proved, the file named.
    assert_eq!(
        (&first["code"], &first["certainty"]),
        (&"SF101".into(), &"proved".into()),
        "{}",
        site.text()
    );
    let text = site.text();
    let lines: Vec<&str> = text.lines().collect();
    let marked = lines
        .iter()
        .position(|l| l.contains("^^^^^^^^") && !l.contains("^^^^^^^^^"))
        .expect("a mark");
    let at = lines[marked]
        .chars()
        .position(|c| c == '^')
        .expect("a mark");
    let under: String = lines[marked - 1].chars().skip(at).take(8).collect();
    assert_eq!(under, "--reload", "{text}");
    assert!(
        text.contains(&format!("pid {} has it in argv and watches ", site.pid())),
        "{text}"
    );
    // As the story tells it, in one line.
    let line = text.lines().find(|l| l.contains("has it in argv"));
    let line = line.expect("the evidence").trim();
    let rest = line.strip_prefix(&format!("pid {} has it in argv and watches ", site.pid()));
    let (watched, rest) = rest.and_then(|r| r.split_once(" paths; ")).expect(line);
    let (restarts, last) = rest
        .split_once(" restarts in 24 h, ")
        .or_else(|| rest.split_once(" restart in 24 h, "))
        .expect(line);
    assert!(watched.parse::<u32>().is_ok_and(|n| n > 0), "{line}");
    assert!(restarts.parse::<u32>().is_ok_and(|n| n > 0), "{line}");
    assert_eq!(last, "the last by server.py");
    assert!(
        text.contains("users: connections break and people are signed out at every file change"),
        "{text}"
    );
    let moved = site.report(&["--live"]);
    let list = moved["checklist"].as_array().expect("a checklist");
    assert!(
        list.iter()
            .any(|p| p["name"] == "file changes do not restart" && p["state"] == "no"),
        "{moved}"
    );
    let shaken = moved["findings"].as_array().expect("findings").iter();
    let mut shaken = shaken.filter(|f| f["code"] == "SF513" && f["follows"] == "SF101");
    assert!(shaken.next().is_some(), "{moved}");
    assert!(
        site.text().contains("the last by server.py"),
        "our own file is no evidence"
    );

    let before = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    let old = site.pid();
    cure(&site, "SF101");
    let since = &site.report(&[])["since_fix"][0];
    assert_eq!(
        (
            since["before"]["pid"].as_i64(),
            since["now"]["pid"].as_i64()
        ),
        (Some(old.into()), Some(site.pid().into())),
        "{since}"
    );
    assert!(
        since["before"]["watches"].as_u64() > Some(0) && since["now"]["watches"] == 0,
        "{since}"
    );
    assert!(
        since["before"]["argv"]
            .as_str()
            .is_some_and(|a| a.contains("--reload")),
        "{since}"
    );
    let after = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    assert_eq!(after, before.replace(" --reload", ""));
    healthy(&site);
}

#[test]
fn an_edit_that_is_not_applied_is_named_with_its_command() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --workers 1",
        venv("uvicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", ASGI)]);
    healthy(&site);
    let text = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    fs::write(
        site.path("supervisord.conf"),
        text.replace("--workers 1", "--workers 1 --no-access-log"),
    )
    .expect("written");
    let finding = site.finding("SF302");
    let command = finding["command"].as_str().expect("a command");
    assert!(command.ends_with("update backend"), "{command}");
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .status()
        .expect("sh runs");
    assert!(status.success());
    site.answers();
    healthy(&site);
}

#[test]
fn a_missing_key_is_made_and_kept() {
    let server = ASGI
        .replace(
            "import os\n",
            "import os\nfrom dotenv import load_dotenv\nload_dotenv()\n",
        )
        .replace("os.environ['SECRET_KEY']", "os.environ.get('SECRET_KEY')");
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT",
        venv("uvicorn")
    );
    let site = Site::new(
        &command,
        "",
        &[("server.py", &server), (".env", "# the database\nDB=x\n")],
    );
    let finding = site.finding("SF201");
    assert_eq!(finding["certainty"], "proved");
    doctor(&["-c", &site.config(), "--fix", "SF201,SF208"]);
    let text = fs::read_to_string(site.path("app/.env")).expect("is read");
    assert!(
        text.starts_with("# the database\nDB=x\nSECRET_KEY=") && text.lines().count() == 3,
        "{text}"
    );
    site.ctl(&["restart", "backend"]);
    site.answers();
    healthy(&site);
    assert!(
        !site
            .text()
            .contains(text.trim().rsplit('=').next().expect("a key"))
    );
}

#[test]
fn a_taken_port_is_named_with_its_holder() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = holder.local_addr().expect("bound").port();
    let command = format!(
        "{} server:app --host 127.0.0.1 --port {port}",
        venv("uvicorn")
    );
    let site = Site::new(
        &command,
        // On a busy machine it needs more than a second to find out.
        &format!("startretries = 0\nstartsecs = 30\n{}", key()),
        &[("server.py", ASGI)],
    );
    until("it is given up", || {
        site.ctl(&["status"]).contains("FATAL").then_some(())
    });
    let text = site.text();
    assert!(text.contains("SF506") && text.contains("SF507"), "{text}");
    assert!(
        text.contains(&format!("pid {} holds port {port} now", std::process::id())),
        "{text}"
    );
}

#[test]
fn gunicorn_reload() {
    let command = format!(
        "{} server:app --bind 127.0.0.1:PORT --workers 2 --reload --reload-engine poll",
        venv("gunicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", WSGI)]);
    touch(&site, "server.py", "Worker reloading");
    assert!(site.text().contains("the last by"), "{}", site.text());
    cure(&site, "SF101");
    healthy(&site);
}

#[test]
fn flask_debug() {
    let command = format!(
        "{} --app server run --host 127.0.0.1 --port PORT --debug",
        venv("flask")
    );
    let site = Site::new(&command, "", &[("server.py", FLASK)]);
    until("the reloader runs", || {
        site.logs().contains("Restarting with").then_some(())
    });
    touch(&site, "server.py", "Detected change in");
    let report = site.report(&[]);
    assert_eq!(report["findings"][0]["code"], "SF104", "{}", site.text());
    assert!(site.text().contains("WERKZEUG_RUN_MAIN"), "{}", site.text());
    cure(&site, "SF104");
    // A development server remains one, and stays at a touch.
    stays(&site, &["SF103"], &[]);
    let line = format!(
        "{} --threads 8 --bind 127.0.0.1:{} server:app",
        venv("gunicorn"),
        site.port
    );
    replaced(&site, "SF103", &line);
    healthy(&site);
}

/// The line that is advised takes the place of the command; then the owner's command runs.
fn replaced(site: &Site, code: &str, line: &str) {
    let finding = site.finding(code);
    let fix = finding["fix"].as_str().expect("a fix");
    let (write, command) = fix.split_once("; then ").expect("two steps");
    assert_eq!(write, format!("write: command = {line}"));
    let text = fs::read_to_string(site.config()).expect("is read");
    let is_command = |l: &&str| l.starts_with("command = ");
    let old = text.lines().find(is_command).expect("a command");
    let text = text.replace(old, &format!("command = {line}"));
    fs::write(site.config(), text).expect("written");
    let before = site.pid();
    let status = Command::new("sh").args(["-c", command]).status();
    assert!(status.expect("sh runs").success(), "{command}");
    until("a new process", || (site.pid() != before).then_some(()));
    site.answers();
}

#[test]
fn django_runserver() {
    let command = format!("{} manage.py runserver 127.0.0.1:PORT", venv("python"));
    let site = Site::new(
        &command,
        "environment = PYTHONUNBUFFERED=\"1\"\n",
        &[("manage.py", DJANGO)],
    );
    touch(&site, "manage.py", "changed, reloading");
    assert!(site.text().contains("the last by"), "{}", site.text());
    cure(&site, "SF101");
    stays(&site, &["SF103"], &["--ignore", "SF210,SF203"]);
}

#[test]
fn node_watch() {
    let site = Site::new(
        "sh -c \"BIND=PORT exec node --watch server.js\"",
        "",
        &[("server.js", NODE)],
    );
    let finding = site.finding("SF101");
    assert_eq!(finding["certainty"], "proved");
    touch(&site, "server.js", "Restarting 'server.js'");
    assert!(
        site.text().contains("the last by server.js"),
        "{}",
        site.text()
    );
    cure(&site, "SF101");
    healthy(&site);
}

/// A program of npm's: `cargo xtask test` puts them below STEADFAST_NODE.
fn npm(program: &str) -> String {
    let node =
        std::env::var("STEADFAST_NODE").expect("STEADFAST_NODE is not set: run cargo xtask test");
    let path = format!("{node}/node_modules/.bin/{program}");
    assert!(
        fs::metadata(&path).is_ok(),
        "{path} is missing: run cargo xtask test"
    );
    path
}

#[test]
fn nodemon() {
    let command = format!("env BIND=PORT {} server.js", npm("nodemon"));
    let site = Site::new(&command, "", &[("server.js", NODE)]);
    let before = site.logs().matches("restarting due to changes").count();
    assert_eq!(before, 0);
    touch(&site, "server.js", "restarting due to changes");
    let report = site.report(&[]);
    assert_eq!(report["findings"][0]["code"], "SF102", "{}", site.text());
    cure(&site, "SF102");
    healthy(&site);
}

/// An app for vite, with what it was built from.
const VITE: &[(&str, &str)] = &[
    ("index.html", "<html><body>hi</body></html>"),
    ("package.json", "{\"name\": \"x\"}"),
];

#[test]
fn vite() {
    let command = format!("{} --host 127.0.0.1 --port PORT --strictPort", npm("vite"));
    let site = Site::new(&command, "", VITE);
    let finding = site.finding("SF103");
    assert_eq!(finding["certainty"], "proved");
    assert!(site.text().contains("watches "), "{}", site.text());
    // What is printed builds the app first.
    assert!(
        finding["command"]
            .as_str()
            .is_some_and(|c| c.contains("vite build) && ")),
        "{finding}"
    );
    cure(&site, "SF103");
    let text = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    assert!(
        text.contains("vite preview --host 127.0.0.1 --port "),
        "{text}"
    );
    healthy(&site);
}

/// A server that nothing is to be said against.
fn clean(command: &str, keys: &str, files: &[(&str, &str)]) {
    healthy(&Site::new(command, keys, files));
}

#[test]
fn clean_uvicorn_and_hypercorn() {
    let uvicorn = format!(
        "{} server:app --host 127.0.0.1 --port PORT --workers 2",
        venv("uvicorn")
    );
    clean(&uvicorn, &key(), &[("server.py", ASGI)]);
    let hypercorn = format!("{} server:app --bind 127.0.0.1:PORT", venv("hypercorn"));
    clean(&hypercorn, &key(), &[("server.py", ASGI)]);
}

#[test]
fn clean_granian_and_uvicorn_below_gunicorn() {
    let granian = format!(
        "{} --interface asgi --host 127.0.0.1 --port PORT --workers 2 server:app",
        venv("granian")
    );
    clean(&granian, &key(), &[("server.py", ASGI)]);
    let gunicorn = format!(
        "{} -k uvicorn.workers.UvicornWorker --bind 127.0.0.1:PORT --workers 2 server:app",
        venv("gunicorn")
    );
    clean(&gunicorn, &key(), &[("server.py", ASGI)]);
}

#[test]
fn a_server_that_speaks_tls_itself_is_asked() {
    let pem = format!("{}/tests/tls/leaf.pem", env!("CARGO_MANIFEST_DIR"));
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --ssl-certfile {pem} --ssl-keyfile {pem}",
        venv("uvicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", ASGI)]);
    healthy(&site);
    let report = site.report(&["--live"]);
    let pings = &report["live"]["pings"][0];
    let url = format!("https://127.0.0.1:{}/api/health", site.port);
    assert_eq!(
        (&pings["url"], &pings["answered"]),
        (&url.into(), &5.into())
    );
    // Only known clients are let in: then it is not asked, and that is no finding.
    let strict = format!("{command} --ssl-ca-certs {pem} --ssl-cert-reqs 2");
    let site = Site::new(&strict, &key(), &[("server.py", ASGI)]);
    let text = until("it is seen", || {
        let text = site.text();
        text.contains("a certificate of its clients")
            .then_some(text)
    });
    assert!(!text.contains("SF406"), "{text}");
}

#[test]
fn clean_gunicorn_and_flask() {
    let command = format!(
        "{} server:app --bind 127.0.0.1:PORT --workers 2",
        venv("gunicorn")
    );
    clean(&command, &key(), &[("server.py", WSGI)]);
    let flask = FLASK.replace(
        "app = Flask(__name__)\n",
        "import os\napp = Flask(__name__)\napp.secret_key = os.environ['SECRET_KEY']\n",
    );
    clean(&command, &key(), &[("server.py", &flask)]);
}

#[test]
fn clean_django() {
    let settings = "import os
SECRET_KEY = os.environ['SECRET_KEY']
DEBUG = False
ALLOWED_HOSTS = ['*']
ROOT_URLCONF = 'urls'
INSTALLED_APPS = []
";
    let urls = "from django.http import JsonResponse
from django.urls import path
urlpatterns = [path('api/health', lambda request: JsonResponse({'status': 'ok'}))]
";
    let wsgi = "import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')
application = get_wsgi_application()
";
    let command = format!(
        "{} wsgi:application --bind 127.0.0.1:PORT --workers 2",
        venv("gunicorn")
    );
    let files = [
        ("settings.py", settings),
        ("urls.py", urls),
        ("wsgi.py", wsgi),
    ];
    clean(&command, &key(), &files);
}

#[test]
fn clean_node_and_vite() {
    clean(
        "env BIND=PORT NODE_ENV=production node server.js",
        "",
        &[("server.js", NODE)],
    );
    // As Next.js and many others do: its words cannot be seen any more, which is no other command.
    let titled = format!("process.title = 'shop'\n{NODE}");
    let titled = titled.replace("process.env.BIND", "process.argv[2]");
    let site = Site::new("node server.js PORT", "", &[("server.js", &titled)]);
    healthy(&site);
    // The port stands in its code only, and it is asked all the same.
    let pings = site.report(&["--live"])["live"]["pings"][0].clone();
    let url = format!("http://127.0.0.1:{}/api/health", site.port);
    assert_eq!(
        (&pings["url"], &pings["answered"]),
        (&url.into(), &5.into())
    );
    let command = format!(
        "{} preview --host 127.0.0.1 --port PORT --strictPort",
        npm("vite")
    );
    let built = [VITE, &[("dist/index.html", "<html><body>hi</body></html>")]].concat();
    clean(&command, "", &built);
}

/// An app whose tokens are signed by a key: of the environment, or made at the start.
const TOKENS: &str = "import hashlib, hmac, json, os, secrets
KEY = os.environ.get('SECRET_KEY') or secrets.token_hex(32)
TOKEN = hmac.new(KEY.encode(), b'anna', hashlib.sha256).hexdigest()
async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    body = (await receive()).get('body', b'')
    status, answer = 200, {'status': 'ok'}
    if scope['path'] == '/api/login':
        right = json.loads(body or b'{}') == {'username': 'anna', 'password': 'right horse'}
        status, answer = (200, {'access_token': TOKEN}) if right else (401, {})
    if scope['path'] == '/api/verify':
        given = dict(scope['headers']).get(b'authorization', b'').decode()
        status, answer = (200, {'valid': True}) if given == 'Bearer ' + TOKEN else (401, {})
    await send({'type': 'http.response.start', 'status': status, 'headers': [(b'content-type', b'application/json')]})
    await send({'type': 'http.response.body', 'body': json.dumps(answer).encode()})
";

/// A site with it, and a report of one restart with a token before and after.
fn restarted(keys: &str) -> (Site, serde_json::Value, String) {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --lifespan off",
        venv("uvicorn")
    );
    let site = Site::new(&command, keys, &[("server.py", TOKENS)]);
    let login = format!("http://127.0.0.1:{}/api/login", site.port);
    let config = site.config();
    let mut words = vec!["-c", &config, "--json", "--live", "--allow-restart"];
    words.extend(["--login", &login, "--user", "anna"]);
    let said = common::with_password(&words, "right horse");
    let report = serde_json::from_str(&said.out);
    let report = report.unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err));
    assert!(!said.out.contains("right horse") && !said.err.contains("right horse"));
    (site, report, said.err)
}

#[test]
fn a_restart_that_signs_out() {
    let (site, report, err) = restarted("");
    assert!(bad(&report).contains(&"SF514".to_owned()), "{report}");
    let restart = &report["live"]["restarts"][0];
    assert_eq!(restart["token_is_valid"], false, "{restart}");
    assert_eq!(restart["pid_after"].as_i64(), Some(site.pid().into()));
    // The owner's own command, said before it is run.
    let command = restart["command"].as_str().expect("a command");
    assert!(command.ends_with("restart backend"), "{command}");
    let said = err.find(&format!("backend is restarted by: {command}"));
    assert!(said < err.find("became"), "{err}");
    assert!(said.is_some(), "{err}");
}

#[test]
fn a_restart_that_keeps_the_key() {
    let (site, report, err) = restarted(&key());
    assert_eq!(bad(&report), Vec::<String>::new(), "{report}");
    assert_eq!(report["live"]["restarts"][0]["token_is_valid"], true);
    let list = report["checklist"].as_array().expect("a checklist");
    let point = list.iter().find(|p| p["name"] == "sessions persist");
    let words = point.expect("the point")["evidence"].as_str();
    assert!(
        words.is_some_and(|w| w.ends_with("the token of before is valid")),
        "{words:?} {err}"
    );
    // A wrong password: nothing is restarted.
    let pid = site.pid();
    let login = format!("http://127.0.0.1:{}/api/login", site.port);
    let config = site.config();
    let words = [
        "-c",
        &config,
        "--live",
        "--allow-restart",
        "--login",
        &login,
        "--user",
        "anna",
    ];
    let said = common::with_password(&words, "wrong");
    assert_eq!(said.status, 2, "{}", said.err);
    assert!(said.err.contains("answers 401 to anna"), "{}", said.err);
    assert_eq!(site.pid(), pid);
}

#[test]
fn a_restart_that_fails() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --lifespan off",
        venv("uvicorn")
    );
    let keys = format!("{}startretries = 0\nstartsecs = 30\n", key());
    let site = Site::new(&command, &keys, &[("server.py", TOKENS)]);
    // What runs is older than its code.
    fs::write(site.path("app/server.py"), "raise SystemExit(1)\n").expect("written");
    let report = site.report(&["--live", "--allow-restart"]);
    assert!(bad(&report).contains(&"SF515".to_owned()), "{report}");
}
