"""A backend for the tests, plain ASGI: what examples/fastapi has, and what a sensible app would not have.

EFFECT_LOG   a line with the id is appended in one write when a POST /api/effect has been read
SECRET_KEY   signs tokens (HS256)
APP_KEY      beats it: a key that somebody forgot in an image
BOOT_S       sleeps so long on import
GRANDCHILD   starts `sleep` with this argument once, in a process of its own
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time

KEY = (os.environ.get("APP_KEY") or os.environ.get("SECRET_KEY", "")).encode() or os.urandom(32)
LOG = os.open(os.environ["EFFECT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if os.environ.get("EFFECT_LOG") else None

time.sleep(float(os.environ.get("BOOT_S", "0")))
if os.environ.get("GRANDCHILD"):
    subprocess.Popen(["sleep", os.environ["GRANDCHILD"]])


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(text: str) -> str:
    return b64(hmac.new(KEY, text.encode(), hashlib.sha256).digest())


def issue(user: str) -> str:
    head = b64(b'{"alg":"HS256","typ":"JWT"}')
    body = b64(json.dumps({"sub": user, "exp": int(time.time()) + 86400}).encode())
    return f"{head}.{body}.{sign(head + '.' + body)}"


def valid(token: str) -> bool:
    signed, _, tag = token.rpartition(".")
    return hmac.compare_digest(sign(signed), tag)


async def read(receive) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body


async def answer(send, status: int, value, kind=b"application/json") -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def websocket(receive, send) -> None:
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if event["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{os.getpid()} {event.get('text', '')}"})


async def events(receive, send) -> None:
    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(left())
    count = 0
    while not gone.done():
        count += 1
        await send({"type": "http.response.body", "body": f"data: {count}\n\n".encode(), "more_body": True})
        await asyncio.wait([gone], timeout=0.1)


async def app(scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    path, method = scope["path"], scope["method"]
    headers = dict(scope["headers"])
    if path == "/api/health":
        return await answer(send, 200, {"status": "ok", "pid": os.getpid()})
    if path == "/api/auth/login":
        await read(receive)
        return await answer(send, 200, {"token": issue("ada")})
    if path == "/api/auth/verify":
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        good = valid(token)
        return await answer(send, 200 if good else 401, {"valid": good})
    if path == "/api/effect" and method == "POST":
        body = json.loads(await read(receive))
        if LOG is not None:
            os.write(LOG, (body["id"] + "\n").encode())
        return await answer(send, 200, {"done": body["id"]})
    if path == "/api/slow":
        time_s, _, told = scope["query_string"].decode().removeprefix("s=").partition("&")
        if told and LOG is not None:
            os.write(LOG, (told + "\n").encode())
        await asyncio.sleep(float(time_s or "1"))
        return await answer(send, 200, {"slept": True})
    if path == "/api/kill":
        if LOG is not None:
            os.write(LOG, b"killed\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/api/events":
        return await events(receive, send)
    if path == "/api/big":
        return await answer(send, 200, b"x" * int(scope["query_string"].decode().removeprefix("n=") or "16384"))
    if path == "/api/echo":
        return await answer(send, 200, await read(receive), b"application/octet-stream")
    if path == "/api/seen":
        seen = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
        return await answer(send, 200, {"headers": seen, "client": scope.get("client"), "scheme": scope.get("scheme")})
    if path == "/api/env":
        return await answer(send, 200, dict(os.environ))
    if path == "/api/print":
        print("printed", flush=True)
        print("printed to stderr", file=sys.stderr, flush=True)
        return await answer(send, 200, {})
    await answer(send, 404, {"error": "no such page"})
