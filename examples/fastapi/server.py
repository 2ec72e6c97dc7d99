"""The backend of the story: sign-in by JWT (PyJWT, HS256), a health check, and a few routes that make a restart hard to hide.

Nothing here knows of Steadfast: tokens of the app go on through every restart and rotation (L0). `../fastapi-l1` is the same
with sessions of the gateway.
"""

import asyncio
import collections
import hmac
import json
import logging
import os
import pathlib
import secrets
import time

import jwt
from fastapi import FastAPI, Header, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

HERE = pathlib.Path(__file__).resolve().parent
STARTED = time.monotonic()
TOKEN_LIFETIME_S = 7 * 24 * 3600
ITEMS_BYTES_MAX = 64 * 1024 * 1024
log = logging.getLogger("uvicorn.error")


def secret_key() -> bytes:
    """From the environment, where Steadfast puts it; else from .env, so that plain Supervisor finds the same key."""
    value = os.environ.get("SECRET_KEY")
    env_file = HERE / ".env"
    if not value and env_file.exists():
        for line in env_file.read_text().splitlines():
            name, _, rest = line.partition("=")
            if name.strip().removeprefix("export ").strip() == "SECRET_KEY":
                value = rest.strip().strip("'\"")
    if not value:
        log.warning("SECRET_KEY is not set: everyone is signed out at the next restart")
        value = secrets.token_hex(32)
    return value.encode()


KEY = secret_key()
EFFECT_LOG = os.environ.get("EFFECT_LOG")
EFFECTS: collections.Counter[str] = collections.Counter()
if EFFECT_LOG and os.path.exists(EFFECT_LOG):
    EFFECTS.update(pathlib.Path(EFFECT_LOG).read_text().split())

app = FastAPI(title="Steadfast example")


def sign(claims: dict) -> str:
    return jwt.encode(claims, KEY, algorithm="HS256")


def verify(token: str) -> dict:
    """The claims of a valid token; jwt.InvalidTokenError for any other text."""
    return jwt.decode(token, KEY, algorithms=["HS256"], options={"require": ["exp", "sub"]})


@app.get("/api/health")
async def health() -> dict:
    return {"status": "ok", "uptime": round(time.monotonic() - STARTED, 3), "pid": os.getpid()}


class Credentials(BaseModel):
    user: str
    password: str


@app.post("/api/auth/login")
async def login(credentials: Credentials) -> dict:
    wanted = os.environ.get("DEMO_PASSWORD", "demo")
    if not hmac.compare_digest(credentials.password.encode(), wanted.encode()):
        raise HTTPException(401, "wrong user or password", {"WWW-Authenticate": "Bearer"})
    now = int(time.time())
    token = sign({"sub": credentials.user, "iat": now, "exp": now + TOKEN_LIFETIME_S})
    return {"token": token, "user": credentials.user}


@app.get("/api/auth/verify")
async def verify_route(authorization: str = Header("")) -> dict:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, "no token", {"WWW-Authenticate": "Bearer"})
    try:
        claims = verify(token.strip())
    except jwt.InvalidTokenError as error:
        challenge = 'Bearer error="invalid_token"'
        raise HTTPException(401, "this token is not valid", {"WWW-Authenticate": challenge}) from error
    return {"valid": True, "user": claims["sub"], "expires": claims["exp"]}


class Effect(BaseModel):
    id: str


@app.post("/api/effect")
async def effect(effect: Effect) -> dict:
    """Something that must happen once: written down before it is answered, counted across restarts."""
    if not effect.id or any(c.isspace() for c in effect.id):
        raise HTTPException(422, "an id has no spaces")
    EFFECTS[effect.id] += 1
    if EFFECT_LOG:
        log_file = os.open(EFFECT_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log_file, f"{effect.id}\n".encode())
        finally:
            os.close(log_file)
    return {"id": effect.id, "count": EFFECTS[effect.id], "pid": os.getpid()}


@app.get("/api/items")
async def items(size: int = 1000) -> Response:
    """A JSON text of exactly `size` bytes (at least 2)."""
    if not 2 <= size <= ITEMS_BYTES_MAX:
        raise HTTPException(422, f"size is 2 to {ITEMS_BYTES_MAX}")
    return Response(b'"' + b"x" * (size - 2) + b'"', media_type="application/json")


@app.get("/api/slow")
async def slow(s: float = 1.0) -> dict:
    await asyncio.sleep(min(s, 600.0))
    return {"slept_s": s, "pid": os.getpid()}


@app.get("/api/events")
async def events(every: float = 1.0) -> StreamingResponse:
    """An event stream without end."""

    async def stream():
        count = 0
        while True:
            count += 1
            yield f"data: {json.dumps({'n': count, 'pid': os.getpid()})}\n\n"
            await asyncio.sleep(max(every, 0.01))

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@app.websocket("/api/ws")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            elif message.get("bytes") is not None:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return


@app.get("/api/client")
async def client(request: Request) -> dict:
    """Whom the app believes it talks to."""
    return {"host": request.client.host if request.client else None, "scheme": request.url.scheme}


@app.api_route("/api/crash", methods=["GET", "POST"])
async def crash(code: int = 1) -> None:
    """Ends the process without an answer."""
    os._exit(code)


@app.api_route("/api/hang", methods=["GET", "POST"])
async def hang() -> None:
    """Blocks the event loop for good: the process lives and answers nobody."""
    while True:
        time.sleep(3600)
