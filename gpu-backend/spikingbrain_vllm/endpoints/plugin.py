"""What vLLM finds of this package's routes: the entry point `spikingbrain_states` of the group `vllm.endpoint_plugins`. vLLM loads it only
where `VLLM_PLUGINS` names it."""

import asyncio
import atexit
from argparse import Namespace
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import State

from spikingbrain_vllm.endpoints.keys import Keys
from spikingbrain_vllm.endpoints.routes import router
from spikingbrain_vllm.endpoints.service import StateService
from spikingbrain_vllm.state.identity_of import identity_of, settings_of
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.store import StateStore

if TYPE_CHECKING:
    from vllm.engine.protocol import EngineClient
    from vllm.tasks import SupportedTask


class StateEndpoints:
    name = "spikingbrain_states"
    required_tasks: "tuple[SupportedTask, ...] | None" = ("generate",)

    def attach_router(self, app: FastAPI) -> None:
        app.include_router(router())

    async def init_state(self, engine_client: "EngineClient | None", state: State, args: Namespace) -> None:
        """Raises ValueError where the settings do not allow the routes: nothing is served without a key."""
        if engine_client is None:
            raise ValueError("states need an engine; a server that only renders has none")
        settings = settings_of(engine_client.vllm_config)
        if settings.key_file is None:
            raise ValueError("kv_connector_extra_config.key_file must be given where states are served")
        identity, keys = identity_of(engine_client.vllm_config), Keys.read(settings.key_file)
        directory = StoreDirectory(settings.directory)
        # The last process of a replica leaves nothing behind.
        atexit.register(directory.close)
        service = StateService(StateStore(directory, identity.digest, settings.limits), identity, keys)
        state.spikingbrain_states = service
        # Not there where vLLM has been started without its routes for token ids.
        if getattr(state, "serving_tokens", None) is not None:
            from spikingbrain_vllm.endpoints.told_streams import ToldServingTokens

            state.serving_tokens = ToldServingTokens.of(state.serving_tokens, None)
        service.sweeping = asyncio.create_task(service.sweep_for_ever())
