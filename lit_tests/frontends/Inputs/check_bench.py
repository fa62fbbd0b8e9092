"""The keys of `tern bench --json` that other programs rely on."""
import json
import sys

with open(sys.argv[1]) as file:
    result = json.load(file)
assert result["threads"] == 1, result
for key in ("prefill_tps", "decode_tps", "rss_mb"):
    assert result[key] > 0, (key, result)
memory = result["memory"]
assert memory["weights_bytes"] == result["weights_bytes"], memory
for key in ("weights_resident", "weights_huge", "cache_resident", "work_resident"):
    assert 0 <= memory[key] <= result["rss_mb"] * 1e6 + (4 << 20), (key, result)
for key in ("read_gbs", "int8_gmacs", "f32_gmacs"):
    assert result["limits"][key] > 0, (key, result)
