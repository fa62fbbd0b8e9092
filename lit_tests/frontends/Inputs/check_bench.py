"""The keys of `tern bench --json` that other programs rely on."""
import json
import sys

with open(sys.argv[1]) as file:
    result = json.load(file)
assert result["threads"] == 1, result
for key in ("prefill_tps", "decode_tps", "rss_mb"):
    assert result[key] > 0, (key, result)
for key in ("read_gbs", "int8_gmacs", "f32_gmacs"):
    assert result["limits"][key] > 0, (key, result)
