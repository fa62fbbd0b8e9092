#!/usr/bin/env python3
"""Measures models against this machine's limits; writes all figures as JSON and a table as Markdown.

usage: table.py TERN FOLDER OUTPUT.json [--rounds N] [--only TEXT]

TERN is the program, FOLDER takes the checkpoint, library and caches that are made (3 GB; what is there is used
again), OUTPUT.json and the same name with .md are written. Each figure is the median of N rounds (5); the limits
(reading, products of the CPU's widest instruction) are measured in the same process. --only: rows whose name
contains TEXT."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

SHAPE = ["--shape", "bitnet-2b4t"]
# Of the bundled trained model, measured by `tern eval --activity`.
ACTIVITY = ["--activity", "28,11"]
# What needs the least memory: no scratch for skipping, a cache of one byte a number, short pieces of a prompt.
SMALL = ["--target", "host", "--sparse", "off", "--kv", "int8", "--max-rows", "64"]
SOURCE = Path(__file__).resolve().parent.parent


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory.group(1)) / 1e6, 1),
        "system": platform.release(),
    }


class Bench:
    def __init__(self, arguments):
        self.tern, self.folder, self.rounds = arguments.tern, arguments.folder, arguments.rounds
        self.only, self.rows, self.runs = arguments.only, [], {}

    def run(self, *flags):
        """The figures of one `tern bench`, which several rows may show."""
        if flags not in self.runs:
            command = [self.tern, "bench", *flags, "-r", str(self.rounds), "--json"]
            print("+", *command[1:], file=sys.stderr)
            self.runs[flags] = json.loads(output(*command))
        return self.runs[flags]

    def row(self, name, target, command, measure):
        """`measure` gives (text, figures); `target` is text. A row that fails does not cost the others."""
        if self.only not in name:
            return
        try:
            text, figures = measure()
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or b"").strip()[-200:]
            text, figures = f"failed: {reason}", {}
        self.rows.append({"what": name, "measured": text, "target": target, "command": command, "figures": figures})

    def bench_row(self, name, target, flags, text):
        def measure():
            figures = self.run(*flags)
            return text(figures), figures
        self.row(name, target, "tern bench " + " ".join(flags), measure)

    def seconds(self, *command, before=lambda: None, **environment):
        """Median wall time of a process."""
        times = []
        for _ in range(self.rounds):
            before()
            begin = time.monotonic()
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
            times.append(time.monotonic() - begin)
        return statistics.median(times)

    def checkpoint(self):
        path = self.folder / "2b4t"
        if not (path / "config.json").exists():
            subprocess.run([sys.executable, SOURCE / "benchmarks/make_checkpoint.py", "2b4t", path], check=True)
        return path

    def library(self, name, *flags):
        path = self.folder / name
        subprocess.run([self.tern, "compile", self.checkpoint(), "-q", "-o", path, *flags], check=True)
        return str(path)

    def peak_memory(self, library, threads):
        """MiB resident at most in a process of the runtime alone that decodes with a library."""
        runner = str(Path(self.tern).with_name("tern-run"))
        process = subprocess.Popen([runner, library, "--ids", "1,2,3,4", "-n", "64", "--ignore-eos", "--output", "ids",
                                    "--threads", threads],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, runner)
        return usage.ru_maxrss / 1024


def share(value):
    return f"{100 * value:.0f} %"


def prefill(figures):
    name = "int8" if "prefill_share_of_int8" in figures else "f32"
    peak = figures["limits"][f"{name}_gmacs"]
    return (f"{figures['prefill_tps']:.0f} tokens/s, {share(figures[f'prefill_share_of_{name}'])} of "
            f"{peak:.0f} G {name} multiply-adds/s")


def decode(figures):
    return (f"{figures['decode_tps']:.1f} tokens/s, {share(figures['decode_share_of_read'])} of "
            f"{figures['limits']['read_gbs']:.1f} GB/s for {figures['decode_bytes'] / 1e6:.0f} MB a token")


def speed(figures):
    return f"{figures['decode_tps']:.1f} tokens/s"


def measure_shapes(bench):
    for threads, prefill_target, decode_target in ((2, 175, 46), (1, 90, 36)):
        dense = [*SHAPE, "--threads", str(threads), "--sparse", "off", "-p", "512", "-n", "32"]
        bench.bench_row(f"prefill 512, {threads} threads", f"{prefill_target}; 75 % of the peak", dense, prefill)
        tuning = bench.folder / f"tuning-{threads}.json"
        if bench.only in f"decode, {threads} threads":
            output(bench.tern, "tune", *SHAPE, "--threads", str(threads), "-o", tuning)
        target = f"{decode_target}; 90 % of reading"
        bench.bench_row(f"decode, {threads} threads", target, dense, decode)
        bench.bench_row(f"decode, {threads} threads, two_bit", target, [*dense, "--packing", "two_bit"], decode)
        bench.bench_row(f"decode, {threads} threads, tern tune's packings", target, [*dense, "--tuning", str(tuning)],
                        decode)
    sparse = [*SHAPE, *ACTIVITY, "--threads", "2", "-p", "512", "-n", "32"]
    bench.bench_row("decode, sparse", "62", sparse, speed)
    bench.bench_row("decode, sparse, two_bit", "62", [*sparse, "--packing", "two_bit"], speed)
    bench.bench_row("decode, the same without skipping", "", [*sparse, "--sparse", "off"], speed)
    bench.bench_row("prefill 512, sparse", "", sparse, prefill)
    for kv in ("f32", "f16", "int8"):
        bench.bench_row(f"decode at 4080 tokens, --kv {kv}", "1.25 x the time at 0",
                        [*SHAPE, "--threads", "2", "--sparse", "off", "-p", "64", "-n", "16", "--context", "4080",
                         "--kv", kv],
                        lambda f: f"{f['decode_tps'] / f['decode_in_context_tps']:.2f} x")
    bench.bench_row("decode, 8 sequences", "4.5 x one",
                    [*SHAPE, "--threads", "2", "--sparse", "off", "-p", "64", "-n", "16", "--batch", "8"],
                    lambda f: f"{f['batch']['tps']:.0f} tokens/s, {f['batch']['tps'] / f['decode_tps']:.2f} x one")
    for activations in ("float", "int8", "int8-g128"):
        flags = ["--shape", "bonsai-1.7b", "--activations", activations, "--threads", "2", "-p", "512", "-n", "32"]
        bench.bench_row(f"bonsai-1.7b, {activations}: prefill 512", "", flags, prefill)
        bench.bench_row(f"bonsai-1.7b, {activations}: decode", "", flags, decode)


def measure_files(bench):
    once = ["--ids", "1,2,3,4", "-n", "1", "--greedy", "--output", "ids"]
    if any(bench.only in name for name in ("memory while decoding", "library to first token")):
        for name, flags in (("2b4t.so", []), ("2b4t-host.so", ["--target", "host"]), ("2b4t-small.so", SMALL)):
            library = bench.library(name, *flags)
            bench.row("memory while decoding, " + (" ".join(flags) or "all levels"), "700 MiB",
                      f"tern-run {name} -n 64",
                      lambda: (lambda mib: (f"{mib:.0f} MiB", {"mib": mib}))(bench.peak_memory(library, "2")))
        bench.row("library to first token, page cache warm", "0.3 s", f"tern run {name} -n 1",
                  lambda: (lambda s: (f"{s:.2f} s", {"seconds": s}))(bench.seconds(bench.tern, "run", library, *once)))
    with tempfile.TemporaryDirectory(dir=bench.folder) as cache:
        run = [bench.tern, "run", str(bench.checkpoint()), *once]
        clear = lambda: subprocess.run([bench.tern, "cache", "--clear"], check=True, capture_output=True,
                                       env={**os.environ, "XDG_CACHE_HOME": cache})
        for name, target, before in (("cold", "8 s", clear), ("warm", "0.5 s", lambda: None)):
            bench.row(f"folder to first token, model cache {name}", target, "tern run 2b4t -n 1",
                      lambda: (lambda s: (f"{s:.2f} s", {"seconds": s}))(
                          bench.seconds(*run, before=before, XDG_CACHE_HOME=cache)))


def markdown(result):
    lines = [
        f"{result['date']}, {result['machine']['cpu']}, {result['machine']['cores']} cores, "
        f"{result['machine']['memory_gb']} GB, {result['tern']}, {result['compiler']}; "
        f"medians of {result['rounds']}, by `./dev bench`.", "",
        "| what | measured | target | command |", "| --- | --- | --- | --- |"
    ]
    lines += [f"| {row['what']} | {row['measured']} | {row['target']} | `{row['command']}` |" for row in result["rows"]]
    return "\n".join(lines) + "\n"


def write(path, text):
    """By way of a temporary file: an interrupted run loses no figures."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("tern")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments)
    measure_shapes(bench)
    measure_files(bench)
    commands = [row["command"].replace(str(arguments.folder) + "/", "") for row in bench.rows]
    for row, command in zip(bench.rows, commands):
        row["command"] = command
        row["figures"] = {key: value for key, value in row["figures"].items() if key != "model"}
    result = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "tern": output(arguments.tern, "--version"),
        "compiler": output("clang++-22", "--version").splitlines()[0],
        "rounds": arguments.rounds,
        "rows": bench.rows,
    }
    write(arguments.output, json.dumps(result, indent=1) + "\n")
    text = markdown(result)
    write(arguments.output.with_suffix(".md"), text)
    print(text, end="")


if __name__ == "__main__":
    main()
