"""A conversation goes from vLLM to the WASM engine and back: one model, f32 weights, as a folder for the one and a GGUF for the other."""

from pathlib import Path

import pytest
from spikingbrain.export.gguf_writer import write_gguf
from support.engine import prompts
from support.models import TinyWeights
from support.states import Replica, answer_of, ask, cached_of, continued, settle
from support.wasm import run_wasm


@pytest.fixture(scope="module")
def gguf(replica: Replica, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    write_gguf(TinyWeights(replica.model.config), path, "f32")
    return path


def test_from_vllm_to_wasm_and_back(replica: Replica, gguf: Path, tmp_path: Path) -> None:
    text = prompts((150,), seed=90)[0]
    first = replica.store.handle()
    (output,) = ask(replica.llm, [text], [{"export": first}])
    settle(replica.llm)
    answered = answer_of(output)
    assert answered == continued(replica.model, text)
    (tmp_path / "to-wasm.sbst").write_bytes(replica.store.read(first))

    # The answer's last token has not been read; what the user says next follows it.
    more = [answered[-1], *prompts((9,), seed=91)[0]]
    text = [*text, *answered[:-1]]
    found = run_wasm(gguf, more, 12, restore=tmp_path / "to-wasm.sbst", save=tmp_path / "from-wasm.sbst")
    assert found.restored == len(text)
    text = [*text, *more]
    assert found.ids == continued(replica.model, text)

    text = [*text, *found.ids]
    assert replica.llm.reset_prefix_cache()
    back = replica.store.put((tmp_path / "from-wasm.sbst").read_bytes(), text[:-1])
    (output,) = ask(replica.llm, [[*text, 5, 6, 7]], [{"import": back}])
    assert answer_of(output) == continued(replica.model, [*text, 5, 6, 7])
    assert cached_of(output) == len(text) - 1


def test_from_wasm_to_vllm(replica: Replica, gguf: Path, tmp_path: Path) -> None:
    """At a multiple of a block's tokens and one beside it."""
    for tokens in (96, 97):
        text = prompts((tokens,), seed=92)[0]
        run_wasm(gguf, text, 0, save=tmp_path / "state.sbst")
        assert replica.llm.reset_prefix_cache()
        (output,) = ask(replica.llm, [[*text, 3]], [{"import": replica.store.put((tmp_path / "state.sbst").read_bytes(), text)}])
        assert answer_of(output) == continued(replica.model, [*text, 3])
        assert cached_of(output) == tokens
