"""The configuration file of supervisord, written from the programs.

supervisord expands ``%`` in every value, twice in the names of log files, and takes `` ;`` and `` #`` for
comments even inside quotes (Source: supervisor 4.3, ``options.py``). It holds no secrets: programs inherit
the environment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy.supervision.client import GUARD
from deploy.supervision.place import Place
from deploy.supervision.programs import GROUPS, Program
from platform.errors import SettingsError

LOG_MAX_BYTES = 10 * 1024 * 1024
LOG_BACKUPS = 5
# With the n-th failure in a row a program rests n seconds. After the last the guard takes over.
START_RETRIES = 8
GUARD_EVENTS = "PROCESS_STATE_EXITED,PROCESS_STATE_BACKOFF,PROCESS_STATE_STOPPED"

Section = tuple[str, dict[str, object]]
RPC: Section = (
    "rpcinterface:supervisor",
    {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
)


def text(programs: Iterable[Program], place: Place, socket: Path) -> str:
    """The whole file. Raises SettingsError if DATA_DIR's path cannot be written in it."""
    programs = list(programs)
    sections = [_supervisor(place), _control(socket), RPC, _guard(place)]
    sections += [_program(program, place) for program in programs]
    sections += [_group(name, programs) for name in GROUPS]
    return "\n".join(_section(title, values) for title, values in sections if values)


def _supervisor(place: Place) -> Section:
    return "supervisord", {
        "nodaemon": "true",
        "silent": "true",
        "nocleanup": "true",
        "minprocs": 1,
        "identifier": "platform",
        "childlogdir": _path(place.logs),
        "pidfile": _path(place.pidfile),
        "logfile": _path(place.supervisor_log),
        "logfile_maxbytes": LOG_MAX_BYTES,
        "logfile_backups": LOG_BACKUPS,
    }


def _control(socket: Path) -> Section:
    return "unix_http_server", {"file": _path(socket), "chmod": "0700"}


def _guard(place: Place) -> Section:
    command = (sys.executable, "-m", "deploy.supervision.guard", str(place.data_dir))
    return f"eventlistener:{GUARD}", {
        "command": _command(command),
        "events": GUARD_EVENTS,
        "buffer_size": 1000,
        "priority": -1,  # started first, stopped last
        "autorestart": "true",
        "startsecs": 0,
        "startretries": 1_000_000,  # nobody would take over from the guard
        "stdout_logfile": "NONE",
        **_log("stderr", place.log(GUARD)),
    }


def _program(program: Program, place: Place) -> Section:
    return f"program:{program.name}", {
        "command": _command(program.command),
        "autostart": "false",  # the guard starts them, each when what it needs is there
        "autorestart": "true",
        "startsecs": program.settle_s,
        "startretries": START_RETRIES,
        "stopsignal": "TERM",
        "stopwaitsecs": program.stop_s,
        # SIGTERM to the main process alone: to a worker's children it would mean to drop the running jobs.
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        **_log("stdout", place.log(program.name)),
    }


def _group(name: str, programs: list[Program]) -> Section:
    members = [program.name for program in programs if program.group == name]
    values = {"programs": ",".join(members), "priority": GROUPS[name]} if members else {}
    return f"group:{name}", values


def _log(stream: str, file: Path) -> dict[str, object]:
    return {
        f"{stream}_logfile": _path(file).replace("%%", "%%%%"),
        f"{stream}_logfile_maxbytes": LOG_MAX_BYTES,
        f"{stream}_logfile_backups": LOG_BACKUPS,
    }


def _section(title: str, values: dict[str, object]) -> str:
    return "\n".join([f"[{title}]", *(f"{key} = {value}" for key, value in values.items())]) + "\n"


def _path(path: Path) -> str:
    if re.search(r"\s[#;]|[\n\r]", str(path)):
        raise SettingsError(f"PLATFORM_DATA_DIR: supervisord takes part of {path} for a comment; choose another folder")
    return str(path).replace("%", "%%")


def _command(command: Iterable[str]) -> str:
    """For supervisord's ``shlex.split``; every unusual character is escaped, so no comment can begin."""
    return " ".join(re.sub(r"([^\w@%+=:,./-])", r"\\\1", part) or "''" for part in command).replace("%", "%%")
