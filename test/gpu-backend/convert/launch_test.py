"""Another form through all stages: by one process, and by the launch file on two nodes that share out the weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.cli.main import main
from spikingbrain.convert.settings import read_settings
from spikingbrain.convert.student import STUDENT
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.work import Work
from support.conversion import write_materials, write_settings
from support.processes import free_port

LAUNCH = Path(__file__).parents[3] / "gpu-backend/convert/launch.sh"
SETTINGS = """
name = "tiny"
form = "alternating"
teacher = "teacher"
work = "{work}"
[data]
files = ["{folder}/train.jsonl"]
held_out_files = ["{folder}/held.txt", "{folder}/other.txt"]
chats = 2
chat_tokens = 400
held_out_chats = 1
held_out_chat_tokens = 380
[alternating]
window = 24
kept = 3
gate_rank = 4
[transfer]
steps = 2
sequences = 2
tokens = 90
rate_factor = 1
[distil]
steps = 2
sequences = 2
tokens = 90
rate_factor = 0.3
chat_share = 0.5
[evaluation]
documents = 1
document_tokens = 300
chats = 1
[export]
type = "f32"
[team]
shard = true
"""


def settings_in(folder: Path, work: str) -> Path:
    return write_settings(SETTINGS, folder, work)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, training text, and the work of one process."""
    folder = tmp_path_factory.mktemp("launched")
    write_materials(folder)
    assert main(["convert", str(settings_in(folder, "one"))]) == 0
    return folder


def test_the_whole_model_is_exported(folder: Path) -> None:
    found, teacher = open_checkpoint(folder / "one" / "tiny.gguf"), open_checkpoint(folder / "teacher")
    assert [layer.mixer_name for layer in found.config.layers] == ["linear", "window"]
    names = {name.name: name for name in found.names}
    work = Work(read_settings(settings_in(folder, "one")), Team(), lambda line: None)
    trained = dict(work.trained_student().trained[STUDENT].named_parameters())
    for name in ("q_proj.weight", "o_proj.weight", "gk_proj.1.bias", "g_norm.weight"):
        assert torch.equal(read_tensor(found, names[f"model.layers.0.attn.{name}"]), trained[f"0.{name}"].detach())
    taught = {name.name: name for name in teacher.names}
    query, down = "model.layers.1.attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"
    assert not torch.equal(read_tensor(found, names[query]), read_tensor(teacher, taught[query]))
    assert torch.equal(read_tensor(found, names[down]), read_tensor(teacher, taught[down]))


def test_evaluation_reads_the_student_and_the_windows_alone(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "one" / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["document", "chat"]
    assert all(set(line["tallies"]) == {"teacher", "student", "window"} for line in lines)
    assert not (folder / "one" / "far.json").exists()
    assert "<polyline" in (folder / "one" / "curves.svg").read_text(encoding="utf-8")


def test_two_nodes_have_the_losses_of_one_process(folder: Path, tmp_path: Path) -> None:
    """As SLURM would start them, over gloo; its `scontrol` is one that knows this machine."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\necho 127.0.0.1\necho elsewhere\n", encoding="utf-8")
    scontrol.chmod(0o755)
    common = {"PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "MASTER_PORT": str(free_port())}
    common |= {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[1-2]"}
    command = [str(LAUNCH), str(settings_in(folder, "two"))]
    nodes = [subprocess.Popen(command, env=os.environ | common | {"SLURM_NODEID": str(node)}, stderr=subprocess.PIPE) for node in (0, 1)]
    for node in nodes:
        _, errors = node.communicate(timeout=600)
        assert node.returncode == 0, errors.decode()
    for stage in ("transfer", "distil"):
        one, two = (
            [json.loads(line) for line in (folder / work / stage / "log.jsonl").read_text().splitlines()] for work in ("one", "two")
        )
        assert len(one) == len(two) == 2
        for first, second in zip(one, two, strict=True):
            for name in first.keys() & {"student", "window"}:
                assert second[name] == pytest.approx(first[name], rel=2e-2)


def test_a_node_that_cannot_know_the_first_one_is_refused(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "MASTER"))}
    done = subprocess.run([str(LAUNCH), "x.toml"], env=environment | {"NODES": "2"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "MASTER_ADDR must be given where NODES is 2" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[alternating]", "[parallel]"), "parallel must be absent where the form is 'alternating'"),
        (('form = "alternating"', 'form = "alternate"'), "form must be one of"),
        (("gate_rank = 4", 'gate = "open"'), "alternating.gate must be one of"),
        (("gate_rank = 4", 'gate = "one_minus_key"'), "linear.feature_map must be 'sigmoid' where the gate is one minus the key"),
        (("gate_rank = 4", "linear_first = 2"), "alternating.linear_first must be an integer from 0 to 1; it is 2"),
        (('type = "f32"', 'type = "w8"'), "export.type must be one of"),
    ],
)
def test_settings_of_a_form_are_checked_by_name(
    folder: Path, change: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings_in(folder, "wrong")
    path.write_text(path.read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    assert main(["convert", str(path)]) == 1
    assert message in capsys.readouterr().err
