"""``/health /ready /status /metrics``, open to whoever can reach the port, and ``/openapi.json`` with its page."""

from __future__ import annotations

import os
from functools import cache, lru_cache
from typing import Any

from flask import Flask, Response, current_app, redirect, render_template, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from platform import health
from platform.metrics import JobsCollector
from web import reference
from web.openapi import describe
from web.problems import RETRY_AFTER_S
from web.routing import Routes
from web.schemas.body import Html
from web.sockets import metrics as sockets

routes = Routes(tag="Service")

REQUESTS = Counter("platform_http_requests_total", "HTTP requests, by route and status.", ["method", "route", "status"])
DURATION = Histogram("platform_http_request_seconds", "Time to answer, by route.", ["method", "route"])


@routes.get("/health", auth=None, answers={200: dict[str, str]}, summary="Alive")
def alive() -> Any:
    """Answers without asking the broker."""
    return {"status": "ok"}


@routes.get("/ready", auth=None, answers={200: dict[str, Any], 503: dict[str, Any]}, summary="Ready")
def ready() -> Any:
    """200 only when broker, record store and database answer."""
    checks = health.readiness()
    if health.is_ready(checks):
        return health.ready(checks)
    return health.ready(checks), 503, {"Retry-After": str(RETRY_AFTER_S)}


@routes.get("/status", auth=None, answers={200: dict[str, Any]}, problems=(503,), summary="What is going on")
def status() -> Any:
    """Jobs by state, queues, workers, and schedules with who acts on them."""
    return health.status()


@routes.get("/metrics", auth=None, answers={200: str}, problems=(503,), summary="Metrics for Prometheus")
def metrics() -> Any:
    """Job metrics are the whole platform's, HTTP metrics this machine's."""
    collectors = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(collectors)
    else:
        for metric in (REQUESTS, DURATION, *sockets.ALL):
            collectors.register(metric)
    collectors.register(JobsCollector())
    return Response(generate_latest(collectors), content_type=CONTENT_TYPE_LATEST)


@routes.get("/", auth=None, answers={302: None}, summary="To the API's page")
def home() -> Any:
    """Whoever opens the address in a browser is led to `/docs`."""
    return redirect("/docs")


@routes.get("/openapi.json", auth=None, answers={200: dict[str, Any]}, summary="This description")
def openapi() -> Any:
    """OpenAPI 3.1."""
    return _document(current_app._get_current_object())  # type: ignore[attr-defined]


@routes.get("/docs", auth=None, answers={200: Html}, summary="The API's page")
def docs() -> Any:
    """The same, to read."""
    page = _page(current_app._get_current_object(), request.host_url.rstrip("/"))  # type: ignore[attr-defined]
    return Response(page, content_type="text/html; charset=utf-8")


@lru_cache(maxsize=8)  # by address, which whoever asks may choose
def _page(app: Flask, base_url: str) -> str:
    api = _document(app)
    return render_template(
        "docs.html",
        api=api,
        introduction=reference.introduction(api),
        topics=reference.topics(api, base_url),
        schemas=reference.schemas(api),
    )


@cache
def _document(app: Flask) -> dict[str, Any]:
    return describe(app.config["ROUTES"])
