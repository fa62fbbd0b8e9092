# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Converting and compiling stream the weights: peak memory does not follow the size of the model.

usage: compile_memory.py TERN MAKE_CHECKPOINT SHAPE
"""
import os
import resource
import subprocess
import sys
import tempfile

# The compiler with its libraries, code for all levels, and what is in flight.
MOST_MB = 400
SLACK_MB = 200
# One tensor in flight, and the pages read for it.
CONVERT_MOST_MB = 200


def main():
    tern, make_checkpoint, shape = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        model, library = os.path.join(folder, "model"), os.path.join(folder, "model.so")
        subprocess.run([sys.executable, make_checkpoint, shape, model], check=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        subprocess.run([tern, "convert", model, os.path.join(folder, "model.gguf")], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        print(f"converting: peak {peak:.0f} MB")
        if peak > CONVERT_MOST_MB:
            sys.exit(f"expected at most {CONVERT_MOST_MB} MB")
        subprocess.run([tern, "compile", model, "-o", library], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        packed = os.path.getsize(library) / 1e6
        print(f"packed {packed:.0f} MB, peak {peak:.0f} MB (earlier child {before * 1024 / 1e6:.0f} MB)")
        if peak > min(packed + SLACK_MB, MOST_MB):
            sys.exit(f"expected at most {min(packed + SLACK_MB, MOST_MB):.0f} MB")
        # And it runs.
        ids = subprocess.run([tern, "run", library, "--ids", "1,2,3", "-n", "4", "--greedy", "--output", "ids"],
                             check=True, capture_output=True, text=True).stdout.split()
        if len(ids) != 4:
            sys.exit(f"expected 4 ids, found {ids}")


if __name__ == "__main__":
    main()
