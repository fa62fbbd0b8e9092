#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every family in every encoding: compiled code, the interpreter and the NumPy reference must agree.

    families_test.py TERN [--only TEXT] [--keep FOLDER]

Each id that `tern run --greedy` gives must be the likeliest of the reference, whose logits are those of `tern logits`
within TOLERANCE; with 8-bit activations a place at the edge between two integers may be rounded either way (see
decoder.py). `tern verify` compares compiled code with the interpreter. Models that cannot be run must be refused with
the words that say why.
"""

import argparse
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import decoder  # noqa: E402
import golden  # noqa: E402
import models  # noqa: E402
import runner  # noqa: E402

PROMPT = [3, 17, 42, 5, 88, 61, 9]
NEW_TOKENS = 64
# Of the largest logit: binary32 against the reference's binary64.
TOLERANCE = 4e-6


def hf(family, form, **options):
    return lambda folder, seed: models.make_hf(os.path.join(folder, "hf"), family, form, seed, **options)


def gguf(family, architecture, kind, **options):
    return lambda folder, seed: models.make_gguf(os.path.join(folder, "m.gguf"), family, architecture, kind, seed,
                                                 **options)


def collect(*lists):
    """name -> (maker, options of tern) of what the lists add"""
    result = {}

    def add(name, maker, *options):
        result[name] = (maker, list(options))

    for each in lists:
        each(add)
    return result


def cases():
    """Every family in every encoding, in its usual shape."""
    return collect(encodings)


def encodings(add):
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


def shapes(add):
    """Heads, sizes and files as real models have them."""
    # 1bitLLM 3B: heads of 100, a feed-forward width that is no whole number of blocks or runs.
    odd = dict(hidden=320, heads=4, kv_heads=4, head=100, ffn=352)
    add("hf bitnet-xl odd sizes", hf("bitnet-xl", "online", tied=True, **odd))
    for kind in ("I2_S", "TQ2_0"):
        add("gguf bitnet %s odd sizes" % kind, gguf("bitnet-xl", "bitnet", kind, tied=True, **odd))
    add("gguf llama I2_S rows across runs", gguf("llama", "llama", "I2_S", hidden=320, heads=6, head=80))
    for head in (40, 96, 100, 192):
        add("hf qwen3 heads of %d" % head, hf("qwen3", "group", head=head, heads=4 if head % 64 else 2))
    add("gguf qwen3 heads of 80, int8", gguf("qwen3", "qwen3", "IQ2_BN", head=80))
    add("hf llama one kv head", hf("llama", "divide", kv_heads=1))
    add("gguf llama as many kv heads", gguf("llama", "llama", "TQ2_0", kv_heads=8))
    add("hf llama bands", hf("llama", "bands"))
    for family, form in (("llama", "divide"), ("bitnet-2b", "multiply")):
        tied = family == "llama"
        add("hf %s %s" % (family, "tied" if tied else "untied"), hf(family, form, tied=tied))
    add("hf qwen3 mlx untied", hf("qwen3", "mlx", tied=False))
    add("hf llama tied with a copy", hf("llama", "row", tied=True, edit=copy_head))
    add("gguf llama tied", gguf("llama", "llama", "TQ1_0", tied=True))
    add("gguf qwen3 untied", gguf("qwen3", "qwen3", "Q2_0", table="Q2_0", tied=False))
    for table, head in (("Q4_K", "Q6_K"), ("Q5_K", "Q5_0"), ("Q4_1", "BF16")):
        add("gguf llama table %s, head %s" % (table, head), gguf("llama", "llama", "TQ2_0", table=table, output=head))
    for parts in (2, 5):
        add("gguf llama in %d parts" % parts, gguf("llama", "llama", "TQ2_0", parts=parts))
    add("gguf qwen3 in 3 parts", gguf("qwen3", "qwen3", "Q2_0", table="Q2_0", parts=3))
    # Files of 2B4T under the older name: told by their sizes, or by the user.
    add("gguf bitnet of 2B4T's sizes", gguf("bitnet-2b", "bitnet", "I2_S", hidden=2560, heads=20, kv_heads=5, head=128,
                                            ffn=256, layers=1))
    add("gguf bitnet --gate=relu2", gguf("bitnet-2b", "bitnet", "I2_S"), "--gate=relu2")
    add("gguf bitnet-25 --gate=silu", gguf("bitnet-xl", "bitnet-25", "I2_S", tied=True), "--gate=silu")
    add("hf bitnet-2b float", hf("bitnet-2b", "multiply"), "--activations=float")


def copy_head(config, tensors):
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]


LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
LINEAR = dict(rope_type="linear", factor=4.0)


def as_rope_scaling(kind):
    """The older place of the scaling, with `kind` as the older key of its type."""
    def edit(config, tensors):
        rope = config.pop("rope_parameters")
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = {kind: rope.pop("rope_type"), **rope}
    return edit


def ropes(add):
    add("gguf llama rope_freqs", gguf("llama", "llama", "TQ2_0", rope_freqs=True))
    add("gguf llama rope_freqs in 2 parts, I2_S", gguf("llama", "llama", "I2_S", rope_freqs=True, parts=2))
    add("hf llama rope llama3", hf("llama", "divide", rope=LLAMA3))
    add("hf llama rope_scaling llama3", hf("llama", "row", rope=LLAMA3, edit=as_rope_scaling("rope_type")))
    add("hf llama rope_scaling linear", hf("llama", "row", rope=LINEAR, edit=as_rope_scaling("type")))
    add("hf qwen3 rope linear", hf("qwen3", "group", rope=LINEAR))
    add("gguf llama rope linear", gguf("llama", "llama", "TQ2_0", rope=LINEAR))
    add("gguf qwen3 rope linear", gguf("qwen3", "qwen3", "Q2_0", rope=LINEAR))


def with_keys(**keys):
    return lambda metadata, tensors: metadata.update({key.replace("__", "."): value for key, value in keys.items()})


def with_tensor(name, size):
    """A tensor of floats more."""
    def edit(settings, tensors):
        kind = "F32"
        tensors[name] = (kind, (size,), np.ones(size, np.float32).tobytes())
    return edit


def refusals():
    """name -> (maker, words of the message, options of tern)"""
    result = {}

    def add(name, maker, words, *options):
        result["refused: " + name] = (maker, words, list(options))

    def add_gguf(name, words, edit, family="llama"):
        add("gguf " + name, gguf(family, family, "TQ2_0", edit=edit), words)

    def add_hf(name, words, edit, family="llama"):
        add("hf " + name, hf(family, "row", edit=edit), words)

    add_gguf("bias", 'tensor "blk.0.attn_q.bias": a bias, which no block',
             with_tensor("blk.0.attn_q.bias", 256))
    add_hf("bias", 'tensor "model.layers.0.self_attn.q_proj.bias": a bias, which no block',
           with_tensor("model.layers.0.self_attn.q_proj.bias", 256))
    add_hf("attention_bias", "attention_bias: expected false", with_keys(attention_bias=True))
    add_gguf("experts", "expert_count: mixtures of experts are not supported", with_keys(llama__expert_count=8))
    add_gguf("qwen3moe", '"qwen3moe" routes each token', with_keys(general__architecture="qwen3moe"), "qwen3")
    add_hf("experts", "mixture of experts", with_keys(architectures=["MixtralForCausalLM"]))
    add_gguf("hybrid", '"qwen35" has gated delta-net layers', with_keys(general__architecture="qwen35"))
    add_gguf("gemma3", '"gemma3" is a Gemma 3 embedding model', with_keys(general__architecture="gemma3"))
    add_hf("gemma3", '"Gemma3TextModel" is a Gemma 3 embedding model', with_keys(architectures=["Gemma3TextModel"]))
    add_gguf("minicpm", "scales its embedding", with_keys(general__architecture="minicpm"))
    add_gguf("rotated basis", "prism.hadamard.version: the weights are stored in a rotated basis",
             with_keys(prism__hadamard__version=1), "qwen3")
    add_gguf("norm_in", "a norm in front of each projection", with_tensor("blk.0.attn_q_norm_in.weight", 256), "qwen3")
    add_hf("norm_in", "a norm in front of each projection",
           with_tensor("model.layers.0.self_attn.q_proj.norm.weight", 256), "qwen3")
    for kind in ("yarn", "longrope", "dynamic"):
        add_gguf("rope " + kind, 'rope scaling "%s" is not supported' % kind,
                 with_keys(llama__rope__scaling__type=kind, llama__rope__scaling__factor=2.0))
        add_hf("rope " + kind, 'rope scaling "%s" is not supported' % kind,
               with_keys(rope_scaling={"rope_type": kind, "factor": 2.0}))
    add_gguf("partial rotary", "rotary embedding of a part of each head", with_keys(llama__rope__dimension_count=16))
    add_gguf("sliding window", "attention.sliding_window", with_keys(llama__attention__sliding_window=64))
    add_gguf("logit scale", "logit_scale", with_keys(llama__logit_scale=0.5))
    add_gguf("old rope scale", "rope.scale_linear", with_keys(llama__rope__scale_linear=2.0))
    add_gguf("layer that is not there", "blk.2.attn_q.weight", with_keys(llama__block_count=3))
    add("gguf sub-norms in a llama file", gguf("bitnet-2b", "llama", "TQ2_0"),
        "a norm that blocks of the family llama do not have")
    add("gate of another family", hf("llama", "row"), "have no such gate function", "--gate=relu2")
    add("part 2 of 2", lambda folder, seed: second_part(folder, seed), "-00001-of-00002.gguf")
    return result


def second_part(folder, seed):
    path, model = gguf("llama", "llama", "TQ2_0", parts=2)(folder, seed)
    return path.replace("-00001-of-", "-00002-of-"), model


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
    array = os.path.join(folder, "logits.npy")
    call(tern, "logits", path, *options, "--ids", ",".join(map(str, everything)), "--all", "-o", array)
    found = np.load(array)
    cache, worst, largest, flips = [], 0, np.abs(found).max(), 0
    for position, token in enumerate(everything):
        row = decoder.explain(model, cache, position, token, found[position], TOLERANCE * largest)
        cache.append(row)
        error = np.abs(row.logits - found[position]).max()
        assert error <= TOLERANCE * largest, "logits of row %d differ by %g, more than %g" % (
            position, error, TOLERANCE * largest)
        worst, flips = max(worst, error / largest), flips + len(row.flips)
        if position + 1 >= len(PROMPT) and position + 1 < len(everything):
            # Two ids that are equally likely within the tolerance may swap.
            margin = row.logits.max() - row.logits[everything[position + 1]]
            assert margin <= 2 * TOLERANCE * largest, "id %d of the answer is %d, the reference prefers %d by %g" % (
                position + 1 - len(PROMPT), everything[position + 1], row.logits.argmax(), margin)
    call(tern, "verify", path, *options, "--ids", text)
    return "%d ids, logits within %.1e, %d flips" % (len(ids), worst, flips)


def check_refused(tern, folder, maker, words, options, seed):
    path, _ = maker(folder, seed)
    run = subprocess.run([tern, "run", path, *options, "--ids", "1,2", "-n", "1"], capture_output=True, text=True,
                         timeout=300)
    assert run.returncode == 1, "expected exit code 1, found %d" % run.returncode
    assert words in run.stderr, 'expected "%s" in "%s"' % (words, run.stderr.strip())
    assert folder in run.stderr, "the message does not name the model: " + run.stderr.strip()
    return words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tern")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--keep", help="a folder to leave the models in")
    flags = parser.parse_args()
    golden.main()
    checks = {name: lambda folder, seed, c=case: check(flags.tern, folder, c[0], c[1], seed)
              for name, case in collect(encodings, shapes, ropes).items()}
    checks |= {name: lambda folder, seed, c=case: check_refused(flags.tern, folder, *c, seed)
               for name, case in refusals().items()}
    return 1 if runner.run(checks, flags.only, flags.keep) else 0


if __name__ == "__main__":
    sys.exit(main())
