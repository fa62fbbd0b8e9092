"""The bundled model tells the same story on every machine.

usage: story.py record PROMPTS.json IDS.json MODEL.so RUNNER...
       story.py compare PROMPTS.json IDS.json MODEL.so RUNNER...

RUNNER is the command that runs tern-run. `record` writes the greedy ids of some prompts, `compare` fails
where they differ. (That they are right is another test's concern: golden_e2e_test.)"""

import json
import subprocess
import sys

TOKENS = 24
PROMPTS = ["empty", "once", "lily", "accents", "stories-100"]


def greedy(runner, model, ids, threads):
    command = runner + [model, "--ids", ",".join(map(str, ids)), "-n", str(TOKENS), "--output", "ids",
                        "--ignore-eos", "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return [int(id) for id in done.stdout.split()], done.stderr.strip()


def main():
    mode, prompts, path, model, runner = *sys.argv[1:5], sys.argv[5:]
    found = {}
    chosen = [prompt for prompt in json.load(open(prompts)) if prompt["name"] in PROMPTS]
    for i, prompt in enumerate(chosen):
        found[prompt["name"]], level = greedy(runner, model, prompt["input_ids"], 1 + i % 2)
        if len(found[prompt["name"]]) != TOKENS:
            sys.exit(f"{prompt['name']}: expected {TOKENS} ids, found {found[prompt['name']]}")
    if mode == "record":
        with open(path, "w") as out:
            json.dump(found, out)
        return
    expected = json.load(open(path))
    for name, ids in expected.items():
        if ids != found.get(name):
            sys.exit(f"{name} ({level}): expected {ids}, found {found.get(name)}")
    print(f"{level}: {len(expected)} prompts, {TOKENS} ids each, as expected")


main()
