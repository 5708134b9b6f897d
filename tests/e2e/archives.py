"""Builds archives, honest and not, for tests of bundles."""
import gzip
import io
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib

README = b"---\ntitle: T\nsdk: python\n---\n# Hello\n"
APP = b"print('hello')\n"
DIR, LINK, HARD, CHAR, BLOCK, FIFO = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                                      tarfile.BLKTYPE, tarfile.FIFOTYPE)


def entry(name, data=b"", kind=tarfile.REGTYPE, to="", mode=0o644):
    return name, data, kind, to, mode


GOOD = [entry("README.md", README), entry("app.py", APP)]


def tar(entries, form=tarfile.GNU_FORMAT, mtime=0):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as t:
        for name, data, kind, to, mode in entries:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname, info.mode, info.mtime = len(data), kind, to, mode, mtime
            info.devmajor, info.devminor = 1, 3
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def good_tar(*more):
    return tar(GOOD + list(more))


KINDS = {tarfile.REGTYPE: stat.S_IFREG, DIR: stat.S_IFDIR, LINK: stat.S_IFLNK, CHAR: stat.S_IFCHR,
         BLOCK: stat.S_IFBLK, FIFO: stat.S_IFIFO}


def zip_(entries, deflate=True):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as z:
        for name, data, kind, to, mode in entries:
            info = zipfile.ZipInfo(name + "/" if kind == DIR and not name.endswith("/") else name)
            info.create_system = 3
            info.external_attr = (KINDS[kind] | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            z.writestr(info, to.encode() if kind == LINK else data)
    return out.getvalue()


def good_zip(*more, **kw):
    return zip_(GOOD + list(more), **kw)


def zst(data):
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def gz(data):
    return gzip.compress(data, mtime=0)


def many_in_tar_gz(path, count):
    """A .tar.gz of so many empty files, streamed: one header, copied with another name and checksum."""
    with gzip.open(path, "wb", compresslevel=1) as out:
        for at in range(0, count, 1000):
            block = bytearray()
            for i in range(at, min(at + 1000, count)):
                info = tarfile.TarInfo(f"f{i:07d}")
                block += info.tobuf(tarfile.USTAR_FORMAT) if i < 2 else numbered(i)
            out.write(block)
        out.write(bytes(1024))


def numbered(i, base=tarfile.TarInfo("f0000000").tobuf(tarfile.USTAR_FORMAT)):
    name = b"f%07d" % i
    total = sum(name) - sum(b"f0000000") + int(base[148:154], 8)
    return name + base[8:148] + b"%06o\0 " % total + base[156:]


def many_in_zip(path, count, say=None):
    """A zip of so many empty files; its end says that there are `say`."""
    say = count if say is None else say
    with open(path, "wb") as out:
        local = b"".join(struct.pack("<4s5H3I2H8s", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, b"f%07d" % i)
                         for i in range(count))
        out.write(local)
        size = 0
        for at in range(0, count, 10000):
            part = b"".join(
                struct.pack("<4s6H3I5H2I8s", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, 0, 0, 0, 0,
                            38 * i, b"f%07d" % i) for i in range(at, min(at + 10000, count)))
            out.write(part)
            size += len(part)
        start = len(local)
        end = out.tell()
        out.write(struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, say, say, size, start))
        out.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        out.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF if say > 65534 else say,
                              0xFFFF if say > 65534 else say, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def encrypted_zip():
    """Marked as encrypted, as a zip with a password is."""
    data = bytearray(good_zip())
    at = data.find(b"PK\3\4")
    while at >= 0:
        data[at + 6] |= 1
        at = data.find(b"PK\3\4", at + 4)
    at = data.find(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 4)
    return bytes(data)


def lying_zip(real):
    """Says that its file is a few bytes; inflates to `real` zeros."""
    data = bytearray(zip_([entry("app.py", bytes(real))]))
    local, central = data.find(b"PK\3\4"), data.find(b"PK\1\2")
    data[local + 22:local + 26] = struct.pack("<I", 10)
    data[central + 24:central + 28] = struct.pack("<I", 10)
    return bytes(data)


def wrong_sum_zip():
    data = bytearray(good_zip(deflate=False))
    at = data.find(APP)
    data[at] ^= 1
    return bytes(data)


def raw_name_zip(name, **kw):
    """A zip with a file of any bytes as its name (as long as the placeholder)."""
    placeholder = "Q" * len(name)
    return good_zip(entry(placeholder, b"x"), **kw).replace(placeholder.encode(), name)


def sparse_tar(size, at, data):
    """An old GNU sparse file: `data` at `at`, of `size` bytes in all."""
    info = tarfile.TarInfo("hole.bin")
    info.size = 512
    info.type = tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))

    def number(v, width):
        return b"%0*o\0" % (width - 1, v) if v < 8 ** (width - 1) else struct.pack(">IQ", 1 << 31, v)

    head[386:410] = number(at, 12) + number(len(data), 12)
    head[483:495] = number(size, 12)
    head[124:136] = number(len(data), 12)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    body = data + bytes(-len(data) % 512)
    return good_tar()[:-10240 + 2048] + bytes(head) + body + bytes(1024)


def zeros_tar_gz(name, size):
    """A file of zeros that packs to a thousandth, streamed."""
    out = io.BytesIO()
    info = tarfile.TarInfo(name)
    info.size = size
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    out.write(pack.compress(info.tobuf(tarfile.GNU_FORMAT)))
    block = bytes(1 << 20)
    for _ in range(size >> 20):
        out.write(pack.compress(block))
    out.write(pack.compress(bytes(1024)) + pack.flush())
    return out.getvalue()
