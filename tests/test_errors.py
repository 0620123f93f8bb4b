"""What errors say beyond their own sentence."""

from importlib import metadata
from types import SimpleNamespace

import pytest

from genlab.errors import installation


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (
            '{"url": "file:///a%20b", "dir_info": {"editable": true}}',
            "pip install -e '/a b[ray]'",
        ),
        ('{"url": "file:///home/genlab", "dir_info": {}}', "pip install '/home/genlab[ray]'"),
        ('{"url": "file:///genlab-1-any.whl", "archive_info": {}}', "pip install '/genlab-1-any.whl[ray]'"),
        (None, "pip install 'genlab[ray]'"),
    ],
)
def test_an_extra_comes_from_where_genlab_was_installed(
    record: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: record))
    assert installation("ray") == command
