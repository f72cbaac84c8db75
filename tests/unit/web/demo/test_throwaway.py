from __future__ import annotations

import tomllib

import pytest

from web.demo.throwaway import toml


@pytest.mark.parametrize("text", ["plain", 'quo"te', "back\\slash", "new\nline", "ümläut 🎈", "tab\t", "\x01\x7f", ""])
def test_toml_reads_a_text_back_as_it_was(text: str) -> None:
    assert tomllib.loads(f"one = {toml(text)}\nmany = {toml([text, text])}") == {"one": text, "many": [text, text]}
