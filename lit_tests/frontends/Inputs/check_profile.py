"""`tern bench --json --profile=FILE.html`: what other programs rely on, and a page that is well formed."""
import json
import sys
import xml.dom.minidom

with open(sys.argv[1]) as file:
    result = json.load(file)
assert set(result["profile"]) == {"prefill", "decode"}, result
for name, call in result["profile"].items():
    assert call["tokens"] == {"prefill": 16, "decode": 4}[name], call
    parts = call["waiting_seconds"] + call["outside_seconds"] + sum(op["seconds"] for op in call["ops"])
    assert abs(parts - call["seconds"]) <= 1e-6 * call["seconds"] + 1e-9, (parts, call["seconds"])
    kinds = [op["name"].split()[0] for op in call["ops"]]
    for kind in ("embedding", "quantize_rows", "fused_linear", "attention", "head"):
        assert kind in kinds, (kind, kinds)
    for op in call["ops"]:
        assert op["seconds"] >= 0 and op["executions"] > 0, op
        assert (op.get("limit") in ("memory", "int8")) == ("share_of_limit" in op), op
        if op["name"].startswith("fused_linear"):
            assert [layer["layer"] for layer in op["layers"]] == ["blk.0", "blk.1", "blk.2"], op
            assert op["bytes"] > 0 and op["macs"] > 0, op
page = xml.dom.minidom.parse(sys.argv[2])
assert len(page.getElementsByTagName("table")) == 2
assert page.getElementsByTagName("polyline")
assert len(page.getElementsByTagName("circle")) > 2
