#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small random models of every family in every encoding, as checkpoints and as what the reference takes.

A model is {"config": sizes, "weights": dense float matrices by Tern's names, "trits": name -> (trits, scales) of the
linear layers, "frequencies", "activations"}.
"""

import json
import os

import numpy as np

import containers
import packings as enc

# hf_class and norms are what Hugging Face checkpoints say: `norms` are those that other families do not have.
FAMILIES = {
    "bitnet-2b": dict(gate="relu2", tied=True, theta=500000.0, hidden=256, heads=4, head=64,
                      hf_class="BitNetForCausalLM",
                      norms={"attn_sub_norm": "self_attn.attn_sub_norm", "ffn_sub_norm": "mlp.ffn_sub_norm"}),
    "bitnet-xl": dict(gate="silu", tied=False, theta=10000.0, hidden=256, heads=4, head=64,
                      hf_class="BitnetForCausalLM",
                      norms={"attn_sub_norm": "self_attn.inner_attn_ln", "ffn_sub_norm": "mlp.ffn_layernorm"}),
    "llama": dict(gate="silu", tied=False, theta=1000042.0, hidden=256, heads=8, head=32,
                  hf_class="LlamaForCausalLM", norms={}),
    "qwen3": dict(gate="silu", tied=True, theta=1000000.0, hidden=256, heads=4, head=128,
                  hf_class="Qwen3ForCausalLM",
                  norms={"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}),
}
ENCODERS = {"TQ1_0": (enc.tq1_0, 256), "TQ2_0": (enc.tq2_0, 256), "Q2_0": (enc.q2_0, 64),
            "PQ2_0": (enc.pq2_0, 128), "PTQ1_0": (enc.ptq1_0, 128), "IQ1_BN": (enc.iq1_bn, 0),
            "IQ2_BN": (enc.iq2_bn, 0)}
I2S_LAYOUTS = {"128": enc.i2_s, "64": lambda t, s: enc.i2_s(t, s, 64), "4row": enc.i2_s_l4row}
RANDOM_FLOATS = {"Q8_0": enc.random_q8_0, "Q4_0": enc.random_q4_0, "Q4_1": enc.random_q4_1, "Q5_0": enc.random_q5_0,
                 "Q4_K": enc.random_q4_k, "Q5_K": enc.random_q5_k, "Q6_K": enc.random_q6_k}


def sizes(family, **changes):
    """A family's usual sizes; `changes` to any of them, and to `rope`: see frequencies."""
    f = FAMILIES[family]
    c = dict(layers=2, hidden=f["hidden"], ffn=512, heads=f["heads"], kv_heads=2, head=f["head"], vocabulary=96,
             positions=128, epsilon=1e-5, gate=f["gate"], theta=f["theta"], tied=f["tied"], rope={})
    assert set(changes) <= set(c), changes
    return {**c, **changes}


def frequencies(c):
    """Radians a position, by the definition of the scaling that `rope` has in the spelling of config.json."""
    plain = c["theta"] ** (-2.0 * np.arange(c["head"] // 2) / c["head"])
    rope = c["rope"]
    if rope.get("rope_type") == "linear":
        return plain / rope["factor"]
    if rope.get("rope_type") == "llama3":
        turns = rope["original_max_position_embeddings"] * plain / (2 * np.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        blend = np.clip((turns - low) / (high - low), 0, 1)
        return plain * (blend + (1 - blend) / rope["factor"])
    return plain


def linear_shapes(c):
    wide, narrow = c["heads"] * c["head"], c["kv_heads"] * c["head"]
    return {"attn_q": (wide, c["hidden"]), "attn_k": (narrow, c["hidden"]), "attn_v": (narrow, c["hidden"]),
            "attn_output": (c["hidden"], wide), "ffn_gate": (c["ffn"], c["hidden"]),
            "ffn_up": (c["ffn"], c["hidden"]), "ffn_down": (c["hidden"], c["ffn"])}


def norm_sizes(family, c):
    wide = {"attn_sub_norm": c["heads"] * c["head"], "ffn_sub_norm": c["ffn"], "attn_q_norm": c["head"],
            "attn_k_norm": c["head"]}
    return {"attn_norm": c["hidden"], "ffn_norm": c["hidden"],
            **{name: wide[name] for name in FAMILIES[family]["norms"]}}


class Writer:
    """Draws a model's weights; `put` stores them in a checkpoint's form and returns their dense values."""

    def __init__(self, family, c, seed, put_linear, put_table, put_norm):
        self.random = np.random.default_rng(seed)
        self.exact = {}
        weights = {"embed": put_table(self, "embed", c["vocabulary"], c["hidden"])}
        for layer in range(c["layers"]):
            prefix = "blk.%d." % layer
            for name, size in norm_sizes(family, c).items():
                weights[prefix + name] = put_norm(self, prefix + name, size)
            for name, (rows, columns) in linear_shapes(c).items():
                weights[prefix + name] = put_linear(self, prefix + name, rows, columns)
        weights["output_norm"] = put_norm(self, "output_norm", c["hidden"])
        if not c["tied"]:
            weights["output"] = put_table(self, "output", c["vocabulary"], c["hidden"])
        self.model = dict(config=c, weights=weights, trits=self.exact, frequencies=frequencies(c))

    def trits(self, rows, columns):
        return self.random.integers(-1, 2, (rows, columns)).astype(np.int8)

    def scales(self, rows, groups):
        """Exact in f16 and bf16, so that every encoding holds them."""
        return (self.random.integers(4, 16, (rows, groups)) / 128).astype(np.float32)

    def gain(self, size):
        return enc.bf16_values(self.random.uniform(0.5, 1.5, size))

    def floats(self, rows, columns):
        return enc.bf16_values(self.random.normal(0, 0.1, (rows, columns)))


def interleaved(architecture, name, c):
    """Heads whose rows GGUF has interleaved, or none."""
    heads = {"attn_q": c["heads"], "attn_k": c["kv_heads"]}
    return heads.get(name.split(".")[-1]) if architecture == "llama" else None


def dense(t, scales):
    return t * np.repeat(scales, t.shape[1] // scales.shape[1], axis=1)


def scales_of(writer, t, group):
    """group: columns of a scale; 0: one a row; None: one for the tensor."""
    rows, columns = t.shape
    if group is None:
        return np.repeat(writer.scales(1, 1), rows, axis=0)
    return writer.scales(rows, columns // group if group else 1)


# --- Hugging Face folders ------------------------------------------------------------------------

HF_NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def hf_name(family, name):
    top = {"embed": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    if name in top:
        return top[name]
    _, layer, rest = name.split(".")
    return "model.layers.%s.%s" % (layer, {**HF_NAMES, **FAMILIES[family]["norms"]}[rest])


def hf_config(family, c):
    """The rotary embedding is written as in transformers 5 where it is more than a theta."""
    rope = ({"rope_parameters": {**c["rope"], "rope_theta": c["theta"]}} if c["rope"] else {"rope_theta": c["theta"]})
    return {**rope, "architectures": [FAMILIES[family]["hf_class"]], "hidden_act": c["gate"], "hidden_size": c["hidden"],
            "intermediate_size": c["ffn"], "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"],
            "num_key_value_heads": c["kv_heads"], "head_dim": c["head"], "max_position_embeddings": c["positions"],
            "rms_norm_eps": c["epsilon"], "vocab_size": c["vocabulary"], "attention_bias": False,
            "tie_word_embeddings": c["tied"]}


def bands(writer, rows, columns):
    """Scales as model-parallel training leaves them: one for each half of the rows or of the columns."""
    pair = writer.scales(1, 2)[0]
    if writer.random.integers(2):
        return np.repeat(pair, rows // 2).reshape(rows, 1)
    return np.tile(pair, (rows, 1))


def make_hf(folder, family, form, seed, edit=None, **changes):
    """form: multiply, divide, online, tensor, row, group, bands (floats already ternary), or mlx. `edit` may change
    the configuration and the tensors once they are there."""
    tensors = {}
    c = sizes(family, **changes)

    def store(name, suffix, dtype, values):
        data = {"BF16": enc.bf16_bits, "F16": enc.f16}.get(dtype, np.ascontiguousarray)(values)
        tensors[hf_name(family, name) + suffix] = (dtype, np.shape(values), data.tobytes())

    def put_mlx(writer, name, rows, columns):
        t = writer.trits(rows, columns)
        scales = writer.scales(rows, columns // 128)
        writer.exact[name] = (t, scales)
        store(name, ".weight", "U32", enc.mlx_words(t))
        store(name, ".scales", "F16", scales)
        store(name, ".biases", "F16", -scales)
        return dense(t, scales)

    def put_linear(writer, name, rows, columns):
        if form == "mlx":
            return put_mlx(writer, name, rows, columns)
        if form == "online":
            master = writer.floats(rows, columns)
            store(name, ".weight", "BF16", master)
            mean = np.float32(np.mean(np.abs(master.astype(np.float64))))
            t = np.clip(np.rint(master / mean), -1, 1)
            writer.exact[name] = (t.astype(np.int8), np.full((rows, 1), mean, np.float32))
            return t * mean
        t = writer.trits(rows, columns)
        if form in ("multiply", "divide"):
            stored = float(writer.scales(1, 1)[0, 0]) if form == "multiply" else float(writer.random.integers(8, 32))
            store(name, ".weight", "U8", enc.hf_u8(t))
            store(name, ".weight_scale", "BF16", np.array([stored], np.float32))
            scale = np.float32(stored) if form == "multiply" else np.float32(1) / np.float32(stored)
            writer.exact[name] = (t, np.full((rows, 1), scale, np.float32))
            return t * (stored if form == "multiply" else 1 / stored)
        if form == "bands":
            scales = bands(writer, rows, columns)
        else:
            scales = scales_of(writer, t, {"tensor": None, "row": 0, "group": 0 if columns % 128 else 128}[form])
        writer.exact[name] = (t, scales)
        value = dense(t, scales)
        store(name, ".weight", "F16", value)
        return value

    def put_table(writer, name, rows, columns):
        if form == "mlx":
            return put_mlx(writer, name, rows, columns)
        value = writer.floats(rows, columns)
        store(name, ".weight", "BF16", value)
        return value

    def put_norm(writer, name, size):
        value = writer.gain(size)
        store(name, ".weight", "BF16", value)
        return value

    model = Writer(family, c, seed, put_linear, put_table, put_norm).model
    config = hf_config(family, c)
    if form == "mlx":
        config["quantization"] = config["quantization_config"] = {"group_size": 128, "bits": 2}
    elif form == "online" and family == "bitnet-xl":
        config.update(weight_bits=1, input_bits=8)
    elif form in ("multiply", "divide", "online"):
        config["quantization_config"] = {
            "quant_method": "bitnet", "linear_class": "bitlinear" if form == "divide" else "autobitlinear",
            "quantization_mode": "online" if form == "online" else "offline"}
    model["activations"] = "int8" if form in ("multiply", "divide", "online") else "float"
    if edit:
        edit(config, tensors)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    containers.write_safetensors(os.path.join(folder, "model.safetensors"), tensors)
    return folder, model


# --- GGUF ----------------------------------------------------------------------------------------

GGUF_TOP = {"embed": "token_embd", "output_norm": "output_norm", "output": "output"}


def interleave(t, heads):
    """Rows of each head as GGUF's llama has them: file row 2 i + j is row j (d / 2) + i."""
    return t.reshape(heads, 2, -1, t.shape[1]).swapaxes(1, 2).reshape(t.shape)


def make_gguf(path, family, architecture, kind, seed, table="F16", output=None, layout="128", rope_freqs=False, parts=1,
              edit=None, **changes):
    """`kind` is the type of linear layers (F16 where their columns do not fill its blocks), `table` that of the
    embedding, `output` that of the head where it is another. The file has `parts` parts; `edit` may change metadata and
    tensors before they are written."""
    tensors = {}
    c = sizes(family, **changes)

    def gguf_name(name):
        return GGUF_TOP.get(name, name) + ".weight"

    def put_linear(writer, name, rows, columns):
        t = writer.trits(rows, columns)
        fits = kind not in ENCODERS or columns % (ENCODERS[kind][1] or 64) == 0
        put_kind = kind if fits else "F16"
        whole = put_kind in ("I2_S", "F16")
        scales = scales_of(writer, t, None if whole else ENCODERS[kind][1])
        value = dense(t, scales)
        writer.exact[name] = (t, scales)
        heads = interleaved(architecture, name, c)
        if heads:
            t, scales = (interleave(a, heads) for a in (t, scales))
        if put_kind == "I2_S":
            data = I2S_LAYOUTS[layout](t, scales[0, 0])
        elif put_kind == "F16":
            data = enc.f16(dense(t, scales)).tobytes()
        else:
            data = ENCODERS[kind][0](t, scales)
        tensors[gguf_name(name)] = (put_kind, t.shape, data)
        return value

    def put_table(writer, name, rows, columns):
        of = output if name == "output" and output else table
        if of in RANDOM_FLOATS:
            data, value = RANDOM_FLOATS[of](writer.random, rows, columns)
        elif of in ENCODERS:
            t = writer.trits(rows, columns)
            scales = scales_of(writer, t, ENCODERS[of][1])
            data, value = ENCODERS[of][0](t, scales), dense(t, scales)
        else:
            value = writer.floats(rows, columns)
            if of == "F16":
                value = enc.f16(value).astype(np.float32)
            data = {"F32": np.float32, "F16": np.float16, "BF16": enc.bf16_bits}[of](value).tobytes()
        tensors[gguf_name(name)] = (of, (rows, columns), data)
        return value

    def put_norm(writer, name, size):
        value = writer.gain(size)
        tensors[gguf_name(name)] = ("F32", (size,), value.astype(np.float32).tobytes())
        return value

    writer = Writer(family, c, seed, put_linear, put_table, put_norm)
    model = writer.model
    if rope_freqs:
        divisors = writer.random.uniform(1, 8, c["head"] // 2).astype(np.float32)
        tensors["rope_freqs.weight"] = ("F32", divisors.shape, divisors.tobytes())
        model["frequencies"] = model["frequencies"] / divisors
    bitnet = architecture.startswith("bitnet") or kind in ("I2_S", "IQ1_BN", "IQ2_BN")
    model["activations"] = "int8" if bitnet else "float"
    keys = {"context_length": c["positions"], "embedding_length": c["hidden"], "block_count": c["layers"],
            "feed_forward_length": c["ffn"], "attention.head_count": c["heads"],
            "attention.head_count_kv": c["kv_heads"], "attention.key_length": c["head"],
            "attention.value_length": c["head"], "attention.layer_norm_rms_epsilon": c["epsilon"],
            "rope.freq_base": c["theta"]}
    if c["rope"]:
        keys.update({"rope.scaling.type": c["rope"]["rope_type"], "rope.scaling.factor": c["rope"]["factor"]})
    metadata = {"general.architecture": architecture,
                **{architecture + "." + key: value for key, value in keys.items()}}
    if edit:
        edit(metadata, tensors)
    if parts > 1:
        return containers.write_gguf_parts(path, metadata, tensors, parts), model
    containers.write_gguf(path, metadata, tensors)
    return path, model
