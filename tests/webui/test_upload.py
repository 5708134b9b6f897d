"""Bodies: limits, forms, folders, visitors who leave, a full disk."""
import http.client
import io
import os
import subprocess
import tarfile
import threading

import pytest
import wire
from platform_fake import TOKEN, until

BOUNDARY = "----x1y2z3"
OWN = {"Origin": "http://localhost:8080"}


def form(*parts):
    """A multipart body of (name, filename or None, content)."""
    out = b""
    for name, filename, content in parts:
        extra = "" if filename is None else f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
        out += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content + b"\r\n"
    return out + f"--{BOUNDARY}--\r\n".encode()


def submit(site, body, accept="application/json", **headers):
    return site.ask("POST", "/submit", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Accept": accept, **headers}, token=TOKEN)


NAMES = (("owner", None, b"alice"), ("name", None, b"hello"))


def test_archive_by_form(site):
    status, body, _ = submit(site, form(*NAMES, ("archive", "my demo.zip", b"PK\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n"), ("folder", "", b"")))
    assert status == 200 and b'"page":"http://localhost:8080/spaces/alice/hello"' in body
    fields, fd = site.runner.jobs[0]
    assert fields["name"] == "my demo.zip"
    assert os.pread(fd, 1000, 0) == b"PK\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n"


def test_archive_by_form_without_scripts(site):
    status, _, headers = submit(site, form(*NAMES, ("archive", "x.zip", b"PK")), "text/html")
    assert status == 303 and headers["Location"] == "http://localhost:8080/spaces/alice/hello"
    status, body, _ = submit(site, form(*NAMES, ("archive", "x.zip", b"BAD")), "text/html")
    assert status == 400 and b"this is no archive" in body and b'value="alice"' in body


def test_folder_by_form_becomes_a_tar(site):
    big = os.urandom(300000)
    long = "d/" * 80 + "long.txt"
    status, _, _ = submit(site, form(*NAMES, ("folder", "top/README.md", b"hi"), ("folder", "top/sub/caf\u00e9 %22q%22.bin", big), ("folder", "top/" + long, b""),
                                     ("folder", "top/../../etc/passwd", b"evil"), ("archive", "", b"")))
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(os.pread(site.runner.jobs[0][1], 1 << 20, 0))) as tar:
        files = {m.name: (tar.extractfile(m).read(), m.mode, m.uid) for m in tar}
    # Names are not this program's to trust or to mend: the job refuses the last one.
    assert files == {"README.md": (b"hi", 0o644, 0), 'sub/caf\u00e9 "q".bin': (big, 0o644, 0), long: (b"", 0o644, 0), "../../etc/passwd": (b"evil", 0o644, 0)}


@pytest.mark.parametrize("body,why", [
    (form(*NAMES), "nothing was chosen"),
    (form(*NAMES, ("archive", "", b""), ("folder", "", b"")), "nothing was chosen"),
    (form(*NAMES, ("archive", "x.zip", b"PK"), ("folder", "a/b", b"x")), "not both"),
    (form(("owner", None, b"alice"), ("archive", "x.zip", b"PK")), "name is empty"),
    (form(("owner", None, b"a" * 500), ("archive", "x.zip", b"PK")), "at most 96"),
    (form(*NAMES, ("archive", "x.zip", b"PK"))[:-10], "cut"),
    (b"no form at all", "cut"),
    (b"--" + BOUNDARY.encode() + b"oops", "boundary"),
    (b"--" + BOUNDARY.encode() + b"\r\nX: " + b"a" * 9000, "8 KiB"),
    (b"--" + BOUNDARY.encode() + b"\r\n\r\nx\r\n--" + BOUNDARY.encode() + b"--", "no name"),
])
def test_broken_forms(site, body, why):
    status, answer, _ = submit(site, body)
    assert status == 400 and why in answer.decode()
    assert not site.runner.jobs and until(lambda: site.uploads() == ([], []))


def test_form_of_another_type(site):
    assert site.ask("POST", "/submit", b"a=b", {"Content-Type": "text/plain"}, token=TOKEN)[0] == 400


def test_many_files(make):
    site = make(**{"upload.max_files": 50})
    status, answer, _ = submit(site, form(*NAMES, *(("folder", f"top/f{i}", b"x") for i in range(51))))
    assert status == 413 and b"50 files" in answer
    assert submit(site, form(*NAMES, *(("folder", f"top/f{i}", b"x") for i in range(50))))[0] == 200


def half(site, headers, body=b"", path="/api/spaces/alice/hello/bundle", method="PUT"):
    s = site.socket()
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n".encode() + body)
    return s


def answer_of(s):
    data = b""
    while b"\r\n\r\n" not in data or b'"}' not in data:
        more = s.recv(65536)
        if not more:
            break
        data += more
    return data


def test_too_large_is_said_before_the_body(make):
    site = make(**{"upload.max_archive": 100000})
    s = half(site, "Content-Length: 5000000000\r\n")
    data = answer_of(s)
    assert data.startswith(b"HTTP/1.1 413") and b"97.6 KiB" in data and b"4.6 GiB" in data


def test_too_large_without_a_length_is_said_in_the_middle(make):
    site = make(**{"upload.max_archive": 100000})
    s = half(site, "Transfer-Encoding: chunked\r\n", (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 2)
    data = answer_of(s)
    assert data.startswith(b"HTTP/1.1 413") and b"97.6 KiB" in data
    assert until(lambda: site.uploads() == ([], []))
    assert site.space_id() is None


def test_too_large_by_form(make):
    site = make(**{"upload.max_archive": 100000})
    status, answer, _ = submit(site, form(*NAMES, ("folder", "top/a", b"x" * 60000), ("folder", "top/b", b"x" * 60000)))
    assert status == 413 and b"97.6 KiB" in answer


def test_who_may_not_is_told_before_the_body(site):
    s = site.socket()
    s.sendall(b"PUT /api/spaces/alice/hello/bundle HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
    assert answer_of(s).startswith(b"HTTP/1.1 401")


def test_expect_100(site):
    s = half(site, "Content-Length: 2\r\nExpect: 100-continue\r\n")
    assert s.recv(1000).startswith(b"HTTP/1.1 100")
    s.sendall(b"PK")
    assert s.recv(1000).startswith(b"HTTP/1.1 200")


def test_leaving_in_the_middle_leaves_nothing(site):
    for headers, path, method, body in (("Content-Length: 1000000\r\n", "/api/spaces/alice/hello/bundle", "PUT", b"x" * 5000),
                                        (f"Content-Length: 1000000\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n", "/submit", "POST", form(*NAMES, ("folder", "a/b", b"x" * 5000))[:-200])):
        s = half(site, headers, body, path, method)
        assert until(lambda: site.uploads()[1])
        s.close()
        assert until(lambda: site.uploads() == ([], []))
    assert site.space_id() is None and not site.runner.jobs
    site.deploy()


def test_empty_body(site):
    assert site.api("PUT", "/api/spaces/alice/hello/bundle", b"")[0] == 400


def test_full_disk(tmp_path, make):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    site = make()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", site.data + "/uploads"], check=True)
    try:
        site.kill()
        site.start()
        status, answer = site.api("PUT", "/api/spaces/alice/hello/bundle", b"x" * (4 << 20))
        assert status == 507 and "disk is full" in answer["error"]
        status, answer, _ = submit(site, form(*NAMES, ("folder", "a/b", b"x" * (4 << 20))))
        assert status == 507
        site.deploy(body=b"PK small")
    finally:
        site.stop()
        subprocess.run(["umount", "--lazy", site.data + "/uploads"], check=True)


def test_a_large_upload_arrives_whole(site):
    blob = os.urandom(48 << 20)
    site.deploy(body=blob)
    fd = site.runner.jobs[0][1]
    assert os.fstat(fd).st_size == len(blob) and os.pread(fd, 1 << 20, 47 << 20) == blob[47 << 20:]
    peak = int(open(f"/proc/{site.process.pid}/status").read().split("VmHWM:")[1].split()[0])
    assert peak < 400 * 1024 if os.environ.get("SANITIZER") else peak < 64 * 1024


def test_a_submission_that_was_cut_off_is_looked_for_at_the_next_start(site):
    """Its commit may be in the repository already: what main is then becomes the version."""
    site.deploy()
    site.runner.hold_jobs.set()
    t = threading.Thread(target=_ignore, args=(site.deploy,), kwargs={"body": b"PK other"}, daemon=True)
    t.start()
    site.runner.await_(lambda: len(site.runner.jobs) == 2)
    site.kill()
    site.runner.hold_jobs.clear()
    site.start()
    site.runner.await_(lambda: (wire.CONST["JOB_VERSION"], {"rev": "main"}, b"") in site.runner.asked)
    t.join(10)
    assert until(lambda: site.runner.site().execute("SELECT sum(submitting) FROM spaces").fetchone() == (0,))
    before = len(site.runner.asked)
    site.kill()
    site.start()
    assert site.ask("GET", "/healthz")[0] == 200
    site.deploy()
    assert [a for a in site.runner.asked[before:] if a[0] == wire.CONST["JOB_VERSION"]] == []  # once is enough


def _ignore(f, **kw):
    try:
        f(**kw)
    except (OSError, AssertionError, http.client.HTTPException):
        pass
