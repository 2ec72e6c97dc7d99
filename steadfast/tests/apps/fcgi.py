"""A FastCGI responder (flup) that takes connections from its standard input. Answers with its pid and the path."""
import os

from flup.server.fcgi import WSGIServer


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("pid %d path %s" % (os.getpid(), environ.get("PATH_INFO", ""))).encode()]


WSGIServer(app, multithreaded=False).run()
