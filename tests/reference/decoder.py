#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A decoder in NumPy, as plainly as it can be said. Row `r` of the result are the logits after token `r`."""

import numpy as np


def rms_norm(x, gain, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


def quantize(x, group=None):
    """What 8-bit integers stand for, with a scale a token, or a group of columns of one."""
    if group:
        return quantize(x.reshape(len(x), -1, group)).reshape(x.shape)
    largest = np.maximum(np.max(np.abs(x), axis=-1, keepdims=True), np.float32(1e-5))
    scale = np.float32(127) / largest.astype(np.float32)
    return np.clip(np.rint(x.astype(np.float32) * scale), -128, 127) / scale.astype(np.float64)


def rope(x, frequencies):
    """(tokens, heads, size): element i turns with element i + size / 2."""
    half = x.shape[-1] // 2
    angles = np.arange(len(x))[:, None, None] * frequencies
    cos, sin = np.cos(angles), np.sin(angles)
    low, high = x[..., :half], x[..., half:]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def attention(q, k, v):
    tokens, heads, size = q.shape
    k, v = (np.repeat(a, heads // a.shape[1], axis=1) for a in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
    scores = np.where(np.tril(np.ones((tokens, tokens), bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(tokens, -1)


def gate_function(kind, x):
    return np.maximum(x, 0) ** 2 if kind == "relu2" else x / (1 + np.exp(-x))


def logits(model, ids):
    """`model`: see models.py. Weights there are dense: trit times scale."""
    c, w = model["config"], model["weights"]
    mode, _, group = model["activations"].partition("-g")
    prepare = (lambda x: quantize(x, int(group or 0))) if mode == "int8" else lambda x: x

    def linear(x, name):
        return prepare(x) @ w[name].astype(np.float64).T

    def norm(x, name):
        return rms_norm(x, w[name].astype(np.float64), c["epsilon"]) if name in w else x

    h = w["embed"].astype(np.float64)[np.asarray(ids)]
    for i in range(c["layers"]):
        layer = "blk.%d." % i
        x = norm(h, layer + "attn_norm")
        q = linear(x, layer + "attn_q").reshape(len(ids), c["heads"], -1)
        k = linear(x, layer + "attn_k").reshape(len(ids), c["kv_heads"], -1)
        v = linear(x, layer + "attn_v").reshape(len(ids), c["kv_heads"], -1)
        q, k = norm(q, layer + "attn_q_norm"), norm(k, layer + "attn_k_norm")
        a = attention(rope(q, model["frequencies"]), rope(k, model["frequencies"]), v)
        h = h + linear(norm(a, layer + "attn_sub_norm"), layer + "attn_output")
        x = norm(h, layer + "ffn_norm")
        f = gate_function(c["gate"], linear(x, layer + "ffn_gate")) * linear(x, layer + "ffn_up")
        h = h + linear(norm(f, layer + "ffn_sub_norm"), layer + "ffn_down")
    return norm(h, "output_norm") @ w.get("output", w["embed"]).astype(np.float64).T
