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
    return np.asarray(scale * np.clip(np.rint(x / scale), -127, 127))


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
        return spikes(x, spiking.k_at(site)) if site in FIRING[spiking.mode] else x

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
            if branch == "evicted":
                heads = self.evicted(at, x, query, key, value)
            else:
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

    def evicted(self, at: str, x: Array, query: Array, key: Array, value: Array) -> Array:
        """Straight from the formulas of `model/evicted`, each query's sums from the beginning. Keys come back from the held ones."""
        config = self.config
        assert config.window is not None and config.evicted is not None
        weights = {name: self.weights[f"{at}.evicted.{name}"] for name in ("log_decay", "mix.normaliser", "mix.match", "correction.weight")}
        scale, shift = (self.weights[f"{at}.evicted.correction.{name}"].reshape(config.heads, -1) for name in ("scale", "bias"))
        mix, gates = self.apply(f"{at}.evicted.mix", x), 2 * sigmoid(x @ weights["correction.weight"].T)
        near, held = self.fire(self.rotate(query), "query"), self.rotate(key)
        capped = np.stack([self.rotate(np.repeat(row[None], config.evicted.sink_cap + 1, axis=0))[-1] for row in query])
        far = self.fire(capped, "query")
        apart = self.fire(np.stack([self.rotate(np.repeat(row[None], config.window + 1, axis=0))[-1] for row in query]), "query")
        if INT8_KEY_VALUES[config.spiking.mode]:
            held, value = int8(held), int8(value)
        key = self.unrotate(held)
        exact = int8(key) if INT8_KEY_VALUES[config.spiking.mode] else key
        salience = np.einsum("tnd,nd->tn", key, self.weights[f"{at}.evicted.salience.weight"])
        claims = salience + np.log(2) / config.evicted.salience_half_life * np.arange(len(query))[:, None]
        out = np.zeros_like(query)
        for token in range(len(query)):
            seen = [other for other in range(token + 1) if token - other < config.window or other < config.kept_tokens]
            gone = [other for other in range(config.kept_tokens, token + 1) if token - other >= config.window]
            grown = len(gone) / (len(gone) + 128)
            for head in range(config.heads):
                shared = head // (config.heads // config.kv_heads)
                met = [(far if o < config.kept_tokens and token > config.evicted.sink_cap else near)[token, head] for o in seen]
                recalled = sorted(gone, key=lambda other: claims[other, shared])[-config.evicted.salient :]
                scores = [m @ held[o, shared] for m, o in zip(met, seen, strict=True)] + [
                    apart[token, head] @ exact[o, shared] for o in recalled
                ]
                exponentials = np.exp(np.array(scores) / np.sqrt(config.head_dim))
                attended = exponentials / exponentials.sum() @ value[[*seen, *recalled], shared]
                features = [self.features(f"{at}.evicted.key_map", shared, key[other, shared]) for other in gone]
                asked = self.features(f"{at}.evicted.query_map", head, query[token, head])
                decays = [np.exp(weights["log_decay"][shared] * (token - config.window - other)) for other in gone]
                strengths = np.array([d * (asked @ f) for d, f in zip(decays, features, strict=True)])
                match = strengths.sum() + 1e-6
                remembered = strengths @ value[gone, shared] / match if gone else np.zeros(config.head_dim)
                score = mix[token, head] + weights["mix.normaliser"][head] * np.log(exponentials.sum())
                share = grown * sigmoid(score + weights["mix.match"][head] * np.log(match))
                mixed = (1 - share) * attended + share * remembered
                opened, moved = (1 + grown * (gates[token, g] - 1) for g in (head, config.heads + head))
                out[token, head] = mixed * opened * (1 + grown * scale[head]) + grown * shift[head] * moved
        return out

    def features(self, name: str, head: int, x: Array) -> Array:
        dim = len(x)
        mapped = self.weights[f"{name}.weight"].reshape(-1, dim, dim)[head] @ x
        logits = np.concatenate([mapped, -mapped]) + self.weights[f"{name}.bias"].reshape(-1, 2 * dim)[head]
        return np.asarray(np.exp(logits) / np.exp(logits).sum())

    def unrotate(self, x: Array) -> Array:
        """Rotations keep angles apart: turning back is turning the mirror image."""
        mirrored = x.copy()
        second = slice(self.config.rotated // 2, self.config.rotated)
        mirrored[..., second] *= -1
        turned = self.rotate(mirrored)
        turned[..., second] *= -1
        return turned

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
