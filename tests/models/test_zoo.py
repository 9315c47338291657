"""Models by name: imported ones, published ones that were converted, and what is listed of them."""

import hashlib
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from crafted import import_under
from safetensors.torch import save_file
from torch import Tensor

import earmark
from earmark.config import ConfigError
from earmark.encoders import PaSST
from earmark.encoders.passt_weights import published_state
from earmark.labels import OPENMIC, SPEECH_COMMANDS
from earmark.models import CheckpointError, LinearHead, conversion, import_model, load, read_header, save, zoo
from earmark.models.catalog import BY_NAME, ENSEMBLE_BY_NAME, ENSEMBLES, PUBLISHED, Published
from earmark.models.listing import list_models
from earmark.models.published import Origin
from earmark.models.published.family import labels_for

TINY = PaSST(max_frames=112, stride=(16, 16), dim=64, depth=1, heads=1)


def weights(classes: int = 3) -> dict[str, Tensor]:
    """A tiny PaSST's, by their published names."""
    torch.manual_seed(classes)
    head = LinearHead(carry_distillation=True).build(64, 64, classes)
    for buffer in head.buffers():
        torch.nn.init.normal_(buffer)
    return published_state(TINY.build().state_dict(), head.state_dict())


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are kept in a test."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.save(weights(), tmp_path / "my net (2).pt")
    return tmp_path / "my net (2).pt"


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][k], states[1][k]) for k in states[0]
    )


def test_an_imported_model_is_known_by_the_name_of_its_file(source: Path, kept: Path) -> None:
    done = import_model(source)
    assert (done.name, done.path) == ("my-net-2", kept / "models" / "my-net-2.safetensors")
    assert same(load("my-net-2"), load(source))
    provenance = read_header(done.path).provenance
    assert provenance == {
        "imported_from": "my net (2).pt",
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "family": "PaSST",
        "settings": [],
        "earmark": earmark.__version__,
        "converter": conversion.CONVERTER,
    }


def test_settings_say_what_weights_do_not(source: Path) -> None:
    done = import_model(source, "mine", ["clip_seconds=0.5", 'labels.names=["a","b","c"]'])
    assert load("mine").config.clip_seconds == 0.5
    assert load("mine").labels.names == ("a", "b", "c")
    assert read_header(done.path).provenance["settings"][0] == "clip_seconds=0.5"


def test_a_setting_that_makes_no_sense_is_a_sentence_that_names_the_file(source: Path, kept: Path) -> None:
    with pytest.raises(CheckpointError, match=r"my net .*no field 'hop_lengths'; did you mean 'hop_length'"):
        import_model(source, settings=["frontend.hop_lengths=160"])
    assert not kept.exists()


def test_a_model_is_written_to_a_file_instead(source: Path, kept: Path, tmp_path: Path) -> None:
    done = import_model(source, out=tmp_path / "x.safetensors")
    assert done.name is None
    assert same(load(tmp_path / "x.safetensors"), load(source))
    assert not kept.exists()


def test_the_same_file_may_be_imported_again_and_another_may_not_take_its_name(
    source: Path, tmp_path: Path
) -> None:
    import_model(source, "mine")
    import_model(source, "mine", ["clip_seconds=0.5"])
    assert load("mine").config.clip_seconds == 0.5
    torch.save(weights(4), tmp_path / "other.pt")
    with pytest.raises(
        ConfigError, match=r"'mine' is the name of a model that came from another file .my net"
    ):
        import_model(tmp_path / "other.pt", "mine")
    assert len(load("mine").labels) == 3


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".x", "-x", "x.", "a b", "é", "x" * 101, "a\nb", "a\0b", "~x"]
)
def test_a_name_cannot_be_a_way_out(name: str, source: Path, kept: Path) -> None:
    with pytest.raises(ConfigError, match="is no name for a model"):
        import_model(source, name)
    with pytest.raises(ConfigError, match="no model"):
        load(name)
    assert not kept.exists()


@pytest.mark.parametrize(
    "name", ["builtin", "BuiltIn", PUBLISHED[0].name, PUBLISHED[-1].name.upper(), ENSEMBLES[0].name]
)
def test_a_name_of_another_model_cannot_be_had(name: str, source: Path) -> None:
    with pytest.raises(ConfigError, match=r"is the name of another model; give one of your own with --as"):
        import_model(source, name)


def test_a_file_called_like_a_published_model_needs_a_name(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "passt-s.as2m.pt")
    with pytest.raises(ConfigError, match="--as NAME"):
        import_model(tmp_path / "passt-s.as2m.pt")


@pytest.mark.parametrize(
    ("out", "name", "words"),
    [
        ("x.pt", None, "does not end in .safetensors"),
        ("x.safetensors", "mine", "give one of the two"),
        ("no/such/x.safetensors", None, "cannot be written: No such file"),
    ],
)
def test_an_output_that_makes_no_sense_is_a_sentence(
    out: str, name: str | None, words: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, CheckpointError), match=words):
        import_model(source, name, out=tmp_path / out)


def test_a_source_is_never_replaced(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "x.safetensors")
    before = (tmp_path / "x.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="its own conversion"):
        import_model(tmp_path / "x.safetensors", out=tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").read_bytes() == before


def test_a_checkpoint_of_ours_gets_a_name(source: Path, tmp_path: Path) -> None:
    save(load(source), tmp_path / "run.safetensors", {"recipe": "mine", "epoch": 3})
    done = import_model(tmp_path / "run.safetensors")
    assert done.name == "run"
    assert same(load("run"), load(source))
    provenance = read_header(done.path).provenance
    assert (provenance["recipe"], provenance["imported_from"]) == ("mine", "run.safetensors")
    with pytest.raises(ConfigError, match="describes itself"):
        import_model(tmp_path / "run.safetensors", settings=["clip_seconds=1"])


def test_a_damaged_model_under_a_name_is_told_and_not_replaced(source: Path) -> None:
    path = import_model(source, "mine").path
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        CheckpointError, match=r"mine\.safetensors: .*delete it, or import under another name"
    ):
        import_model(source, "mine")
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: "):
        load("mine")


def test_imports_at_once_leave_one_whole_model(source: Path, kept: Path) -> None:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["earmark.models.zoo"])
    processes = [server.Process(target=import_under, args=(kept, source, "mine")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {process.exitcode for process in processes} == {0}
    assert same(load("mine"), load(source))


def hugging_face(folder: Path, classes: int = 3, **config: Any) -> Path:
    """A folder as Hugging Face lays it out."""
    folder.mkdir()
    save_file(
        {f"module.{name}": tensor for name, tensor in weights(classes).items()}, folder / "model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


NAMES = {"0": "Hund", "1": "Katze", "2": "Maus"}


def test_a_folder_of_hugging_face_names_its_classes(tmp_path: Path) -> None:
    folder = hugging_face(tmp_path / "my-tagger", id2label=NAMES)
    assert load(folder).labels.names == ("Hund", "Katze", "Maus")
    assert load(folder / "model.safetensors").labels.names == ("Hund", "Katze", "Maus")
    done = import_model(folder)
    assert (done.name, done.recognized.named_by) == ("my-tagger", "config.json")
    assert load("my-tagger").labels.names == ("Hund", "Katze", "Maus")
    assert import_model(folder, settings=['labels.names=["x","y","z"]']).recognized.named_by is None
    assert load("my-tagger").labels.names == ("x", "y", "z")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"id2label": {"0": "a", "1": "b"}},
        {"id2label": {"0": "a", "1": "b", "3": "c"}},
        {"id2label": {"0": "a", "1": "a", "2": "b"}},
        {"id2label": {"0": "a", "1": "b", "2": 3}},
        {"id2label": {"0": "a", "1": "b", "2": "\x1b[2J"}},
        {"id2label": {"0": "a", "1": "b", "2": "c" * 300}},
        {"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}},
        {"id2label": ["a", "b", "c"]},
    ],
)
def test_odd_names_of_classes_are_left_aside(config: dict[str, Any], tmp_path: Path) -> None:
    folder = hugging_face(tmp_path / "x", **config)
    assert load(folder).labels.names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize("content", [b"", b"[1]", b"{" * 10_000, b"\xff", b" " * 5_000_000])
def test_a_damaged_table_of_names_is_left_aside(content: bytes, tmp_path: Path) -> None:
    folder = hugging_face(tmp_path / "x", id2label=NAMES)
    (folder / "config.json").write_bytes(content)
    assert load(folder).labels.names[0] == "class 0"


def test_numbers_of_classes_that_corpora_have_get_their_names() -> None:
    openmic, commands = labels_for(20, Origin("x")), labels_for(35, Origin("x"))
    assert (openmic.names, openmic.exclusive) == (OPENMIC, False)
    assert (commands.names, commands.exclusive) == (SPEECH_COMMANDS, True)
    assert list(OPENMIC) == sorted(OPENMIC)
    assert SPEECH_COMMANDS[0] == "backward"


def test_weights_that_contradict_each_other_are_a_sentence(tmp_path: Path) -> None:
    for name, tensor in weights().items():
        for odd in (torch.zeros(1), torch.zeros(1, 1, 1, 1, 1), torch.zeros(7, 3), torch.tensor(1)):
            if odd.shape == tensor.shape:
                continue
            save_file(weights() | {name: odd}, tmp_path / "x.safetensors")
            with pytest.raises(CheckpointError, match=r"x\.safetensors: "):
                load(tmp_path / "x.safetensors")


@pytest.fixture
def entry(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A published model whose file has been fetched before."""
    made = Published(name="tiny.test", family="PaSST", url="https://127.0.0.1:1/x", score=0.5, classes=3)
    folder = kept / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(weights(), folder / "tiny.test.pt")
    monkeypatch.setitem(BY_NAME, made.name, made)
    return made


def test_a_conversion_says_what_it_was_made_of(entry: Published, kept: Path) -> None:
    provenance = read_header(zoo.resolve(entry.name)).provenance
    source = (kept / "checkpoints" / "tiny.test.pt").read_bytes()
    assert provenance["source_sha256"] == hashlib.sha256(source).hexdigest()
    assert provenance["converter"] == conversion.CONVERTER
    assert provenance["url"] == entry.url


def test_a_conversion_is_kept(entry: Published) -> None:
    first = zoo.resolve(entry.name).stat().st_mtime_ns
    assert zoo.resolve(entry.name).stat().st_mtime_ns == first


def test_a_conversion_is_made_anew_by_another_converter(
    entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.resolve(entry.name)
    monkeypatch.setattr(conversion, "CONVERTER", 99)
    assert not conversion.is_converted(entry, zoo.cache_folder())
    assert read_header(zoo.resolve(entry.name)).provenance["converter"] == 99


def test_a_conversion_is_made_anew_when_the_catalog_has_other_facts(
    entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(entry.name).config.clip_seconds != 0.5
    monkeypatch.setitem(BY_NAME, entry.name, entry.replace(settings=("clip_seconds=0.5",)))
    assert load(entry.name).config.clip_seconds == 0.5


def test_a_conversion_with_a_damaged_header_is_made_anew(entry: Published) -> None:
    path = zoo.resolve(entry.name)
    path.write_bytes(path.read_bytes()[:50])
    assert load(entry.name).count_parameters() > 1000


def test_each_model_is_listed_with_all_that_is_known(entry: Published, source: Path, kept: Path) -> None:
    import_model(source, "mine")
    (kept / "models" / "odd.safetensors").write_bytes(b"odd")
    rows = {row["name"]: row for row in list_models()}
    assert next(iter(rows)) == "builtin"
    published = {entry.name for entry in (*PUBLISHED, *ENSEMBLES)}
    assert published | {"builtin", "mine", "odd"} == rows.keys()
    assert rows["passt-ensemble-4"]["members"] == list(ENSEMBLE_BY_NAME["passt-ensemble-4"].members)
    facts = {"url", "size", "sha256", "license", "score", "metric", "classes", "clip_seconds", "settings"}
    assert all(facts | {"family", "cached", "path"} <= row.keys() for row in rows.values())
    assert rows["builtin"]["cached"]
    assert rows["builtin"]["sha256"] == hashlib.sha256(zoo.resolve("builtin").read_bytes()).hexdigest()
    assert (rows["mine"]["classes"], rows["mine"]["family"], rows["mine"]["cached"]) == (3, "Imported", True)
    assert "error" in rows["odd"]
    assert not rows[PUBLISHED[0].name]["cached"]


def test_what_is_no_model_gets_a_short_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        load("zzzzzz")
    assert str(caught.value).endswith("`earmark models` lists the names")
    assert len(str(caught.value)) < 200
    with pytest.raises(ConfigError, match="no model"):
        load("x" * 10_000)


def test_the_catalog_has_each_checkpoint_of_the_fact_sheet() -> None:
    families = [entry.family for entry in PUBLISHED]
    counts = {family: families.count(family) for family in dict.fromkeys(families)}
    assert counts["PaSST"] == 27
    assert counts["AST"] >= 9
    assert counts["PSLA"] >= 4
    assert counts["EfficientAT"] >= 30
    assert counts["dBERT"] == 1
    assert all(not {" ", ","} & set(entry.name) for entry in PUBLISHED)
