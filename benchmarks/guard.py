#!/usr/bin/env python3
"""Guards the inner loops of the x86 kernels: instructions for 64 products, which no load of the machine changes.

usage: guard.py KERNEL_CODE TABLE [--write]

KERNEL_CODE prints the kernels of a level as assembly (tests/cross/kernel_code.cpp). For each level and row with
vector products: the instructions of its inner loop, divided by the products the loop makes, times 64. Fails where
a row takes over 3 % more than TABLE says, or one of the two lacks it. --write: writes TABLE."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LEVELS = ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v3-vnni", "x86-64-v4", "x86-64-v4-vnni", "x86-64-v4-vbmi"]
LANES = {"zmm": 64, "ymm": 32, "xmm": 16}
# Instructions that multiply, and bytes of a register for each product: int8 pairs and quads, floats.
PRODUCTS = [(r"v?pdpbusds?", 1), (r"v?pmaddubsw", 1), (r"v?pmaddwd", 2), (r"vfn?m(add|sub)\d+ps", 4), (r"v?mulps", 4)]
SLACK = 1.03


def functions(text):
    """{row: lines without comments}"""
    found, name = {}, None
    for line in text.splitlines():
        label = re.match(r"(matmul_\w+):", line)
        if label:
            name = label.group(1)
            found[name] = []
        elif name and re.match(r"\s*\.size", line):
            name = None
        elif name:
            found[name].append(line.split("#")[0].rstrip())
    return found


def loops(lines):
    """Instructions of the innermost loops: from a label to a branch back to it, without other branches back."""
    at, candidates = {}, []
    for i, line in enumerate(lines):
        label = re.match(r"(\.L\w+):", line)
        if label:
            at[label.group(1)] = i
        branch = re.match(r"\s+j\w+\s+(\.L\w+)", line)
        if branch and branch.group(1) in at:
            candidates.append((at[branch.group(1)], i))
    for begin, end in candidates:
        if not any(begin <= b and e < end for b, e in candidates):
            yield [line for line in lines[begin:end + 1] if re.match(r"\s+[a-z]", line)]


def products(body):
    total = 0
    for line in body:
        for pattern, bytes_each in PRODUCTS:
            registers = re.findall(r"%(\wmm)\d+", line)
            if registers and re.match(rf"\s+{pattern}\s", line):
                total += LANES[registers[-1]] // bytes_each
    return total


def stores(body):
    return sum(bool(re.match(r"\s+v?mov\w+\s+%\wmm\d+, .*\(", line)) for line in body)


def measure(kernel_code):
    table = {}
    for level in LEVELS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.s"
            subprocess.run([kernel_code, "kernels", level, path], check=True)
            code = functions(path.read_text())
        for row, lines in code.items():
            # Of equals the one that stores least: another unpacks as well, for the first token rows only.
            best = max(loops(lines), key=lambda body: (products(body), -stores(body)), default=[])
            # Portable rows are scalar code: their few vector products are no inner loop's.
            if products(best) and not row.endswith("portable"):
                table[f"{level} {row}"] = round(64 * len(best) / products(best), 3)
    return table


def main():
    measured, path = measure(sys.argv[1]), Path(sys.argv[2])
    if sys.argv[3:] == ["--write"]:
        path.write_text(json.dumps(measured, indent=1) + "\n")
        return 0
    recorded = json.loads(path.read_text())
    wrong = [f"{row}: in only one of code and table" for row in sorted(recorded.keys() ^ measured.keys())]
    for row in sorted(recorded.keys() & measured.keys()):
        if measured[row] > recorded[row] * SLACK:
            wrong.append(f"{row}: {measured[row]} instructions for 64 products, recorded {recorded[row]}")
    print("\n".join(wrong) or f"{len(measured)} inner loops as recorded")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
