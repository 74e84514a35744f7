"""A state leaves an engine and a request goes on from it, with the reference's tokens."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.file import load_state, save_state
from spikingbrain.state.key_values import KeyValues
from spikingbrain.state.state import State
from support.engine import prompts
from support.states import Replica, answer_of, ask, assert_near, cached_of, continued, settle

LENGTHS = (301, 150, 33, 7, 64)
CPU = torch.device("cpu")


def exported(replica: Replica, texts: Sequence[Sequence[int]], tokens: int = 12) -> tuple[list[list[int]], list[str]]:
    """Texts with their answers, and where their states are."""
    handles = [replica.store.handle() for _ in texts]
    outputs = ask(replica.llm, texts, [{"export": handle} for handle in handles], tokens)
    settle(replica.llm)
    return [[*text, *answer_of(output)] for text, output in zip(texts, outputs, strict=True)], handles


def forget_prefixes(replica: Replica) -> None:
    assert replica.llm.reset_prefix_cache()


def test_a_request_goes_on_from_anothers_state(replica: Replica) -> None:
    """At any number of tokens, with what follows of any length; block by block or within a block."""
    texts, handles = exported(replica, prompts(LENGTHS), tokens=21)
    forget_prefixes(replica)
    more = [[*text, *added] for text, added in zip(texts, prompts((9, 40, 3, 1, 2), seed=9), strict=True)]
    outputs = ask(replica.llm, more, [{"import": handle} for handle in handles])
    for text, continued_text, output in zip(texts, more, outputs, strict=True):
        assert answer_of(output) == continued(replica.model, continued_text)
        # The last token of an answer is read by whoever goes on.
        assert cached_of(output) == len(text) - 1


def test_a_file_is_the_references_state(replica: Replica) -> None:
    """But for the order of sums: everything that lies in it is where the format says."""
    texts, handles = exported(replica, prompts((150, 33, 1), seed=2))
    for text, handle in zip(texts, handles, strict=True):
        record, config = replica.store.record(handle), replica.model.config
        assert record.text is not None and record.text.begins(text) and record.text.tokens == len(text) - 1
        _, state = replica.model.step(replica.model.new_state(), torch.tensor(text[:-1]))
        expected = load_state(save_state(state, config), config, torch.float32, CPU)
        found = load_state(replica.store.read(handle), config, torch.float32, CPU)
        assert replica.store.read(handle)[:40] == save_state(state, config)[:40]
        assert_near(found, expected)


def test_a_state_that_went_in_comes_out_bit_for_bit(replica: Replica) -> None:
    """The reference's state, and one token more: what lies behind its position is what went in."""
    config, text = replica.model.config, prompts((170,), seed=3)[0]
    _, state = replica.model.step(replica.model.new_state(), torch.tensor(text[:-1]))
    source, target = replica.store.put(save_state(state, config), text[:-1]), replica.store.handle()
    (output,) = ask(replica.llm, [text], [{"import": source, "export": target}], tokens=1)
    settle(replica.llm)
    assert cached_of(output) == 169
    found = load_state(replica.store.read(target), config, torch.float32, CPU)
    assert found.position == 170 + config.learned_sinks
    for one, other in zip(found.layers, state.layers, strict=True):
        if one.key_values is not None and other.key_values is not None:
            # Learned sinks are the replica's own.
            text_only = (one.key_values.positions >= config.learned_sinks) & (one.key_values.positions < state.position)
            kept = torch.isin(other.key_values.positions, one.key_values.positions[text_only])
            for rows, given in ((one.key_values.keys, other.key_values.keys), (one.key_values.values, other.key_values.values)):
                assert torch.equal(torch.as_tensor(rows)[text_only], torch.as_tensor(given)[kept])


def test_requests_that_share_a_state_go_on_at_once(replica: Replica) -> None:
    texts, handles = exported(replica, prompts((150,), seed=4))
    forget_prefixes(replica)
    more = [[*texts[0], *added] for added in prompts((3, 40, 1, 9), seed=5)]
    outputs = ask(replica.llm, more, [{"import": handles[0]}] * 4)
    assert [answer_of(output) for output in outputs] == [continued(replica.model, text) for text in more]
    assert all(cached_of(output) == len(texts[0]) - 1 for output in outputs)


def test_what_a_prefix_cache_and_a_state_both_have(replica: Replica) -> None:
    """The state has more than the cache; blocks that others share are not written."""
    base = prompts((96,), seed=6)[0]
    ask(replica.llm, [base], [{}], tokens=1)
    texts, handles = exported(replica, [[*base, *prompts((70,), seed=7)[0]]])
    more = [[*texts[0], *added] for added in prompts((5, 5), seed=8)]
    outputs = ask(replica.llm, [more[0], [*base, *more[1]]], [{"import": handles[0]}, {}])
    assert [answer_of(output) for output in outputs] == [continued(replica.model, text) for text in (more[0], [*base, *more[1]])]
    assert cached_of(outputs[0]) >= len(texts[0]) - 1


def test_a_window_that_a_state_begins_within_a_block_is_no_other_prompts(replica: Replica) -> None:
    """Rows before it are in no file: the block must not be found in the prefix cache."""
    text = prompts((330,), seed=20)[0]
    texts, handles = exported(replica, [text], tokens=2)
    forget_prefixes(replica)
    # A state of the recurrent part at 288 tokens and at 320, found again later; its windows' blocks are then lost to other texts.
    ask(replica.llm, [[*texts[0], 1, 2]], [{"import": handles[0]}], tokens=1)
    for length in (289, 321, 325):
        (output,) = ask(replica.llm, [text[:length]], [{}])
        assert answer_of(output) == continued(replica.model, text[:length])


def test_controls_that_the_state_matters(replica: Replica) -> None:
    """With its recurrent part, or its windows, put to zero, answers are others: so the tests above can fail."""
    config, text = replica.model.config, prompts((120,), seed=10)[0]
    _, state = replica.model.step(replica.model.new_state(), torch.tensor(text[:-1]))
    zeroed = State(state.position, tuple(replace(layer, linear=_zero(layer.linear)) for layer in state.layers))
    blind = State(
        state.position, tuple(replace(layer, key_values=_zeros(layer.key_values, config.learned_sinks)) for layer in state.layers)
    )
    forgetful = State(state.position, tuple(replace(layer, evicted=_nothing(layer.evicted)) for layer in state.layers))
    expected = continued(replica.model, text)
    cases = [(state, True), (blind, False)]
    cases += [(zeroed, False)] if config.linear is not None else []
    cases += [(forgetful, False)] if config.evicted is not None else []
    for one, is_same in cases:
        forget_prefixes(replica)
        handle = replica.store.put(save_state(one, config), text[:-1])
        (output,) = ask(replica.llm, [text], [{"import": handle}])
        assert cached_of(output) == 119
        assert (answer_of(output) == expected) == is_same


def _nothing(memory: Evicted | None) -> Evicted | None:
    if memory is None:
        return None
    salient = memory.salient
    keys, values = (torch.zeros_like(torch.as_tensor(rows)) for rows in (salient.keys, salient.values))
    return Evicted(torch.zeros_like(memory.sums), replace(salient, keys=keys, values=values))


def _zero(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else torch.zeros_like(tensor)


def _zeros(held: KeyValues | None, sinks: int) -> KeyValues | None:
    """But for learned sinks, which every model knows to be its own."""
    if held is None:
        return None
    keys, values = (torch.where(held.positions[:, None, None] < sinks, torch.as_tensor(rows), 0.0) for rows in (held.keys, held.values))
    return replace(held, keys=keys, values=values)


def _own_sinks(rounded: KeyValues | None, own: KeyValues | None, sinks: int) -> KeyValues | None:
    """As a replica reads a file: learned sinks are its own, not the rounded ones."""
    if rounded is None or own is None:
        return None
    pairs = zip(rounded.dense(torch.float32), own.dense(torch.float32), strict=True)
    keys, values = (torch.where(own.positions[:, None, None] < sinks, exact, rows) for rows, exact in pairs)
    return replace(rounded, keys=keys, values=values)


@pytest.mark.parametrize("rounding", [{"int8_rows": True}, {"bf16_recurrent": True}])
def test_rounded_states_are_taken_for_what_they_are_worth(replica: Replica, rounding: dict[str, bool]) -> None:
    config, text = replica.model.config, prompts((120,), seed=11)[0]
    forget_prefixes(replica)
    _, state = replica.model.step(replica.model.new_state(), torch.tensor(text[:-1]))
    data = save_state(state, config, **rounding)  # type: ignore[arg-type]
    loaded = load_state(data, config, torch.float32, CPU)
    if config.learned_sinks > 0:
        pairs = zip(loaded.layers, state.layers, strict=True)
        layers = [replace(one, key_values=_own_sinks(one.key_values, own.key_values, config.learned_sinks)) for one, own in pairs]
        loaded = State(loaded.position, tuple(layers))
    (output,) = ask(replica.llm, [text], [{"import": replica.store.put(data, text[:-1])}], tokens=1, logprobs=1)
    logits, _ = replica.model.step(loaded, torch.tensor(text[-1:]))
    assert cached_of(output) == 119
    assert output.outputs[0].logprobs is not None
    token = answer_of(output)[0]
    found = output.outputs[0].logprobs[0][token].logprob
    assert abs(found - float(logits[-1].log_softmax(dim=-1)[token])) < 1e-3


def test_learned_sinks_of_another_model_are_refused(replica: Replica) -> None:
    """Of the same sizes, so that only its numbers tell."""
    config, text = replica.model.config, prompts((120,), seed=12)[0]
    if config.learned_sinks == 0:
        return
    forget_prefixes(replica)
    _, state = replica.model.step(replica.model.new_state(), torch.tensor(text[:-1]))
    layers = tuple(replace(layer, key_values=_zeros(layer.key_values, 0)) for layer in state.layers)
    (output,) = ask(replica.llm, [text], [{"import": replica.store.put(save_state(State(state.position, layers), config), text[:-1])}])
    assert (answer_of(output), cached_of(output)) == (continued(replica.model, text), 0)
