#!/usr/bin/env python3
"""Writes IR files that would overflow a stack or fill the memory, and runs tern and tern-opt on each.

usage: hostile_ir.py FOLDER

Prints `FILE: TOOL: first line of stderr`; fails unless every run ends with exit code 1 within 20 seconds.
"""
import pathlib
import subprocess
import sys

DEEP = 20000


def aliases(text):
    """A chain of aliases: `text` gives each from the one before."""
    return "#a0 = [1]\n" + "".join(f"#a{i} = {text(f'#a{i - 1}')}\n" for i in range(1, DEEP)) + "module {}"


def function(body, name="main", entry=True):
    mark = " attributes {ternary.entry}" if entry else ""
    kind = "" if entry else "private "
    return f"func.func {kind}@{name}(%x: tensor<?x64xf32>) -> tensor<?x64xf32>{mark} {{\n{body}}}\n"


def call(value, callee):
    return f"  %y = call @{callee}({value}) : (tensor<?x64xf32>) -> tensor<?x64xf32>\n  return %y : tensor<?x64xf32>\n"


def chain(count):
    adds = "".join(f"  %{i + 1} = arith.addf %{i}, %{i} : tensor<?x64xf32>\n" for i in range(count))
    return function("  %0 = arith.addf %x, %x : tensor<?x64xf32>\n" + adds + f"  return %{count} : tensor<?x64xf32>\n")


FILES = {
    "regions": "module {" * DEEP + "}" * DEEP,
    "attributes": "module attributes {ternary.a = " + "[" * DEEP + "]" * DEEP + "} {}",
    "types": "func.func private @f(" + "tuple<" * DEEP + "i32" + ">" * DEEP + ")",
    "locations": "module {} loc(" + "fused[" * DEEP + '"x"' + "]" * DEEP + ")",
    "alias-chain": aliases(lambda before: f"[{before}]"),
    "alias-doubling": aliases(lambda before: f"[{before}, {before}]"),
    "sums": "#m = affine_map<(d0) -> (" + " + ".join(["d0"] * DEEP) + ")>\nmodule {}",
    "negations": "#m = affine_map<(d0) -> (" + "-" * DEEP + "d0)>\nmodule {}",
    "parentheses": "#m = affine_map<(d0) -> (d0" + " + (d0)" * DEEP + ")>\nmodule {}",
    "result-use": 'func.func @f() { %x = "a.b"(%y#1000000000) : (i32) -> i32\n return }',
    "result-use-apart": 'func.func @f() { %x = "a.b"(%y // here\n #1000000000) : (i32) -> i32\n return }',
    "result-count": 'func.func @f() { %x : 1000000000 = "a.b"() : () -> i32\n return }',
    "size": "//" + "x" * (64 << 20),
}
# These are valid IR, which only compiling refuses.
COMPILED = {
    "calls": "module attributes {ternary.files = []} {\n"
    + function(call("%x", "f0"))
    + "".join(function(call("%x", f"f{i + 1}"), f"f{i}", False) for i in range(DEEP))
    + function("  %y = arith.addf %x, %x : tensor<?x64xf32>\n  return %y : tensor<?x64xf32>\n", f"f{DEEP}", False)
    + "}",
    "operations": "module attributes {ternary.files = []} {\n" + chain(2000) + "}",
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name, text in (FILES | COMPILED).items():
        path = folder / f"{name}.mlir"
        path.write_text(text)
        runs = [["tern", "compile", path, "--target", "x86-64", "-o", folder / "model.so"]]
        if name in FILES:
            runs += [["tern", "inspect", path], ["tern-opt", path, "-o", folder / "out.mlir"]]
        for command in runs:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
            lines = ended.stderr.splitlines() or [""]
            print(f"{name}: {command[0]}: {lines[0]}")
            failed |= ended.returncode != 1
    sys.exit(failed)


main()
