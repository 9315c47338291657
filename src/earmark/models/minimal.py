"""A minimal AST and a plain CNN for ESC-50: corrected, and as they were published."""

from earmark.encoders import AST, PlainCNN
from earmark.frontends import MagnitudeMel
from earmark.labels import ESC50, LabelSet
from earmark.models.heads import LinearHead
from earmark.models.tagger import TaggerConfig

MINIMAL_AST = TaggerConfig(
    frontend=MagnitudeMel(),
    encoder=AST(
        max_frames=498,
        depth=2,
        heads=6,
        distilled=False,
        qkv_bias=False,
        final_norm=False,
        eps=1e-5,
        dropout=0.1,
    ),
    head=LinearHead(),
    labels=LabelSet(names=tuple(ESC50.values()), exclusive=True),
    clip_seconds=5.0,
)
"""The minimal AST as it was meant: the class token alone is pooled and logits may be negative."""

MINIMAL_AST_HISTORICAL = MINIMAL_AST.replace(
    frontend=MagnitudeMel(int16=True),
    encoder=MINIMAL_AST.encoder.replace(pool="class_and_first_patch", init="zeros"),
    head=LinearHead(relu=True),
)
"""The minimal AST as published, with 6 heads and 2 blocks: precision .385, recall .377, F1 .362 on ESC-50.

It averages the class token and the first patch, cuts negative logits off and starts from zero tokens.
"""

MINIMAL_AST_DEEP_HISTORICAL = MINIMAL_AST_HISTORICAL.replace(
    encoder=MINIMAL_AST_HISTORICAL.encoder.replace(depth=4, heads=8)
)
"""The same with 8 heads and 4 blocks: precision .362, recall .377, F1 .345."""

MINIMAL_AST_IDENTITY = MINIMAL_AST_HISTORICAL.replace(
    encoder=MINIMAL_AST_HISTORICAL.encoder.replace(depth=0, stride=(16, 16))
)
"""The minimal AST of its first commit, whose blocks gave back what they got: precision .040, recall .060, F1
.041.

What is classified is a constant and the first patch: the lowest 16 bands of the first 16 frames.  The three
blocks of then are left out here, because they have no effect.
"""

MINIMAL_CNN = MINIMAL_AST.replace(encoder=PlainCNN(), head=LinearHead(norm=False))
"""The CNN baseline with three convolutions of their own, for any number of frames."""

MINIMAL_CNN_HISTORICAL = MINIMAL_CNN.replace(
    frontend=MagnitudeMel(int16=True), encoder=PlainCNN(pool="flatten", shared_conv=True)
)
"""The CNN baseline as published: precision .208, recall .202, F1 .200.

Its second convolution is applied twice, and it is tied to one length by a weight for each frame.
"""
