#!/usr/bin/env python3
"""Every op's description has an example, and every example parses, verifies and survives a round trip.

usage: op_examples.py TERNARYOPS_TD TERN_OPT
"""
import pathlib
import re
import subprocess
import sys

OP = re.compile(r'^def Ternary_\w+Op : Ternary_Op<"(\w+)"', re.MULTILINE)
EXAMPLE = re.compile(r"Examples?:\s*(?:```mlir\n(.*?)```|`([^`]+)`)", re.DOTALL)
OPEN, CLOSE = "<([{", ">)]}"


def examples(text):
    """(op, its examples), in order. A line that begins an operation begins an example."""
    starts = list(OP.finditer(text))
    for start, end in zip(starts, [*starts[1:], None]):
        found = EXAMPLE.search(text, start.end(), end.start() if end else len(text))
        block = (found[1] or found[2]).strip() if found else ""
        yield start[1], [part.strip() for part in re.split(r"\n(?=\s*%[\w, %]+ = ternary\.)", block) if part.strip()]


def split(text, separator):
    """Splits where no bracket is open. The `>` of an arrow closes nothing."""
    parts, depth, begin = [], 0, 0
    for at, char in enumerate(text):
        if char in OPEN:
            depth += 1
        elif char in CLOSE and text[at - 1 : at + 1] != "->":
            depth -= 1
        if depth == 0 and text.startswith(separator, at):
            parts.append(text[begin:at].strip())
            begin = at + len(separator)
    return [*parts, text[begin:].strip()]


def argument_types(example):
    """Operand names and types, from the types that the op prints: in operand order, one for all, or beside the operand.
    Positions and row counts are indices."""
    body = example.split(" = ", 1)[1]
    operands, _, types = (*split(body, " : "), "")[0], None, (*split(body, " : "), "")[1]
    listed = split(split(types, "->")[0], ",") if types else []
    result, names = {}, list(dict.fromkeys(re.findall(r"%\w+", operands)))
    for name in names:
        inline = re.search(re.escape(name) + r" : ([^()]+)\)", operands)
        if name in ("%position", "%rows"):
            result[name] = "index"
        elif inline:
            result[name] = inline[1]
    rest = [name for name in names if name not in result]
    if len(listed) == 1:
        listed *= len(rest)
    if len(listed) != len(rest):
        raise ValueError(f"{len(rest)} operands {rest}, types {listed}")
    result.update(zip(rest, listed))
    return result


def module(example, weight):
    text = 'module attributes {ternary.files = ["model.safetensors"]} {\n' + weight + "\n"
    if "%" in example:
        arguments = ", ".join(f"{name}: {kind}" for name, kind in argument_types(example).items())
        text += f"func.func @example({arguments}) {{\n{example}\nreturn\n}}\n"
    return text + "}\n"


def opt(tool, text):
    return subprocess.run([tool, "--allow-unregistered-dialect=false", "-"], input=text, capture_output=True, text=True)


def complaints(tool, name, listed, weight):
    if not listed:
        yield "has no example"
    for example in listed:
        once = opt(tool, module(example, weight))
        twice = opt(tool, once.stdout)
        if once.returncode or f"ternary.{name} " not in once.stdout:
            yield f"example is refused:\n{example}\n{once.stderr}"
        elif twice.stdout != once.stdout:
            yield f"example changes in a round trip:\n{once.stdout}\n{twice.stdout}{twice.stderr}"


def main():
    text, tool = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2]
    found = dict(examples(text))
    failures = 0
    for name, listed in found.items():
        for complaint in complaints(tool, name, listed, found["weight"][0]):
            failures += 1
            print(f"ternary.{name}: {complaint}")
    print(f"{len(found)} ops, {failures} bad examples")
    sys.exit(failures != 0 or len(found) < 10)


main()
