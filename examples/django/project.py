"""A whole Django project in one file: simplejwt for the API, SECRET_KEY_FALLBACKS for everything else Django signs."""

import hmac
import json
import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY") or os.urandom(32).hex(),
    # Older keys, which Steadfast hands over: cookies, password-reset links and messages that Django signed go on.
    SECRET_KEY_FALLBACKS=json.loads(os.environ.get("SECRET_KEY_FALLBACKS") or "[]"),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    REST_FRAMEWORK={
        # Users are not looked up: what the token says is enough for this example.
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "UNAUTHENTICATED_USER": None,
    },
    USE_TZ=True,
)
django.setup()

from django.core.signing import BadSignature, dumps, loads  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.decorators import api_view, authentication_classes, permission_classes  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken  # noqa: E402


def open_to_all(view):
    return authentication_classes([])(permission_classes([])(view))


@api_view(["GET"])
@open_to_all
def health(request):
    return Response({"status": "ok", "pid": os.getpid()})


@api_view(["POST"])
@open_to_all
def login(request):
    wanted = os.environ.get("DEMO_PASSWORD", "demo")
    if not hmac.compare_digest(str(request.data.get("password", "")).encode(), wanted.encode()):
        return Response({"detail": "wrong user or password"}, status=401)
    token = AccessToken()
    token["user_id"] = str(request.data.get("user", ""))
    # `signed` is made by Django itself, with SECRET_KEY.
    return Response({"token": str(token), "signed": dumps(token["user_id"])})


@api_view(["GET"])
def verify(request):
    return Response({"valid": True, "user": request.user.id})


@api_view(["GET"])
@open_to_all
def signed(request):
    """Whether Django itself still accepts what it signed."""
    try:
        return Response({"user": loads(request.query_params.get("value", ""))})
    except BadSignature:
        return Response({"detail": "not signed by us"}, status=400)


urlpatterns = [
    path("api/health", health),
    path("api/auth/login", login),
    path("api/auth/verify", verify),
    path("api/signed", signed),
]
application = get_wsgi_application()
