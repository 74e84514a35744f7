"""Routing."""

import pytest
import torch
from spikingbrain.config import Experts
from spikingbrain.model.feed_forward import route

LOGITS = torch.tensor([[0.0, 2.0, 1.0, -1.0], [5.0, 5.0, 5.0, 5.0]], dtype=torch.float64)


@pytest.mark.parametrize("used", [1, 2, 4])
@pytest.mark.parametrize("normalised", [False, True])
def test_softmax_scores_best_first(used: int, normalised: bool) -> None:
    experts, scores = route(LOGITS, Experts(count=4, used=used, inner=1, normalised=normalised))
    order = [1, 2, 0, 3][:used]
    assert experts.tolist() == [order, [0, 1, 2, 3][:used]]
    expected = LOGITS.softmax(dim=-1)[0, order]
    torch.testing.assert_close(scores[0], expected / expected.sum() if normalised else expected)
    assert float(scores[1].sum()) == pytest.approx(1.0 if normalised else used / 4)


def test_sigmoid_scores_are_independent() -> None:
    _, scores = route(LOGITS, Experts(count=4, used=2, inner=1, router="sigmoid"))
    torch.testing.assert_close(scores, LOGITS.sigmoid()[[[0], [1]], [[1, 2], [0, 1]]])


def test_of_many_equal_scores_the_first_are_used() -> None:
    experts, _ = route(torch.zeros(3, 512), Experts(count=512, used=9, inner=1))
    assert experts.tolist() == [list(range(9))] * 3


def test_half_types_are_scored_in_single_precision() -> None:
    _, scores = route(LOGITS.bfloat16(), Experts(count=4, used=1, inner=1))
    assert scores.dtype == torch.float32
