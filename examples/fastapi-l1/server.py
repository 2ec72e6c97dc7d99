"""A FastAPI app that leaves sessions to the gateway: it checks passwords, and reads who asks from a JWT (PyJWT)."""

import collections
import hmac
import os

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from pydantic import BaseModel

# Made and kept by Steadfast; the gateway signs with the key that this very process was started with.
SECRET_KEY = os.environ["SECRET_KEY"] if "SECRET_KEY" in os.environ else os.urandom(32).hex()
EFFECT_LOG = os.environ.get("EFFECT_LOG")
EFFECTS: collections.Counter[str] = collections.Counter()

app = FastAPI(title="Steadfast example, sessions of the gateway")


def user(authorization: str = Header("")) -> str:
    """Who asks. The token lives for minutes and is made for each request: nothing here has to be renewed."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, "not signed in", {"WWW-Authenticate": "Bearer"})
    try:
        return jwt.decode(token, SECRET_KEY, algorithms=["HS256"], options={"require": ["exp", "sub"]})["sub"]
    except jwt.InvalidTokenError as error:
        challenge = 'Bearer error="invalid_token"'
        raise HTTPException(401, "this token is not valid", {"WWW-Authenticate": challenge}) from error


@app.get("/api/health")
async def health() -> dict:
    return {"status": "ok", "pid": os.getpid()}


class Credentials(BaseModel):
    user: str
    password: str


@app.post("/api/auth/login")
async def login(credentials: Credentials, response: Response) -> dict:
    wanted = os.environ.get("DEMO_PASSWORD", "demo")
    if not hmac.compare_digest(credentials.password.encode(), wanted.encode()):
        raise HTTPException(401, "wrong user or password", {"WWW-Authenticate": "Bearer"})
    # The one header. The gateway opens the session, sets its cookie and takes the header away.
    response.headers["Steadfast-Sign-In"] = credentials.user
    return {"user": credentials.user}


@app.post("/api/auth/logout")
async def logout() -> dict:
    """The path is enough: the gateway ends the session when this answers well."""
    return {"signed_out": True}


@app.post("/api/auth/logout-everywhere")
async def logout_everywhere(response: Response, name: str = Depends(user)) -> dict:
    response.headers["Steadfast-Sign-Out"] = "user"
    return {"signed_out": name}


@app.get("/api/auth/verify")
async def verify(name: str = Depends(user)) -> dict:
    return {"valid": True, "user": name}


class Effect(BaseModel):
    id: str


@app.post("/api/effect")
async def effect(effect: Effect, name: str = Depends(user)) -> dict:
    """Something that must happen once, for who is signed in: written down before it is answered."""
    if not effect.id or any(c.isspace() for c in effect.id):
        raise HTTPException(422, "an id has no spaces")
    EFFECTS[effect.id] += 1
    if EFFECT_LOG:
        log_file = os.open(EFFECT_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log_file, f"{effect.id}\n".encode())
        finally:
            os.close(log_file)
    return {"id": effect.id, "user": name, "count": EFFECTS[effect.id]}
