"""What is dropped does not depend on how a batch is cut."""

import torch
from torch import nn

from earmark.encoders.layers import attend_dropping
from earmark.training.dropping import Share, SharedDropout, hearing, share_dropout

CUTS = ((0, 3), (3, 1), (4, 4))


def test_shares_drop_what_the_whole_batch_drops() -> None:
    whole, net = (
        nn.Sequential(nn.Dropout(0.3), nn.Dropout(0.5)),
        nn.Sequential(nn.Dropout(0.3), nn.Dropout(0.5)),
    )
    share_dropout(net)
    grid = torch.randn(8, 5, 7)
    torch.manual_seed(1)
    expected = whole(grid)
    for start, count in CUTS:
        torch.manual_seed(1)
        with hearing(net, Share(start, count, 8)):
            found = net(grid[start : start + count])
        assert torch.equal(found, expected[start : start + count])
    assert (expected == 0).any()


def test_rows_of_a_clip_stay_together() -> None:
    dropout = SharedDropout(0.5)
    rows = torch.ones(12, 4)  # three for each of four clips
    torch.manual_seed(1)
    expected = dropout(rows)
    dropout.share = Share(1, 2, 4)
    torch.manual_seed(1)
    assert torch.equal(dropout(rows[3:9]), expected[3:9])


def test_attention_weights_are_dropped_alike_in_shares() -> None:
    q, k, v = torch.randn(3, 6, 2, 5, 4)
    mask = torch.rand(6, 1, 1, 5) > 0.3
    mask[..., 0] = True
    dropout = SharedDropout(0.4)
    torch.manual_seed(2)
    expected = attend_dropping(q, k, v, dropout, mask)
    dropout.share = Share(2, 4, 6)
    torch.manual_seed(2)
    found = attend_dropping(q[2:], k[2:], v[2:], dropout, mask[2:])
    torch.testing.assert_close(found, expected[2:], atol=1e-6, rtol=1e-5)


def test_nothing_is_dropped_in_evaluation_and_outside_of_training_it_is_the_usual_one() -> None:
    net = nn.Sequential(nn.Dropout(0.5))
    share_dropout(net)
    with hearing(net.eval(), Share(0, 2, 8)):
        assert torch.equal(net(torch.ones(2, 3)), torch.ones(2, 3))
    assert list(net.state_dict()) == []
