"""Builds git objects and packs by hand, honest and not, and requests that push them."""
import hashlib
import struct
import zlib

NONE = "0" * 40
TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4, "ofs": 6, "ref": 7}
WHO = b"Eve <eve@example.org> 1700000000 +0000"
README = b"---\ntitle: T\nsdk: static\n---\n"


def sha(kind, data):
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


class Pack:
    """Objects that go into a pack: each add returns its name."""

    def __init__(self):
        self.objects = []  # (type, data that is deflated, size that is said)

    def add(self, kind, data):
        self.objects.append((kind, zlib.compress(data), len(data)))
        return sha(kind, data)

    def blob(self, data=b"x"):
        return self.add("blob", data)

    def tree(self, *entries):
        """entries: (mode, name, oid), written in the order given"""
        return self.add("tree", b"".join(m.encode() + b" " + (n if isinstance(n, bytes) else n.encode()) + b"\0" + bytes.fromhex(o)
                                         for m, n, o in entries))

    def commit(self, tree, *parents, who=WHO, message=b"Evil\n"):
        lines = [b"tree " + tree.encode()] + [b"parent " + p.encode() for p in parents] + [b"author " + who, b"committer " + who]
        return self.add("commit", b"\n".join(lines) + b"\n\n" + message)

    def space(self, *more, readme=README):
        """A commit of a static Space with further entries, sorted as git wants them."""
        entries = [("100644", b"README.md", self.blob(readme)), ("100644", b"index.html", self.blob(b"evil")),
                   *[(m, n if isinstance(n, bytes) else n.encode(), o) for m, n, o in more]]
        return self.commit(self.tree(*sorted(entries, key=lambda e: e[1] + (b"/" if e[0] == "40000" else b""))))

    def delta(self, base_oid, delta):
        self.objects.append(("ref", bytes.fromhex(base_oid) + zlib.compress(delta), len(delta)))

    def bytes(self, count=None):
        out = struct.pack(">4sII", b"PACK", 2, len(self.objects) if count is None else count)
        for kind, data, size in self.objects:
            first, size = TYPES[kind] << 4 | size & 15, size >> 4
            while size:
                out += bytes([first | 128])
                first, size = size & 127, size >> 7
            out += bytes([first]) + data
        return out + hashlib.sha1(out).digest()


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def copies(size, times):
    """A delta: the first `size` (< 64 KiB) bytes of its base, so many times"""
    one = bytes([0x80 | 0x10 | 0x20]) + struct.pack("<H", size)
    return varint(size) + varint(size * times) + one * times


def pkt(data):
    data = data if isinstance(data, bytes) else data.encode()
    return b"%04x" % (len(data) + 4) + data


def push(updates, pack=b"", caps="report-status side-band-64k agent=test"):
    """The body of a request to git-receive-pack; updates: (old, new, ref)"""
    out = b""
    for i, (old, new, ref) in enumerate(updates):
        ref = ref if isinstance(ref, bytes) else ref.encode()
        out += pkt(f"{old} {new} ".encode() + ref + (b"\0 " + caps.encode() if i == 0 else b""))
    return out + b"0000" + pack
