"""What vitrine-job takes and what it refuses: it is run by itself, on archives made here."""
import bz2
import hashlib
import json
import lzma
import os
import random
import re
import subprocess
import tarfile
import time

import pytest
from archives import (APP, BLOCK, CHAR, DIR, FIFO, GOOD, HARD, LINK, README, encrypted_zip, entry, good_tar,
                      good_zip, gz, lying_zip, many_in_tar_gz, many_in_zip, raw_name_zip, sparse_tar, tar,
                      wrong_sum_zip, zeros_tar_gz, zip_, zst)
from vitrine import BUILD

JOB = os.path.join(BUILD, "vitrine-job")
PROGRESS = re.compile(r"progress [a-z]+ \d+ \d+$")


class Outcome:
    def __init__(self, code, lines, tree, seconds):
        self.code, self.tree, self.seconds = code, tree, seconds
        self.kind, _, rest = lines[-1].partition(" ")
        self.error = rest if self.kind == "error" else None
        self.result = json.loads(rest) if self.kind == "result" else None


@pytest.fixture
def unpack(tmp_path):
    """unpack(bytes or path) -> Outcome; whatever comes of it, nothing outside of the tree may change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    tree = outside / "deep" / "tree"
    tree.mkdir(parents=True)

    def run(archive, name="bundle", max_unpacked="4M", max_files=200):
        if isinstance(archive, bytes):
            (tmp_path / "archive").write_bytes(archive)
            archive = tmp_path / "archive"
        begun = time.monotonic()
        with open(archive, "rb") as stdin:
            p = subprocess.run([JOB, "unpack", "--name", name, "--max-unpacked", max_unpacked, "--max-files",
                                str(max_files), str(tree)], stdin=stdin, capture_output=True, timeout=60)
        seconds = time.monotonic() - begun
        assert len(p.stdout) < 256 * 1024
        lines = p.stdout.decode("utf-8").splitlines()
        assert all(PROGRESS.match(line) for line in lines[:-1]), lines
        o = Outcome(p.returncode, lines, tree, seconds)
        assert (o.kind, o.code) in (("result", 0), ("error", 1)), (lines, p.stderr)
        assert sorted(os.listdir(outside)) == ["deep", "secret"]
        assert os.listdir(outside / "deep") == ["tree"]
        assert (outside / "secret").read_text() == "secret"
        if o.error:
            assert len(o.error) < 512 and not re.search(r"[\x00-\x1f\x7f]", o.error), o.error
        return o

    return run


def random_bytes(n):
    return random.Random(1).randbytes(n)


def link(name, to):
    return entry(name, kind=LINK, to=to)


def hard(name, to):
    return entry(name, kind=HARD, to=to)


def card(text):
    return tar([entry("README.md", b"---\n" + text.encode() + b"\n---\n"), entry("app.py", APP)])


TWO = good_tar(entry("data.bin", random_bytes(5000)))
LONG = good_tar(entry("data.bin", random_bytes(500_000)))
REFUSED = {
    # what is no archive, or none that is taken
    "random bytes": (random_bytes(5000), "no archive"),
    "nothing": (b"", "empty"),
    "a text": (b"hello\n" * 100, "no archive"),
    "an executable": (b"\x7fELF" + bytes(600), "no archive"),
    "xz": (lzma.compress(TWO), "xz-compressed"),
    "bzip2": (bz2.compress(TWO), "bzip2-compressed"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "7-Zip"),
    "RAR": (b"Rar!\x1a\x07\x01\x00" + bytes(100), "RAR"),
    "ar": (b"!<arch>\nx/              0           0     0     644     1         `\nx\n", "an ar archive"),
    "cpio": (b"070701" + b"00000000" * 12 + b"0000000B" + b"00000000" + b"TRAILER!!!\0" + bytes(400), "no archive"),
    "mtree": (b"#mtree\n./app.py type=file contents=/etc/passwd\n", "no archive"),
    "gzip of a text": (gz(b"hello\n" * 100), "no tar archive"),
    "gzip of gzip": (gz(gz(TWO)), "more than once"),
    "zstd of gzip": (zst(gz(TWO)), "more than once"),
    "empty tar": (tar([]), "without files"),
    "empty zip": (zip_([]), "without files"),
    # truncated and damaged
    "tar cut in a file": (TWO[:3500], "truncated"),
    "tar cut in a header": (TWO[:2300], "truncated"),
    "tar cut between entries": (TWO[:2048], "truncated"),
    "tar.gz cut": (gz(LONG)[:-2000], "the archive is truncated"),
    "tar.gz cut to its header": (gz(TWO)[:9], "no tar archive or a truncated one"),
    "small tar.zst cut": (zst(TWO)[:-2000], "no tar archive or a truncated one"),
    "tar.zst cut": (zst(LONG)[:-2000], "the archive is truncated"),
    "zip cut": (good_zip()[:-30], "truncated"),
    "zip cut at half": (good_zip(entry("x", random_bytes(5000)))[:2500], "truncated"),
    "zip with a wrong offset": (good_zip()[:-6] + b"\xff\xff\0\0\0\0", "truncated|damaged"),
    "zip with a wrong sum": (wrong_sum_zip(), "damaged"),
    "tar with a wrong sum": (TWO[:1024] + b"X" + TWO[1025:], "damaged"),
    "encrypted zip": (encrypted_zip(), "encrypted"),
    # paths
    "../ in a tar": (good_tar(entry("../x", b"x")), r'"\.\."'),
    "../ in a zip": (good_zip(entry("../x", b"x")), r'"\.\."'),
    "../ on the way": (good_tar(entry("a/../../x", b"x")), r'"\.\."'),
    "a folder ..": (good_tar(entry("..", kind=DIR)), r'"\.\."'),
    "absolute in a tar": (good_tar(entry("/tmp/x", b"x")), "absolute"),
    "absolute in a zip": (raw_name_zip(b"/tmp/evil"), "absolute"),
    "backslashes": (raw_name_zip(b"..\\..\\x"), r'"\.\."|with "/"'),
    "backslashes in a tar": (good_tar(entry("a\\b", b"x")), 'with "/"'),
    "control characters": (good_tar(entry("a\x1b[31mb", b"x")), "control"),
    "a line break": (good_tar(entry("a\nerror b", b"x")), "control"),
    "no UTF-8 in a tar": (good_tar(entry("a\udcff\udcfe", b"x")), "UTF-8"),
    "no UTF-8 in a zip": (raw_name_zip(b"a\xff\xfeb"), "UTF-8"),
    "a name of 256 bytes": (good_tar(entry("x" * 256, b"x")), "255 bytes"),
    "a path of 2000 bytes": (good_tar(entry("/".join(["x" * 99] * 20), b"x")), "1024 bytes"),
    "65 folders deep": (good_tar(entry("/".join("x" * 66), b"x")), "64 folders"),
    "a file as the top": (tar([entry("./", b"x")]), "folder|damaged"),
    # links
    "absolute link": (good_tar(link("l", "/etc/passwd")), "absolute"),
    "absolute link in a zip": (good_zip(link("l", "/etc/passwd")), "absolute"),
    "link up": (good_tar(link("l", "../../secret")), "outside"),
    "link up in a zip": (good_zip(link("l", "../../secret")), "outside"),
    "link to the folder above": (good_tar(link("l", "..")), "outside"),
    "link up through a link": (good_tar(entry("a/b/c", kind=DIR), link("a/b/c/top", "../../.."),
                                        link("l", "a/b/c/top/../../secret")), "outside"),
    "link to nothing": (good_tar(link("l", "missing")), "not in the bundle"),
    "link to a name in /proc": (good_tar(link("l", "proc/self/root")), "not in the bundle"),
    "link in a circle": (good_tar(link("a", "b"), link("b", "a")), "circle"),
    "link to itself": (good_tar(link("a", "a")), "circle"),
    "empty link": (good_tar(link("a", "")), "link"),
    "a file through a link": (good_tar(link("l", ".."), entry("l/x", b"x")), "twice"),
    "a file through a link out": (good_tar(link("l", "/tmp"), entry("l/x", b"x")), "absolute"),
    "a link over a file": (good_tar(entry("x", b"x"), link("x", "app.py")), "twice"),
    "hard link up": (good_tar(hard("h", "../../secret")), r'"\.\."'),
    "absolute hard link": (good_tar(hard("h", "/etc/passwd")), "absolute"),
    "hard link to nothing": (good_tar(hard("h", "missing")), "hard link"),
    "hard link to a link": (good_tar(link("l", "app.py"), hard("h", "l")), "hard link"),
    "hard link to a folder": (good_tar(entry("d", kind=DIR), hard("h", "d")), "hard link"),
    "README.md is a link out": (tar([entry("app.py", APP), link("README.md", "../../secret")]), "outside"),
    # what is neither file nor folder
    "device": (good_tar(entry("null", kind=CHAR)), "device"),
    "disk": (good_tar(entry("sda", kind=BLOCK)), "device"),
    "fifo": (good_tar(entry("fifo", kind=FIFO)), "named pipe"),
    "device in a zip": (good_zip(entry("null", kind=CHAR)), "device|unknown kind"),
    "README.md is a folder": (tar([entry("app.py", APP), entry("README.md", kind=DIR)]), "README.md is no file"),
    # twice
    "a file twice": (good_tar(entry("app.py", b"2")), "twice"),
    "a file twice in a zip": (good_zip(entry("./app.py", b"2")), "twice"),
    "a file as folder": (good_tar(entry("app.py/x", b"2")), "twice"),
    "a folder as file": (good_tar(entry("d", kind=DIR), entry("d", b"2")), "twice"),
    # too much
    "too many files": (tar([entry(f"f{i}") for i in range(201)]), "more than 200 files"),
    "too many in a zip": (zip_([entry(f"f{i}") for i in range(201)]), "more than 200 files"),
    "too many folders": (good_tar(*[entry(f"{i}/a/b/c/d/e/f/g/x") for i in range(30)]), "more than 200 files"),
    "too much litter": (good_tar(*[entry(f"__MACOSX/{i}") for i in range(201)]), "more than 200 files"),
    "too large": (good_tar(entry("x", bytes(5 << 20))), "expands to more than 4"),
    "zip bomb": (good_zip(entry("x", bytes(50 << 20))), "expands to more than 4"),
    "tar.gz bomb": (zeros_tar_gz("x", 200 << 20), "expands to more than 4"),
    "zip that lies about a size": (lying_zip(50 << 20), "expands to more than 4|damaged|longer"),
    "bomb in litter": (zeros_tar_gz("__MACOSX/x", 200 << 20), "expands to more than 4"),
    "bomb of hard links": (good_tar(entry("x", bytes(1 << 20)), *[hard(f"h{i}", "x") for i in range(9)]),
                           "expands to more than 4"),
    "sparse file of a tebibyte": (sparse_tar(1 << 40, 4096, b"data"), "expands to more than 4"),
    # what is to run
    "no app file": (tar([entry("README.md", README)]), "no app file: the bundle has no app.py"),
    "nothing to guess from": (tar([entry("main.c", b"x")]), "no app file: there is no README.md"),
    "only folders": (tar([entry("a/b", kind=DIR)]), "no app file"),
    "app_file that is not there": (card("sdk: gradio\napp_file: main.py"), r'README\.md:3: app_file: .* no file "main\.py"'),
    "app_file that is a folder": (tar([entry("README.md", b"---\nsdk: python\napp_file: src\n---\n"),
                                       entry("src/x", b"x")]), r"README\.md:3: app_file"),
    "app_file out of the bundle": (card("sdk: python\napp_file: ../../secret"), r"README\.md:3: app_file"),
    "broken front matter": (card("title: a: b"), r"README\.md:2: the front matter is no YAML"),
    "unfinished front matter": (tar([entry("README.md", b"---\ntitle: x\n"), entry("app.py", APP)]), r"README\.md:1: .*no line"),
    "wrong sdk": (card("title: x\nsdk: gradoi"), r'README\.md:3: sdk: "gradoi" is none of static, gradio, streamlit, python, command, node'),
    "docker": (card("sdk: docker"), r"README\.md:2: sdk: .*not supported by this version"),
    "wrong port": (card("sdk: python\napp_port: eighty"), r"README\.md:3: app_port: "),
    "wrong color": (card("colorFrom: mauve"), r"README\.md:2: colorFrom: "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(unpack, what):
    archive, reason = REFUSED[what]
    o = unpack(archive)
    assert o.error and re.search(reason, o.error), o.error or o.result
    assert o.seconds < 10


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "zip that says 5"])
def test_a_million_entries_are_refused_quickly(unpack, tmp_path, kind):
    path = tmp_path / "million"
    if kind == "tar.gz":
        many_in_tar_gz(path, 1_000_000)
    else:
        many_in_zip(path, 1_000_000, say=5 if "5" in kind else None)
    o = unpack(path, max_files=1000)
    assert o.error == "the archive has more than 1000 files and folders"
    assert o.seconds < 2


def test_the_name_is_said(unpack):
    assert unpack(b"no archive at all", name="../x/holiday.jpg").error.startswith('"holiday.jpg" is no archive')


# --- what is taken ---

MIXED = [entry("README.md", README), entry("app.py", APP), entry("run.sh", b"#!/bin/sh\n", mode=0o755),
         entry("empty", kind=DIR, mode=0o755), entry("a/Größe 字.txt", "é\n".encode()), entry("a/README.md", b"x"),
         entry("a/readme.md", b"y"), link("a/up", "../app.py"), link("dir", "a")]


def expected_sha(entries):
    """As job/tree.h describes it, computed by other means."""
    lines, folders = [], set()
    for name, data, kind, to, mode in entries:
        name = name.rstrip("/")
        parts = name.split("/")
        folders |= {"/".join(parts[:i]) for i in range(1, len(parts) + (kind == DIR))}
        if kind == LINK:
            lines.append((name, "link", hashlib.sha256(to.encode()).hexdigest()))
        elif kind != DIR:
            lines.append((name, "exec" if mode & 0o100 else "file", hashlib.sha256(data).hexdigest()))
    lines += [(f, "dir", "-") for f in folders]
    text = "".join(f"{word} {digest} {name}\n" for name, word, digest in sorted(lines, key=lambda x: x[0].encode()))
    return hashlib.sha256(text.encode()).hexdigest()


def below(prefix, entries):
    return [(prefix + e[0], *e[1:]) for e in entries]


FORMS = {
    "tar": lambda: tar(MIXED),
    "pax tar": lambda: tar(MIXED, tarfile.PAX_FORMAT),
    "tar.gz": lambda: gz(tar(MIXED)),
    "tar.zst": lambda: zst(tar(MIXED)),
    "zip": lambda: zip_(MIXED),
    "stored zip": lambda: zip_(MIXED, deflate=False),
    "with ./": lambda: tar([entry("./", kind=DIR)] + below("./", MIXED)),
    "in a folder": lambda: tar([entry("demo", kind=DIR)] + below("demo/", MIXED)),
    "in a folder of a zip": lambda: zip_(below("demo-main/", MIXED)),
    "in two folders": lambda: tar(below("demo/demo/", MIXED)),
    "in the other order": lambda: tar(MIXED[::-1]),
    "at another time": lambda: tar(MIXED, mtime=1_000_000_000),
    "with litter": lambda: zip_(below("demo/", MIXED) + [entry("__MACOSX/demo/._app.py", b"x"), entry("demo/.DS_Store", b"x"),
                                                         entry("demo/.git/config", b"secret")]),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_tree_from_every_form(unpack, form):
    o = unpack(FORMS[form]())
    assert o.error is None, o.error
    assert o.result["sha"] == expected_sha(MIXED)
    assert o.result["files"] == 6 and o.result["bytes"] == sum(len(e[1]) for e in MIXED)
    found = sorted(os.path.relpath(os.path.join(d, n), o.tree) for d, ds, fs in os.walk(o.tree) for n in ds + fs)
    assert found == sorted([e[0] for e in MIXED] + ["a"])
    for name, data, kind, to, mode in MIXED:
        path = o.tree / name
        if kind == LINK:
            assert os.readlink(path) == to
        elif kind != DIR:
            assert path.read_bytes() == data
            assert path.stat().st_mode & 0o7777 == (0o755 if mode & 0o100 else 0o644)
    if form == "with litter":
        assert o.result["warnings"] == ["left out 3 files that archivers add (.git, .DS_Store, __MACOSX)"]


def test_a_difference_is_a_difference(unpack):
    others = [MIXED[:-1], MIXED + [entry("z", kind=DIR)],
              [(n, d, k, t, 0o755 if n == "app.py" else m) for n, d, k, t, m in MIXED],
              [(n, d + b"#" if n == "app.py" else d, k, t, m) for n, d, k, t, m in MIXED]]
    shas = {expected_sha(e) for e in [MIXED, *others]}
    assert len(shas) == 5


@pytest.mark.parametrize("mode", [0o000, 0o4755, 0o2644, 0o1777, 0o7777])
def test_only_the_executable_bit_is_kept(unpack, mode):
    o = unpack(good_tar(entry("x", b"x", mode=mode), entry("d", kind=DIR, mode=mode), entry("d/y", b"y")))
    assert o.error is None, o.error
    assert (o.tree / "x").stat().st_mode & 0o7777 == (0o755 if mode & 0o100 else 0o644)
    assert (o.tree / "d").stat().st_mode & 0o7777 == 0o755


def test_a_hard_link_becomes_a_file(unpack):
    o = unpack(good_tar(hard("copy.py", "./app.py")))
    assert (o.tree / "copy.py").read_bytes() == APP
    assert (o.tree / "copy.py").stat().st_nlink == 1
    assert o.result["files"] == 3


def test_a_sparse_file_is_whole(unpack):
    o = unpack(sparse_tar(1 << 20, 4096, b"data" * 1000))
    assert o.error is None, o.error
    want = bytes(4096) + b"data" * 1000
    assert (o.tree / "hole.bin").read_bytes() == want + bytes((1 << 20) - len(want))
    assert o.result["bytes"] == len(README) + len(APP) + (1 << 20)


def test_just_within_the_limits(unpack):
    files = [entry(f"f{i}") for i in range(198)]
    assert unpack(good_tar(*files)).error is None


def test_exactly_the_size(unpack):
    rest = (4 << 20) - len(README) - len(APP)
    assert unpack(good_zip(entry("x", bytes(rest)))).error is None


def test_one_byte_too_large(unpack):
    rest = (4 << 20) - len(README) - len(APP)
    assert "expands" in unpack(good_zip(entry("x", bytes(rest + 1)))).error


def test_what_is_told(unpack):
    text = ("---\ntitle: Fish\nemoji: 🐟\ncolorFrom: blue\ncolorTo: green\nsdk: gradio\nsdk_version: 5.10\napp_file: src/go.py\n"
            "short_description: What fish is it?\npython_version: 3.10\nstartup_duration_timeout: 1h\nbase_path: /x\n"
            "app_port: 9000\nmine: {a: [1, 2.5]}\n---\n# Fish\n\nText.\n")
    o = unpack(zip_([entry("README.md", text.encode()), entry("src/go.py", APP)]))
    r = o.result
    sha, front = r.pop("sha"), r.pop("card")
    assert re.fullmatch("[0-9a-f]{64}", sha) and r.pop("content") == sha and r.pop("subject") == ""
    assert r == {"files": 2, "bytes": len(text.encode()) + len(APP), "title": "Fish", "emoji": "🐟", "color_from": "blue",
                 "color_to": "green", "short_description": "What fish is it?", "sdk": "gradio", "app_file": "src/go.py",
                 "app_port": 9000, "base_path": "/x", "start_timeout_ms": 3600000, "warnings": [], "readme": "# Fish\n\nText.\n"}
    assert front["mine"] == {"a": [1, 2.5]}
    assert (front["sdk_version"], front["python_version"]) == ("5.10", "3.10")


@pytest.mark.parametrize("name,sdk", [("index.html", "static"), ("app.py", "python")])
def test_without_readme_the_sdk_is_guessed(unpack, name, sdk):
    r = unpack(zip_([entry(name, b"x")])).result
    assert (r["sdk"], r["app_file"], r["title"], r["readme"]) == (sdk, name, "", "")
    assert r["warnings"] == [f"there is no README.md: taken as sdk: {sdk} because of {name}"]


def test_a_program_is_made_executable(unpack):
    o = unpack(tar([entry("README.md", b"---\nsdk: command\napp_file: bin/go\n---\n"), entry("bin/go", b"\x7fELF")]))
    assert o.result["sdk"] == "command"
    assert (o.tree / "bin/go").stat().st_mode & 0o7777 == 0o755
    assert any("executable" in w for w in o.result["warnings"])


def test_a_huge_readme_is_cut_between_characters(unpack):
    text = README + ("é" * 100_000).encode()
    r = unpack(tar([entry("README.md", text), entry("app.py", APP)])).result
    assert 65000 < len(r["readme"].encode()) <= 65536 and set(r["readme"][8:]) == {"é"}


def test_a_readme_of_any_bytes_is_text_when_told(unpack):
    body = b"a\x00b\x1bc\xffd\xed\xa0\x80e\tf\r\n"
    r = unpack(tar([entry("README.md", README + body), entry("app.py", APP)])).result
    assert r["readme"] == "# Hello\na\ufffdb\ufffdc\ufffdd\ufffd\ufffd\ufffde\tf\r\n"


def test_progress_is_told(unpack, tmp_path):
    (tmp_path / "a").write_bytes(good_zip(entry("x", random_bytes(3 << 20))))
    with open(tmp_path / "a", "rb") as stdin:
        (tmp_path / "t").mkdir()
        out = subprocess.run([JOB, "unpack", "--name", "a", "--max-unpacked", "4M", "--max-files", "9", str(tmp_path / "t")],
                             stdin=stdin, capture_output=True, text=True).stdout.splitlines()
    steps = [line.split()[1] for line in out if line.startswith("progress")]
    assert steps[-2:] == ["card", "write"] and out[-1].startswith("result ")


@pytest.mark.parametrize("args", [[], ["unpack"], ["unpack", "/tmp"], ["pack"], ["unpack", "--max-files", "x", "--max-unpacked", "1", "/tmp"]])
def test_wrong_usage(args):
    p = subprocess.run([JOB, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert p.returncode == 2 and p.stderr.startswith("usage:")


def test_stdin_must_be_a_file(tmp_path):
    p = subprocess.run([JOB, "unpack", "--name", "x", "--max-unpacked", "1M", "--max-files", "5", str(tmp_path)],
                       input=b"", stdout=subprocess.PIPE)
    assert p.stdout == b"error the archive is no file\n" and p.returncode == 1


def test_good_is_good(unpack):
    assert unpack(tar(GOOD)).error is None
