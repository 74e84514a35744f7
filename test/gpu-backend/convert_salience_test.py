"""The fit of what will be asked for, against plain loops over the teacher's attention."""

import numpy as np
import torch
from convert_models import TEACHER, text_of, trunk_of
from spikingbrain.convert.salience import LEAST_QUERIES, RIDGE, STRIDE, SalienceFit, put_salience
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import make_branches
from spikingbrain.convert.trunk.teacher import rotary_for, teacher_layers

REACH = Reach(window=24, kept=3, sink_cap=300, salient=5, salience_half_life=40)


def test_the_fit_is_least_squares_of_far_attention() -> None:
    trunk, texts = trunk_of(), [text_of(240, seed) for seed in (1, 2)]
    fit = SalienceFit(trunk, REACH)
    inputs, wanted = [], []
    for text in texts:
        fit.add(text)
        layers = teacher_layers(trunk, text)
        next(layers)
        _, normed, _ = next(layers)
        query, key, _ = trunk.project(trunk.layers[1], normed)
        rotary = rotary_for(trunk, 0, 240)
        asked, keys = rotary(query).double().numpy(), rotary(key).double().numpy()
        mass = np.zeros((240, 2))
        for at in range(REACH.window, 240, STRIDE):
            for head in range(TEACHER.kv_heads):
                scores = np.exp(asked[at, 3 * head : 3 * head + 3] @ keys[: at + 1, head].T / np.sqrt(8))
                shares = (scores / scores.sum(axis=-1, keepdims=True)).max(axis=0)
                mass[: at - REACH.window + 1, head] += shares[: at - REACH.window + 1]
        counted = range(REACH.kept, 240 - REACH.window - STRIDE * LEAST_QUERIES)
        queries = [sum(at - one >= REACH.window for at in range(REACH.window, 240, STRIDE)) for one in counted]
        inputs.append(np.concatenate([key[list(counted), 1].double().numpy(), np.ones((len(counted), 1))], axis=1))
        wanted.append(np.log(mass[list(counted), 1] / queries + 1e-6))
    x, y = np.concatenate(inputs), np.concatenate(wanted)
    squares = x.T @ x
    expected = np.linalg.solve(squares + np.diag(np.diag(squares) * RIDGE + RIDGE), x.T @ y)[:-1]
    np.testing.assert_allclose(fit.fitted()[1, 1].numpy(), expected, rtol=1e-3, atol=1e-4)
    branches = make_branches(trunk.config, REACH, stateless=False)
    put_salience(fit.fitted(), [branches, make_branches(trunk.config, REACH, stateless=True)])
    put = next(iter(branches)).salience
    assert put is not None and torch.equal(put, fit.fitted()[0])


def test_texts_too_short_to_tell_add_nothing() -> None:
    fit = SalienceFit(trunk_of(), REACH)
    fit.add(text_of(REACH.kept + REACH.window + STRIDE * LEAST_QUERIES))
    assert not fit.fitted().any()
