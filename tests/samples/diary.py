"""A user's own models, and stages that drop, spoil and refuse what passes."""

from pydantic import Field

from tasks.models import Model
from tasks.pipeline import stage


class Note(Model, indexes=("n",)):
    """Something to remember; nobody else sees it."""

    title: str = Field(min_length=1, max_length=100)
    n: int = 0
    tags: list[str] = []
    place: dict[str, str] | None = None


class Board(Model, visibility="app"):
    """Seen and changed by everybody of the tenant."""

    title: str


@stage("moderate", before="write", max_retries=0)
def moderate(change):
    """What is titled ``spam`` is dropped, ``boom`` raises, ``spoil`` no longer fits."""
    title = (change.data or {}).get("title")
    if title == "spam":
        return None
    if title == "boom":
        raise ValueError("on purpose")
    if title == "spoil":
        change.data["title"] = 3
    return change
