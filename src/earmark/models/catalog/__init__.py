"""Published models: names, where their weights are, and what the authors say of them.

Each family is one file with a tuple of entries; a new family is a line in `PUBLISHED`.
"""

from earmark.models.catalog.ast import AST
from earmark.models.catalog.dbert import DBERT
from earmark.models.catalog.efficientat import EFFICIENTAT
from earmark.models.catalog.ensembles import ENSEMBLE_BY_NAME, ENSEMBLES
from earmark.models.catalog.entry import Published
from earmark.models.catalog.passt import PASST
from earmark.models.catalog.psla import PSLA

PUBLISHED: tuple[Published, ...] = (*PASST, *AST, *PSLA, *EFFICIENTAT, *DBERT)
"""Every checkpoint that is known by name."""

BY_NAME = {entry.name: entry for entry in PUBLISHED}

__all__ = ["BY_NAME", "ENSEMBLES", "ENSEMBLE_BY_NAME", "PUBLISHED", "Published"]
