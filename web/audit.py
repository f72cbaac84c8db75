"""``/audit``: who did what, when; operators only."""

from __future__ import annotations

from typing import Any

from platform import trail
from web.routing import Routes
from web.schemas.audit import AuditFilter, AuditPage
from web.schemas.paging import page_of

routes = Routes(tag="Audit")


@routes.get(
    "/audit", query=AuditFilter, auth="operator", answers={200: AuditPage}, summary="List what was done, newest first"
)
def index(query: AuditFilter) -> Any:
    """`?action=dead_letter.` means all actions that begin so."""
    page = trail.acts(query.action, query.subject, query.offset, query.limit)
    return page_of([act.as_dict() for act in page.items], page.total, query)
