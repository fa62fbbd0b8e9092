"""Checks a file of `tern tune` and writes it again with other choices.

Usage: check_tuning.py MEASURED base3|mixed OUTPUT: all shapes base3, or every other one.
"""
import json
import sys

measured, mode, output = sys.argv[1:]
with open(measured) as file:
    tuning = json.load(file)
assert tuning["tern_tuning"] == 1 and tuning["threads"] >= 1, tuning
assert len(tuning["shapes"]) >= 2, tuning
for index, shape in enumerate(tuning["shapes"]):
    times = {time["packing"]: time["nanoseconds"] for time in shape["measured"]}
    assert set(times) == {"two_bit", "base3"} and min(times.values()) > 0, shape
    # A choice is never slower than the other packing beyond the noise that is allowed for.
    assert times[shape["packing"]] <= 1.03 * min(times.values()), shape
    shape["packing"] = "base3" if mode == "base3" or index % 2 else "two_bit"
with open(output, "w") as file:
    json.dump(tuning, file)
