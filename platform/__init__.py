"""The platform's ground layer, standing in for the standard library's module of the same name.

In every process ``platform`` is the standard library's module with this folder as its
``__path__``: ``platform.system()`` answers as ever and ``platform.celery`` is the Celery app.
Two roads lead here. If the project's root comes first on ``sys.path`` this file is found, and it
runs the real module's code in its own namespace. If the standard library comes first,
``tasks/__init__.py`` lends the real module this folder as its path.

Nothing may be imported above the two lines that run the real module, and nothing heavy below: third-party
packages ask ``platform.system()`` while they are being imported.
"""

import os as _os
import sys as _sys
from importlib.machinery import PathFinder as _PathFinder

_spec = _PathFinder.find_spec("platform", [_os.path.dirname(_os.__file__)])
if _spec is None or _spec.loader is None:  # a Python without its standard library cannot come this far
    raise ImportError("the standard library's platform module was not found beside os.py")
_spec.loader.exec_module(_sys.modules[__name__])

TYPE_CHECKING = False
if TYPE_CHECKING:
    # What the standard library's module offers and this project uses; type checkers see only this file.
    def node() -> str: ...
    def system() -> str: ...
    def machine() -> str: ...
    def python_version() -> str: ...
