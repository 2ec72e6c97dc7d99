//! Servers against which nothing is to be said.

use crate::apps::{ASGI, FLASK, NODE, VITE, WSGI, key, npm};
use crate::common::site::{Site, until, venv};
use crate::healthy;

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
