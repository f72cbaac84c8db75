"""The Flask application: topics mounted, errors as problems, requests counted and numbered."""

from __future__ import annotations

import time
import uuid
from typing import Any

from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider
from flask_cors import CORS

from platform import endpoints, serialization
from platform.settings import Settings, settings
from tasks import app as celery_app
from web import audit, bulk, deadletters, functions, models, problems, queues, resources, service, sessions
from web.routing import Routes
from web.service import DURATION, REQUESTS
from web.sockets import endpoint, events

EVERYWHERE = (sessions.routes, service.routes)
HTTP = (
    bulk.routes,  # those of web.jobs, with one more
    queues.routes,
    functions.routes,
    resources.routes,
    models.routes,
    deadletters.routes,
    audit.routes,
)
SOCKETS = (events.routes,)


class FastJSON(JSONProvider):
    def dumps(self, obj: Any, **_: Any) -> str:
        return serialization.encode(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return serialization.decode(s)


def create_app() -> Flask:
    """The application, with the platform's and the user's tasks loaded."""
    config = settings()
    endpoints.ensure_embedded(config)
    celery_app.load_everything()
    app = Flask("web", root_path=__file__.rpartition("/")[0], static_folder="static")
    app.json = FastJSON(app)
    topics = _topics(config)
    app.config.update(MAX_CONTENT_LENGTH=config.body_max_bytes, ROUTES=topics, DEBUG=config.debug)
    problems.register(app)
    for topic in topics:
        topic.mount(app)
    if SOCKETS[0] in topics:
        endpoint.mount(app)
    # Browsers ask for it beside every page that names none.
    app.add_url_rule("/favicon.ico", "favicon", lambda: app.send_static_file("favicon.svg"))
    app.before_request(_begin)
    app.after_request(_end)
    if config.cors_origins:
        CORS(app, origins=list(config.cors_origins), expose_headers=["Location", "Retry-After", "X-Request-ID"])
    return app


def _topics(config: Settings) -> tuple[Routes, ...]:
    """What PLATFORM_WEB_ROLE lets this process serve; its own tokens and health wherever it is."""
    http = HTTP if config.web_role != "sockets" else ()
    sockets = SOCKETS if config.web_role != "http" else ()
    first, last = EVERYWHERE
    return (first, *http, *sockets, last)


def _begin() -> None:
    g.started_at = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if 0 < len(given) <= 128 and given.isprintable() else uuid.uuid4().hex


def _end(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "unknown"
    REQUESTS.labels(request.method, route, response.status_code).inc()
    if route != "unknown":
        DURATION.labels(request.method, route).observe(time.perf_counter() - g.started_at)
    response.headers["X-Request-ID"] = g.request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Frame-Options", "DENY")
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
    response.headers.setdefault("Cache-Control", "no-store")
    return response
