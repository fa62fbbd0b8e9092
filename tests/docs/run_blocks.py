#!/usr/bin/env python3
"""Runs the ```sh blocks of a Markdown page and compares the output blocks that follow them.

usage: run_blocks.py PAGE SOURCE BUILD SCRATCH

The blocks of a page run in one shell, in a scratch copy of the repository's top level with BUILD as `build`. A block
without a language right after a ```sh block is its output: its lines must be there in this order (others may stand
between them), with `...` for any text. `./dev JOB` only checks that dev has that job.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEV = """#!/bin/sh
grep -q "^  $1 " "{source}/dev" || {{ echo "dev has no job '$1'" >&2; exit 2; }}
"""


def blocks(text):
    """(shell commands, expected output or None) of each ```sh block."""
    found = list(FENCE.finditer(text))
    for index, fence in enumerate(found):
        if fence[1] != "sh":
            continue
        following = found[index + 1] if index + 1 < len(found) else None
        adjacent = following and not following[1] and not text[fence.end() : following.start()].strip()
        yield fence[2], following[2] if adjacent else None


def make_scratch(source, build, scratch):
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for entry in source.iterdir():
        if not entry.name.startswith((".", "build")) and entry.name != "dev":
            (scratch / entry.name).symlink_to(entry)
    (scratch / "build").symlink_to(build)
    (scratch / "dev").write_text(DEV.format(source=source))
    (scratch / "dev").chmod(0o755)


def missing_line(expected, output):
    """The first line of `expected` that `output` lacks, or None."""
    lines = iter(output.splitlines())
    for wanted in expected.splitlines():
        pattern = re.compile(".*".join(map(re.escape, wanted.strip().split("..."))))
        if not any(pattern.fullmatch(line.strip()) for line in lines):
            return wanted
    return None


def main():
    page, source, build, scratch = map(pathlib.Path, sys.argv[1:5])
    make_scratch(source, build, scratch)
    pairs = list(blocks(page.read_text()))
    script = ["set -eu"]
    for index, (commands, _) in enumerate(pairs):
        script.append(f"exec >out.{index} 2>&1\n{commands}")
    environment = dict(os.environ, PATH=f"{build}/bin:{os.environ['PATH']}")
    code = subprocess.run(["bash", "-c", "\n".join(script)], cwd=scratch, env=environment, stdin=subprocess.DEVNULL).returncode
    failed = code != 0
    for index, (commands, expected) in enumerate(pairs):
        path = scratch / f"out.{index}"
        output = path.read_text(errors="replace") if path.exists() else ""
        last = code != 0 and not (scratch / f"out.{index + 1}").exists()
        complaint = f"exit code {code}" if last else None
        if not complaint and expected is not None:
            line = missing_line(expected, output)
            complaint = line and f"expected line: {line}"
        if complaint:
            failed = True
            print(f"{page.name}: {complaint}\n--- commands\n{commands}--- output\n{output}")
        if last:
            break
    print(f"{page.name}: {len(pairs)} blocks of commands")
    sys.exit(failed)


main()
