"""Corpora from a server on this machine: fetched, unpacked and put into place, whatever came before."""

import hashlib
import shutil
from pathlib import Path

import pytest

from earmark.config import ConfigError
from earmark.data.preparation.downloads import DOWNLOADS, PLACE, Archive, Publication, download, publication
from earmark.fetching import FetchError, Remote
from earmark.fetching.download import MAX_BYTES
from fetching.made_archives import split, write_tar, write_zip
from fetching.server import QUICK, TAG, Handler, Server, server

__all__ = ["server"]

FILES = {
    "Corpus-1/audio/a.wav": b"sound" * 500,
    "Corpus-1/meta/table.csv": b"a,1\n",
    "Corpus-1/README": b"about",
    "._Corpus-1": b"what a Mac leaves",
}


class Shelf:
    """Files that the server has, by name; it serves ranges, and cuts a file off once if told to."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.cuts: dict[str, int] = {}
        folder.mkdir()
        server.behaviors = [self.serve]

    def serve(self, handler: Handler) -> None:
        name = handler.path.strip("/").partition("?")[0]
        body = (self.folder / name).read_bytes()
        if name in self.cuts:
            handler.answer(200, body[: self.cuts.pop(name)], Content_Length=str(len(body)), ETag=TAG)
            return
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        span = f"bytes {start}-{len(body) - 1}/{len(body)}" if asked else ""
        handler.answer(206 if asked else 200, body[start:], ETag=TAG, Content_Range=span)

    def remote(self, path: Path) -> Remote:
        data = path.read_bytes()
        url = f"http://127.0.0.1:{self.server.server_port}/{path.name}?download=1"
        return Remote(path.name, url, len(data), md5=hashlib.md5(data).hexdigest())

    def asked(self) -> list[str]:
        return [seen["path"].strip("/").partition("?")[0] for seen in self.server.seen]


@pytest.fixture
def shelf(server: Server, tmp_path: Path) -> Shelf:
    return Shelf(server, tmp_path / "shelf")


def published(shelf: Shelf, *parts: Path, inside: str = "Corpus-1") -> Publication:
    files = tuple(shelf.remote(part) for part in parts)
    return Publication("CC0", (Archive(files, ("audio", "meta"), inside, 10**6),))


def found(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and PLACE not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


WHOLE = {name.removeprefix("Corpus-1/"): data for name, data in FILES.items() if "/" in name}


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_corpus_comes_whole_and_only_once(shelf: Shelf, tmp_path: Path, write) -> None:
    corpus = published(shelf, write(shelf.folder / "corpus.zip", FILES))
    root = tmp_path / "deep" / "root"
    assert download(corpus, root, QUICK) == ["README", "audio", "meta"]
    assert found(root) == WHOLE
    assert download(corpus, root, QUICK) == []
    assert shelf.asked() == ["corpus.zip"]
    left = {path.name for path in (root / PLACE).iterdir() if not path.name.endswith(".lock")}
    assert left == {"corpus.zip.json"}


def test_parts_are_fetched_and_unpacked_together(shelf: Shelf, tmp_path: Path) -> None:
    whole = write_zip(shelf.folder / "corpus.zip", FILES)
    parts = split(whole, 300)
    corpus = published(shelf, *parts)
    download(corpus, tmp_path / "root", QUICK)
    assert found(tmp_path / "root") == WHOLE
    assert shelf.asked() == [part.name for part in parts]


def test_a_cut_is_taken_up_where_it_was(shelf: Shelf, tmp_path: Path) -> None:
    corpus = published(shelf, write_zip(shelf.folder / "corpus.zip", FILES))
    shelf.cuts["corpus.zip"] = 100
    download(corpus, tmp_path / "root", QUICK)
    assert shelf.server.seen[1]["Range"] == "bytes=100-"
    assert found(tmp_path / "root") == WHOLE


def test_a_call_that_was_killed_while_it_moved_files_is_finished(shelf: Shelf, tmp_path: Path) -> None:
    archive = write_zip(shelf.folder / "corpus.zip", FILES)
    corpus, root = published(shelf, archive), tmp_path / "root"
    download(corpus, root, QUICK)
    unpacked = root / PLACE / "corpus.zip.unpacked" / "Corpus-1"
    unpacked.mkdir(parents=True)
    (root / "meta").rename(unpacked / "meta")  # audio was moved, and then the machine stopped
    shutil.copy(archive, root / PLACE)
    assert download(corpus, root, QUICK) == ["meta"]
    assert found(root) == WHOLE
    assert shelf.asked() == ["corpus.zip"]
    assert not (root / PLACE / "corpus.zip").exists()


def test_a_call_that_was_killed_before_it_unpacked_asks_for_nothing_again(
    shelf: Shelf, tmp_path: Path
) -> None:
    archive = write_zip(shelf.folder / "corpus.zip", FILES)
    (tmp_path / "root" / PLACE / ".corpus.zip.unpacked.unpacking" / "Corpus-1").mkdir(parents=True)
    shutil.copy(archive, tmp_path / "root" / PLACE)
    download(published(shelf, archive), tmp_path / "root", QUICK)
    assert found(tmp_path / "root") == WHOLE
    assert shelf.asked() == []


def test_what_is_there_is_never_replaced(shelf: Shelf, tmp_path: Path) -> None:
    corpus = published(shelf, write_zip(shelf.folder / "corpus.zip", FILES))
    (tmp_path / "root" / "audio").mkdir(parents=True)
    (tmp_path / "root" / "audio" / "mine.wav").write_text("mine")
    with pytest.raises(FetchError, match=r"audio: is there already, but not all that belongs to it"):
        download(corpus, tmp_path / "root", QUICK)
    assert found(tmp_path / "root") == {"audio/mine.wav": b"mine"}
    assert shelf.asked() == []


def test_a_readme_of_ones_own_stays(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "README").write_text("mine")
    corpus = published(shelf, write_zip(shelf.folder / "corpus.zip", FILES))
    download(corpus, tmp_path, QUICK)
    assert (tmp_path / "README").read_text() == "mine"
    assert (tmp_path / "audio" / "a.wav").exists()


def test_another_archive_than_was_published_is_not_kept(shelf: Shelf, tmp_path: Path) -> None:
    corpus = published(shelf, write_zip(shelf.folder / "corpus.zip", FILES), inside="Corpus-2")
    with pytest.raises(FetchError, match=r"corpus\.zip: brought no audio; it is not what was published"):
        download(corpus, tmp_path / "root", QUICK)
    assert found(tmp_path / "root") == {}
    assert not list((tmp_path / "root" / PLACE).glob("corpus.zip*[!n]"))


def test_bytes_that_changed_on_the_way_are_a_sentence_that_says_what_to_do(
    shelf: Shelf, tmp_path: Path
) -> None:
    path = write_zip(shelf.folder / "corpus.zip", FILES)
    corpus = published(shelf, path)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(FetchError, match=r"MD5 .* expected; .*or download it yourself and unpack it into"):
        download(corpus, tmp_path / "root", QUICK)
    assert found(tmp_path / "root") == {}


def test_what_cannot_be_downloaded_is_said() -> None:
    with pytest.raises(ConfigError, match="AudioSet cannot be downloaded; --download knows ESC50, Speech"):
        publication("AudioSet")


def test_what_is_known_of_the_published_archives_can_be_true() -> None:
    archives = [archive for one in DOWNLOADS.values() for archive in one.archives]
    remotes = [remote for archive in archives for remote in archive.files]
    assert len({remote.name for remote in remotes}) == len(remotes) == 14
    for remote in remotes:
        assert remote.url.startswith("https://")
        assert remote.size is None or 0 < remote.size <= MAX_BYTES
        assert remote.md5 is None or (len(remote.md5) == 32 and int(remote.md5, 16))
        assert remote.sha256 is None or (len(remote.sha256) == 64 and int(remote.sha256, 16))
    pinned = [remote for remote in remotes if remote.pinned]
    assert {remote.name for remote in remotes} - {remote.name for remote in pinned} == {"ESC-50.zip"}
    assert all(archive.brings and archive.max_bytes >= 10**9 for archive in archives)
