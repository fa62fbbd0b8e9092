# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Importing a GGUF file of two billion parameters takes no time and no memory: weights stay in the file.

usage: import_memory.py TERN

The file has the shape of BitNet b1.58 2B4T and is all holes but for its header, gains and scales.
"""
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import containers  # noqa: E402

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, FFN, VOCABULARY = 2560, 30, 20, 5, 128, 6912, 128256
# One second is the promise; the bound leaves room for a machine that is busy with other tests.
MOST_SECONDS = 5
# The program with its libraries, the IR, and what was touched of the file.
MOST_MB = 200


def tensors():
    """(name, type, shape with rows first)"""
    yield "token_embd", "F16", (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        wide, narrow = HEADS * HEAD, KV_HEADS * HEAD
        for name, shape in (("attn_norm", (HIDDEN,)), ("attn_q", (wide, HIDDEN)), ("attn_k", (narrow, HIDDEN)),
                            ("attn_v", (narrow, HIDDEN)), ("attn_sub_norm", (wide,)),
                            ("attn_output", (HIDDEN, wide)), ("ffn_norm", (HIDDEN,)), ("ffn_gate", (FFN, HIDDEN)),
                            ("ffn_up", (FFN, HIDDEN)), ("ffn_sub_norm", (FFN,)), ("ffn_down", (HIDDEN, FFN))):
            yield "blk.%d.%s" % (layer, name), "F32" if len(shape) == 1 else "I2_S", shape
    yield "output_norm", "F32", (HIDDEN,)


def write(path):
    arch = "bitnet-b1.58"
    metadata = {"general.architecture": arch}
    for key, value in {"context_length": 4096, "embedding_length": HIDDEN, "block_count": LAYERS,
                       "feed_forward_length": FFN, "attention.head_count": HEADS,
                       "attention.head_count_kv": KV_HEADS, "attention.layer_norm_rms_epsilon": 1e-5,
                       "rope.freq_base": 500000.0}.items():
        metadata["%s.%s" % (arch, key)] = value
    listed = list(tensors())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(metadata))
    for key, value in metadata.items():
        head += containers.gguf_string(key) + containers.gguf_value(value)
    offset, written = 0, []
    for name, kind, shape in listed:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        size = {"F16": 2 * count, "F32": 4 * count, "I2_S": count // 4 + 32}[kind]
        head += containers.gguf_string(name + ".weight") + struct.pack("<I", len(shape))
        head += struct.pack("<%dQ" % len(shape), *reversed(shape))
        head += struct.pack("<IQ", containers.GGML_TYPES[kind], offset)
        if kind == "F32":
            written.append((offset, struct.pack("<f", 1) * count))
        elif kind == "I2_S":
            written.append((offset + size - 32, struct.pack("<f", 1)))
        offset += -(-size // containers.ALIGN) * containers.ALIGN
    start = -(-len(head) // containers.ALIGN) * containers.ALIGN
    with open(path, "wb") as file:
        file.write(head)
        for at, content in written:
            file.seek(start + at)
            file.write(content)
        file.truncate(start + offset)
    return start + offset


def main():
    tern, = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        model, ir = os.path.join(folder, "model.gguf"), os.path.join(folder, "model.mlir")
        size = write(model) / 1e6
        begin = time.monotonic()
        subprocess.run([tern, "compile", "--emit=import", model, "-o", ir], check=True)
        seconds = time.monotonic() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        print(f"file {size:.0f} MB, import {seconds:.2f} s, peak {peak:.0f} MB, IR {os.path.getsize(ir) / 1e6:.2f} MB")
        if seconds > MOST_SECONDS:
            sys.exit(f"expected at most {MOST_SECONDS} s")
        if peak > MOST_MB:
            sys.exit(f"expected at most {MOST_MB} MB")
        with open(ir, encoding="utf-8") as file:
            text = file.read()
        if text.count("encoding = i2_s") != 2 * 7 * LAYERS:
            sys.exit(f"expected {2 * 7 * LAYERS} sources of i2_s, found {text.count('encoding = i2_s')}")


if __name__ == "__main__":
    main()
