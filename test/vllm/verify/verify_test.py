"""The logic of `gpu-backend/verify_gpu.py` at tiny sizes on a CPU, and what it says where there is no GPU."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.gated_linear.parallel import parallel
from spikingbrain_vllm.verify.kernels import compare
from spikingbrain_vllm.verify.models import seven_like
from spikingbrain_vllm.verify.parts import Sizes, equality, softmax_speed, speed, states
from spikingbrain_vllm.verify.report import lines, run_parts
from torch import Tensor

TINY = seven_like(hidden=128, heads=4, kv_heads=2, head_dim=32, layers=2, inner=256, vocabulary=512, window=65)
SIZES = Sizes(
    device="cpu",
    small=TINY,
    large=TINY,
    dtype="float32",
    kernel_tokens=100,
    prompts=(90, 7),
    answer=8,
    lengths=(64, 200),
    decoded=4,
    batch=3,
    state_lengths=(150, 64),
)
SHAPES = {"tokens": 70, "heads": 4, "kv_heads": 2, "dim": 32}


@pytest.fixture(autouse=True)
def cache_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its engines, in GiB. On a GPU they take what is there; that much of this machine's memory need not be free."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")


def test_a_machine_without_a_gpu_is_told_so() -> None:
    script = Path(__file__).parents[3] / "gpu-backend" / "verify_gpu.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "there is no GPU here that torch can use; nothing is proven"
    assert done.stdout == ""


def test_kernels_are_held_against_the_recurrence() -> None:
    def right(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
        wide = Inputs(x.queries.float(), x.keys.float(), x.values.float(), x.log_gates.float())
        return parallel(wide, state)

    def forgets(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
        return right(x, torch.zeros_like(state))

    rows = compare({"right": right, "forgets": forgets}, **SHAPES, device="cpu")
    assert [(row["kernel"], row["type"], row["ok"]) for row in rows] == [
        ("reference chunk", "float32", True),
        ("right", "float32", True),
        ("forgets", "float32", False),
        ("reference chunk", "bfloat16", True),
        ("right", "bfloat16", True),
        ("forgets", "bfloat16", False),
    ]


def test_an_engine_is_held_against_the_reference(tmp_path: Path) -> None:
    found = equality(SIZES, tmp_path)
    assert found["ok"] and found["graphs_same"]
    for row in found["rows"]:
        assert row["furthest"] < 1e-4 and row["other_tokens"] == 0


def test_times_are_measured_of_both_models(tmp_path: Path) -> None:
    for name, part in (("ours", speed), ("softmax", softmax_speed)):
        (tmp_path / name).mkdir()
        rows = part(SIZES, tmp_path / name)["rows"]
        assert [row["tokens"] for row in rows] == [64, 200, 64]
        assert all(row["ttft"] > 0 and row["decode"] > 0 for row in rows[:2])
        assert rows[2]["batch"] == 3 and rows[2]["throughput"] > 0


def test_states_go_out_and_are_gone_on_from(tmp_path: Path) -> None:
    found = states(replace(SIZES, large=replace(TINY, context=2_048)), tmp_path)
    assert found["ok"]
    assert [(row["tokens"], row["cached"]) for row in found["rows"]] == [(150, 150), (64, 64)]
    assert all(row["bytes"] > 0 and row["ttft_from_state"] > 0 for row in found["rows"])


def test_parts_that_fail_or_take_too_long_are_told_as_that() -> None:
    python = [sys.executable, "-c"]
    row = {"tokens": 8, "ttft": 1.5}
    found = run_parts(
        {
            "speed": [*python, f"print('noise'); print('{json.dumps({'ok': True, 'rows': [row]})}')"],
            "softmax speed": [*python, f"print('{json.dumps({'ok': True, 'rows': [row | {'ttft': 3.0}]})}')"],
            "broken": [*python, "raise SystemExit('no kernel')"],
            "endless": [*python, "import time; time.sleep(600)"],
            "late": [*python, "print(1)"],
        },
        seconds=5,
    )
    assert [result["ok"] for result in found.values()] == [True, True, False, False, False]
    told = "\n".join(lines(found))
    late = "FAILED late: not begun: the time was over"
    for line in ("FAILED broken: exit code 1", "| no kernel", "FAILED endless: not done within", late):
        assert line in told
    assert "TTFT at 8 tokens: 0.50 of the softmax model's" in told
