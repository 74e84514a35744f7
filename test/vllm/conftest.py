"""vLLM on a CPU, its engine in this process: set before vLLM is imported, and inherited by what tests start. One thread, since the tensors
are tiny: several wait for one another, at length where cores are shared."""

import multiprocessing
import os

import pytest

os.environ.update(
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS="1",
    TRANSFORMERS_OFFLINE="1",
    VLLM_CPU_OMP_THREADS_BIND="nobind",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_LOGGING_LEVEL="ERROR",
    VLLM_NO_USAGE_STATS="1",
)


@pytest.fixture
def forked_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's ranks are forks of this process, which has imported already what each would import anew: most of such a test's time."""
    monkeypatch.setattr("vllm.v1.executor.multiproc_executor.get_mp_context", lambda: multiprocessing.get_context("fork"))
