"""A WSGI backend for gunicorn: health and effects."""

import json
import os

LOG = os.open(os.environ["EFFECT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/api/health":
        status, value = "200 OK", {"status": "ok", "pid": os.getpid(), "address": environ.get("REMOTE_ADDR")}
    elif environ["PATH_INFO"] == "/api/effect" and environ["REQUEST_METHOD"] == "POST":
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        os.write(LOG, (body["id"] + "\n").encode())
        status, value = "200 OK", {"done": body["id"]}
    else:
        status, value = "404 Not Found", {"error": "no such page"}
    body = json.dumps(value).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
