"""A published model from a server on this machine: fetched, converted and kept."""

import io
from pathlib import Path

import pytest
import torch

from earmark.encoders import PaSST
from earmark.encoders.passt_weights import published_state
from earmark.models import CheckpointError, LinearHead, read_header, zoo
from earmark.models.catalog import Published
from fetching.server import Server, left, server

__all__ = ["server"]


def tiny_weights() -> bytes:
    config = PaSST(max_frames=112, stride=(16, 16), dim=64, depth=1, heads=1)
    head = LinearHead(carry_distillation=True).build(64, 64, 5)
    buffer = io.BytesIO()
    torch.save(published_state(config.build().state_dict(), head.state_dict()), buffer)
    return buffer.getvalue()


@pytest.fixture
def entry(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Published:
    """A published model that the local server has, known under its name."""
    made = Published(name="tiny.test", family="PaSST", url=server.url, score=0.5, classes=5, clip_seconds=1.0)
    monkeypatch.setitem(zoo.BY_NAME, made.name, made)
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    body = tiny_weights()
    server.behaviors = [lambda handler: handler.answer(200, body)]
    return made


def test_a_published_name_is_fetched_once_and_kept_as_our_own_checkpoint(
    server: Server, entry: Published, tmp_path: Path
) -> None:
    first, second = zoo.load("tiny.test"), zoo.load("tiny.test")
    assert len(server.seen) == 1
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert left(tmp_path / "cache" / "checkpoints") == {
        "tiny.test.pt",
        "tiny.test.pt.json",
        "tiny.test.safetensors",
    }
    provenance = read_header(zoo.resolve("tiny.test")).provenance
    assert provenance["url"] == server.url
    assert provenance["license"] == "Apache-2.0"


def test_weights_with_other_classes_than_the_catalog_says_are_refused(
    server: Server, entry: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(zoo.BY_NAME, entry.name, entry.replace(classes=6))
    with pytest.raises(CheckpointError, match=r"tiny\.test\.pt: has 5 classes; 6 .*delete it and try again"):
        zoo.load("tiny.test")
    assert "tiny.test.safetensors" not in left(tmp_path / "cache" / "checkpoints")


def test_a_page_behind_a_published_name_is_a_sentence_that_says_what_to_do(
    server: Server, entry: Published
) -> None:
    server.behaviors = [lambda handler: handler.answer(200, b"<html>please log in</html>")]
    with pytest.raises(
        CheckpointError, match=r"tiny\.test\.pt: is not .*it came from http.*delete it and try"
    ):
        zoo.load("tiny.test")


def test_an_exploit_behind_a_published_name_is_refused(
    server: Server, entry: Published, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    code = b"cposix\nsystem\n(X" + len(f"touch {marker}").to_bytes(4, "little") + f"touch {marker}".encode()
    server.behaviors = [lambda handler: handler.answer(200, code + b"tR.")]
    with pytest.raises(CheckpointError, match="not a zip archive"):
        zoo.load("tiny.test")
    assert not marker.exists()
