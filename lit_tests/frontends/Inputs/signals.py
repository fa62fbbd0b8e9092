"""usage: signals.py MODEL LIBRARY FOLDER"""
import pathlib
import signal
import subprocess
import sys
import time

model, library, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
run = ["tern", "run", library, "-p", "Once", "--greedy", "--ignore-eos", "-n", "480"]


def closed_pipe(command):
    """Like `command | head -c 1`: SIGPIPE, not a crash, not an error code of ours."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.stdout.close()
    errors = process.stderr.read().decode()
    code = process.wait(timeout=60)
    assert code in (-signal.SIGPIPE, 0), (code, errors)
    assert "Stack dump" not in errors, errors


def interrupted(command, after):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1].decode()
    # Zero: it was done sooner.
    assert process.returncode in (-signal.SIGINT, 130, 0), (process.returncode, errors)
    assert "Stack dump" not in errors, errors


closed_pipe(run)
closed_pipe(["tern", "compile", model, "--emit=ll"])
closed_pipe(["tern", "inspect", model, "--json"])
for after in (0.05, 0.2, 0.5):
    interrupted(run, after)
    interrupted(["tern", "compile", model, "-o", folder / "x.so"], after)
left = [path.name for path in folder.iterdir() if path.name not in ("m.so", "x.so")]
assert not left, left
with open("/dev/full", "w") as full:
    done = subprocess.run(["tern", "tokenize", model, "--text", "a"], stdout=full, stderr=subprocess.PIPE)
assert done.returncode == 1 and b"tern: error: standard output" in done.stderr, done
