"""The training path against the reference model, the teacher and plain formulas."""

import pytest
import torch
from spikingbrain.config import Config, Site, Spiking
from spikingbrain.convert.measure.far import loss_behind, read_on
from spikingbrain.convert.trunk.evicted import decayed_sums
from spikingbrain.convert.trunk.firing import Activity, Firing
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.key_sets import KeySet, attend, attend_both
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import TrunkReader, make_branches
from spikingbrain.convert.trunk.teacher import teacher_residual
from spikingbrain.convert.trunk.window import Held, window_attention
from support.convert_models import BIASED, REACH, TEACHER, busy_branches, converted, text_of, trunk_of


def by_hand(query: torch.Tensor, key: torch.Tensor, reach: Reach) -> torch.Tensor:
    """Scores of all pairs, minus infinity where unseen: `[heads, tokens, tokens]`."""
    tokens, heads, dim = query.shape
    keys = key.repeat_interleave(heads // key.shape[1], dim=1)
    scores = torch.einsum("thd,shd->hts", query, keys) * float(dim**-0.5)
    at = torch.arange(tokens)
    apart = at[:, None] - at
    seen = (apart >= 0) & ((apart < reach.window) | (at < reach.kept))
    return scores.masked_fill(~seen, float("-inf"))


@pytest.mark.parametrize("tokens", [1, 20, 256, 517])
def test_the_window_is_masked_attention(tokens: int) -> None:
    reach = Reach(window=70, kept=4, sink_cap=10_000, salient=1, salience_half_life=1)
    query, key, value = torch.randn(tokens, 6, 8), torch.randn(tokens, 2, 8), torch.randn(tokens, 2, 8)
    before = torch.zeros(reach.window, 2, 8)
    sinks = (torch.nn.functional.pad(part[:4], (0, 0, 0, 0, 0, max(0, 4 - tokens))) for part in (key, value))
    out, normaliser = window_attention(query, key, value, Held(before, before, *sinks), 0, reach)
    scores = by_hand(query, key, reach)
    expected = torch.einsum("hts,shd->thd", scores.softmax(dim=-1), value.repeat_interleave(3, dim=1))
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(normaliser, scores.logsumexp(dim=-1).T, rtol=1e-5, atol=1e-5)


def test_chunked_sums_are_the_recurrence() -> None:
    tokens, decay = 301, torch.tensor([0.9, 0.999])
    query, key, value = torch.rand(tokens, 6, 16), torch.rand(tokens, 2, 16), torch.randn(tokens, 2, 8)
    carried = torch.randn(2, 16, 9)
    sums, expected = carried, []
    for token in range(tokens):
        valued = torch.cat([value[token], torch.ones(2, 1)], dim=-1)
        sums = decay[:, None, None] * sums + key[token][:, :, None] * valued[:, None]
        expected.append((query[token].view(2, 3, 16) @ sums).view(6, 9))
    first, after = decayed_sums(query[:256], key[:256], value[:256], decay.log(), carried)
    second, _ = decayed_sums(query[256:], key[256:], value[256:], decay.log(), after)
    torch.testing.assert_close(torch.cat([first, second]), torch.stack(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("config", [TEACHER, BIASED], ids=["plain", "biased"])
@pytest.mark.parametrize("segment", [128, 256])
def test_the_students_logits_are_the_reference_models(config: Config, segment: int) -> None:
    """Beyond the cap on sinks, through many segments, with every branch parameter at work."""
    trunk = trunk_of(config)
    branches, text = busy_branches(trunk), text_of(500)
    with torch.no_grad():
        student = TrunkReader(trunk, REACH, branches)
        logits = torch.cat([trunk.logits(residual) for _, residual in student.long(text, segment)])
        expected = converted(config, REACH, branches).logits(text)
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)
    bare = TrunkReader(trunk, REACH, make_branches(trunk.config, REACH, stateless=True))
    with torch.no_grad():
        assert (torch.cat([trunk.logits(residual) for _, residual in bare.long(text, segment)]) - expected).abs().max() > 0.1


def test_a_spiking_students_logits_are_the_reference_models() -> None:
    """At a few positions a count lies so near an edge that the two round it otherwise; nearly all are the same."""
    trunk, text = trunk_of(), text_of(400)
    branches, spiking = busy_branches(trunk), Spiking(mode="paper", k=6.0, site_k=(("feed_forward_down", 4.0),))
    activity: dict[Site, Activity] = {}
    with torch.no_grad():
        student = TrunkReader(trunk, REACH, branches, Firing(spiking, activity))
        logits = torch.cat([trunk.logits(residual) for _, residual in student.long(text, 128)])
        expected = converted(TEACHER, REACH, branches, spiking).logits(text)
        silent = converted(TEACHER, REACH, branches).logits(text)
    distances = [(one - expected).abs().amax(dim=-1) for one in (logits, silent)]
    assert distances[0].median() < 1e-3 < 0.1 < distances[1].median()
    assert (distances[0] < 1e-2).float().mean() > 0.8
    assert set(activity) == {"attention_in", "query", "attention_out", "feed_forward_in", "feed_forward_down"}
    assert all(0.5 < counted.share < 1 for counted in activity.values())


def test_until_something_leaves_the_window_the_student_is_the_teacher() -> None:
    trunk, text = trunk_of(), text_of(60)
    student = TrunkReader(trunk, REACH, busy_branches(trunk))
    with torch.no_grad():
        residual, _ = student.residual(text, student.begin())
        wanted = teacher_residual(trunk, text)
    whole = REACH.window + REACH.kept
    torch.testing.assert_close(residual[:whole], wanted[:whole], rtol=1e-4, atol=1e-4)
    assert (residual[whole:] - wanted[whole:]).abs().max() > 0.01


def test_a_state_that_starts_untrained_differs_only_beyond_the_window_from_its_control() -> None:
    trunk, text = trunk_of(), text_of(60)

    def residual(trunk: Trunk, stateless: bool) -> torch.Tensor:
        student = TrunkReader(trunk, REACH, make_branches(trunk.config, REACH, stateless))
        with torch.no_grad():
            return student.residual(text, student.begin())[0]

    state, control = residual(trunk, False), residual(trunk, True)
    whole = REACH.window + REACH.kept
    assert torch.equal(state[:whole], control[:whole])
    assert not torch.allclose(state[whole:], control[whole:])


def test_two_parts_are_one_softmax_and_have_its_gradients() -> None:
    blocks, heads, queries, dim = 3, 2, 7, 8

    def drawn(count: int, keys: int) -> torch.Tensor:
        return torch.randn(count, heads, keys, dim, requires_grad=True)

    seen = torch.rand(2, heads, queries, 11) < 0.4
    seen[0, 0, 0] = False
    whole = KeySet(drawn(blocks, queries), drawn(blocks, 9), drawn(blocks, 9), torch.zeros(1, 1, queries, 9))
    some = KeySet(drawn(2, queries), drawn(2, 11), drawn(2, 11), torch.zeros(seen.shape).masked_fill_(~seen, float("-inf")))
    out, normaliser = attend_both(whole, some)
    scores = whole.query @ whole.key.transpose(-1, -2) * float(dim**-0.5)
    others = some.query @ some.key.transpose(-1, -2) * float(dim**-0.5) + some.mask
    joined = torch.cat([scores[1:], others], dim=-1)
    mixed = joined.softmax(dim=-1) @ torch.cat([whole.value[1:], some.value], dim=-2)
    expected = torch.cat([scores[:1].softmax(dim=-1) @ whole.value[:1], mixed])
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(normaliser[1:], joined.logsumexp(dim=-1), rtol=1e-5, atol=1e-5)
    leaves = [part for one in (whole, some) for part in (one.query, one.key, one.value)]
    weights = torch.randn(out.shape)
    found = torch.autograd.grad((out * weights).sum(), leaves)
    wanted = torch.autograd.grad((expected * weights).sum(), leaves)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(attend(whole)[0][0], out[0])


def test_a_document_is_read_alike_behind_any_cut_of_the_text_before_it() -> None:
    trunk, text = trunk_of(), text_of(640)
    student = TrunkReader(trunk, REACH, busy_branches(trunk))
    document = text[384:]
    found = []
    for segment in (128, 256):
        (_, carries), (_, later) = read_on(student, text, [128, 384], segment)
        found.append(loss_behind(student, document, later, 384, 100, segment))
        alone, _ = loss_behind(student, document, carries, 128, 100, segment)
        assert abs(alone - found[-1][0]) > 0.1
    (first, count), (second, _) = found
    assert count == len(document) - 101
    assert first == pytest.approx(second, rel=1e-4)


def test_training_beyond_the_cap_on_sinks_is_refused() -> None:
    trunk, text = trunk_of(), text_of(REACH.sink_cap + 2)
    student = TrunkReader(trunk, REACH, busy_branches(trunk))
    with pytest.raises(ValueError, match="must end at position 300 at most; this ends at 301"):
        student.residual(text, student.begin())
