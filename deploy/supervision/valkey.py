"""``python -m deploy.supervision.valkey DATA_DIR``: the embedded Valkey as a supervised program.

A server that somebody started on demand is stopped first, its data saved: the supervised one takes its place.
"""

from __future__ import annotations

import sys
from pathlib import Path

from platform import embedded


def main() -> None:
    data_dir = Path(sys.argv[1])
    embedded.stop(data_dir)
    embedded.serve(data_dir)


if __name__ == "__main__":
    main()
