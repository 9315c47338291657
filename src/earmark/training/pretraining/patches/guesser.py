"""The network of masked patches: an encoder that hears a part, and a decoder that tells the rest."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders.ast import ASTEncoder
from earmark.encoders.layers import Block, init_transformer, trunc_normal
from earmark.encoders.passt import PaSSTEncoder
from earmark.models import Tagger
from earmark.training.pretraining.patches.description import MaskedPatches

PatchEncoder = PaSSTEncoder | ASTEncoder


class Told(NamedTuple):
    """What the network says of a batch.

    Attributes:
        patches: of each patch its content, or a score for each cluster.
        summary: the encoder's, of what it heard.
    """

    patches: Float[Tensor, "batch patch _"]
    summary: Float[Tensor, "batch dim"]


class PatchGuesser(nn.Module):
    """An encoder with a decoder behind it.

    Args:
        encoder: it is shared, not copied.
        objective: the size of the decoder, and what it tells.
    """

    def __init__(self, encoder: PatchEncoder, objective: MaskedPatches) -> None:
        super().__init__()
        self.encoder = encoder
        dim, width = encoder.config.dim, objective.decoder_dim
        told = objective.clusters.count if objective.clusters else encoder.config.patch**2
        self.heard = nn.Linear(dim, width)
        self.place = nn.Linear(dim, width)
        self.missing = trunc_normal(1, 1, width)
        self.blocks = nn.ModuleList(
            Block(width, objective.decoder_heads) for _ in range(objective.decoder_depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.told = nn.Linear(width, told)
        for part in (self.heard, self.place, self.blocks, self.told):
            part.apply(init_transformer)

    def forward(
        self, features: Float[Tensor, "batch band frame"], heard: Int64[Tensor, "batch kept"]
    ) -> Told:
        """Tell what all patches hold from those that are heard.

        Args:
            features: of the clips.
            heard: numbers of the patches that the encoder gets.
        """
        encoder = self.encoder
        grid, positions = placed(encoder, features)
        sequence = with_summary(encoder, _chosen((grid + positions).flatten(2).transpose(1, 2), heard))
        for block in encoder.blocks:
            sequence = block(sequence)
        sequence = encoder.norm(sequence)
        n_summary = sequence.shape[1] - heard.shape[1]
        tokens = self.heard(sequence)
        places = self.place(positions.flatten(2).transpose(1, 2))
        slots = self.missing.to(tokens.dtype).expand(len(tokens), places.shape[1], -1)
        where = heard[..., None].expand(-1, -1, tokens.shape[2])
        patches = slots.scatter(1, where, tokens[:, n_summary:]) + places.to(tokens.dtype)
        decoded = torch.cat([tokens[:, :n_summary], patches], dim=1)
        for block in self.blocks:
            decoded = block(decoded)
        return Told(self.told(self.norm(decoded[:, n_summary:])), sequence[:, :n_summary].mean(dim=1))


def patch_guesser(model: Tagger, objective: MaskedPatches) -> PatchGuesser:
    """The network of a model that is to be pretrained.

    Raises:
        ConfigError: the model's encoder is no spectrogram transformer.
    """
    if not isinstance(model.encoder, PaSSTEncoder | ASTEncoder):
        raise ConfigError(
            f"the encoder is a {model.config.encoder.kind}; masked patches are for PaSST and AST, take one "
            "of them"
        )
    return PatchGuesser(model.encoder, objective)


def placed(
    encoder: PatchEncoder, features: Float[Tensor, "batch band frame"]
) -> tuple[Float[Tensor, "batch dim row column"], Float[Tensor, "1 dim row column"]]:
    """The tokens of all patches, and the positions that belong to them."""
    grid = encoder.patches(features)
    if isinstance(encoder, ASTEncoder):
        return grid, encoder.positions(features.shape[2])
    return grid, encoder.add_positions(torch.zeros_like(grid[:1]))


def with_summary(
    encoder: PatchEncoder, sequence: Float[Tensor, "batch patch dim"]
) -> Float[Tensor, "batch token dim"]:
    """Patches behind the summary tokens."""
    return encoder.tokens(sequence) if isinstance(encoder, ASTEncoder) else encoder.behind_summary(sequence)


def _chosen(
    sequence: Float[Tensor, "batch patch dim"], heard: Int64[Tensor, "batch kept"]
) -> Float[Tensor, "batch kept dim"]:
    return sequence.gather(1, heard[..., None].expand(-1, -1, sequence.shape[2]))
