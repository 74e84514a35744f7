"""What `infra/gpu-pool` says to Kubernetes: by Kubernetes' published schemas and those of the two resources that are not its own, in strict
form, and the launch scripts, with the commands of the plan."""

import argparse
import copy
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from spikingbrain.presets import seven_billion, seventy_six_billion
from spikingbrain_vllm.node.credential import NodeCredential
from spikingbrain_vllm.plan.launch import node_commands
from spikingbrain_vllm.plan.layout import Layout
from spikingbrain_vllm.plan.memory import Pool, plan, plans

POOL = Path(__file__).parents[3] / "infra" / "gpu-pool"
KUBERNETES = "1.34"
CUSTOM = {"LeaderWorkerSet": "leaderworkerset-v1", "ScaledObject": "scaledobject-v1alpha1"}
KEY_FILE = "/run/secrets/spikingbrain/keys"
GB = 10**9

Document = dict[str, Any]


def read(name: str) -> list[Document]:
    return [one for one in yaml.safe_load_all((POOL / "kubernetes" / name).read_text()) if one]


FILES = sorted(file.name for file in (POOL / "kubernetes").glob("*.yaml"))
DOCUMENTS = [(name, one) for name in FILES for one in read(name)]


def check(document: Document) -> None:
    """Raises where the API server would refuse it or drop a field of it."""
    kind = document["kind"]
    if kind not in CUSTOM:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        return
    jsonschema.validate(document["spec"], json.loads((POOL / "schemas" / f"{CUSTOM[kind]}.json").read_text()))
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    for template in pod_templates(document):
        kubernetes_validate.validate({"apiVersion": "v1", "kind": "PodTemplate", "template": template}, KUBERNETES, strict=True)


def pod_templates(document: Document) -> list[Document]:
    spec = document["spec"]
    if document["kind"] in ("Deployment", "StatefulSet"):
        return [spec["template"]]
    if document["kind"] == "LeaderWorkerSet":
        return [spec["leaderWorkerTemplate"][name] for name in ("leaderTemplate", "workerTemplate")]
    return []


def of_kind(kind: str) -> Iterator[Document]:
    return (one for _, one in DOCUMENTS if one["kind"] == kind)


def named(kind: str, name: str) -> Document:
    (found,) = [one for one in of_kind(kind) if one["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize(
    ("name", "document"), DOCUMENTS, ids=[f"{name} {one['kind']} {one['metadata']['name']}" for name, one in DOCUMENTS]
)
def test_manifests_are_valid(name: str, document: Document) -> None:
    check(document)
    assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "spikingbrain"


def _remove(document: Document, *path: str | int) -> None:
    inner: Any = document
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]


def _put(document: Document, value: object, *path: str | int) -> None:
    inner: Any = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value


CONTAINER = ("spec", "template", "spec", "containers", 0)
LEADER = ("spec", "leaderWorkerTemplate", "leaderTemplate", "spec", "containers", 0)
BREAKS: list[tuple[str, str, Callable[[Document], None]]] = [
    ("StatefulSet", "spikingbrain-7b", lambda one: _remove(one, "spec", "selector")),
    ("StatefulSet", "spikingbrain-7b", lambda one: _put(one, "many", "spec", "replicas")),
    ("StatefulSet", "spikingbrain-7b", lambda one: _put(one, 1, *CONTAINER, "redinessProbe")),
    ("StatefulSet", "spikingbrain-7b", lambda one: _remove(one, *CONTAINER, "name")),
    ("Deployment", "tunnel", lambda one: _put(one, "0440", "spec", "template", "spec", "volumes", 0, "secret", "defaultMode")),
    ("LeaderWorkerSet", "spikingbrain-76b", lambda one: _put(one, "Sometimes", "spec", "leaderWorkerTemplate", "restartPolicy")),
    ("LeaderWorkerSet", "spikingbrain-76b", lambda one: _put(one, 2, "spec", "leaderWorkerTemplate", "groupSize")),
    ("LeaderWorkerSet", "spikingbrain-76b", lambda one: _put(one, "8000", *LEADER, "ports", 0, "containerPort")),
    ("LeaderWorkerSet", "spikingbrain-76b", lambda one: _put(one, {}, *LEADER, "enviroment")),
    ("ScaledObject", "spikingbrain-7b", lambda one: _remove(one, "spec", "triggers")),
    ("ScaledObject", "spikingbrain-7b", lambda one: _put(one, 3, "spec", "maxReplicas")),
    ("PodDisruptionBudget", "spikingbrain-7b", lambda one: _put(one, 1, "spec", "maxUnavailible")),
    ("NetworkPolicy", "replicas", lambda one: _put(one, "web", "spec", "ingress", 0, "ports", 0, "protcol")),
]


@pytest.mark.parametrize(("kind", "name", "break_it"), BREAKS)
def test_a_broken_manifest_is_refused(kind: str, name: str, break_it: Callable[[Document], None]) -> None:
    broken = copy.deepcopy(named(kind, name))
    break_it(broken)
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        check(broken)


def test_every_pod_is_as_little_privileged_as_the_namespace_asks() -> None:
    for document in [*of_kind("Deployment"), *of_kind("StatefulSet"), *of_kind("LeaderWorkerSet")]:
        for template in pod_templates(document):
            spec = template["spec"]
            assert spec["automountServiceAccountToken"] is False
            assert spec["securityContext"]["runAsNonRoot"] is True
            for container in spec["containers"]:
                context = container["securityContext"]
                assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
                assert context["capabilities"] == {"drop": ["ALL"]}
                assert ":" in container["image"] and not container["image"].endswith(":latest")
            names = {volume["name"] for volume in spec["volumes"]}
            assert {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]} <= names


def test_what_belongs_together_has_the_same_labels() -> None:
    for model, kind in (("spikingbrain-7b", "StatefulSet"), ("spikingbrain-76b", "LeaderWorkerSet")):
        template = pod_templates(named(kind, model))[0]
        for other in (named("Service", model)["spec"]["selector"], named("PodDisruptionBudget", model)["spec"]["selector"]["matchLabels"]):
            assert other.items() <= template["metadata"]["labels"].items()
        target = named("ScaledObject", model)["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"], target["apiVersion"]) == (kind, model, named(kind, model)["apiVersion"])
        arguments = template["spec"]["containers"][0]["args"]
        served = arguments[arguments.index("--served-id") + 1]
        assert f'model_name="{served}"' in named("ScaledObject", model)["spec"]["triggers"][0]["metadata"]["query"]


def test_a_pod_lives_longer_than_its_replica_drains() -> None:
    from spikingbrain_vllm.serve.command import DRAIN_SECONDS

    for document in (named("StatefulSet", "spikingbrain-7b"), named("LeaderWorkerSet", "spikingbrain-76b")):
        assert pod_templates(document)[0]["spec"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS + 30


OWN = ("--served-id", "--edge", "--node-file", "--name", "--address")
"""Options that a plan leaves to who deploys it, each with a value."""


def without_own(arguments: list[str]) -> list[str]:
    for option in OWN:
        at = arguments.index(option)
        assert at < arguments.index("--")
        arguments = [*arguments[:at], *arguments[at + 2 :]]
    return arguments


def test_replicas_make_themselves_known_to_the_edge_each_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikingbrain_vllm.node.options import NodeOptions
    from spikingbrain_vllm.serve import command

    for kind, model in (("StatefulSet", "spikingbrain-7b"), ("LeaderWorkerSet", "spikingbrain-76b")):
        spec = pod_templates(named(kind, model))[0]["spec"]
        container = spec["containers"][0]
        (name,) = [one for one in container["env"] if one["name"] == "POD_NAME"]
        assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        pod = f"{model}-0"
        arguments = [one.replace("$(POD_NAME)", pod) for one in container["args"][: container["args"].index("--")]]
        parser = argparse.ArgumentParser()
        command.add(parser.add_subparsers())
        chosen = parser.parse_args(arguments)
        assert str(chosen.node_file) == f"{Path(KEY_FILE).parent}/node"
        assert Path(KEY_FILE).parent == Path(next(one["mountPath"] for one in container["volumeMounts"] if one["name"] == "keys"))
        monkeypatch.setattr(NodeCredential, "read", lambda _: NodeCredential("node-1", bytes(32)))
        found = NodeOptions.of(chosen)
        assert found is not None and (found.name, found.address) == (pod, f"https://{pod}.pool.example")
    # Out to the edge, and not into the cluster's own network.
    egress = named("NetworkPolicy", "replicas")["spec"]["egress"]
    (out,) = [one for one in egress if one.get("ports") == [{"port": 443, "protocol": "TCP"}]]
    assert "10.0.0.0/8" in out["to"][0]["ipBlock"]["except"]


def two_nodes(model: str, head: str) -> list[list[str]]:
    found = plan(seventy_six_billion(), Pool(2, 8, 80 * GB), Layout(4, 4, True), 131_072)
    return node_commands(found, model, 8_000, KEY_FILE, head)


def test_the_7b_is_started_as_planned() -> None:
    best = plans(seven_billion(), Pool(1, 1, 80 * GB), 32_768, "bfloat16", "bfloat16")[0]
    (command,) = node_commands(best, "/models/SpikingBrain-7B", 8_000, KEY_FILE, "")
    arguments = pod_templates(named("StatefulSet", "spikingbrain-7b"))[0]["spec"]["containers"][0]["args"]
    assert ["python", "-m", "spikingbrain_vllm", *without_own(arguments)] == command


def test_the_76b_is_started_as_planned() -> None:
    first, second = two_nodes("/models/SpikingBrain-76B-A12B", "$(LWS_LEADER_ADDRESS)")
    document = named("LeaderWorkerSet", "spikingbrain-76b")
    leader, worker = (template["spec"]["containers"][0] for template in pod_templates(document))
    assert document["spec"]["leaderWorkerTemplate"]["size"] == 2
    assert ["python", "-m", "spikingbrain_vllm", *without_own(leader["args"])] == first
    assert worker["command"] == second


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., list[str]]:
    """Runs a launch script with stand-ins for the programs that it starts; returns their command lines."""
    said = tmp_path / "said"
    for name in ("ray", "vllm"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {said}\n')
    (tmp_path / "python").write_text(f'#!/bin/sh\n[ "$3" = serve ] && echo python "$@" >> {said} && exit\nexec {sys.executable} "$@"\n')
    for name in ("ray", "vllm", "python"):
        (tmp_path / name).chmod(0o755)

    def run(script: str, *arguments: str, **variables: str) -> list[str]:
        said.write_text("")
        environment = os.environ | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(POOL.parents[1] / "gpu-backend"),
            **variables,
        }
        done = subprocess.run(["bash", POOL / "launch" / script, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return said.read_text().splitlines()

    return run


ASKED = ("76b", "--gpus", "8x80GB", "--nodes", "2", "--context", "131072", "--tensor", "4", "--data", "4", "--expert-parallel")


def test_native_nodes_start_their_parts_of_the_plan(recorded: Callable[..., list[str]]) -> None:
    for node, command in enumerate(two_nodes("76b", "10.0.0.1")):
        assert recorded("native.sh", *ASKED, NODE=str(node), HEAD="10.0.0.1") == [shlex.join(command)]


def test_ray_nodes_join_and_the_first_serves(recorded: Callable[..., list[str]]) -> None:
    first = two_nodes("76b", "10.0.0.1")[0]
    head = recorded("ray.sh", *ASKED, NODE="0", HEAD="10.0.0.1", NODES_WAIT="0")
    assert head[0].startswith("ray start --head") and head[-1] == shlex.join([*first, "--data-parallel-backend", "ray"])
    assert recorded("ray.sh", *ASKED, NODE="1", HEAD="10.0.0.1") == ["ray start --address 10.0.0.1:6379 --block"]


EDGE = {"EDGE": "https://edge.example", "NODE_FILE": "/run/a node", "ADDRESS": "https://seven-1.pool.example"}


@pytest.mark.parametrize("script", ["native.sh", "ray.sh"])
def test_scripts_make_the_first_node_known_to_an_edge(script: str, recorded: Callable[..., list[str]]) -> None:
    plain = shlex.split(recorded(script, *ASKED, NODE="0", HEAD="10.0.0.1", NODES_WAIT="0")[-1])
    known = shlex.split(recorded(script, *ASKED, NODE="0", HEAD="10.0.0.1", NODES_WAIT="0", **EDGE)[-1])
    at = plain.index("--")
    # What `echo` repeats has lost its quotes.
    told = ["--edge", EDGE["EDGE"], "--node-file", "/run/a", "node", "--address", EDGE["ADDRESS"]]
    assert known == [*plain[:at], *told, *plain[at:]]
    other = [recorded(script, *ASKED, NODE="1", HEAD="10.0.0.1", **more) for more in ({}, EDGE)]
    assert other[0] == other[1]


def test_scripts_say_what_they_miss() -> None:
    for script in ("native.sh", "ray.sh"):
        done = subprocess.run(
            ["bash", POOL / "launch" / script, "76b"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0 and "NODE" in done.stderr
