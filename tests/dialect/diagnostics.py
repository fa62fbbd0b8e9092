#!/usr/bin/env python3
"""Lists the diagnostics of the dialect, the passes and code generation that no lit test mentions; fails if there are any.

usage: diagnostics.py SOURCE

A diagnostic is a call of emitError, emitOpError or makeError. It counts as tested if the longest of its string
literals stands in a lit test.
"""
import pathlib
import re
import sys

CALL = re.compile(r"\b(?:emitError|emitOpError|makeError)\((?!loc\); ?})[^;]*;", re.DOTALL)
# What a verifier has refused before.
SAID_BEFORE = {"expected a cache of f32"}
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def words(text):
    """Without what line breaks and escapes change, and without the end that introduces a value."""
    text = re.sub(r"\s+", " ", text.replace('\\"', '"').replace("\\", "")).strip()
    return re.sub(r",? got$", "", text)


def main():
    source = pathlib.Path(sys.argv[1])
    tests = ""
    for path in sorted((source / "lit_tests").rglob("*")):
        if path.suffix in (".mlir", ".test", ".txt"):
            tests += words(path.read_text()) + "\n"
    untested = count = 0
    for folder in ("dialect", "passes", "codegen"):
        for path in sorted((source / folder).glob("*.cpp")):
            text = path.read_text()
            for call in CALL.finditer(text):
                literals = [words(piece) for piece in LITERAL.findall(re.sub(r'"\s*\n\s*"', "", call[0]))]
                longest = max(literals, key=len, default="")
                if not longest:
                    continue
                count += 1
                if longest not in tests and longest not in SAID_BEFORE:
                    untested += 1
                    print(f"{path.relative_to(source)}:{text.count(chr(10), 0, call.start()) + 1}: {' .. '.join(literals)}")
    print(f"{count} diagnostics, {untested} without a test")
    sys.exit(untested != 0 or count < 20)


main()
