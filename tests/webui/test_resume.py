"""Uploads in several requests: what came stays, whose it is, how many, and what is taken at the end."""
import json
import os

import pytest
from platform_fake import TOKEN, until

BASE = "/api/spaces/alice/hello"
KEY = "ab" * 32


def begin(site, size, key=KEY, base=BASE, token=TOKEN):
    status, body, _ = site.ask("POST", f"{base}/uploads?size={size}&key={key}", token=token)
    return status, json.loads(body)


def more(site, id, offset, data, base=BASE):
    status, body, headers = site.ask("PATCH", f"{base}/uploads/{id}", data, {"Upload-Offset": str(offset)}, token=TOKEN)
    return status, json.loads(body), headers


def look(site, id, base=BASE):
    status, body, headers = site.ask("GET", f"{base}/uploads/{id}", token=TOKEN)
    return status, json.loads(body)


def test_in_parts_and_then_taken(site):
    status, got = begin(site, 10)
    assert status == 200 and got["offset"] == 0 and got["size"] == 10
    status, got, headers = more(site, got["id"], 0, b"PK12")
    assert status == 200 and got["offset"] == 4 and headers["Upload-Offset"] == "4"
    status, answer, _ = site.ask("PUT", f"{BASE}/bundle?filename=x.zip&upload={got['id']}", token=TOKEN)
    assert status == 409 and b"4 of its 10 bytes" in answer and not site.runner.jobs
    assert more(site, got["id"], 4, b"345678")[1]["offset"] == 10
    status, answer, headers = site.ask("HEAD", f"{BASE}/uploads/{got['id']}", token=TOKEN)
    assert status == 200 and headers["Upload-Offset"] == "10"
    status, answer, _ = site.ask("PUT", f"{BASE}/bundle?filename=x.zip&upload={got['id']}", token=TOKEN)
    assert status == 200 and json.loads(answer)["id"] == "alice/hello"
    fields, fd = site.runner.jobs[0]
    assert os.pread(fd, 100, 0) == b"PK12345678" and fields["name"] == "x.zip"
    assert look(site, got["id"])[0] == 404  # it was taken


def test_what_came_before_the_connection_broke_stays(site):
    id = begin(site, 100000)[1]["id"]
    s = site.socket()
    s.sendall(f"PATCH {BASE}/uploads/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nUpload-Offset: 0\r\n"
              "Content-Length: 100000\r\n\r\n".encode() + b"x" * 60000)
    assert until(lambda: look(site, id)[1]["offset"] == 60000)
    status, said, _ = more(site, id, 60000, b"y")
    assert status == 409 and "another request" in said["error"]
    s.close()
    assert until(lambda: more(site, id, 60000, b"y" * 40000)[0] == 200)
    assert begin(site, 100000)[1] == {"id": id, "offset": 100000, "size": 100000}  # found by its key


@pytest.mark.parametrize("offset,data,status,word", [
    (1, b"x", 409, "0 bytes"), (0, b"x" * 11, 400, "more bytes"), ("x", b"x", 400, "Upload-Offset"), ("-1", b"x", 400, "Upload-Offset"),
    ("", b"x", 400, "Upload-Offset"), (1 << 70, b"x", 400, "Upload-Offset")])
def test_wrong_parts(site, offset, data, status, word):
    id = begin(site, 10)[1]["id"]
    got, said, _ = more(site, id, offset, data)
    assert got == status and word in said["error"]
    assert look(site, id)[1]["offset"] == 0
    assert more(site, id, 0, b"x" * 10)[1]["offset"] == 10


@pytest.mark.parametrize("query", ["", "size=", "size=0", "size=-1", "size=1x", "size=5&key=xyz", "size=5&key=" + "a" * 65])
def test_wrong_beginnings(site, query):
    assert site.ask("POST", f"{BASE}/uploads?{query}", token=TOKEN)[0] == 400


def test_too_large_is_said_at_the_beginning(make):
    site = make(**{"upload.max_archive": 100000})
    status, said = begin(site, 5_000_000_000)
    assert status == 413 and "4.6 GiB" in said["error"]


def test_it_is_for_one_space(site):
    id = begin(site, 10)[1]["id"]
    other = "/api/spaces/alice/other"
    assert look(site, id, other)[0] == 404 and more(site, id, 0, b"x", other)[0] == 404
    assert site.ask("PUT", f"{other}/bundle?upload={id}", token=TOKEN)[0] == 404
    assert begin(site, 10, base=other)[1]["id"] != id


def test_who_may_not(site):
    id = begin(site, 10)[1]["id"]
    for method, path in (("POST", "/uploads?size=10"), ("GET", f"/uploads/{id}"), ("PATCH", f"/uploads/{id}")):
        assert site.ask(method, BASE + path, headers={"Upload-Offset": "0"})[0] == 401


def test_only_so_many_at_a_time(site):
    ids = [begin(site, 10, f"{i:02x}")[1]["id"] for i in range(4)]
    status, said = begin(site, 10, "ff")
    assert status == 409 and "4 of yours" in said["error"]
    more(site, ids[0], 0, b"x" * 10)
    assert site.ask("PUT", f"{BASE}/bundle?upload={ids[0]}", token=TOKEN)[0] == 200
    assert begin(site, 10, "ff")[0] == 200
