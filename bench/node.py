"""Node's packages of the benchmarks, in ``bench/.node``; where there is no Node, what needs them is left out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from bench.measures import BenchmarkFailed

SOURCES = Path(__file__).parent / "systems" / "node"
FOLDER = Path(__file__).parent / ".node"
MODULES = FOLDER / "node_modules"


def is_there() -> bool:
    """Whether Node and npm are on the path."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


def install() -> None:
    """What ``package.json`` names, unless it is there. Raises BenchmarkFailed."""
    wanted = (SOURCES / "package.json").read_text()
    done = FOLDER / "package.json"
    if MODULES.is_dir() and done.exists() and done.read_text() == wanted:
        return
    FOLDER.mkdir(exist_ok=True)
    done.write_text(wanted)
    # No lock: it would name the registry it was made with.
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    made = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)  # noqa: S603
    (MODULES / ".package-lock.json").unlink(missing_ok=True)
    if made.returncode:
        done.unlink()
        raise BenchmarkFailed(f"npm install failed: {made.stderr[-1000:]}")


def versions(*names: str) -> dict[str, str]:
    """Of Node and of these packages."""
    command = ["node", "--version"]
    node = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    packages = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    return {"node": node.lstrip("v")} | {f"npm:{name}": packages[name] for name in names}
