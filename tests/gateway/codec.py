"""common/proto.h's messages for Python: the fields are read from the header itself."""
import os
import re
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load():
    text = open(os.path.join(ROOT, "common/proto.h")).read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
    fields = {}
    for name, rest in re.findall(r"#define PROTO_F_(\w+)\(U32, U64, I32, STR, BLOB\)(.*)", text):
        fields[name] = re.findall(r"(U32|U64|I32|STR|BLOB)\(\s*(\w+)", rest)
    messages = re.search(r"#define PROTO_MESSAGES\(X\)(.*)", text).group(1)
    types = {n: i + 1 for i, n in enumerate(re.findall(r"X\((\w+), \w+\)", messages))}
    enums = {}
    for body in re.findall(r"enum proto_(?:role|stage) \{(.*?)\}", text, flags=re.S):
        for i, n in enumerate(re.findall(r"\w+", body)):
            enums[n] = i
    return types, fields, enums, int(re.search(r"#define PROTO_VERSION (\d+)", text).group(1))


TYPES, FIELDS, ENUM, VERSION = load()
NAMES = {i: n for n, i in TYPES.items()}


def encode(name, **values):
    body = b""
    for kind, field in FIELDS[name]:
        v = values.pop(field, 0 if kind in ("U32", "U64", "I32") else "")
        if kind == "U32":
            body += struct.pack("<I", v)
        elif kind == "I32":
            body += struct.pack("<i", v)
        elif kind == "U64":
            body += struct.pack("<Q", v)
        else:
            v = v.encode() if isinstance(v, str) else v
            body += struct.pack("<I", len(v)) + v
    assert not values, values
    return struct.pack("<HHI", VERSION, TYPES[name], len(body)) + body


def decode(data):
    version, kind, n = struct.unpack_from("<HHI", data)
    assert version == VERSION and n == len(data) - 8, data
    at, out = 8, {}
    for k, field in FIELDS[NAMES[kind]]:
        if k in ("U32", "I32"):
            out[field] = struct.unpack_from("<I" if k == "U32" else "<i", data, at)[0]
            at += 4
        elif k == "U64":
            out[field] = struct.unpack_from("<Q", data, at)[0]
            at += 8
        else:
            length = struct.unpack_from("<I", data, at)[0]
            out[field] = data[at + 4:at + 4 + length]
            out[field] = out[field].decode() if k == "STR" else out[field]
            at += 4 + length
    return NAMES[kind], out
