"""Which tokens are kept exactly: what the fit is given, against plain loops over the teacher's attention, and what comes of it."""

import numpy as np
import pytest
import torch
from spikingbrain.convert.data.batches import Drawn
from spikingbrain.convert.fit.salience import LEAST_QUERIES, STRIDE, SalienceFit, Seen, softly_kept
from spikingbrain.convert.trunk.branch import put_salience
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import make_branches
from spikingbrain.convert.trunk.teacher import rotary_for, teacher_layers
from support.convert_models import TEACHER, text_of, trunk_of
from torch import Tensor

REACH = Reach(window=24, kept=3, sink_cap=300, salient=5, salience_half_life=40)
TOKENS = 240


def answers() -> Tensor:
    """The last ten tokens answer, and two near the beginning, which nothing has left yet."""
    mask = torch.zeros(TOKENS, dtype=torch.bool)
    mask[-10:] = True
    mask[5:7] = True
    return mask


@pytest.mark.parametrize("answered", [False, True])
def test_a_token_is_wanted_as_much_as_the_queries_beyond_the_window_attend_to_it(answered: bool) -> None:
    trunk, text = trunk_of(), text_of(TOKENS, 1)
    fit = SalienceFit(trunk, REACH)
    assert fit.add(Drawn("copies", text, answers()) if answered else Drawn("document", text))
    layers = teacher_layers(trunk, text)
    next(layers)
    _, normed, _ = next(layers)
    query, key, _ = trunk.project(trunk.layers[1], normed)
    rotary = rotary_for(trunk, 0, TOKENS)
    turned, keys = rotary(query).double().numpy(), rotary(key).double().numpy()
    # A token is answered by the query before it.
    asked = range(TOKENS - 11, TOKENS - 1) if answered else range(REACH.window, TOKENS, STRIDE)
    mass, met = np.zeros((TOKENS, 2)), np.zeros(TOKENS)
    for at in asked:
        met[: at - REACH.window + 1] += 1
        for head in range(TEACHER.kv_heads):
            scores = np.exp(turned[at, 3 * head : 3 * head + 3] @ keys[: at + 1, head].T / np.sqrt(8))
            shares = (scores / scores.sum(axis=-1, keepdims=True)).max(axis=0)
            mass[: at - REACH.window + 1, head] += shares[: at - REACH.window + 1]
    leaving = slice(REACH.kept, TOKENS - REACH.window)
    expected = (mass / np.maximum(met, LEAST_QUERIES)[:, None])[leaving]
    own = slice(TEACHER.kv_heads, 2 * TEACHER.kv_heads)
    np.testing.assert_allclose(fit.seen[0].wanted[own].numpy(), expected.T, rtol=1e-4, atol=1e-7)
    assert torch.equal(fit.seen[0].keys[own], key[leaving].transpose(0, 1).float())


def test_the_fit_keeps_the_few_that_are_wanted_among_many_that_are_wanted_a_little() -> None:
    # Four of 100 tokens have most of the attention, and their keys a mark. How little the others have varies along another direction of the
    # key, which a regression of the attention's logarithm would follow.
    generator = torch.Generator().manual_seed(5)
    fit, heads = SalienceFit(trunk_of(), REACH), len(TEACHER.layers) * TEACHER.kv_heads
    for _ in range(4):
        keys = torch.randn(heads, 100, TEACHER.head_dim, generator=generator)
        wanted = 0.001 * (1.5 * keys[..., 0]).exp()
        marked = torch.randperm(100, generator=generator)[:4]
        keys[:, marked, 1] += 4.0
        wanted[:, marked] += 0.1
        fit.seen.append(Seen(keys, wanted))
    directions = fit.fitted().view(heads, TEACHER.head_dim)
    regressed = torch.stack([torch.linalg.lstsq(text.keys, text.wanted.log()[..., None]).solution[..., 0] for text in fit.seen]).mean(dim=0)
    share, of_regression = (torch.stack([_kept_share(text, chosen) for text in fit.seen]).mean() for chosen in (directions, regressed))
    assert share > 0.9
    assert of_regression < 0.6
    spread = torch.stack([_claims(text, directions).std(dim=1) for text in fit.seen]).mean(dim=0)
    torch.testing.assert_close(spread, torch.ones(heads), rtol=1e-3, atol=1e-3)


def _claims(text: Seen, directions: Tensor) -> Tensor:
    return torch.einsum("htd,hd->ht", text.keys, directions)


def _kept_share(text: Seen, directions: Tensor) -> Tensor:
    """Of what the best choice would keep, by head."""
    kept = text.wanted.gather(1, _claims(text, directions).topk(REACH.salient, dim=1).indices).sum(dim=1)
    return kept / text.wanted.topk(REACH.salient, dim=1).values.sum(dim=1)


def test_a_soft_choice_has_as_many_as_there_are_slots_and_no_gradient_for_all_at_once() -> None:
    claims = torch.randn(3, 200, generator=torch.Generator().manual_seed(2)).mul(4).requires_grad_()
    kept = softly_kept(claims, 20)
    torch.testing.assert_close(kept.sum(dim=1), torch.full((3,), 20.0), rtol=0, atol=0.05)
    assert torch.equal(kept.topk(20, dim=1).indices.sort().values, claims.topk(20, dim=1).indices.sort().values)
    weights = torch.rand(3, 200, generator=torch.Generator().manual_seed(3))
    (gradient,) = torch.autograd.grad((kept * weights).sum(), claims)
    assert gradient.abs().max() > 0
    torch.testing.assert_close(gradient.sum(dim=1), torch.zeros(3), rtol=0, atol=1e-5)


def test_all_are_kept_where_there_are_slots_for_all() -> None:
    assert torch.equal(softly_kept(torch.randn(2, 5), 5), torch.ones(2, 5))


def test_a_fit_goes_into_the_branches_that_have_a_state() -> None:
    fit = SalienceFit(trunk_of(), REACH)
    fit.add(Drawn("document", text_of(TOKENS, 1)))
    fitted = fit.fitted()
    assert torch.equal(fitted, fit.fitted()) and fitted.abs().sum(dim=-1).min() > 0
    branches = make_branches(TEACHER, REACH, stateless=False)
    put_salience(fitted, [branches, make_branches(TEACHER, REACH, stateless=True)])
    put = next(iter(branches)).salience
    assert put is not None and torch.equal(put, fitted[0])


def test_texts_too_short_to_tell_add_nothing() -> None:
    fit = SalienceFit(trunk_of(), REACH)
    assert not fit.add(Drawn("document", text_of(REACH.kept + REACH.window)))
    assert not fit.add(Drawn("copies", text_of(TOKENS), torch.zeros(TOKENS, dtype=torch.bool)))
    assert not fit.fitted().any()
