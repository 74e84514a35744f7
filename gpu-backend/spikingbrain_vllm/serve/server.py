"""The process of a replica: its engine, its routes and its signals. What happens in between is in `life.py`."""

import asyncio
import atexit
import signal
import socket
import sys
from argparse import Namespace
from typing import Any

import uvicorn
from prometheus_client import REGISTRY
from vllm.engine.protocol import EngineClient
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.launcher import NoSignalServer

from spikingbrain_vllm.endpoints.told_streams import ToldServingTokens
from spikingbrain_vllm.node.facts import facts
from spikingbrain_vllm.node.registration import Registration
from spikingbrain_vllm.serve import lifeline
from spikingbrain_vllm.serve.allowed import keep_allowed
from spikingbrain_vllm.serve.engine_arguments import engine_arguments
from spikingbrain_vllm.serve.generate_body import BodyCheck
from spikingbrain_vllm.serve.guard import Guard
from spikingbrain_vllm.serve.life import ABORTED_SECONDS, live
from spikingbrain_vllm.serve.load import ReplicaMetrics
from spikingbrain_vllm.serve.options import Options
from spikingbrain_vllm.serve.replica import Replica
from spikingbrain_vllm.serve.routes import router
from spikingbrain_vllm.serve.run_folder import RunFolder
from spikingbrain_vllm.serve.served_model import ServedModel, resolve
from spikingbrain_vllm.telemetry.settings import tallies_of

REQUESTS_PER_SLOT = 4


def serve(options: Options) -> int:
    """Returns the process's exit code: 0 after SIGTERM, 1 where the engine has ended by itself."""
    folder = RunFolder()
    # After what the states' routes have registered.
    atexit.register(folder.close)
    model = resolve(options, folder.path)
    arguments = engine_arguments(options, model, folder, options.write_keys(folder.path / "keys"))
    lifeline.hold()
    problem = asyncio.run(_run(options, model, arguments))
    if problem is not None:
        print(f"error: {problem}", file=sys.stderr, flush=True)
    return 0 if problem is None else 1


async def _run(options: Options, model: ServedModel, arguments: Namespace) -> str | None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    listening = _listen(options)
    for each in (signal.SIGTERM, signal.SIGINT):
        # Until there is an event loop that turns, one signal ends the start: nobody waits for an answer yet.
        signal.signal(each, _end_start)
    try:
        async with build_async_engine_client(arguments) as engine:
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(each, stop.set)
            return await _serve_with(engine, options, model, arguments, listening, stop)
    except _Ended:
        print("ended before it was ready", file=sys.stderr)
        return None
    finally:
        listening.close()


class _Ended(BaseException):
    """A signal while the engine starts."""


def _end_start(*_: object) -> None:
    raise _Ended


def _listen(options: Options) -> socket.socket:
    """Before the engine takes its minute, so that a port that is taken is told at once."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
    except OSError as error:
        listening.close()
        raise ValueError(f"--host and --port must be an address that is free; {options.host}:{options.port}: {error.strerror}") from error
    return listening


async def _serve_with(
    engine: EngineClient, options: Options, model: ServedModel, arguments: Namespace, listening: socket.socket, stop: asyncio.Event
) -> str | None:
    config = engine.vllm_config
    replica = Replica(most_requests=options.most_requests or REQUESTS_PER_SLOT * config.scheduler_config.max_num_seqs)
    tasks = await engine.get_supported_tasks()
    app = build_app(arguments, tasks, engine.model_config)
    await init_app_state(engine, app.state, arguments, tasks)
    app.include_router(router(replica, model, config))
    keep_allowed(app)
    REGISTRY.register(ReplicaMetrics(replica, model))
    context, moves = config.model_config.max_model_len, not options.has_no_states
    tallies = tallies_of(config)
    app.state.serving_tokens = ToldServingTokens.of(app.state.serving_tokens, tallies)
    check = BodyCheck(
        model.id, model.vocabulary, context, has_tokenizer=model.has_tokenizer, has_states=moves, counts_spikes=tallies is not None
    )
    guard = Guard(app, options.keys, replica, check)
    settings: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False, "timeout_keep_alive": 75}
    server = NoSignalServer(uvicorn.Config(guard, ws="none", **settings))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    registration = None if options.node is None else Registration(options.node, lambda: facts(replica, model, config))
    telling = None if registration is None else asyncio.create_task(registration.run())
    try:
        return await live(engine, replica, options.drain_seconds, serving, stop, registration)
    finally:
        if registration is not None and telling is not None:
            registration.tell("gone")
            await registration.told()
            telling.cancel()
            await registration.close()
        server.should_exit = True
        # A client that does not take its answer must not keep the process.
        server.force_exit = not await replica.idle(0)
        await asyncio.wait([serving], timeout=ABORTED_SECONDS)
        serving.cancel()
