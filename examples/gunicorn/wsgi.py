"""A small WSGI app."""

import json
import os
import time

STARTED = time.monotonic()


def app(environ, start_response):
    path = environ.get("PATH_INFO", "/")
    if path == "/api/health":
        status, body = "200 OK", {"status": "ok", "uptime": round(time.monotonic() - STARTED, 3), "pid": os.getpid()}
    elif path == "/api/client":
        # Behind a Unix socket gunicorn knows no address; the gateway names the client in X-Forwarded-For.
        client = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR")
        status, body = "200 OK", {"host": client, "scheme": environ["wsgi.url_scheme"]}
    else:
        status, body = "404 Not Found", {"error": "no such route"}
    text = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]
