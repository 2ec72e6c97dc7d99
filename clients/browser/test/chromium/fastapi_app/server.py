"""An ordinary FastAPI backend on another origin than its page, as people write them."""

import os
import time

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import OAuth2PasswordBearer

KEY = os.environ["SECRET_KEY"]
app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=[os.environ["PAGE"]], allow_methods=["*"], allow_headers=["Authorization"])
bearer = OAuth2PasswordBearer(tokenUrl="/api/auth/login")


def user(token: str = Depends(bearer)) -> str:
    try:
        return jwt.decode(token, KEY, algorithms=["HS256"])["sub"]
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})


@app.get("/api/health")
def health():
    return {"status": "healthy"}


@app.post("/api/auth/login")
def login():
    return {"access_token": jwt.encode({"sub": "ada", "exp": int(time.time()) + 3600}, KEY, "HS256"), "token_type": "bearer"}


@app.get("/api/auth/verify")
def verify(name: str = Depends(user)):
    return {"user": name}


@app.get("/api/orders")
def orders(name: str = Depends(user)):
    return {"orders": [1, 2, 3], "of": name}
