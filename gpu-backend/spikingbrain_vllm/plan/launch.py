"""The command of every node of a replica, as `infra/gpu-pool` runs them."""

from spikingbrain_vllm.plan.memory import UTILISATION, Plan

RPC_PORT = 13_345
BATCH_MOST = 256


def node_commands(plan: Plan, model: str, port: int, key_file: str, head: str) -> list[list[str]]:
    """One for each node of a replica: the first answers requests, the others belong to its engine. `head` is the first's address."""
    layout, per_node = plan.layout, plan.pool.per_node
    nodes = max(1, layout.accelerators // per_node)
    engine = engine_options(plan)
    serve = ["python", "-m", "spikingbrain_vllm", "serve", model, "--host", "0.0.0.0", "--port", str(port), "--key-file", key_file]
    if nodes > 1:
        # States wait in a folder that all processes of the engine see; nodes have none in common.
        serve.append("--no-states")
        engine += ["--data-parallel-size-local", str(layout.data // nodes), "--data-parallel-address", head]
        engine += ["--data-parallel-rpc-port", str(RPC_PORT)]
    commands = [[*serve, "--", *engine]]
    for node in range(1, nodes):
        start = node * (layout.data // nodes)
        commands.append(["vllm", "serve", model, "--headless", "--data-parallel-start-rank", str(start), *engine])
    return commands


def engine_options(plan: Plan) -> list[str]:
    layout = plan.layout
    batch = max(1, min(BATCH_MOST, plan.sessions_per_replica // layout.data))
    options = ["--max-model-len", str(plan.context), "--max-num-seqs", str(batch), "--gpu-memory-utilization", str(UTILISATION)]
    if layout.tensor > 1:
        options += ["--tensor-parallel-size", str(layout.tensor)]
    if layout.data > 1:
        options += ["--data-parallel-size", str(layout.data)]
    if layout.has_expert_parallel:
        options.append("--enable-expert-parallel")
    return options
