"""A Flask app that signs with its one key in two ways: a cookie (Flask's own sessions) and JWTs (flask-jwt-extended)."""

import json
import os

from flask import Flask, abort, jsonify, request, session
from flask_jwt_extended import JWTManager, create_access_token, get_jwt, get_jwt_identity, jwt_required

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["SECRET_KEY_FALLBACKS"] = json.loads(os.environ.get("SECRET_KEY_FALLBACKS", "[]"))
app.config["JWT_TOKEN_LOCATION"] = ["headers", "cookies"]
app.config["JWT_COOKIE_CSRF_PROTECT"] = False
JWTManager(app)


@app.get("/api/health")
def health():
    return jsonify(status="ok", pid=os.getpid())


@app.post("/api/auth/login")
def login():
    user = request.get_json()["user"]
    session["user"] = user
    return jsonify(token=create_access_token(identity=user))


@app.get("/me")
def me():
    """Who the cookie says it is."""
    if "user" not in session:
        abort(401)
    return jsonify(user=session["user"])


@app.get("/api/auth/verify")
@jwt_required()
def verify():
    return jsonify(valid=True, user=get_jwt_identity(), claims=get_jwt())


@app.post("/l1/login")
def open_session():
    """Leaves the session to the gateway."""
    user = request.get_json()["user"]
    return jsonify(user=user), 200, {"Steadfast-Sign-In": user}
