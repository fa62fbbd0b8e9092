#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every family in every encoding, converted to every type: the bytes are those of the NumPy encoders.

    convert_families_test.py TERN [--only TEXT]

What a type cannot hold must be refused, and what the refusal names must work. Each output, converted once more to
each type, gives the same bytes, and has the logits of the original, bit for bit; but for float activations where scales
are repeated for shorter groups, whose sums are then rounded one by one.
"""

import argparse
import os
import re
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import containers  # noqa: E402
import models  # noqa: E402
import packings as enc  # noqa: E402
import runner  # noqa: E402
from families_test import call, cases  # noqa: E402

TARGETS = ("i2_s", "tq2_0", "tq1_0", "hf")
ARCHITECTURES = {"bitnet-2b": "bitnet-b1.58", "bitnet-xl": "bitnet", "llama": "llama", "qwen3": "qwen3"}


def convert(tern, path, out, target, *options):
    """Nothing, or the text of the refusal."""
    run = subprocess.run([tern, "convert", path, out, "--type", target, *options], capture_output=True, text=True,
                         timeout=60)
    if run.returncode == 0:
        assert os.path.exists(out), "no " + out
        return ""
    assert run.returncode == 1 and run.stderr.startswith("tern: error: "), (run.returncode, run.stderr)
    assert not os.path.exists(out), out + " is left behind"
    return run.stderr


def uniform(scales, columns, group):
    """The scales of groups of `group` columns, or nothing."""
    wide = np.repeat(scales, columns // scales.shape[1], axis=1).reshape(len(scales), -1, group)
    return wide[:, :, 0] if np.all(wide == wide[:, :, :1]) else None


def refusal(model, target):
    """What the refusal must say; nothing where the type holds the model."""
    if target == "hf" and model["activations"] == "float":
        return "means 8-bit activations"
    for t, scales in model["trits"].values():
        if target in ("i2_s", "hf") and not np.all(scales == scales[0, 0]):
            return "more than one scale"
        if target in ("tq1_0", "tq2_0") and not np.all(enc.f16(scales).astype(np.float32) == scales):
            return "is not exact in float16"
    return ""


def expected_matrix(t, scales, target):
    """(type, bytes)"""
    columns = t.shape[1]
    if target == "i2_s":
        return "I2_S", enc.i2_s(t, scales[0, 0])[:-28]
    blocks = uniform(scales, columns, 256)
    if blocks is None:
        return "Q2_0", enc.q2_0(t, uniform(scales, columns, 64))
    encode = {"tq2_0": enc.tq2_0, "tq1_0": enc.tq1_0}[target]
    return target.upper(), encode(t, blocks)


def floats(dtype, data):
    if dtype == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F16": np.float16, "F32": np.float32}[dtype]).astype(np.float32)


def check_floats(name, dtype, shape, data, expected):
    count = int(np.prod(shape))
    found = floats(dtype, data[:count * (4 if dtype == "F32" else 2)]).reshape(shape)
    assert np.array_equal(found, np.asarray(expected, np.float32)), name + ": other values"


def check_gguf(path, model, architecture, target):
    metadata, tensors = containers.read_gguf(path)
    assert metadata["general.architecture"] == architecture, metadata["general.architecture"]
    mode = {"int8": "int8_per_token", "float": "float"}[model["activations"]]
    assert metadata["tern.activations"] == mode, metadata["tern.activations"]
    assert len(tensors) == len(model["weights"]), (len(tensors), len(model["weights"]))
    for name, weight in model["weights"].items():
        kind, shape, data = tensors[models.GGUF_TOP.get(name, name) + ".weight"]
        if name not in model["trits"] or name in models.GGUF_TOP:
            check_floats(name, kind, shape, data, weight)
            assert len(shape) == 2 or kind == "F32", (name, kind)
            continue
        t, scales = model["trits"][name]
        heads = models.interleaved(architecture, name, model["config"])
        if heads:
            t, scales = (models.interleave(a, heads) for a in (t, scales))
        wanted, content = expected_matrix(t, scales, target)
        assert (kind, shape) == (wanted, t.shape), "%s: expected %s, found %s %s" % (name, wanted, kind, shape)
        assert data[:len(content)] == content, name + ": other bytes"


def check_folder(path, model, family):
    tensors = containers.read_safetensors(os.path.join(path, "model.safetensors"))
    assert len(tensors) == len(model["weights"]) + len(model["trits"]), len(tensors)
    for name, weight in model["weights"].items():
        # Both spellings of the norms inside are read; the first is written.
        module = models.hf_name("bitnet-2b" if family == "bitnet-xl" else family, name)
        dtype, shape, data = tensors[module + ".weight"]
        if name not in model["trits"]:
            check_floats(name, dtype, shape, data, weight)
            continue
        t, scales = model["trits"][name]
        assert (dtype, shape) == ("U8", (len(t) // 4, t.shape[1])), (name, dtype, shape)
        assert data == enc.hf_u8(t).tobytes(), name + ": other bytes"
        dtype, shape, data = tensors[module + ".weight_scale"]
        check_floats(name, dtype, shape, data, scales[:1, 0])


def logits(tern, folder, path, *options):
    array = os.path.join(folder, "logits.npy")
    call(tern, "logits", path, *options, "--ids", "3,17,42,5,88,61,9", "--all", "-o", array)
    return np.load(array)


def same_groups(model, target):
    """Whether the type holds as many scales a row as the model has."""
    for t, scales in model["trits"].values():
        if target in ("tq1_0", "tq2_0"):
            group = 256 if uniform(scales, t.shape[1], 256) is not None else 64
            if scales.shape[1] != t.shape[1] // group:
                return False
    return True


def check_logits(found, original, model, target):
    if model["activations"] == "int8" or same_groups(model, target):
        assert np.array_equal(found, original), target + ": other logits"
        return
    error = np.abs(found - original).max() / np.abs(original).max()
    assert error < 1e-5, "%s: logits differ by %g of the largest" % (target, error)


def tensors_of(path):
    if os.path.isdir(path):
        return containers.read_safetensors(os.path.join(path, "model.safetensors"))
    return containers.read_gguf(path)[1]


def check_refusal(tern, folder, path, options, message, wanted):
    """The refusal says why, and what it names works."""
    assert wanted in message, "expected \"%s\", found %s" % (wanted, message)
    if "--type tq2_0 --round-scales" in message:
        assert not convert(tern, path, os.path.join(folder, "round.gguf"), "tq2_0", "--round-scales", *options)
        return
    named = re.search(r"--type ([a-z0-9_, ]*?) can hold it", message)
    assert named, "names no other type: " + message
    for target in re.findall(r"tq2_0|tq1_0|i2_s|hf", named.group(1)):
        out = os.path.join(folder, "named" if target == "hf" else "named-%s.gguf" % target)
        if not os.path.exists(out):
            text = convert(tern, path, out, target, *options)
            assert not text, "%s is named, but: %s" % (target, text)


def check(tern, folder, name, maker, options, seed):
    path, model = maker(folder, seed)
    family = next(f for f in (name.split()[1], {"bitnet-b1.58": "bitnet-2b", "bitnet-25": "bitnet-2b",
                                                 "bitnet": "bitnet-xl"}.get(name.split()[1])) if f in ARCHITECTURES)
    for option in options:
        if option.startswith("--activations="):
            model["activations"] = option.split("=")[1]
    original = logits(tern, folder, path, *options)
    written, refused = {}, []
    for target in TARGETS:
        out = os.path.join(folder, "out" if target == "hf" else target + ".gguf")
        message, wanted = convert(tern, path, out, target, *options), refusal(model, target)
        if message or wanted:
            assert message and wanted, "%s: expected \"%s\", found \"%s\"" % (target, wanted, message)
            check_refusal(tern, folder, path, options, message, wanted)
            refused.append(target)
            continue
        if target == "hf":
            check_folder(out, model, family)
        else:
            check_gguf(out, model, ARCHITECTURES[family], target)
        written[target] = out
    for target, out in written.items():
        if target in ("i2_s", "tq2_0", "hf"):
            check_logits(logits(tern, folder, out), original, model, target)
        for other, direct in written.items():
            again = os.path.join(folder, "again" + ("" if other == "hf" else "-%s-%s.gguf" % (target, other)))
            text = convert(tern, out, again + (target if other == "hf" else ""), other)
            assert not text, "%s to %s: %s" % (target, other, text)
            found, expected = (tensors_of(p) for p in (again + (target if other == "hf" else ""), direct))
            assert found == expected, "%s to %s: other bytes" % (target, other)
    return "%s written, %s refused" % (" ".join(written) or "none", " ".join(refused) or "none")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tern")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    flags = parser.parse_args()
    checks = {name: lambda folder, seed, name=name, case=case: check(flags.tern, folder, name, *case, seed)
              for name, case in cases().items()
              # Integers in groups are a way to compute a model, not a part of it.
              if "int8-g" not in name}
    return 1 if runner.run(checks, flags.only) else 0


if __name__ == "__main__":
    sys.exit(main())
