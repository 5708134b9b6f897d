"""The messages of common/proto.h, encoded and decoded by what that header says, so that a test speaks what the
programs speak."""
import array
import os
import re
import socket
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _read(path):
    return open(os.path.join(ROOT, path)).read()


VERSION = int(re.search(r"#define PROTO_VERSION (\d+)", _read("common/proto.h")).group(1))


def _messages():
    text = re.sub(r"/\*.*?\*/", "", _read("common/proto.h"), flags=re.S).replace("\\\n", " ")
    fields = {}
    for name, body in re.findall(r"#define PROTO_F_(\w+)\(U32, U64, I32, STR, BLOB\)([^\n]*)", text):
        fields[name] = re.findall(r"(U32|U64|I32|STR|BLOB)\((\w+)", body)
    order = re.findall(r"X\((\w+), \w+\)", re.search(r"#define PROTO_MESSAGES\(X\)([^\n]*)", text).group(1))
    enums = {}
    for body in re.findall(r"enum \w+ \{(.*?)\}", text, flags=re.S):
        value = 0
        for item in (i.strip() for i in body.split(",")):
            m = re.fullmatch(r"([A-Z]\w+)(?:\s*=\s*(\d+))?", item)
            if m:
                value = int(m.group(2)) if m.group(2) else value
                enums[m.group(1)] = value
                value += 1
    return order, fields, enums


ORDER, FIELDS, CONST = _messages()
_NUMBER = {"U32": "<I", "U64": "<Q", "I32": "<i"}


def encode(name, **values):
    body = b""
    for kind, field in FIELDS[name]:
        value = values.pop(field, 0 if kind in _NUMBER else "")
        if kind in _NUMBER:
            body += struct.pack(_NUMBER[kind], value)
        else:
            data = value.encode() if isinstance(value, str) else value
            body += struct.pack("<I", len(data)) + data
    assert not values, values
    return struct.pack("<HHI", VERSION, ORDER.index(name) + 1, len(body)) + body


def decode(data):
    _, kind, length = struct.unpack_from("<HHI", data)
    name, at, out = ORDER[kind - 1], 8, {}
    for form, field in FIELDS[name]:
        if form in _NUMBER:
            out[field] = struct.unpack_from(_NUMBER[form], data, at)[0]
            at += struct.calcsize(_NUMBER[form])
        else:
            size = struct.unpack_from("<I", data, at)[0]
            at += 4
            out[field] = data[at:at + size].decode() if form == "STR" else data[at:at + size]
            at += size
    assert at == len(data) == 8 + length
    return name, out


def send(sock, name, fds=(), **values):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([encode(name, **values)], ancillary)


def recv(sock):
    """(name, fields, descriptors), or None at the end."""
    data, ancillary, _, _ = sock.recvmsg(1 << 18, socket.CMSG_SPACE(4 * 32), socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    fds = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[:len(content) - len(content) % 4])
    return (*decode(data), list(fds))


def schema(which):
    """The SQL of schema_site or schema_life, one text a migration."""
    text = re.search(r"schema_%s\[\] = \{(.*?)\n\};" % which, _read("common/schema.c"), flags=re.S).group(1)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    entries = re.split(r",\s*\n", re.sub(r"NULL,?\s*$", "", text.strip()))
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', e)).replace('\\"', '"') for e in entries if '"' in e]
