"""What a caller may follow: from what was asked for to a topic that shows no more than the caller may see."""

from __future__ import annotations

from platform.batches.errors import UnknownBatch
from platform.batches.register import batches
from platform.documents.acceptance import DOCUMENT_ID, USER_ID
from platform.documents.errors import UnknownModel
from platform.documents.filters import BadFilter, Filter, parsed
from platform.documents.model import model_of
from platform.errors import UnknownJob
from platform.jobs.ledger import ledger
from platform.routing.rooms import BadRoom, room_channel
from platform.streams.history import BadPosition
from platform.streams.names import View
from web.identity import Caller
from web.sockets.protocol.messages import Channel, Refused, Wish
from web.sockets.topics import BatchTopic, Documents, JobTopic, Room, Topic, check_place


def topic_of(caller: Caller, wish: Wish) -> Topic:
    """What the caller follows if it asks for that, from where it asks. Raises Refused, BrokerUnavailable."""
    topic = _topic_of(caller, wish)
    try:
        check_place(topic, wish.since)
    except BadPosition as exc:
        raise Refused("bad_since", str(exc)) from exc
    return topic


def _topic_of(caller: Caller, wish: Wish) -> Topic:
    given = [name for name in ("channel", "room", "job", "batch") if getattr(wish, name) is not None]
    if len(given) != 1:
        raise Refused("bad_channel", "say what to follow: one of channel, room, job and batch")
    if wish.filter is not None and wish.channel is None:
        raise Refused("bad_filter", "only documents can be filtered")
    if wish.channel is not None:
        return _documents(caller, wish.channel, wish.filter)
    if wish.room is not None:
        return room_of(caller, wish.room)
    if wish.job is not None:
        return _job(caller, wish.job)
    return _batch(caller, str(wish.batch))


def told_of(caller: Caller, wish: Wish) -> str:
    """The channel's name of what was asked for, whether or not it may be followed."""
    if wish.channel is not None:
        channel = wish.channel
        return View(caller.app_id, channel.model, channel.id, channel.userId).channel
    kind, name = ("room", wish.room) if wish.room else ("job", wish.job) if wish.job else ("batch", wish.batch)
    return f"app:{caller.app_id}:{kind}:{name}"


def room_of(caller: Caller, name: str) -> Room:
    """A room of the caller's tenant. Raises Refused."""
    try:
        room_channel(caller.app_id, name)
    except BadRoom as exc:
        raise Refused("bad_channel", str(exc)) from exc
    if not caller.scope.allows_room(name):
        raise Refused("forbidden", f"the token does not allow the room {name!r}")
    return Room(caller.app_id, name)


def _documents(caller: Caller, channel: Channel, filter: dict | None) -> Documents:
    """Of a model that only owners see, others than operators follow their own documents, whatever they asked for."""
    try:
        model = model_of(channel.model)
    except UnknownModel as exc:
        raise Refused("unknown_model", str(exc)) from exc
    _check_names(channel)
    if not caller.scope.allows_model(channel.model):
        raise Refused("forbidden", f"the token does not allow the model {channel.model!r}")
    view = View(caller.app_id, channel.model, channel.id, channel.userId)
    told = view.channel
    if model.declared.visibility == "owner" and not caller.has_role("operator"):
        if channel.userId not in ("", caller.account_id):
            raise Refused("forbidden", f"{channel.model!r} is seen by its owner only")
        view = View(caller.app_id, channel.model, channel.id, caller.account_id)
    return Documents(told, view, _filter(caller, channel.model, filter))


def _check_names(channel: Channel) -> None:
    if channel.id and not DOCUMENT_ID.fullmatch(channel.id):
        raise Refused("bad_channel", f"no document has the id {channel.id!r}")
    if channel.userId and not USER_ID.fullmatch(channel.userId):
        raise Refused("bad_channel", f"no user has the id {channel.userId!r}")


def _filter(caller: Caller, model: str, asked: dict | None) -> Filter | None:
    """The client's and the token's, both of which must hold."""
    enforced = caller.scope.filter_for(model)
    both = [one for one in (enforced, asked) if one]
    if not both:
        return None
    try:
        return parsed(both[0] if len(both) == 1 else {"$and": both})
    except BadFilter as exc:
        raise Refused("bad_filter", str(exc)) from exc


def _job(caller: Caller, job_id: str) -> JobTopic:
    if not caller.scope.allows_jobs:
        raise Refused("forbidden", "the token does not allow jobs")
    try:
        job = ledger().get(job_id)
    except UnknownJob as exc:
        raise Refused("not_found", str(exc)) from exc
    if job.owner != caller.account_id and not caller.has_role("operator"):
        raise Refused("not_found", str(UnknownJob(job_id)))
    return JobTopic(job.app_id or caller.app_id, job_id)


def _batch(caller: Caller, batch_id: str) -> BatchTopic:
    if not caller.scope.allows_jobs:
        raise Refused("forbidden", "the token does not allow jobs and batches")
    try:
        batch = batches().get(batch_id)
    except UnknownBatch as exc:
        raise Refused("not_found", str(exc)) from exc
    if batch.owner != caller.account_id and not caller.has_role("operator"):
        raise Refused("not_found", str(UnknownBatch(batch_id)))
    return BatchTopic(batch.app_id or caller.app_id, batch_id)
