"""What a request may ask: each rule by field, and random bodies that must all be answered with a refusal or let through."""

import json
import random
from typing import Any

import pytest
from spikingbrain_vllm.sampling.request import FIELD, ChosenHere
from spikingbrain_vllm.serve.errors import Refusal
from spikingbrain_vllm.serve.generate_body import BodyCheck
from spikingbrain_vllm.serve.generate_request import MOST_SCORED
from vllm.entrypoints.scale_out.token_in_token_out.protocol import GenerateRequest

CHECK = BodyCheck("m", 512, 100, has_tokenizer=False, has_states=True)
GOOD: dict[str, Any] = {"token_ids": [1, 511], "sampling_params": {"max_tokens": 4, "detokenize": False}}
HANDLE = "h" * 43


def refused(body: object) -> Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refusal) as found:
        CHECK(data)
    return found.value


def engine_asked(body: dict[str, Any]) -> dict[str, Any]:
    """By whom vLLM is asked: its own classes take it."""
    given = GenerateRequest.model_validate_json(CHECK(json.dumps(body).encode()))
    found: dict[str, Any] = json.loads(CHECK(json.dumps(body).encode()))
    assert given.sampling_params.temperature == 0
    return found


def sampling(**values: object) -> dict[str, Any]:
    return GOOD | {"sampling_params": GOOD["sampling_params"] | values}


def test_what_the_pool_sends_is_taken() -> None:
    for body in (
        GOOD,
        GOOD | {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "cache_salt": "t", "request_id": "a.b-1"},
        sampling(
            temperature=0, top_p=1, top_k=-1, seed=7, stop_token_ids=[2], logprobs=MOST_SCORED + 1, logit_bias={"5": -100}, ignore_eos=True
        ),
        GOOD | {"kv_transfer_params": {"spikingbrain": {"tenant": "t", "import": HANDLE, "export": HANDLE}}},
    ):
        engine_asked(body)


def test_the_likeliest_token_is_left_to_vllm() -> None:
    for body in (sampling(temperature=0), sampling(temperature=0, top_p=0.5, seed=7), sampling(temperature=0, min_tokens=1, continued=1)):
        assert engine_asked(body)["sampling_params"] == {"max_tokens": 4, "detokenize": False, "temperature": 0}
    passed = {"stop_token_ids": [2], "ignore_eos": True, "logprobs": 3, "prompt_logprobs": 0, "allowed_token_ids": [1, 2]}
    assert engine_asked(sampling(temperature=0, **passed))["sampling_params"] == {
        "max_tokens": 4,
        "detokenize": False,
        "temperature": 0,
        **passed,
    }


def test_all_else_is_chosen_by_our_rule() -> None:
    asked = {
        "temperature": 0.5,
        "top_k": -1,
        "top_p": 0.9,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
        "logit_bias": {"5": -100.0},
        "min_tokens": 3,
        "continued": 2,
        "seed": str(2**64 - 1),
    }
    found = engine_asked(sampling(**asked))["sampling_params"]
    chosen = asked | {"top_k": 0, "logit_bias": [[5, -100.0]], "seed": 2**64 - 1}
    assert found == {"max_tokens": 4, "detokenize": False, "temperature": 0, "extra_args": {FIELD: chosen}}
    # As the processor reads it.
    given = GenerateRequest.model_validate_json(CHECK(json.dumps(sampling(**asked)).encode())).sampling_params
    taken = ChosenHere.of(given)
    assert taken is not None and taken.continued == 2 and taken.sampling.seed == 2**64 - 1 and taken.sampling.logit_bias == ((5, -100.0),)
    for alone in ({"temperature": 0, "min_tokens": 2}, {"temperature": 0, "presence_penalty": 0.5}, {"temperature": 0.1}, {}):
        assert FIELD in engine_asked(sampling(**alone))["sampling_params"]["extra_args"]


def test_a_seed_has_64_bits_however_it_is_written() -> None:
    for seed in (2**64 - 1, str(2**64 - 1), -1):
        assert engine_asked(sampling(seed=seed))["sampling_params"]["extra_args"][FIELD]["seed"] == 2**64 - 1


def test_who_gives_no_seed_gets_another_answer_each_time() -> None:
    seeds = {engine_asked(sampling())["sampling_params"]["extra_args"][FIELD]["seed"] for _ in range(8)}
    assert len(seeds) == 8


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (GOOD | {"token_ids": []}, "token_ids"),
        (GOOD | {"token_ids": [512]}, "token_ids"),
        (GOOD | {"token_ids": [2**70]}, "token_ids"),
        (GOOD | {"token_ids": [-1]}, "token_ids.0"),
        (GOOD | {"token_ids": [1.5]}, "token_ids.0"),
        (GOOD | {"token_ids": [True]}, "token_ids.0"),
        (GOOD | {"token_ids": "text"}, "token_ids"),
        ({"token_ids": [1]}, "sampling_params"),
        (GOOD | {"prompt": "text"}, "prompt"),
        (GOOD | {"features": {}}, "features"),
        (GOOD | {"priority": 3}, "priority"),
        (GOOD | {"request_id": "../x"}, "request_id"),
        (GOOD | {"request_id": "x\n"}, "request_id"),
        (GOOD | {"stream": "yes"}, "stream"),
        (GOOD | {"cache_salt": ""}, "cache_salt"),
        (GOOD | {"kv_transfer_params": {"other": {}}}, "kv_transfer_params.other.[key]"),
        (GOOD | {"kv_transfer_params": "text"}, "kv_transfer_params"),
        (GOOD | {"kv_transfer_params": [1]}, "kv_transfer_params"),
        (GOOD | {"kv_transfer_params": {"spikingbrain": {"tenant": "t", "import": "/etc/passwd"}}}, "kv_transfer_params"),
        (GOOD | {"kv_transfer_params": {"spikingbrain": {}}}, "kv_transfer_params"),
        (sampling(max_tokens=0), "sampling_params.max_tokens"),
        (sampling(max_tokens="4"), "sampling_params.max_tokens"),
        (sampling(min_tokens=5), "sampling_params.min_tokens"),
        (sampling(min_tokens=7, continued=2), "sampling_params.min_tokens"),
        (sampling(continued=3), "sampling_params.continued"),
        (sampling(continued=-1), "sampling_params.continued"),
        (sampling(seed=-(2**63) - 1), "sampling_params.seed"),
        (sampling(seed=2**64), "sampling_params.seed"),
        (sampling(seed=str(2**64)), "sampling_params.seed"),
        (sampling(seed="1.5"), "sampling_params.seed"),
        (sampling(seed=True), "sampling_params.seed"),
        (sampling(seed=1.0), "sampling_params.seed"),
        (sampling(min_tokens=1, allowed_token_ids=[2], stop_token_ids=[2]), "sampling_params.allowed_token_ids"),
        (sampling(n=2), "sampling_params.n"),
        (sampling(temperature=-1), "sampling_params.temperature"),
        (sampling(top_p=0), "sampling_params.top_p"),
        (sampling(logprobs=-1), "sampling_params.logprobs"),
        (sampling(logprobs=MOST_SCORED + 2), "sampling_params.logprobs"),
        (sampling(stop_token_ids=[512]), "sampling_params.stop_token_ids"),
        (sampling(allowed_token_ids=[]), "sampling_params.allowed_token_ids"),
        (sampling(allowed_token_ids=[9_999]), "sampling_params.allowed_token_ids"),
        (sampling(banned_token_series=[[]]), "sampling_params.banned_token_series.0"),
        (sampling(banned_token_series=[[1], [2, 512]]), "sampling_params.banned_token_series"),
        (sampling(logit_bias={"512": 1}), "sampling_params.logit_bias"),
        (sampling(logit_bias={"x": 1}), "sampling_params.logit_bias"),
        (sampling(extra_args={"a": 1}), "sampling_params.extra_args"),
        (sampling(bad_words=["a"]), "sampling_params.bad_words"),
        (sampling(detokenize=True), "sampling_params.detokenize"),
        (sampling(structured_outputs={"regex": "a"}), "sampling_params.structured_outputs"),
        (b"", "body"),
        (b"[]", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
    ],
)
def test_what_it_must_not_ask_is_refused_by_field(body: object, param: str) -> None:
    found = refused(body)
    assert (found.status, found.code, found.param) == (400, "invalid_request", param)
    assert found.message.startswith(param.partition(".[")[0])


def test_a_text_that_is_too_long_and_another_model_have_codes_of_their_own() -> None:
    assert refused(GOOD | {"token_ids": [1] * 97}).code == "context_length_exceeded"
    CHECK(json.dumps(GOOD | {"token_ids": [1] * 96}).encode())
    assert (refused(GOOD | {"model": "other"}).status, refused(GOOD | {"model": "other"}).code) == (404, "model_not_found")


def test_numbers_that_json_has_not_are_refused() -> None:
    for text in ("NaN", "Infinity", "1e999"):
        body = json.dumps(sampling(temperature=0.25)).replace("0.25", text).encode()
        assert refused(body).code == "invalid_request"


def test_a_thousand_altered_bodies_are_let_through_or_refused() -> None:
    draw = random.Random(5)
    text = json.dumps(
        sampling(temperature=0.5, seed=3, logit_bias={"1": 2}) | {"kv_transfer_params": {"spikingbrain": {"tenant": "t"}}}
    ).encode()
    through = 0
    for _ in range(1_000):
        altered = bytearray(text)
        for _ in range(draw.randrange(1, 4)):
            altered[draw.randrange(len(altered))] = draw.randrange(256)
        try:
            CHECK(bytes(altered))
            through += 1
        except Refusal as found:
            assert found.status in (400, 404) and found.message
    assert 0 < through < 1_000
