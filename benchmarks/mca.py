#!/usr/bin/env python3
"""Static speed of the ARM kernels: llvm-mca over the inner loop of every row.

usage: mca.py KERNEL_CODE LLVM_MCA [--check FILE]

KERNEL_CODE prints the kernels of a target as assembly (tests/cross/kernel_code.cpp). For each CPU
and each row its level can run: a GEMV row's cycles for 64 weights, beside the cycles in which
memory delivers them; a GEMM row's products a cycle, and their share of what the CPU does when it
executes nothing but the row's product instruction. Prints a Markdown table. --check: fails where a
row has become slower than FILE's table says, or is not in it."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# CPU, as llvm-mca and as --target name it.
CPUS = ["cortex-a76", "neoverse-n1", "neoverse-v2", "apple-m1"]
# 64 weights of 2 bits at 40 GB/s shared by 4 cores of 3 GHz.
BOUND = 16 / (40e9 / 4 / 3e9)
SHARE = 0.80
ITERATIONS = 200

# Product instructions: pattern, products an instruction, and a line of it for the peak.
PRODUCTS = {
    "smmla": (r"smmla(\.4s)?\s", 32, "smmla v{0}.4s, v30.16b, v31.16b"),
    "sdot": (r"sdot(\.4s)?\s", 16, "sdot v{0}.4s, v30.16b, v31.4b[0]"),
    "smlal": (r"sm(lal|ull)2?(\.8h)?\s", 8, "smlal v{0}.8h, v30.8b, v31.8b"),
    "fmla": (r"fmla(\.4s)?\s", 4, "fmla v{0}.4s, v30.4s, v31.4s"),
}


def functions(text):
    """{symbol: lines} of the ternary kernels."""
    found, name = {}, None
    for line in text.splitlines():
        label = re.match(r"_?(matmul_\w+):", line)
        if label:
            name = label.group(1)
            found[name] = []
        elif name and re.match(r"\s*\.(size|cfi_endproc)", line):
            name = None
        elif name:
            found[name].append(line.split("//")[0].split(";")[0].rstrip())
    return found


def loops(lines):
    """Bodies that end in a branch back to their label and hold no other label that is branched to
    from outside: innermost loops."""
    at = {}
    for i, line in enumerate(lines):
        label = re.match(r"(\.?L\w+):", line)
        if label:
            at[label.group(1)] = i
        branch = re.match(r"\s+(?:b\.\w+|b|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(\.?L\w+)", line)
        if branch and branch.group(1) in at:
            body = lines[at[branch.group(1)] + 1 : i + 1]
            if not any(re.match(r"\.?L\w+:", inner) for inner in body):
                yield [inner for inner in body if re.match(r"\s+[a-z]", inner)]


def product_of(name, body):
    """The row's product instruction and how many products the loop makes."""
    counts = {key: sum(bool(re.match(r"\s+" + pattern, line)) for line in body)
              for key, (pattern, _, _) in PRODUCTS.items()}
    best = max(counts, key=lambda key: counts[key] * PRODUCTS[key][1])
    return best, counts[best] * PRODUCTS[best][1]


def cycles(mca, cpu, body):
    triple = "arm64-apple-macosx" if cpu.startswith("apple") else "aarch64-linux-gnu"
    target = re.search(r"\.?LBB\w+", body[-1])
    label = [f"{target.group(0)}:"] if target else []
    text = "\n".join(label + body) + "\n"
    out = subprocess.run([mca, f"-mtriple={triple}", f"-mcpu={cpu}", f"-iterations={ITERATIONS}",
                          "-instruction-info=0", "-resource-pressure=0"], input=text, text=True,
                         stdout=subprocess.PIPE, check=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", out).group(1)) / ITERATIONS


def peak(mca, cpu, kind, known={}):
    """Products a cycle of the instruction alone, on independent sums."""
    if (cpu, kind) not in known:
        _, each, line = PRODUCTS[kind]
        body = ["\t" + line.format(i) for i in range(24)]
        known[cpu, kind] = 24 * each / cycles(mca, cpu, body)
    return known[cpu, kind]


def measure(kernel_code, mca):
    """A dictionary for each CPU and row: cpu, row, chosen, figure (cycles for 64 weights, or
    products a cycle), share of the peak (GEMM), met."""
    results = []
    for cpu in CPUS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.s"
            subprocess.run([kernel_code, "kernels", cpu, path], check=True)
            code = functions(path.read_text())
        roles = set()
        for row, lines in code.items():
            match = re.match(r"matmul_(f32_)?(two_bit)_(\d+)x16x16_(\w+)", row)
            if not match or match.group(4) == "portable":
                continue
            gemv = match.group(3) == "1"
            candidates = [(*product_of(row, body), body) for body in loops(lines)]
            # Of equals the shortest: another one unpacks as well, for the first token rows only.
            kind, products, body = max(candidates, key=lambda item: (item[1], -len(item[2])))
            if not products:
                raise SystemExit(f"{row} for {cpu}: no inner loop with products")
            rate = products / cycles(mca, cpu, body)
            share = rate / peak(mca, cpu, kind)
            role = (match.group(1), gemv)
            results.append({"cpu": cpu, "row": row, "chosen": role not in roles, "gemv": gemv,
                            "kind": kind, "rate": rate, "share": share,
                            "met": 64 / rate <= BOUND if gemv else share >= SHARE})
            roles.add(role)
    return results


def table_line(result):
    if result["gemv"]:
        speed = f"{64 / result['rate']:.2f} cycles for 64 weights"
    else:
        speed = f"{result['rate']:.1f} products a cycle, {result['share']:.0%} of `{result['kind']}`"
    return (f"| {result['cpu']} | `{result['row']}` | {speed} | {'yes' if result['met'] else 'no'} |"
            f" {'yes' if result['chosen'] else ''} |")


def check(results, text):
    """What FILE does not say, or says better than it is. 3 % are left for other register choices."""
    wrong = []
    for result in results:
        start = f"| {result['cpu']} | `{result['row']}` | "
        line = next((line for line in text.splitlines() if line.startswith(start)), None)
        if line is None:
            wrong.append(f"no line for {result['cpu']} {result['row']}")
            continue
        documented = float(re.match(r"[\d.]+", line[len(start):]).group(0))
        slower = (64 / result["rate"] / documented if result["gemv"]
                  else documented / result["rate"])
        if slower > 1.03:
            wrong.append(f"slower than documented: {line}\n  now {table_line(result)}")
    return wrong


def main():
    results = measure(sys.argv[1], sys.argv[2])
    if sys.argv[3:4] == ["--check"]:
        wrong = check(results, Path(sys.argv[4]).read_text())
        print("\n".join(wrong) or f"{len(results)} rows as documented")
        return 1 if wrong else 0
    print(f"Memory delivers 64 weights in {BOUND:.1f} cycles.\n")
    print("| CPU | row | speed | target met | chosen |\n| --- | --- | --- | --- | --- |")
    print("\n".join(table_line(result) for result in results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
