#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ternary and float matrices as the bytes of checkpoints, and back; written from the formats' definitions."""

import numpy as np


def f16(value):
    return np.asarray(value, np.float16)


def bf16_bits(values):
    """Truncated: callers take what bf16_values makes of it for the truth."""
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def bf16_values(values):
    return (bf16_bits(values).astype(np.uint32) << 16).view(np.float32)


# --- trits: t has shape (rows, columns), scales (rows, groups) -----------------------------------

def hf_u8(t):
    p = t.shape[0] // 4
    codes = (t + 1).astype(np.uint8)
    return codes[:p] | codes[p:2 * p] << 2 | codes[2 * p:3 * p] << 4 | codes[3 * p:] << 6


def i2_s(t, scale, run=128):
    """Runs of `run` weights: a byte holds four that lie run / 4 apart, the first in the high bits."""
    codes = (t + 1).astype(np.uint8).reshape(-1, 4, run // 4)
    data = codes[:, 0] << 6 | codes[:, 1] << 4 | codes[:, 2] << 2 | codes[:, 3]
    return data.tobytes() + np.float32(scale).tobytes() + b"\xa5" * 28


def i2_s_l4row(t, scale):
    codes = (t + 1).astype(np.uint8).reshape(-1, 4, t.shape[1])
    data = codes[:, 0] << 6 | codes[:, 1] << 4 | codes[:, 2] << 2 | codes[:, 3]
    return data.tobytes() + np.float32(scale).tobytes() + bytes(28)


def base3(digits):
    """The last axis holds four or five digits 0, 1, 2, the most significant first."""
    n = np.zeros(digits.shape[:-1], np.int64)
    for i in range(5):
        n = 3 * n + (digits[..., i] if i < digits.shape[-1] else 0)
    return ((n * 256 + 242) // 243).astype(np.uint8)


def base3_part(codes, start, width, digits):
    """Byte m holds elements start + width * i + m."""
    part = codes[:, start:start + width * digits].reshape(-1, digits, width)
    return base3(part.transpose(0, 2, 1))


def blocks(t, group):
    return (t + 1).astype(np.int64).reshape(-1, group)


def join(*parts):
    return np.concatenate([np.ascontiguousarray(p).view(np.uint8).reshape(len(p), -1)
                           for p in parts], axis=1).tobytes()


def tq1_0(t, scales):
    codes = blocks(t, 256)
    return join(base3_part(codes, 0, 32, 5), base3_part(codes, 160, 16, 5),
                base3_part(codes, 240, 4, 4), f16(scales).reshape(-1, 1))


def ptq1_0(t, scales):
    codes = blocks(t, 128)
    return join(base3_part(codes, 0, 16, 5), base3_part(codes, 80, 8, 5),
                base3_part(codes, 120, 2, 4), f16(scales).reshape(-1, 1))


def tq2_0(t, scales):
    codes = blocks(t, 256).astype(np.uint8).reshape(-1, 2, 4, 32)
    data = codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6
    return join(data.reshape(-1, 64), f16(scales).reshape(-1, 1))


def q2_0(t, scales, group=64):
    codes = blocks(t, group).astype(np.uint8).reshape(-1, group // 4, 4)
    data = codes[..., 0] | codes[..., 1] << 2 | codes[..., 2] << 4 | codes[..., 3] << 6
    return join(f16(scales).reshape(-1, 1), data)


def pq2_0(t, scales):
    return q2_0(t, scales, 128)


def iq1_bn(t, scales):
    rows, columns = t.shape
    codes = blocks(t, 16).reshape(rows, -1, 4, 16)
    low = codes[..., :15].reshape(rows, -1, 4, 3, 5)[..., ::-1]
    extra = np.zeros((rows, columns // 64, 5), np.int64)
    extra[..., 1:] = codes[..., 15][..., ::-1]
    data = np.concatenate([base3(low).reshape(rows, -1, 12), base3(extra)[..., None]], axis=2)
    return join(f16(scales).reshape(-1, 1), data.reshape(rows, -1))


def iq2_bn(t, scales):
    rows = t.shape[0]
    codes = blocks(t, 64).astype(np.uint8).reshape(rows, -1, 4, 16)
    data = codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6
    return join(np.asarray(scales, np.float32).reshape(-1, 1), data.reshape(rows, -1))


def mlx_words(t):
    codes = (t + 1).astype(np.uint32).reshape(t.shape[0], -1, 16)
    return np.bitwise_or.reduce(codes << (2 * np.arange(16, dtype=np.uint32)), axis=2)


# --- float blocks: random bytes with small scales, and their values --------------------------------

def random_blocks(random, rows, columns, block, size, fields):
    """Bytes (blocks, size) whose f16 `fields` {offset: most} are small positive numbers."""
    data = random.integers(0, 256, (rows * columns // block, size), np.uint8)
    for offset, most in fields.items():
        value = f16(random.uniform(most / 2, most, len(data))).reshape(-1, 1)
        data[:, offset:offset + 2] = value.view(np.uint8)
    return data


def half_at(data, offset):
    return np.ascontiguousarray(data[:, offset:offset + 2]).view(np.float16).astype(np.float32)


def random_q8_0(random, rows, columns):
    data = random_blocks(random, rows, columns, 32, 34, {0: 0.008})
    return data.tobytes(), (half_at(data, 0) * data[:, 2:].view(np.int8)).reshape(rows, columns)


def random_q4_0(random, rows, columns):
    data = random_blocks(random, rows, columns, 32, 18, {0: 0.1})
    q = np.concatenate([data[:, 2:] & 15, data[:, 2:] >> 4], axis=1).astype(np.float32)
    return data.tobytes(), (half_at(data, 0) * (q - 8)).reshape(rows, columns)


def random_q6_k(random, rows, columns):
    data = random_blocks(random, rows, columns, 256, 210, {208: 0.0004})
    values = np.zeros((len(data), 256), np.float32)
    ql, qh = data[:, :128].astype(np.int32), data[:, 128:192].astype(np.int32)
    sc = data[:, 192:208].view(np.int8).astype(np.float32)
    d = half_at(data, 208)[:, 0]
    for half in range(2):
        for r in range(4):
            for l in range(32):
                nibble = ql[:, 64 * half + 32 * (r % 2) + l] >> (0 if r < 2 else 4) & 15
                high = qh[:, 32 * half + l] >> 2 * r & 3
                scale = d * sc[:, 8 * half + 2 * r + (l >= 16)]
                values[:, 128 * half + 32 * r + l] = scale * ((nibble | high << 4) - 32)
    return data.tobytes(), values.reshape(rows, columns)


def random_q4_1(random, rows, columns):
    data = random_blocks(random, rows, columns, 32, 20, {0: 0.05, 2: 0.1})
    q = np.concatenate([data[:, 4:] & 15, data[:, 4:] >> 4], axis=1).astype(np.float32)
    return data.tobytes(), (half_at(data, 0) * q + half_at(data, 2)).reshape(rows, columns)


def random_q5_0(random, rows, columns):
    data = random_blocks(random, rows, columns, 32, 22, {0: 0.05})
    high = np.unpackbits(data[:, 2:6], axis=1, bitorder="little")
    low = np.concatenate([data[:, 6:] & 15, data[:, 6:] >> 4], axis=1)
    q = (low + 16 * high).astype(np.float32)
    return data.tobytes(), (half_at(data, 0) * (q - 16)).reshape(rows, columns)


def sub_block_scales(s, j):
    """6-bit scale and minimum of sub-block j."""
    if j < 4:
        return s[:, j] & 63, s[:, j + 4] & 63
    return s[:, j + 4] & 15 | (s[:, j - 4] >> 6) << 4, s[:, j + 4] >> 4 | (s[:, j] >> 6) << 4


def random_k_blocks(random, rows, columns, size, most, high_bits):
    """Q4_K, and with a fifth bit of each element in 32 bytes before the others Q5_K."""
    data = random_blocks(random, rows, columns, 256, size, {0: most, 2: 0.0125})
    values = np.zeros((len(data), 256), np.float32)
    s, q = data[:, 4:16].astype(np.int32), data[:, size - 128:].astype(np.int32)
    d, dmin = half_at(data, 0)[:, 0], half_at(data, 2)[:, 0]
    for j in range(8):
        sc, mn = sub_block_scales(s, j)
        part = q[:, 32 * (j // 2):32 * (j // 2) + 32] >> 4 * (j % 2) & 15
        if high_bits:
            part += 16 * (data[:, 16:48].astype(np.int32) >> j & 1)
        values[:, 32 * j:32 * j + 32] = (d * sc)[:, None] * part - (dmin * mn)[:, None]
    return data.tobytes(), values.reshape(rows, columns)


def random_q4_k(random, rows, columns):
    return random_k_blocks(random, rows, columns, 144, 0.002, high_bits=False)


def random_q5_k(random, rows, columns):
    return random_k_blocks(random, rows, columns, 176, 0.001, high_bits=True)
