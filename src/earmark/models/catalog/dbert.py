"""dBERT: the checkpoint that its author published."""

from earmark.models.catalog.entry import Published

DBERT: tuple[Published, ...] = (
    Published(
        name="dbert.e105",
        family="dBERT",
        url="https://github.com/RF5/audio_dbert/releases/download/v0.5/e105-2_checkpoint_4_920000_Diter184001.pt",
        classes=0,
        license="CC-BY-4.0",
    ),
)
"""The checkpoints of this family; a copy of this one lies on Zenodo, record 6332525."""
