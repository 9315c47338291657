"""Which recipe is meant: a name, a file, or one that is chosen for a model and somebody's own clips."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.cli.words import tell


def chosen_recipe(
    recipe: str | None, from_: str | None, data: Path | None, assignments: Sequence[str]
) -> tuple[Any, Path]:
    """The recipe that a command line means, and where its corpus lies.

    Args:
        recipe: a name, or the file or folder that a recipe.json is in; None with `from_`.
        from_: the model to fine-tune; None with `recipe`.
        data: folder or table of the corpus.
        assignments: what `--set` gives.

    Raises:
        ConfigError: neither or both are given, there is no such recipe, or a change makes no sense.
    """
    from earmark.config import ConfigError

    if (recipe is None) == (from_ is None):
        raise ConfigError(
            "give a recipe's name (`earmark recipes` lists them), or --from MODEL to fine-tune a model"
            + (", not both" if recipe else "")
        )
    if data is None:
        raise ConfigError("training needs --data, the folder or table of the clips")
    if recipe is not None:
        chosen = on_pack(find_recipe(recipe, assignments), data)
        return chosen, _root(chosen.corpus, data)
    return _tuned(str(from_), data, assignments)


def on_pack(recipe: Any, data: Path) -> Any:
    """A recipe of a known corpus, with a pack of it as the data: the same labels, the same fold held out."""
    from earmark.data import Table
    from earmark.data.packs.index import INDEX
    from earmark.storage import exists, inside

    corpus = recipe.corpus
    if isinstance(corpus, Table) or not exists(inside(data, INDEX)):
        return recipe
    labels, fold = corpus.labels, getattr(corpus, "fold", None)
    several = not labels.exclusive
    known = Table(names=labels.names, exclusive=labels.exclusive, fold=fold, allow_unlabelled=several)
    return recipe.replace(corpus=known.resolved(data))


def find_recipe(name: str, assignments: Sequence[str]) -> Any:
    """A recipe by name or file, with changes.

    Raises:
        ConfigError: there is none; the nearest name is suggested.
    """
    from earmark.config import ConfigError
    from earmark.recipes import PRETRAINING, RECIPES
    from earmark.training import Recipe

    if name in PRETRAINING:
        raise ConfigError(
            f"{name} is a recipe of pretraining, without labels; run it by `earmark pretrain {name}`"
        )
    return _named(name, RECIPES, Recipe, lambda recipe: changed(recipe, assignments))


def find_pretraining(name: str, assignments: Sequence[str]) -> Any:
    """A recipe of pretraining by name or file, with changes.

    Raises:
        ConfigError: there is none; the nearest name is suggested.
    """
    from earmark.config import ConfigError, override
    from earmark.recipes import PRETRAINING, RECIPES
    from earmark.training.pretraining.recipe import PretrainRecipe

    def altered(recipe: Any) -> Any:
        named = [one for one in assignments if one.partition("=")[0].strip() == "corpus"]
        return override(override(recipe, named), [one for one in assignments if one not in named])

    if name in RECIPES:
        raise ConfigError(f"{name} learns from labels; run it by `earmark train {name}`")
    return _named(name, PRETRAINING, PretrainRecipe, altered)


def _named(name: str, known: Mapping[str, Any], kind: Any, altered: Callable[[Any], Any]) -> Any:
    """A recipe of one kind by name, or from a file or a run's folder."""
    from earmark.config import ConfigError, did_you_mean

    if name in known:
        return altered(known[name])
    path = Path(name) / "recipe.json" if Path(name).is_dir() else Path(name)
    if not path.is_file():
        hint = did_you_mean(name, known, "`earmark recipes` lists the names")
        raise ConfigError(f"no recipe {name!r}: it is neither a known name nor a recipe.json; {hint}")
    try:
        text = path.read_text(encoding="utf-8")
        _check_kind(text, kind)
        return altered(kind.from_json(text))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _check_kind(text: str, kind: Any) -> None:
    """Refuse a recipe of the other verb: of pretraining, or of learning from labels.

    Raises:
        ConfigError: it is one.
    """
    from earmark.config import ConfigError

    try:
        tree = json.loads(text)
    except ValueError:
        return  # who reads it as a recipe says what is wrong
    if not isinstance(tree, dict):
        return
    unlabeled = "kind" in kind.model_fields
    if tree.get("kind") == "Pretrain" and not unlabeled:
        raise ConfigError("it is a recipe of pretraining, without labels; run it by `earmark pretrain`")
    if "augment" in tree and unlabeled:
        raise ConfigError("it is a recipe that learns from labels; run it by `earmark train`")


def of_data(recipe: Any, data: Path) -> tuple[Any, Path]:
    """A recipe of pretraining with what its corpus is told by the data, and where that lies."""
    from earmark.data import Folder, Table

    root = _root(recipe.corpus, data)
    if isinstance(recipe.corpus, Folder | Table):
        recipe = recipe.replace(corpus=recipe.corpus.resolved(root))
    return recipe, root


def changed(recipe: Any, assignments: Sequence[str]) -> Any:
    """A recipe with `path=value` changes; the labels of its model follow those of its corpus."""
    from earmark.config import override

    ours = [a for a in assignments if a.partition("=")[0].strip().startswith("corpus.")]
    corpus = override(recipe.corpus, [a.strip().removeprefix("corpus.") for a in ours])
    if corpus != recipe.corpus:
        recipe = recipe.replace(corpus=corpus, model=recipe.model.replace(labels=corpus.labels))
    return override(recipe, [a for a in assignments if a not in ours])


def _root(corpus: Any, data: Path) -> Path:
    """What a corpus's `read` takes: of a table the file, where the folder is given that it lies in."""
    from earmark.data.finding import find_corpus

    return find_corpus(data, "table")[1] if corpus.kind == "Table" and data.is_dir() else data


def _tuned(model: str, data: Path, assignments: Sequence[str]) -> tuple[Any, Path]:
    """A recipe for fine-tuning, chosen from the size of the model and the data; it tells why."""
    from earmark.training.beginning.finetuning import fine_tuning

    corpus, root = _corpus(data, assignments)
    init = str(Path(model).resolve()) if Path(model).exists() else model  # a recipe is read from anywhere
    split = corpus.read(root)
    if not split.train:
        from earmark.audio import displayable
        from earmark.config import ConfigError

        raise ConfigError(f"{displayable(root)} has no clips to learn from: all are held out")
    choice = fine_tuning(init, described(model), corpus, split)
    for reason in choice.reasons:
        tell(reason)
    given = [a for a in assignments if not a.startswith("corpus.")]
    if given:
        tell(f"instead, by --set: {', '.join(given)}")
    return changed(choice.recipe, given), root


def _corpus(data: Path, assignments: Sequence[str]) -> tuple[Any, Path]:
    """The corpus that a table or a folder is, with the changes that are meant for it."""
    from earmark.config import override
    from earmark.data import Folder, Table
    from earmark.data.finding import find_corpus

    corpus, root = find_corpus(data)
    ours = [a.removeprefix("corpus.") for a in assignments if a.startswith("corpus.")]
    corpus = override(corpus, ours)
    return (corpus.resolved(root) if isinstance(corpus, Table | Folder) else corpus), root


def described(name_or_file: str) -> Any:
    """A model's description; the weights of our own checkpoints are not read."""
    from earmark.config import ConfigError
    from earmark.models import load, read_header
    from earmark.models.checkpoint import is_ours
    from earmark.models.zoo import members_of, resolve

    if members_of(name_or_file) is not None:
        raise ConfigError(f"{name_or_file} is an ensemble of several models; fine-tune one of them")
    path = resolve(name_or_file)
    return read_header(path).config if is_ours(path) else load(path).config
