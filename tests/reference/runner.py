# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs named checks, each in a folder of its own, and says how each went."""

import os
import sys
import tempfile


def run(checks, only="", keep=None):
    """The number of checks that failed. `checks`: name to function (folder, seed) that gives a text or raises
    AssertionError; seeds count all checks from 1, so `only`, a part of names, changes none. `keep`: a folder to leave
    their folders in."""
    failures = 0
    for seed, (name, check) in enumerate(checks.items(), 1):
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            if keep:
                folder = os.path.join(keep, name.replace(" ", "-"))
                os.makedirs(folder, exist_ok=True)
            try:
                print("ok    %s (seed %d): %s" % (name, seed, check(folder, seed)))
            except AssertionError as error:
                failures += 1
                print("FAIL  %s (seed %d): %s" % (name, seed, error))
        sys.stdout.flush()
    return failures
