//! The smallest app for each server, and the programs of npm's.

use std::fs;

use crate::common::site::KEY;

pub(crate) const ASGI: &str = "import os
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
pub(crate) const WSGI: &str = "import os
KEY = os.environ['SECRET_KEY']
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', '15')])
    return [b'{\"status\":\"ok\"}']
";
pub(crate) const FLASK: &str = "from flask import Flask
app = Flask(__name__)
@app.get('/api/health')
def health():
    return {'status': 'ok'}
";
pub(crate) const DJANGO: &str = "import sys
from django.conf import settings
from django.http import JsonResponse
from django.urls import path
settings.configure(DEBUG=True, ALLOWED_HOSTS=['*'], ROOT_URLCONF=__name__, SECRET_KEY='x' * 3 + 'y')
urlpatterns = [path('api/health', lambda request: JsonResponse({'status': 'ok'}))]
if __name__ == '__main__':
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
";
pub(crate) const NODE: &str = "require('http').createServer((q, s) => { s.setHeader('content-type', 'application/json'); s.end('{\"status\":\"ok\"}') }).listen(process.env.BIND, '127.0.0.1')\n";

pub(crate) fn key() -> String {
    format!("environment = SECRET_KEY=\"{KEY}\"\n")
}

/// A program of npm's: `cargo xtask test` puts them below STEADFAST_NODE.
pub(crate) fn npm(program: &str) -> String {
    let node =
        std::env::var("STEADFAST_NODE").expect("STEADFAST_NODE is not set: run cargo xtask test");
    let path = format!("{node}/node_modules/.bin/{program}");
    assert!(
        fs::metadata(&path).is_ok(),
        "{path} is missing: run cargo xtask test"
    );
    path
}

/// An app for vite, with what it was built from.
pub(crate) const VITE: &[(&str, &str)] = &[
    ("index.html", "<html><body>hi</body></html>"),
    ("package.json", "{\"name\": \"x\"}"),
];
