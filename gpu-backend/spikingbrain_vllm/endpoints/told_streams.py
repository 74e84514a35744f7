"""vLLM's route for token ids, with what vLLM does not tell: in streams what has become of the states, and a request's spikes."""

import asyncio
import copy
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from vllm.entrypoints.generate.base.protocol import RequestResponseMetadata
from vllm.entrypoints.scale_out.token_in_token_out.protocol import GenerateRequest, GenerateResponse
from vllm.entrypoints.scale_out.token_in_token_out.serving import ServingTokens
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.outputs import RequestOutput

from spikingbrain_vllm.telemetry.tally import Tallies, key_of, told

DONE = "data: [DONE]\n\n"


class ToldServingTokens(ServingTokens):
    """An answer's `kv_transfer_params` have `spikingbrain` (states) and `spikes` (by layer and site), where it asked for them; in a stream
    they come in an event without choices, before the last one: `{"request_id", "choices": [], "kv_transfer_params"}`."""

    tallies: Tallies | None

    @staticmethod
    def of(serving: ServingTokens, tallies: Tallies | None) -> "ToldServingTokens":
        """With all that vLLM has made it of. Without `tallies` no spikes are counted."""
        made = copy.copy(serving)
        made.__class__ = ToldServingTokens
        assert isinstance(made, ToldServingTokens)
        made.tallies = tallies
        return made

    async def serve_tokens(
        self, request: GenerateRequest, raw_request: Request | None = None
    ) -> GenerateResponse | ErrorResponse | AsyncGenerator[str, None]:
        key = self._key(request)
        if key is None or self.tallies is None:
            return await super().serve_tokens(request, raw_request)
        self.tallies.create(key)
        answer: GenerateResponse | ErrorResponse | AsyncGenerator[str, None] | None = None
        try:
            answer = await super().serve_tokens(request, raw_request)
        finally:
            # A stream has not ended yet.
            if not isinstance(answer, AsyncGenerator):
                self.tallies.remove(key)
        return answer

    async def serve_tokens_full_generator(
        self,
        request: GenerateRequest,
        result_generator: AsyncGenerator[RequestOutput, None],
        request_id: str,
        model_name: str,
        request_metadata: RequestResponseMetadata,
    ) -> ErrorResponse | GenerateResponse:
        watched = self._watched(request, result_generator, {})
        return await super().serve_tokens_full_generator(request, watched, request_id, model_name, request_metadata)

    async def serve_tokens_stream_generator(
        self,
        request: GenerateRequest,
        result_generator: AsyncGenerator[RequestOutput, None],
        request_id: str,
        model_name: str,
        request_metadata: RequestResponseMetadata,
    ) -> AsyncGenerator[str, None]:
        found: dict[str, Any] = {}
        watched = self._watched(request, result_generator, found)
        events = super().serve_tokens_stream_generator(request, watched, request_id, model_name, request_metadata)
        try:
            async with aclosing(events):
                async for event in events:
                    if event == DONE and found:
                        yield f"data: {json.dumps({'request_id': request_id, 'choices': [], 'kv_transfer_params': found})}\n\n"
                    yield event
        finally:
            key = self._key(request)
            if key is not None and self.tallies is not None:
                self.tallies.remove(key)

    async def _watched(
        self, request: GenerateRequest, outputs: AsyncGenerator[RequestOutput, None], found: dict[str, Any]
    ) -> AsyncGenerator[RequestOutput, None]:
        """The outputs, the last with everything that is told in its `kv_transfer_params`; `found` has it then, too."""
        async with aclosing(outputs):
            async for output in outputs:
                found.update(output.kv_transfer_params or {})
                key = self._key(request)
                if output.finished and key is not None and self.tallies is not None:
                    found["spikes"] = told(await asyncio.to_thread(self.tallies.read, key))
                if output.finished and found:
                    output.kv_transfer_params = found
                yield output

    def _key(self, request: GenerateRequest) -> str | None:
        return key_of(request.sampling_params.extra_args)
