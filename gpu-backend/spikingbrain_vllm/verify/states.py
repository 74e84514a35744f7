"""What it costs to take a conversation's state out of an engine, and to go on from it elsewhere."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spikingbrain.config import Config
from vllm import LLM

from spikingbrain_vllm.state.model_identity import ModelIdentity
from spikingbrain_vllm.state.settings import CONNECTOR
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.store import Limits, StateStore
from spikingbrain_vllm.verify.engine import ask, engine, greedy, prompt

TENANT = "verification"


def measure_states(folder: Path, config: Config, lengths: Sequence[int], *, rounds: int = 1, **choices: Any) -> list[dict[str, float]]:  # noqa: ANN401
    """Of each length and round, in seconds: TTFT of a prompt that is read whole, with its state written at the end, and of the same prompt
    from that state; beside them the state file's bytes and the tokens that were not read again."""
    with TemporaryDirectory(dir=_memory()) as place:
        directory = Path(place) / "states"
        store = StateStore(StoreDirectory(directory), ModelIdentity(config).digest, Limits(state_bytes=2**34, total_bytes=2**36))
        transfer = {"kv_connector": CONNECTOR, "kv_role": "kv_both", "kv_load_failure_policy": "recompute"}
        connector = {**transfer, "kv_connector_extra_config": {"directory": str(directory), "state_bytes": 2**34, "total_bytes": 2**36}}
        longest = max(lengths) + 8
        try:
            with engine(folder, load_format="dummy", max_model_len=longest, max_num_seqs=2, kv_transfer_config=connector, **choices) as llm:
                _once(llm, store, config, 64, 0)
                return [{"round": one, **_once(llm, store, config, length, 1 + one)} for one in range(rounds) for length in lengths]
        finally:
            store.directory.close()


def _once(llm: LLM, store: StateStore, config: Config, length: int, seed: int) -> dict[str, float]:
    text = prompt(length, config.vocabulary, seed)
    _, read = ask(llm, [text], greedy(1), TENANT)
    handle, _ = store.create(TENANT)
    begin = time.perf_counter()
    ask(llm, [text], _with(states={"export": handle}), TENANT)
    _write(llm, store, handle)
    exported = time.perf_counter() - begin
    record = store.find(TENANT, handle)
    if record.status != "ready":
        raise RuntimeError(f"the state of {length} tokens is {record.status}: {record.problem}")
    outputs, restored = ask(llm, [[*text, 1]], _with(states={"import": handle}), TENANT)
    store.delete(TENANT, handle)
    found = {"tokens": length, "ttft": read, "export": max(0.0, exported - read), "ttft_from_state": restored}
    return {**found, "bytes": float(record.bytes), "cached": float(outputs[0].num_cached_tokens or 0)}


def _with(states: dict[str, str]) -> Any:  # noqa: ANN401 (vLLM's)
    return greedy(1, extra_args={"kv_transfer_params": {"spikingbrain": {"tenant": TENANT, **states}}})


def _write(llm: LLM, store: StateStore, handle: str) -> None:
    """Until the state is written; an engine in this process takes no step by itself."""
    client: Any = llm.llm_engine.engine_core
    core = getattr(client, "engine_core", None)
    while store.find(TENANT, handle).status == "empty":
        if core is not None and core.scheduler.has_requests():
            core.step_fn()
        else:
            time.sleep(0.001)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
