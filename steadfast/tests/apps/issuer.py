"""A FastAPI app that asks tokens for their issuer (PyJWT), and says why it refuses one."""

import os

import jwt
from fastapi import FastAPI, Header, HTTPException

KEY = os.environ["SECRET_KEY"]
ISSUER = "https://app.example"
app = FastAPI()


@app.get("/api/health")
def health():
    return {"status": "ok", "pid": os.getpid()}


@app.get("/api/auth/verify")
def verify(authorization: str = Header("")):
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), KEY, algorithms=["HS256"], issuer=ISSUER)
    except jwt.InvalidTokenError as why:
        raise HTTPException(401, type(why).__name__) from None
    return {"valid": True, "user": claims["sub"]}
