"""The messages of common/proto.h in Python, read from the header itself, so that they cannot drift."""
import array
import os
import re
import socket
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAX_BYTES, MAX_FDS = 160 * 1024, 32


def _read():
    text = re.sub(r"/\*.*?\*/", "", open(os.path.join(ROOT, "common", "proto.h")).read(), flags=re.S)
    text = text.replace("\\\n", " ")
    fields = {}
    for name, body in re.findall(r"#define PROTO_F_(\w+)\(U32, U64, I32, STR, BLOB\)(.*)", text):
        fields[name] = re.findall(r"(U32|U64|I32|STR|BLOB)\((\w+)", body)
    order = re.findall(r"X\((\w+), \w+\)", re.search(r"#define PROTO_MESSAGES\(X\)(.*)", text).group(1))
    enums = {}
    for body in re.findall(r"enum \w+ \{(.*?)\}", text, flags=re.S):
        n = -1
        for item in filter(None, (i.strip() for i in body.split(","))):
            m = re.match(r"^([A-Z]\w+)(?:\s*=\s*(\d+))?$", item)
            if m:
                n = int(m.group(2)) if m.group(2) else n + 1
                enums[m.group(1)] = n
    return fields, order, enums, int(re.search(r"#define PROTO_VERSION (\d+)", text).group(1))


FIELDS, ORDER, ENUM, VERSION = _read()
TYPES = {name: i + 1 for i, name in enumerate(ORDER)}
STAGES = {v: k[6:] for k, v in ENUM.items() if k.startswith("STAGE_")}


class Message:
    def __init__(self, type_, values, fds=()):
        self.__dict__.update(values)
        self.type, self.fds = type_, list(fds)

    def __repr__(self):
        return f"{self.type}{ {k: v for k, v in self.__dict__.items() if k not in ('type', 'fds')} } fds={self.fds}"

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def encode(name, /, **values):
    out = b""
    for kind, field in FIELDS[name]:
        v = values.pop(field, b"" if kind in ("STR", "BLOB") else 0)
        if kind in ("STR", "BLOB"):
            v = v.encode() if isinstance(v, str) else v
            out += struct.pack("<I", len(v)) + v
        else:
            out += struct.pack({"U32": "<I", "U64": "<Q", "I32": "<i"}[kind], v)
    assert not values, f"{name} has no {list(values)}"
    return struct.pack("<HHI", VERSION, TYPES[name], len(out)) + out


def decode(data, fds=()):
    version, number, _ = struct.unpack_from("<HHI", data)
    assert version == VERSION
    name, at, values = ORDER[number - 1], 8, {}
    for kind, field in FIELDS[name]:
        if kind in ("STR", "BLOB"):
            n = struct.unpack_from("<I", data, at)[0]
            v, at = data[at + 4:at + 4 + n], at + 4 + n
            values[field] = v.decode() if kind == "STR" else v
        else:
            form = {"U32": "<I", "U64": "<Q", "I32": "<i"}[kind]
            values[field] = struct.unpack_from(form, data, at)[0]
            at += struct.calcsize(form)
    assert at == len(data), name
    return Message(name, values, fds)


def pack(name, /, fds=(), **values):
    """What sendmsg takes"""
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    return [encode(name, **values)], anc, socket.MSG_NOSIGNAL


def send(sock, name, /, fds=(), **values):
    sock.sendmsg(*pack(name, fds, **values))


def receive(sock):
    """A Message, or None at the end."""
    try:
        data, anc, _, _ = sock.recvmsg(MAX_BYTES, socket.CMSG_SPACE(4 * MAX_FDS), socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = array.array("i")
    for level, kind, raw in anc:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(raw[:len(raw) - len(raw) % 4])
    return decode(data, fds) if data else None


def strings(blob):
    return [s.decode() for s in blob.split(b"\0")[:-1]]
