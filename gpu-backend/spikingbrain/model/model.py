"""The forward pass, from top to bottom (`gpu-backend/docs/model.md#31-residual-block`).

    residual = embedding[token]
    for each layer:  residual += mixer(norm(residual));  residual += feed_forward(norm(residual))
    logits = head(norm(residual))

Learned sinks are read once, when a state begins; the text follows them in position.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.model.evicted.chunk import chunk as evicted_chunk
from spikingbrain.model.feed_forward import dense, routed
from spikingbrain.model.gated_linear.chunk import chunk
from spikingbrain.model.mixer import mix
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.rms_norm import rms_norm
from spikingbrain.model.rope import angles
from spikingbrain.model.span import EvictedForm, LinearForm, Span
from spikingbrain.model.weights import RoutedSwiGlu, Weights
from spikingbrain.precision import accumulator
from spikingbrain.rules import require
from spikingbrain.spike.telemetry import SpikeMeter
from spikingbrain.state.state import State

# Tokens a layer reads together: bounds what attention scores take in memory, and changes nothing else.
SPAN_TOKENS = 128


@dataclass(frozen=True)
class Model:
    """Weights with what to do with them. The type and device of the weights are those of the computation."""

    config: Config
    weights: Weights
    form: LinearForm = chunk
    """How linear branches read a span."""
    evicted_form: EvictedForm = evicted_chunk
    """How the state of evicted tokens reads one."""

    def new_state(self) -> State:
        """A state with nothing read but the learned sinks."""
        embedding = self.weights.embedding
        state = State.empty(self.config, embedding.dtype, embedding.device)
        if self.weights.sinks is not None:
            _, state = self._layers(self.weights.sinks, state, None)
        return state

    def step(self, state: State, tokens: Tensor, meter: SpikeMeter | None = None) -> tuple[Tensor, State]:
        """Reads `tokens`, `[tokens]` int64, any number of them after those that `state` has read. Returns the logits after each,
        `[tokens, vocabulary]` in f32 or wider, and the new state; the old one stays as it is. `meter` counts spikes."""
        holds = tokens.dim() == 1 and tokens.numel() > 0 and not tokens.is_floating_point()
        require(holds, "tokens", "at least one token in one dimension", tuple(tokens.shape))
        unknown = tokens[(tokens < 0) | (tokens >= self.config.vocabulary)]
        require(unknown.numel() == 0, "tokens", f"from 0 to {self.config.vocabulary - 1}", unknown.tolist())
        residual = []
        embedded = self.weights.embedding[tokens.to(self.weights.embedding.device)]
        for start in range(0, len(tokens), SPAN_TOKENS):
            out, state = self._layers(embedded[start : start + SPAN_TOKENS], state, meter)
            residual.append(out)
        return self._logits(torch.cat(residual)), state

    def logits(self, tokens: Tensor, meter: SpikeMeter | None = None) -> Tensor:
        """Of a whole text, `[tokens, vocabulary]`."""
        return self.step(self.new_state(), tokens, meter)[0]

    def _layers(self, residual: Tensor, state: State, meter: SpikeMeter | None) -> tuple[Tensor, State]:
        config = self.config
        at = angles(state.position, residual.shape[0], config.rotated, config.rope_theta, like=residual)
        span = Span(config, state.position, at, self.form, self.evicted_form)
        states = []
        for index, (layer, weights) in enumerate(zip(config.layers, self.weights.layers, strict=True)):
            neurons = Neurons(config.spiking, index, meter)
            x = rms_norm(residual, weights.attention_norm, config.epsilon)
            mixed, layer_state = mix(span, layer, weights.mixer, x, state.layers[index], neurons)
            states.append(layer_state)
            residual = residual + mixed
            x = rms_norm(residual, weights.feed_forward_norm, config.epsilon)
            if config.experts is not None and isinstance(weights.feed_forward, RoutedSwiGlu):
                residual = residual + routed(x, config.experts, weights.feed_forward, neurons)
            elif not isinstance(weights.feed_forward, RoutedSwiGlu):
                residual = residual + dense(x, weights.feed_forward, neurons)
        return residual, State(state.position + residual.shape[0], tuple(states))

    def _logits(self, residual: Tensor) -> Tensor:
        normed = rms_norm(residual, self.weights.norm, self.config.epsilon)
        return torch.nn.functional.linear(normed, self.weights.head).to(accumulator(normed.dtype))
