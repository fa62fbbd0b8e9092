#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A decoder in NumPy, as plainly as it can be said, a token at a time, in binary64.

8-bit activations are whole numbers, rint(x * s) with s = 1 / max |x| * 127, each step in binary32, with one s for a
token or for each group of its columns. Where x * s lies within TIE of a number and a half, the last bit of x decides,
and one step there moves the logits a thousand times more than all other rounding does. So a row takes a set of `flips`:
such places that are rounded to the other side. `explain` finds the few flips that make a row of logits fit, or gives
the row without any.
"""

import numpy as np

TIE = 2e-4
MOST_FLIPS, MOST_TRIES = 4, 400


def rms_norm(x, gain, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


def rope(x, angles):
    """(heads, size): element i turns with element i + size / 2."""
    half = x.shape[-1] // 2
    low, high = x[:, :half], x[:, half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def attention(q, k, v):
    """q (heads, size), k and v (tokens, kv heads, size): query head h reads kv head h / (heads / kv heads)."""
    heads, size = q.shape
    k, v = (np.repeat(a, heads // a.shape[1], axis=1) for a in (k, v))
    scores = np.einsum("hd,thd->ht", q, k) / np.sqrt(size)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("ht,thd->hd", weights, v).reshape(-1)


def gate_function(kind, x):
    return np.maximum(x, 0) ** 2 if kind == "relu2" else x / (1 + np.exp(-x))


class Row:
    """One token through the model: `logits`, the keys and values it adds, and the `ties` it met: {place: distance}."""

    def __init__(self, model, cache, position, token, flips=()):
        self.model, self.flips, self.ties = model, flips, {}
        c, w = model["config"], model["weights"]
        self.weights, self.epsilon = w, c["epsilon"]
        angles = position * model["frequencies"]
        h = w["embed"][token].astype(np.float64)
        self.keys, self.values = [], []
        for i in range(c["layers"]):
            layer = "blk.%d." % i
            x = self.prepare(self.norm(h, layer + "attn_norm"), layer + "qkv")
            q = self.product(x, layer + "attn_q").reshape(c["heads"], -1)
            k = self.product(x, layer + "attn_k").reshape(c["kv_heads"], -1)
            v = self.product(x, layer + "attn_v").reshape(c["kv_heads"], -1)
            q = rope(self.norm(q, layer + "attn_q_norm"), angles)
            self.keys.append(rope(self.norm(k, layer + "attn_k_norm"), angles))
            self.values.append(v)
            a = attention(q, np.stack([row.keys[i] for row in cache] + [self.keys[i]]),
                          np.stack([row.values[i] for row in cache] + [v]))
            a = self.prepare(self.norm(a, layer + "attn_sub_norm"), layer + "output")
            h = h + self.product(a, layer + "attn_output")
            x = self.prepare(self.norm(h, layer + "ffn_norm"), layer + "ffn")
            f = gate_function(c["gate"], self.product(x, layer + "ffn_gate")) * self.product(x, layer + "ffn_up")
            f = self.prepare(self.norm(f, layer + "ffn_sub_norm"), layer + "down")
            h = h + self.product(f, layer + "ffn_down")
        self.logits = self.norm(h, "output_norm") @ w.get("output", w["embed"]).astype(np.float64).T

    def product(self, x, name):
        return self.weights[name].astype(np.float64) @ x

    def norm(self, x, name):
        """Models without this norm have no such weight."""
        return rms_norm(x, self.weights[name], self.epsilon) if name in self.weights else x

    def prepare(self, x, place):
        if self.model["activations"] == "float":
            return x
        group = int(self.model["activations"].partition("-g")[2] or len(x))
        x = x.astype(np.float32).reshape(-1, group)
        largest = np.max(np.abs(x), axis=1, keepdims=True)
        scale = np.float32(1) / np.maximum(largest, np.float32(1e-5)) * np.float32(127)
        exact = (x * scale).reshape(-1)
        q = np.rint(exact)
        distance = np.abs(np.abs(exact - q) - 0.5)
        for i in np.flatnonzero(distance < TIE):
            self.ties[place, int(i)] = float(distance[i])
            if (place, int(i)) in self.flips:
                q[i] += np.sign(exact[i] - q[i])
        return (np.clip(q, -128, 127).reshape(x.shape).astype(np.float64) / scale).reshape(-1)


def explain(model, cache, position, token, found, tolerance):
    """The row whose logits are those `found`, with the fewest flips; else the row without flips."""
    plain = Row(model, cache, position, token)
    rows, tries = [plain], 0
    for _ in range(MOST_FLIPS + 1):
        for row in rows:
            if np.abs(row.logits - found).max() <= tolerance:
                return row
        # Nearest ties first: of all rows with one flip more, those that get nearest lead on.
        nearest = sorted(rows, key=lambda row: np.abs(row.logits - found).max())[:4]
        rows = []
        for row in nearest:
            for place in sorted(set(row.ties) - set(row.flips), key=row.ties.get):
                if tries < MOST_TRIES:
                    rows.append(Row(model, cache, position, token, (*row.flips, place)))
                    tries += 1
    return plain
