#!/usr/bin/env python3
# Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writers and readers of safetensors and GGUF files."""

import json
import struct

GGML_TYPES = {"F32": 0, "F16": 1, "BF16": 30, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q8_0": 8, "Q4_K": 12, "Q5_K": 13,
              "Q6_K": 14,
              "TQ1_0": 34, "TQ2_0": 35, "I2_S": 36, "Q2_0": 42, "IQ1_BN": 134, "IQ2_BN": 135,
              "PQ2_0": 142, "PTQ1_0": 143}
ALIGN = 32


class U16(int):
    """A number of type u16 in GGUF, where a plain int is u32."""


class I32(int):
    """The same of i32."""


def write_safetensors(path, tensors):
    """`tensors`: name -> (dtype, shape, bytes)."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    """name -> (dtype, shape, bytes)"""
    with open(path, "rb") as file:
        data = file.read()
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    data = data[8 + size:]
    return {name: (e["dtype"], tuple(e["shape"]), data[e["data_offsets"][0]:e["data_offsets"][1]])
            for name, e in header.items()}


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def text(self):
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode(errors="replace")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            element, count = self.take("IQ")
            return [self.value(element) for _ in range(count)]
        return self.take("BbHhIif?"[kind] if kind < 8 else {10: "Q", 11: "q", 12: "d"}[kind])


def read_gguf(path):
    """metadata, name -> (type, shape with rows first, bytes up to the next tensor)"""
    with open(path, "rb") as file:
        cursor = Cursor(file.read())
    magic, version, tensors, keys = cursor.take("4sIQQ")
    assert (magic, version) == (b"GGUF", 3), (magic, version)
    metadata = {}
    for _ in range(keys):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.take("I"))
    infos = []
    for _ in range(tensors):
        name, rank = cursor.text(), cursor.take("I")
        shape = tuple(reversed([cursor.take("Q") for _ in range(rank)]))
        infos.append((name, shape) + cursor.take("IQ"))
    start = -(-cursor.at // ALIGN) * ALIGN
    names = {number: name for name, number in GGML_TYPES.items()}
    ends = sorted(offset for *_, offset in infos)[1:] + [len(cursor.data) - start]
    after = dict(zip(sorted(offset for *_, offset in infos), ends))
    return metadata, {name: (names[kind], shape, cursor.data[start + offset:start + after[offset]])
                      for name, shape, kind, offset in infos}


def gguf_string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_string(value)
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, list):
        kind, pack = ((8, gguf_string) if isinstance(value[0], str) else (5, lambda number: struct.pack("<i", number)))
        return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(map(pack, value))
    if isinstance(value, U16):
        return struct.pack("<IH", 2, value)
    if isinstance(value, I32):
        return struct.pack("<Ii", 5, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<If", 6, value)


def write_gguf(path, metadata, tensors):
    """`tensors`: name -> (type, shape with rows first, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += gguf_string(key) + gguf_value(value)
    data = b""
    for name, (kind, shape, content) in tensors.items():
        head += gguf_string(name) + struct.pack("<I", len(shape))
        head += struct.pack("<%dQ" % len(shape), *reversed(shape))
        head += struct.pack("<IQ", GGML_TYPES[kind], len(data))
        data += content + bytes(-len(content) % ALIGN)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGN) + data)


def write_gguf_parts(path, metadata, tensors, parts):
    """`m.gguf` becomes m-00001-of-0000N.gguf and so on, with tensors dealt out in turn; the first part's path."""
    names = list(tensors)
    paths = []
    for part in range(parts):
        split = {"split.no": U16(part), "split.count": U16(parts), "split.tensors.count": I32(len(names))}
        paths.append(path[:-len(".gguf")] + "-%05d-of-%05d.gguf" % (part + 1, parts))
        write_gguf(paths[-1], {**(metadata if part == 0 else {}), **split},
                   {name: tensors[name] for name in names[part::parts]})
    return paths[0]
