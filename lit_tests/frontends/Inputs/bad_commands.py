"""Runs bad command lines: exit code, nothing on stdout, the expected words on stderr, no hang.

usage: bad_commands.py MODEL FOLDER < TABLE

A line of the table is `exit code | command | words on stderr`; `...` stands between words that come in this order.
In commands, {model} is the model folder, {so} a library compiled from it, {t} a scratch folder with the files made below.
"""
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

SECONDS = 120


def make_files(model, folder):
    """Files that are no models, each in its own way."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    library = folder / "m.so"
    subprocess.run(["tern", "compile", model, "-q", "-o", library, "--target", "x86-64"], check=True)
    data = library.read_bytes()
    (folder / "short.so").write_bytes(data[:4000])
    (folder / "half.so").write_bytes(data[: len(data) // 2])
    middle = len(data) // 2
    (folder / "flipped.so").write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    (folder / "empty").write_bytes(b"")
    (folder / "empty.so").write_bytes(b"")
    (folder / "text.so").write_text("no library at all\n")
    (folder / "bad.mlir").write_text("module { nonsense }\n")
    (folder / "no-entry.mlir").write_text("module {}\n")
    (folder / "model.gguf").write_bytes(b"GGUF")
    (folder / "model.bin").write_bytes(b"PK")
    (folder / "words.txt").write_text("1 2 three\n")
    (folder / "far.txt").write_text("1 2 99999\n")
    (folder / "one.txt").write_text("1\n")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.mlir")
    (folder / "bare").mkdir()
    for name, change in {
        "no-weights": lambda f: (f / "model.safetensors").unlink(),
        "bad-config": lambda f: (f / "config.json").write_text("{"),
        "other-family": lambda f: (f / "config.json").write_text('{"architectures": ["OtherModel"]}'),
        "empty-weights": lambda f: (f / "model.safetensors").write_bytes(b""),
        "bad-tokenizer": lambda f: (f / "tokenizer.json").write_text("[]"),
        "no-tokenizer": lambda f: (f / "tokenizer.json").unlink(),
    }.items():
        copy = folder / name
        copy.mkdir()
        for source in pathlib.Path(model).iterdir():
            # A link to the 9 MB of weights; copies of what may be changed.
            if source.suffix == ".safetensors":
                (copy / source.name).symlink_to(source)
            else:
                shutil.copy(source, copy)
        if name == "empty-weights":
            (copy / "model.safetensors").unlink()
        change(copy)
    return library


def check(code, command, words):
    """The complaint about one line, or None."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"still running after {SECONDS} s"
    errors = done.stderr.decode(errors="replace")
    if done.returncode != code:
        return f"exit code {done.returncode}, expected {code}: {errors}"
    if done.stdout:
        return f"wrote to stdout: {done.stdout[:200]!r}"
    # LLVM prints what is wrong with the value of one of MLIR's flags itself.
    if not errors.startswith("tern: error: ") and "--mlir-" not in command:
        return f"stderr does not begin with 'tern: error: ': {errors}"
    at = 0
    for word in words.split("..."):
        found = errors.find(word.strip(), at)
        if found < 0:
            return f"expected {word.strip()!r} in: {errors}"
        at = found + len(word.strip())
    return None


def main():
    model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    library = make_files(model, folder)
    failures = count = 0
    for line in sys.stdin:
        if not line.strip() or line.startswith("#"):
            continue
        code, command, words = (part.strip() for part in line.split("|", 2))
        command = command.format(model=model, so=library, t=folder)
        complaint = check(int(code), command, words.format(t=folder))
        count += 1
        if complaint:
            failures += 1
            print(f"{command}\n  {complaint.rstrip()}")
    print(f"{count} bad commands, {failures} not refused as expected")
    sys.exit(failures != 0 or count < 50)


main()
