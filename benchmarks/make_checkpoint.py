#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a Hugging Face folder of random packed ternary weights in a known shape.

usage: make_checkpoint.py SHAPE FOLDER      (shapes: 2b4t, 0.7b, 3b, tiny)

Streams: memory stays at a few MiB whatever the shape. The same shape gives the same bytes.
"""
import json
import os
import random
import struct
import sys

# hidden, layers, heads, kv heads, head size, feed-forward, vocabulary, positions, theta, activation
SHAPES = {
    "2b4t": (2560, 30, 20, 5, 128, 6912, 128256, 4096, 500000.0, "relu2"),
    "0.7b": (1536, 24, 16, 16, 96, 4096, 32002, 2048, 10000.0, "silu"),
    "3b": (3200, 26, 32, 32, 100, 8640, 32002, 2048, 10000.0, "silu"),
    "tiny": (64, 2, 4, 2, 16, 128, 96, 64, 10000.0, "relu2"),
}
CHUNK = 1 << 20


def tensors(shape):
    """Yields (name, dtype, shape) in file order."""
    hidden, layers, heads, kv, size, ffn, vocabulary = shape[:7]
    yield "model.embed_tokens.weight", "BF16", [vocabulary, hidden]
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name, width in (("input_layernorm", hidden), ("self_attn.attn_sub_norm", heads * size),
                            ("post_attention_layernorm", hidden), ("mlp.ffn_sub_norm", ffn)):
            yield prefix + name + ".weight", "BF16", [width]
        for name, rows, columns in (
                ("self_attn.q_proj", heads * size, hidden), ("self_attn.k_proj", kv * size, hidden),
                ("self_attn.v_proj", kv * size, hidden), ("self_attn.o_proj", hidden, heads * size),
                ("mlp.gate_proj", ffn, hidden), ("mlp.up_proj", ffn, hidden),
                ("mlp.down_proj", hidden, ffn)):
            yield prefix + name + ".weight", "U8", [rows // 4, columns]
            yield prefix + name + ".weight_scale", "BF16", [1]
    yield "model.norm.weight", "BF16", [hidden]


def byte_count(dtype, dims):
    count = 2 if dtype == "BF16" else 1
    for dim in dims:
        count *= dim
    return count


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    shape, folder = SHAPES[sys.argv[1]], sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    header, end = {}, 0
    for name, dtype, dims in tensors(shape):
        header[name] = {"dtype": dtype, "shape": dims, "data_offsets": [end, end + byte_count(dtype, dims)]}
        end += byte_count(dtype, dims)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    rng = random.Random(158)
    # Every byte of four codes 0, 1, 2; no byte of a trit matrix holds the code 3.
    codes = [a | b << 2 | c << 4 | d << 6 for a in range(3) for b in range(3) for c in range(3) for d in range(3)]
    table = bytes(codes[i % 81] for i in range(256))
    # bfloat16 of 0.01 to 0.03 in magnitude, either sign: low byte anything, high byte 0x3c or 0xbc.
    high = bytes(0x3C if i & 1 else 0xBC for i in range(256))
    path = os.path.join(folder, "model.safetensors")
    with open(path + ".part", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, dtype, dims in tensors(shape):
            left = byte_count(dtype, dims)
            if name.endswith("weight_scale"):
                out.write(b"\x80\x3e" if left == 2 else b"")  # 0.25
                continue
            if len(dims) == 1:
                out.write(b"\x80\x3f" * dims[0])  # gains of 1
                continue
            while left:
                block = bytearray(rng.randbytes(min(left, CHUNK)))
                if dtype == "U8":
                    block = block.translate(table)
                else:
                    block[1::2] = bytes(block[1::2]).translate(high)
                out.write(block)
                left -= len(block)
    os.replace(path + ".part", path)

    hidden, layers, heads, kv, size, ffn, vocabulary, positions, theta, activation = shape
    config = {
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": activation,
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv, "head_dim": size, "intermediate_size": ffn, "vocab_size": vocabulary,
        "max_position_embeddings": positions, "rms_norm_eps": 1e-05, "rope_theta": theta,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear",
                                "quantization_mode": "offline"},
    }
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as out:
        json.dump(config, out, indent=2)


if __name__ == "__main__":
    main()
