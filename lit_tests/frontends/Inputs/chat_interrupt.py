"""usage: chat_interrupt.py LIBRARY: Ctrl-C while an answer comes ends the answer, at the prompt the program."""
import os
import select
import signal
import subprocess
import sys
import time

library = sys.argv[1]
chat = subprocess.Popen(["tern", "chat", library, "--template", "plain", "--greedy"],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_some(seconds):
    """What is on stdout within so many seconds; empty where nothing comes."""
    ready, _, _ = select.select([chat.stdout], [], [], seconds)
    return os.read(chat.stdout.fileno(), 65536) if ready else b""


def say(line):
    chat.stdin.write(line + b"\n")
    chat.stdin.flush()
    return read_some(60)


def quiet():
    """Waits until nothing more comes; all that came."""
    text = b""
    while True:
        more = read_some(1)
        if not more:
            return text
        text += more


# The whole answer, for comparison.
whole = subprocess.run(["tern", "chat", library, "--template", "plain", "--greedy"], input=b"Once upon a time\n",
                       capture_output=True, timeout=120).stdout.rstrip(b"\n")
assert len(whole) > 200, whole

# A machine that is busy elsewhere may let an answer end before the signal comes: some of many must be cut.
cut = 0
for turn in range(10):
    answer = say(b"/clear\nOnce upon a time")
    assert answer, "no answer to turn %d" % turn
    chat.send_signal(signal.SIGINT)
    answer += quiet()
    assert chat.poll() is None, "Ctrl-C in an answer ended the program"
    assert answer.endswith(b"\n"), answer
    answer = answer.rstrip(b"\n")
    assert whole.startswith(answer), (whole, answer)
    cut += len(answer) < len(whole)
    if cut == 3:
        break
assert cut, "no answer was cut"
# The conversation goes on after a cut answer.
assert say(b"And then?"), "no answer after Ctrl-C"
quiet()

# Waiting for a line: the end, as with Ctrl-D.
time.sleep(0.2)
chat.send_signal(signal.SIGINT)
code = chat.wait(timeout=60)
errors = chat.stderr.read().decode()
assert code == 0, (code, errors)
assert "error" not in errors, errors
