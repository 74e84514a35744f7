"""The built-in model as `serve spikingbrain-135m` has it: a process, its tokenizer, and the golden tokens by HTTP."""

import json
import signal
from pathlib import Path

import served
from httpx import Client
from support.replica import GENERATE, replica_process, request
from support.wasm import ROOT

END_SECONDS = 60
SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["Ada", "Bo"]}, "age": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
END_OF_TURN = 2
"""Of the built-in model."""


def held_to_a_schema(client: Client, prompt: list[int]) -> None:
    """Without white space, as the engine writes it, and taken up again after any of its tokens: greedy, and drawn."""

    def answer(before: list[int], chosen: dict[str, object]) -> tuple[list[int], str]:
        asked = request([*prompt, *before], 60)
        held = {"structured_outputs": {"json": json.dumps(SCHEMA)}, "stop_token_ids": [END_OF_TURN], "ignore_eos": True}
        asked["sampling_params"] |= held | chosen | ({"continued": len(before)} if before else {})
        (choice,) = client.post(GENERATE, json=asked).raise_for_status().json()["choices"]
        return choice["token_ids"], choice["finish_reason"]

    drawn: dict[str, object] = {"temperature": 1.5, "seed": 5, "banned_token_series": [[9]]}
    greedy: dict[str, object] = {"temperature": 0}
    for chosen in (greedy, drawn):
        whole, reason = answer([], chosen)
        assert reason == "stop" and whole[-1] == END_OF_TURN
        for cut in (1, 4, len(whole) - 2):
            assert answer(whole[:cut], chosen) == (whole[cut:], "stop")


def test_the_built_in_model_is_served_by_its_id(tmp_path: Path) -> None:
    vectors = json.loads(served.FILE.read_text(encoding="utf-8"))
    manifest = json.loads((ROOT / "dist" / "engine" / "model" / "manifest.json").read_text(encoding="utf-8"))
    with replica_process("spikingbrain-135m", tmp_path / "replica", engine=("--max-num-batched-tokens", "600")) as started:
        replica = started.wait_until_ready()
        with replica.client as client:
            (model,) = client.get("/replica").raise_for_status().json()["models"]
            assert (model["id"], model["digest"]) == (manifest["id"], manifest["sha256"])
            assert model["tokenizer_digest"] == manifest["tokenizerSha256"]
            assert model["vocabulary_size"] > 49_000 and model["parameters"] > 130e6
            for vector in vectors:
                asked = request(vector["prompt"], served.ANSWER_TOKENS)
                found = client.post(GENERATE, json=asked).raise_for_status().json()
                assert found["choices"][0]["token_ids"] == vector["tokens"]
                # Of a model with a tokenizer a replica may be asked for words.
                whole = client.post(GENERATE, json=asked | {"output_mode": "text"})
                assert whole.status_code == 400 and whole.json()["error"]["param"] == "output_mode"
            assert "constraints" in model["abilities"]
            held_to_a_schema(client, vectors[0]["prompt"])
        replica.process.send_signal(signal.SIGTERM)
        assert replica.process.wait(END_SECONDS) == 0
        assert "Traceback" not in replica.log
