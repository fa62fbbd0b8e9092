#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every family in every encoding: compiled code, the interpreter and the NumPy reference must agree.

    families_test.py TERN [--only TEXT] [--keep FOLDER]

The ids that `tern run --greedy` gives must each be likeliest in the reference, but for margins below the
tolerance of logits. `tern verify` compares compiled code with the interpreter.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import decoder  # noqa: E402
import golden  # noqa: E402
import models  # noqa: E402

PROMPT = [3, 17, 42, 5, 88, 61, 9]
NEW_TOKENS = 64
# 8-bit activations round: a value at the edge of two integers may fall either way.
TOLERANCE = {"int8": 0.04, "float": 2e-4}


def hf(family, form):
    return lambda folder, seed: models.make_hf(os.path.join(folder, "hf"), family, form, seed)


def gguf(family, architecture, kind, **options):
    return lambda folder, seed: models.make_gguf(os.path.join(folder, "m.gguf"), family, architecture, kind, seed,
                                                 **options)


def cases():
    """name -> (maker, options of tern)"""
    result = {}

    def add(name, maker, *options):
        result[name] = (maker, list(options))

    for form in ("multiply", "online", "tensor"):
        add("hf bitnet-2b " + form, hf("bitnet-2b", form), *(["--activations=float"] if form == "tensor" else []))
    add("hf bitnet-xl online", hf("bitnet-xl", "online"))
    for form in ("divide", "online", "tensor", "row", "group"):
        add("hf llama " + form, hf("llama", form))
    add("hf llama row int8", hf("llama", "row"), "--activations=int8")
    for form in ("group", "mlx"):
        add("hf qwen3 " + form, hf("qwen3", form))
        add("hf qwen3 %s int8" % form, hf("qwen3", form), "--activations=int8")
        add("hf qwen3 %s int8-g32" % form, hf("qwen3", form), "--activations=int8-g32")
    for architecture in ("bitnet-b1.58", "bitnet-25"):
        add("gguf %s I2_S" % architecture, gguf("bitnet-2b", architecture, "I2_S"))
    for layout in ("64", "4row"):
        add("gguf bitnet-b1.58 I2_S layout " + layout, gguf("bitnet-2b", "bitnet-b1.58", "I2_S", layout=layout),
            "--i2s-layout=" + layout)
    for kind in ("I2_S", "TQ1_0", "TQ2_0", "IQ1_BN", "IQ2_BN"):
        add("gguf bitnet " + kind, gguf("bitnet-xl", "bitnet", kind, table="F32"))
    for kind, table in (("I2_S", "F16"), ("TQ1_0", "Q4_K"), ("TQ2_0", "Q6_K"), ("IQ2_BN", "Q8_0"), ("F16", "F16"),
                        ("Q2_0", "Q4_0")):
        add("gguf llama %s, table %s" % (kind, table), gguf("llama", "llama", kind, table=table))
    add("gguf llama TQ2_0 int8", gguf("llama", "llama", "TQ2_0"), "--activations=int8")
    for kind, group in (("Q2_0", 64), ("PQ2_0", 128), ("PQ2_0", 64), ("PTQ1_0", 32), ("TQ2_0", 128), ("IQ2_BN", 64)):
        add("gguf qwen3 %s int8-g%d" % (kind, group), gguf("qwen3", "qwen3", kind, table="F16"),
            "--activations=int8-g%d" % group)
    for kind in ("Q2_0", "PQ2_0", "PTQ1_0", "TQ2_0"):
        add("gguf qwen3 " + kind, gguf("qwen3", "qwen3", kind, table=kind))
        add("gguf qwen3 %s int8" % kind, gguf("qwen3", "qwen3", kind, table=kind), "--activations=int8")
    return result


def call(tern, *arguments):
    run = subprocess.run([tern, *arguments], capture_output=True, text=True, timeout=300)
    if run.returncode:
        raise AssertionError("tern %s: %s" % (" ".join(arguments), run.stderr.strip() or run.stdout.strip()))
    return run.stdout


def check(tern, folder, maker, options, seed):
    path, model = maker(folder, seed)
    for option in options:
        if option.startswith("--activations="):
            model["activations"] = option.split("=")[1]
    text = ",".join(map(str, PROMPT))
    output = call(tern, "run", path, *options, "--ids", text, "-n", str(NEW_TOKENS), "--greedy", "--ignore-eos",
                  "--output", "ids")
    ids = [int(word) for word in output.split()]
    assert len(ids) == NEW_TOKENS, "expected %d ids, found %d" % (NEW_TOKENS, len(ids))
    everything = PROMPT + ids
    expected = decoder.logits(model, everything)
    tolerance = TOLERANCE[model["activations"].partition("-")[0]] * np.max(np.abs(expected))

    chosen = expected[len(PROMPT) - 1:-1]
    margins = chosen.max(axis=1) - chosen[np.arange(len(ids)), ids]
    worst = int(margins.argmax())
    assert margins[worst] <= tolerance, "token %d of the answer: id %d, the reference prefers %d by %g" % (
        worst, ids[worst], chosen[worst].argmax(), margins[worst])

    array = os.path.join(folder, "logits.npy")
    call(tern, "logits", path, *options, "--ids", ",".join(map(str, everything)), "--all", "-o", array)
    error = np.abs(np.load(array) - expected).max()
    assert error <= tolerance, "logits differ by %g, more than %g" % (error, tolerance)
    call(tern, "verify", path, *options, "--ids", text)
    same = int(np.sum(margins == 0))
    return "%d of %d ids equal, logits within %.2g of %.3g" % (same, len(ids), error, np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tern")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--keep", help="a folder to leave the models in")
    flags = parser.parse_args()
    golden.main()
    failures = 0
    for seed, (name, (maker, options)) in enumerate(cases().items(), 1):
        if flags.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            if flags.keep:
                folder = os.path.join(flags.keep, name.replace(" ", "-"))
                os.makedirs(folder, exist_ok=True)
            try:
                print("ok    %s (seed %d): %s" % (name, seed, check(flags.tern, folder, maker, options, seed)))
            except AssertionError as error:
                failures += 1
                print("FAIL  %s (seed %d): %s" % (name, seed, error))
        sys.stdout.flush()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
