#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks packings.py against published byte vectors: trits ((i * i + 3 i) mod 7) mod 3 - 1, scale 0.5."""

import numpy as np

import packings as enc


def trits(rows, columns):
    i = np.arange(rows * columns)
    return ((i * i + 3 * i) % 7 % 3 - 1).astype(np.int8).reshape(rows, columns)


def check(name, data, expected):
    if data.hex() != expected:
        raise SystemExit("%s: expected %s, found %s" % (name, expected, data.hex()))


def main():
    half = np.full((1, 1), 0.5, np.float32)
    check("tq1_0", enc.tq1_0(trits(1, 256), half),
          "1096435b32c1c91096435b32c1c91096435b32c1c91096435b32c1c91096435bd70885188f48add70885188f48add708435930c10038")
    check("tq2_0", enc.tq2_0(trits(1, 256), half),
          "908918412462069089184124620690891841246206908918412462069089184118412462069089184124620690891841246206"
          "908918412462069089184124620038")
    check("q2_0", enc.q2_0(trits(1, 64), half), "00384428114a8412a14428114a8412a14428")
    check("pq2_0", enc.pq2_0(trits(1, 128), half),
          "00384428114a8412a14428114a8412a14428114a8412a14428114a8412a14428114a")
    check("ptq1_0", enc.ptq1_0(trits(1, 128), half), "0885188f48add70885188f48add708856f4de7b62061256f85170038")
    check("i2_s", enc.i2_s(trits(1, 128), 0.5)[:36],
          "06622441188990066224411889900662244118899006622441188990066224410000003f")
    check("i2_s 64", enc.i2_s(trits(1, 128), 0.5, 64)[:32],
          "0258096025809602580960258096025858096025809602580960258096025809")
    check("i2_s 4row", enc.i2_s_l4row(trits(4, 64), 0.5)[:64],
          "1144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a"
          "28a1841144124a28a18411")
    check("iq1_bn", enc.iq1_bn(trits(1, 64), half), "0038" + "20254de720256fe720616fe718")
    check("iq2_bn", enc.iq2_bn(trits(1, 64), half), "0000003f" + "80256009580296802560095802968025")
    check("hf_u8", enc.hf_u8(trits(8, 4)).tobytes(), bytes([68, 17, 132, 161, 40, 74, 18, 68]).hex())


if __name__ == "__main__":
    main()
