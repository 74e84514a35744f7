"""Whatever is wrong with a state, the answer is the one that the prompt has, and others go on."""

import random
import struct
from typing import Any

import pytest
import torch
from spikingbrain.state.file import Digests, save_state
from support.engine import prompts
from support.states import TENANT, Replica, Store, answer_of, ask, cached_of, continued, parameters, prompt_of, settle
from vllm import RequestOutput
from vllm.exceptions import VLLMValidationError

HANDLE = "x" * 43

pytestmark = pytest.mark.parametrize("replica", ["seven-none", "seventy-six-align", "evicted-align"], indirect=True)


def state_of(replica: Replica, text: list[int], digests: Digests | None = None) -> bytes:
    return save_state(replica.model.step(replica.model.new_state(), torch.tensor(text))[1], replica.model.config, digests)


def told(output: RequestOutput) -> dict[str, Any]:
    assert output.kv_transfer_params is not None
    found: dict[str, Any] = output.kv_transfer_params["spikingbrain"]
    return found


def computed(replica: Replica, text: list[int], output: RequestOutput, why: str) -> None:
    """Without a state, and said why."""
    assert cached_of(output) == 0
    assert answer_of(output) == continued(replica.model, text)
    assert why in told(output)["import_refused"]
    assert told(output)["imported_tokens"] == 0


def test_another_text_is_computed(replica: Replica) -> None:
    text = prompts((90,), seed=30)[0]
    handle = replica.store.put(state_of(replica, text[:80]), text[:80])
    for other in ([text[0] ^ 1, *text[1:]], [*text[:79], text[79] ^ 1, *text[80:]], text[:80], text[:40]):
        assert replica.llm.reset_prefix_cache()
        (output,) = ask(replica.llm, [other], [{"import": handle}])
        why = "longer than the 80 tokens" if len(other) <= 80 else "begin with the tokens"
        computed(replica, other, output, why)


def test_a_state_that_is_not_there_is_computed(replica: Replica) -> None:
    text = prompts((90,), seed=31)[0]
    handle, store = replica.store.put(state_of(replica, text[:80]), text[:80]), replica.store.store
    cases = [
        ({"import": HANDLE}, "no state with this handle"),
        ({"import": replica.store.handle()}, "not there yet"),
        ({"tenant": "another", "import": handle}, "no state with this handle"),
    ]
    for states, why in cases:
        assert replica.llm.reset_prefix_cache()
        (output,) = ask(replica.llm, [text], [states])
        computed(replica, text, output, why)
    store.delete(TENANT, handle)
    assert replica.llm.reset_prefix_cache()
    (output,) = ask(replica.llm, [text], [{"import": handle}])
    computed(replica, text, output, "no state with this handle")


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ({"tenant": "../other"}, "tenant must match"),
        ({"tenant": 7}, "tenant must match"),
        ({"import": "../../etc/passwd"}, "import must match"),
        ({"export": HANDLE + "\n"}, "export must match"),
        ({"more": "x"}, "no field but tenant, import, export"),
    ],
)
def test_strange_parameters_are_told_and_the_prompt_computed(replica: Replica, states: dict[str, Any], why: str) -> None:
    text = prompts((40,), seed=32)[0]
    (output,) = ask(replica.llm, [text], [states])
    assert answer_of(output) == continued(replica.model, text)
    assert why in told(output)["import_refused"]


@pytest.mark.parametrize("value", ["", [], 0, {"spikingbrain": "text"}, {"spikingbrain": [{}]}])
def test_parameters_that_are_no_object_end_no_engine(replica: Replica, value: object) -> None:
    text = prompts((40,), seed=40)[0]
    choices = parameters({}, 12)
    choices.extra_args = {"kv_transfer_params": value}
    (output,) = replica.llm.generate([prompt_of(text)], [choices], use_tqdm=False)
    assert answer_of(output) == continued(replica.model, text)
    assert "must be an object" in told(output)["import_refused"]


@pytest.mark.parametrize("value", ["text", [1], 7, True])
def test_parameters_of_which_vllm_would_ask_fields_are_refused_before_it_does(replica: Replica, value: object) -> None:
    text = prompts((40,), seed=40)[0]
    choices = parameters({}, 12)
    choices.extra_args = {"kv_transfer_params": value}
    with pytest.raises(VLLMValidationError, match="kv_transfer_params must be an object"):
        replica.llm.generate([prompt_of(text)], [choices], use_tqdm=False)
    (output,) = ask(replica.llm, [text], [{}])
    assert answer_of(output) == continued(replica.model, text)


def test_an_export_to_nowhere_costs_nothing(replica: Replica) -> None:
    text = prompts((40,), seed=33)[0]
    (output,) = ask(replica.llm, [text], [{"export": HANDLE}])
    assert answer_of(output) == continued(replica.model, text)
    assert told(output)["exported_tokens"] is None


def test_without_a_salt_nothing_goes_into_a_cache_that_all_share(replica: Replica) -> None:
    text = prompts((90,), seed=34)[0]
    handle = replica.store.put(state_of(replica, text[:80]), text[:80])
    (output,) = ask(replica.llm, [text], [{"import": handle}], salt=None)
    if replica.caches_prefixes:
        computed(replica, text, output, "cache_salt")
    else:
        assert cached_of(output) == 80 and answer_of(output) == continued(replica.model, text)


def test_files_that_change_in_the_store_are_computed(replica: Replica) -> None:
    text = prompts((90,), seed=35)[0]
    data = state_of(replica, text[:80])
    for wrong in (data[:-4] + struct.pack("<f", 3.0), data[:-1], b"", None):
        assert replica.llm.reset_prefix_cache()
        handle = replica.store.put(data, text[:80])
        path = replica.store.store.path(replica.store.record(handle))
        if wrong is None:
            path.unlink()
        else:
            path.write_bytes(wrong)
        (output,) = ask(replica.llm, [text], [{"import": handle}])
        computed(replica, text, output, "could not be read")


def test_broken_files_by_the_hundred_beside_requests_that_need_none(replica: Replica) -> None:
    """Past all checks of the endpoints: the ranks believe nothing either."""
    draw = random.Random(2)
    text = prompts((45,), seed=36)[0]
    data, expected = state_of(replica, text[:40]), continued(replica.model, text, tokens=2)
    for _ in range(8):
        handles = [replica.store.put(mutated(data, draw), text[:40]) for _ in range(32)]
        plain: list[dict[str, str]] = [{} for _ in handles]
        assert replica.llm.reset_prefix_cache()
        outputs = ask(replica.llm, [text] * 64, [*({"import": handle} for handle in handles), *plain], tokens=2)
        for output in outputs:
            assert answer_of(output) == expected
            assert cached_of(output) == 0 or replica.caches_prefixes
        for handle in handles:
            replica.store.store.delete(TENANT, handle)


def mutated(data: bytes, draw: random.Random) -> bytes:
    """No longer a state of this model, whatever the draw."""
    out = bytearray(data)
    kind = draw.randrange(5)
    if kind == 0:
        return bytes(out[: draw.randrange(len(out))])
    if kind == 1:
        return bytes(out) + draw.randbytes(draw.randrange(1, 64))
    if kind == 2:
        # Magic, version and fingerprint.
        out[draw.randrange(40)] ^= 1 << draw.randrange(8)
    elif kind == 3:
        struct.pack_into("<Q", out, 104, draw.choice([0, 1, 39, 41, 2**30, 2**63, 2**64 - 1]))
    else:
        struct.pack_into("<I", out, 144 + 4 * draw.randrange((len(out) - 144) // 4), draw.choice([0x7FC00000, 0x7F800000, 0xFF800000]))
    return bytes(out)


def test_the_engine_still_answers(replica: Replica) -> None:
    """After all of the above, also with a state."""
    text = prompts((150,), seed=37)[0]
    assert replica.llm.reset_prefix_cache()
    (output,) = ask(replica.llm, [text], [{"import": replica.store.put(state_of(replica, text[:-1]), text[:-1])}])
    assert cached_of(output) == 149 and answer_of(output) == continued(replica.model, text)


def test_a_store_of_another_model_has_none_of_ours(replica: Replica) -> None:
    text = prompts((90,), seed=38)[0]
    other = Store(
        type(replica.store.store)(replica.store.store.directory, "another model", replica.store.store.limits), replica.store.identity
    )
    handle = other.put(state_of(replica, text[:80]), text[:80])
    (output,) = ask(replica.llm, [text], [{"import": handle}])
    computed(replica, text, output, "no state with this handle")


def test_an_engine_whose_store_is_gone_answers(replica: Replica) -> None:
    """The directory is moved away under it, and comes back."""
    text, path = prompts((90,), seed=39)[0], replica.store.store.directory.path
    handle, target = replica.store.put(state_of(replica, text[:80]), text[:80]), replica.store.handle()
    away = path.with_name("away")
    path.rename(away)
    try:
        (output,) = ask(replica.llm, [text], [{"import": handle, "export": target}])
        settle(replica.llm)
    finally:
        away.rename(path)
    computed(replica, text, output, "no state with this handle")
    assert told(output)["exported_tokens"] is None
    assert replica.llm.reset_prefix_cache()
    (output,) = ask(replica.llm, [text], [{"import": handle, "export": target}])
    settle(replica.llm)
    assert cached_of(output) == 80 and replica.store.record(target).status == "ready"
