"""The content decides who reads a file; names and suffixes do not."""

import re

from earmark.audio import chunks
from earmark.audio.errors import AudioError
from earmark.audio.films import film
from earmark.audio.flac import flac
from earmark.audio.layout import Layout
from earmark.audio.mpeg import adts, mp3, tag_end
from earmark.audio.ogg import ogg
from earmark.audio.source import Opened

_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a bitmap image"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ", "xz data"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"MThd", "a MIDI score, which holds notes and no sound"),
    (b"wvpk", "WavPack, which is not read; convert it to flac"),
    (b"MAC ", "Monkey's Audio, which is not read; convert it to flac"),
    (b"DSD ", "DSD, which is not read; convert it to flac"),
    (b"#!AMR", "AMR, which is not read; convert it to flac"),
    (b"Creative Voice File", "VOC, which is not read; convert it to wav"),
    (b"RIFF", "a RIFF file without sound"),
)
_IRCAM = re.compile(rb"\x64\xa3[\x00-\x04]\x00|\x00[\x00-\x04]\xa3\x64", re.DOTALL)


def sniff(source: Opened) -> Layout:
    """Recognize a container by its first bytes and compare what it declares with the file.

    Raises:
        AudioError: not audio, a container that earmark does not read, or an impossible rate or channels.
    """
    head = source.head
    name, kind = head[:4], head[8:12]
    if (name in (b"RIFF", b"RIFX", b"RF64", b"BW64") and kind == b"WAVE") or name == b"riff":
        return chunks.wav(source)
    if name == b"FORM" and kind in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
        return chunks.aiff(source)
    if name in (b".snd", b"dns."):
        return chunks.au(source)
    if name == b"caff":
        return chunks.caf(source)
    if name == b"OggS":
        return ogg(source)
    return _tagged(source) or film(source) or _rare(head) or _refuse(source)


def _tagged(source: Opened) -> Layout | None:
    """Formats that have no beginning of their own and may hide behind ID3 tags."""
    start = tag_end(source)
    if source.at(start, 4) == b"fLaC":
        return flac(source, start)
    return adts(source, start) or mp3(source, start)


def _rare(head: bytes) -> Layout | None:
    """Old formats without a declared length, but for one."""
    if head[:7] == b"NIST_1A":
        count = re.search(rb"\nsample_count -i (\d{1,15})\s", head[:1024])
        return Layout("nist", frames=int(count[1]) if count else None)
    if _IRCAM.match(head):
        return Layout("ircam")
    return {b" paf": Layout("paf"), b"fap ": Layout("paf"), b"PVF1": Layout("pvf")}.get(head[:4])


def _refuse(source: Opened) -> Layout:
    head = source.head
    kind = next((words for magic, words in _OTHERS if head.startswith(magic)), "")
    if not kind and not any(head):
        kind = "zeros"
    elif not kind and not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        kind = "text"
    raise AudioError(source.path, f"not audio: the content is {kind or 'of no kind that is known'}")
