"""The model in numpy and f64, the plainest way: the whole text at once, a mask over all pairs of tokens, a linear state per query head.
Written from the model's description; shares no arithmetic with the package."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from spikingbrain.config import Config, Layer, LearnedGate
from spikingbrain.spike.modes import FIRING, INT8_KEY_VALUES, Site

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def spikes(x: Array, k: float) -> Array:
    """The neuron: one threshold per row, rounded to f32 as the model keeps it."""
    level = np.clip(np.abs(x).mean(axis=-1, keepdims=True) / k, 1e-5, 1e4).astype(np.float32).astype(np.float64)
    return np.asarray(level * np.rint(x / level))


def int8(x: Array) -> Array:
    scale = np.clip(np.abs(x).max(axis=-1, keepdims=True) / 127, 1e-5, 1e4).astype(np.float32).astype(np.float64)
    return np.asarray(scale * np.clip(np.rint(x / scale), -128, 127))


class Oracle:
    """`weights` by checkpoint name."""

    def __init__(self, config: Config, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.weights = weights

    def logits(self, tokens: Array) -> Array:
        """`[tokens, vocabulary]`"""
        x = self.weights["model.embeddings.weight"][tokens]
        if self.config.learned_sinks > 0:
            x = np.concatenate([self.weights["model.sinks.weight"], x])
        for index, layer in enumerate(self.config.layers):
            at = f"model.layers.{index}"
            x = x + self.mix(layer, f"{at}.attn", self.norm(x, f"{at}.attn_norm"))
            x = x + self.feed_forward(layer, f"{at}.mlp", self.norm(x, f"{at}.mlp_norm"))
        head = self.weights["model.embeddings.weight" if self.config.tied_head else "lm_head.weight"]
        return self.norm(x[self.config.learned_sinks :], "model.norm") @ head.T

    def norm(self, x: Array, name: str) -> Array:
        return np.asarray(x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + self.config.epsilon) * self.weights[f"{name}.weight"])

    def fire(self, x: Array, site: Site) -> Array:
        spiking = self.config.spiking
        return spikes(x, spiking.k) if site in FIRING[spiking.mode] else x

    def apply(self, name: str, x: Array) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", np.zeros(1))

    def mix(self, layer: Layer, at: str, x: Array) -> Array:
        config = self.config
        x = self.fire(x, "attention_in")
        separate = layer.is_parallel and config.parallel_projections == "separate"
        total: Array = np.zeros(1)
        for branch in layer.mixer:
            kind = "linear" if branch == "linear" else "softmax"
            prefix = f"{at}.{kind}" if separate else at
            query, key, value = (self.apply(f"{prefix}.{part}_proj", x).reshape(len(x), -1, config.head_dim) for part in "qkv")
            heads = self.linear(at, x, query, key, value) if branch == "linear" else self.softmax(branch, query, key, value)
            if separate:
                out = self.apply(f"{prefix}.o_proj", self.fire(heads.reshape(len(x), -1), "attention_out"))
                total = total + self.norm(out, f"{at}.{kind}_norm")
            elif layer.is_parallel:
                shaped = heads if config.branch_norm == "head" else heads.reshape(len(x), -1)
                total = total + self.norm(shaped, f"{at}.{kind}_norm").reshape(len(x), -1)
            else:
                total = heads.reshape(len(x), -1)
        return total if separate else self.apply(f"{at}.o_proj", self.fire(total, "attention_out"))

    def gate(self, at: str, x: Array, key: Array) -> Array:
        """The decay itself, after the feature map of `key`."""
        linear = self.config.linear
        assert linear is not None
        if not isinstance(linear.gate, LearnedGate):
            return np.asarray(1.0 - key)
        if linear.gate.rank is None:
            z = self.apply(f"{at}.gk_proj", x)
        else:
            z = self.apply(f"{at}.gk_proj.1", self.fire(self.apply(f"{at}.gk_proj.0", x), "gate_in"))
        return np.asarray(sigmoid(z.reshape(key.shape)) ** (1.0 / linear.gate.normalizer))

    def linear(self, at: str, x: Array, query: Array, key: Array, value: Array) -> Array:
        config, linear = self.config, self.config.linear
        assert linear is not None
        if linear.rope:
            query, key = self.rotate(query), self.rotate(key)
        mapped = sigmoid if linear.feature_map == "sigmoid" else lambda x: np.maximum(x, 0.0)
        query, key = mapped(query), mapped(key)
        gate = self.gate(at, x, key)
        states = np.zeros((config.heads, config.head_dim, config.head_dim))
        out = np.zeros_like(query)
        for token in range(len(x)):
            if token < config.learned_sinks and not linear.reads_sinks:
                continue
            for head in range(config.heads):
                shared = head // (config.heads // config.kv_heads)
                states[head] = gate[token, shared][:, None] * states[head] + np.outer(key[token, shared], value[token, shared])
                out[token, head] = query[token, head] / np.sqrt(config.head_dim) @ states[head]
        return self.norm(out, f"{at}.g_norm") if linear.head_norm else out

    def rotate(self, x: Array) -> Array:
        rotated = self.config.rotated
        out = x.copy()
        for pair in range(rotated // 2):
            angle = (np.arange(len(x)) * self.config.rope_theta ** (-2.0 * pair / rotated))[:, None]
            first, second = x[:, :, pair], x[:, :, pair + rotated // 2]
            out[:, :, pair] = first * np.cos(angle) - second * np.sin(angle)
            out[:, :, pair + rotated // 2] = first * np.sin(angle) + second * np.cos(angle)
        return out

    def sees(self, branch: str, query: int, key: int) -> bool:
        config = self.config
        if query < config.learned_sinks:
            return key < config.learned_sinks
        near = branch == "full" or config.window is None or query - key < config.window
        return key <= query and (near or key < max(config.learned_sinks, config.kept_tokens))

    def softmax(self, branch: str, query: Array, key: Array, value: Array) -> Array:
        config = self.config
        query, key = self.fire(self.rotate(query), "query"), self.rotate(key)
        if INT8_KEY_VALUES[config.spiking.mode]:
            key, value = int8(key), int8(value)
        out = np.zeros_like(query)
        for token in range(len(query)):
            seen = [other for other in range(len(query)) if self.sees(branch, token, other)]
            for head in range(config.heads):
                shared = head // (config.heads // config.kv_heads)
                scores = key[seen, shared] @ query[token, head] / np.sqrt(config.head_dim)
                weights = np.exp(scores - scores.max())
                out[token, head] = weights / weights.sum() @ value[seen, shared]
        return out

    def swiglu(self, at: str, x: Array) -> Array:
        gate = self.apply(f"{at}.gate_proj", x)
        return self.apply(f"{at}.down_proj", self.fire(gate * sigmoid(gate) * self.apply(f"{at}.up_proj", x), "feed_forward_down"))

    def feed_forward(self, layer: Layer, at: str, x: Array) -> Array:
        x = self.fire(x, "feed_forward_in")
        experts = self.config.experts
        if layer.feed_forward == "dense" or experts is None:
            return self.swiglu(at, x)
        logits = self.apply(f"{at}.router", x)
        scores = sigmoid(logits) if experts.router == "sigmoid" else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        out = self.swiglu(f"{at}.shared_expert", x) if experts.shared_inner > 0 else np.zeros_like(x)
        for token in range(len(x)):
            used = np.argsort(-scores[token], kind="stable")[: experts.used]
            total = scores[token, used].sum() if experts.normalised else 1.0
            for expert in used:
                out[token] += scores[token, expert] / total * self.swiglu(f"{at}.experts.{expert}", x[token : token + 1])[0]
        return out
