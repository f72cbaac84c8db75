"""Files and folders of a supervised DATA_DIR are private, and the socket's path is short enough."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.supervision.place import Place
from platform.errors import PlatformError


@pytest.fixture
def long_place(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A DATA_DIR too long for a socket; the short folder is made in ``data_dir``."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(data_dir))
    return Place(data_dir / ("long" * 30))


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        yield server


def test_the_folders_are_private(data_dir: Path) -> None:
    place = Place(data_dir / "var")
    place.make()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (place.run, place.logs)} == {0o700}


def test_the_socket_is_beside_the_other_files(data_dir: Path) -> None:
    assert Place(data_dir).choose_socket().parent == Place(data_dir).run


def test_a_long_data_dir_gets_a_short_private_folder(long_place: Place, bound: socket.socket) -> None:
    path = long_place.choose_socket()
    bound.bind(f"{path}.4194304")  # the name supervisord binds first
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert long_place.choose_socket() == path


def test_two_long_data_dirs_do_not_share_a_socket(long_place: Place) -> None:
    assert Place(long_place.data_dir / "other").choose_socket() != long_place.choose_socket()


def test_a_folder_others_can_look_into_is_refused(long_place: Place) -> None:
    long_place.choose_socket().parent.chmod(0o755)
    with pytest.raises(PlatformError, match="not a private folder"):
        long_place.choose_socket()


def test_a_link_in_the_place_of_the_folder_is_refused(long_place: Place, data_dir: Path) -> None:
    folder = long_place.choose_socket().parent
    folder.rmdir()
    (data_dir / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(data_dir / "elsewhere")
    with pytest.raises(PlatformError, match="not a private folder"):
        long_place.choose_socket()


def test_cleaning_up_leaves_no_short_folder(long_place: Place) -> None:
    long_place.make()
    path = long_place.choose_socket()
    long_place.record.touch()
    long_place.clean(path)
    assert not path.parent.exists()
    assert os.listdir(long_place.run) == []
