"""Softmax attention against a masked softmax, and the sight of windows, sinks and kept tokens."""

import pytest
import torch
from spikingbrain.config import Config, Layer
from spikingbrain.model.attention import attend
from spikingbrain.model.rope import angles, rotate
from spikingbrain.state.key_values import KeyValues
from spikingbrain.state.sight import Sight

CONFIG = Config(hidden=8, heads=4, kv_heads=2, head_dim=6, vocabulary=8, feed_forward_inner=8, layers=(Layer(mixer=("full",)),))


def picture(sight: Sight, tokens: int) -> list[str]:
    positions = torch.arange(tokens)
    return ["".join("#" if seen else "." for seen in row) for row in sight.mask(positions, positions).tolist()]


def test_what_a_window_sees() -> None:
    assert picture(Sight(width=2, kept=0, sinks=0), 5) == ["#....", "##...", ".##..", "..##.", "...##"]


def test_what_a_window_with_kept_tokens_sees() -> None:
    assert picture(Sight(width=2, kept=1, sinks=0), 5) == ["#....", "##...", "###..", "#.##.", "#..##"]


def test_learned_sinks_see_one_another_and_are_seen_by_all() -> None:
    assert picture(Sight(width=1, kept=2, sinks=2), 5) == ["##...", "##...", "###..", "##.#.", "##..#"]
    assert picture(Sight(width=None, kept=2, sinks=2), 4) == ["##..", "##..", "###.", "####"]


@pytest.mark.parametrize(
    "sight", [Sight(3, 0, 0), Sight(3, 2, 0), Sight(1, 4, 0), Sight(4, 2, 2), Sight(None, 0, 0), Sight(None, 3, 3)], ids=str
)
@pytest.mark.parametrize("steps", [[17], [4, 13], [3, 1, 1, 12], [6] + [1] * 11])
def test_attention_over_what_is_held_is_a_masked_softmax(sight: Sight, steps: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = sum(steps)
    queries = torch.randn(tokens, 4, 6, generator=generator, dtype=torch.float64)
    keys, values = (torch.randn(tokens, 2, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = sight.mask(torch.arange(tokens), torch.arange(tokens))
    scores = torch.einsum("thd,shd->ths", queries, keys.repeat_interleave(2, dim=1)) / 6**0.5
    weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(dim=-1)
    expected = torch.einsum("ths,shd->thd", weights, values.repeat_interleave(2, dim=1))

    held = KeyValues.empty(CONFIG, torch.float64, torch.device("cpu"))
    first, found = 0, []
    for step in steps:
        part = slice(first, first + step)
        held = held.append(keys[part], values[part], first)
        found.append(attend(queries[part], torch.arange(first, first + step), held, sight))
        first += step
        held = held.keep(sight.still_seen(held.positions, first))
        if sight.width is not None:
            assert len(held.positions) <= sight.kept + sight.width - 1
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-12, atol=1e-12)


def test_rope_rotates_pairs_that_are_half_apart() -> None:
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]], dtype=torch.float64)
    turned = rotate(x, angles(3, 1, 4, 100.0, like=x))[0, 0]
    cosines, sines = torch.tensor([3.0, 0.3], dtype=torch.float64).cos(), torch.tensor([3.0, 0.3], dtype=torch.float64).sin()
    first, second = torch.tensor([1.0, 2.0]).double(), torch.tensor([3.0, 4.0]).double()
    expected = torch.cat([first * cosines - second * sines, second * cosines + first * sines, torch.tensor([5.0, 6.0]).double()])
    torch.testing.assert_close(turned, expected, rtol=1e-14, atol=1e-14)


def test_rope_depends_on_distance_alone_even_far_out() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 8, generator=generator) for _ in range(2))

    def score(position: int) -> float:
        turned = rotate(query, angles(position + 5, 1, 8, 1e6, like=query)) * rotate(key, angles(position, 1, 8, 1e6, like=key))
        return float(turned.sum())

    assert score(4_000_000) == pytest.approx(score(0), rel=1e-5)


def test_no_rotated_dimension_means_no_rotation() -> None:
    x = torch.randn(2, 1, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rotate(x, angles(9, 2, 0, 1e6, like=x)), x)
