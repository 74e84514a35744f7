"""What a request may ask: each rule by field, and random bodies that must all be answered with a refusal or let through."""

import json
import random
from typing import Any

import pytest
from spikingbrain_vllm.serve.errors import Refusal
from spikingbrain_vllm.serve.generate_body import BodyCheck

CHECK = BodyCheck("m", 512, 100, has_tokenizer=False, has_states=True)
GOOD: dict[str, Any] = {"token_ids": [1, 511], "sampling_params": {"max_tokens": 4, "detokenize": False}}
HANDLE = "h" * 43


def refused(body: object) -> Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refusal) as found:
        CHECK(data)
    return found.value


def sampling(**values: object) -> dict[str, Any]:
    return GOOD | {"sampling_params": GOOD["sampling_params"] | values}


def test_what_the_pool_sends_is_taken() -> None:
    for body in (
        GOOD,
        GOOD | {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "cache_salt": "t", "request_id": "a.b-1"},
        sampling(temperature=0, top_p=1, top_k=-1, seed=7, stop_token_ids=[2], logprobs=20, logit_bias={"5": -100}, ignore_eos=True),
        GOOD | {"kv_transfer_params": {"spikingbrain": {"tenant": "t", "import": HANDLE, "export": HANDLE}}},
    ):
        CHECK(json.dumps(body).encode())


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
        (GOOD | {"kv_transfer_params": {"spikingbrain": {"tenant": "t", "import": "/etc/passwd"}}}, "kv_transfer_params"),
        (GOOD | {"kv_transfer_params": {"spikingbrain": {}}}, "kv_transfer_params"),
        (sampling(max_tokens=0), "sampling_params.max_tokens"),
        (sampling(max_tokens="4"), "sampling_params.max_tokens"),
        (sampling(min_tokens=5), "sampling_params.min_tokens"),
        (sampling(n=2), "sampling_params.n"),
        (sampling(temperature=-1), "sampling_params.temperature"),
        (sampling(top_p=0), "sampling_params.top_p"),
        (sampling(logprobs=-1), "sampling_params.logprobs"),
        (sampling(logprobs=21), "sampling_params.logprobs"),
        (sampling(stop_token_ids=[512]), "sampling_params.stop_token_ids"),
        (sampling(allowed_token_ids=[]), "sampling_params.allowed_token_ids"),
        (sampling(allowed_token_ids=[9_999]), "sampling_params.allowed_token_ids"),
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
