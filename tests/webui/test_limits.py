"""Limits of one Space: what an operator sets, and what is refused."""
from platform_fake import TOKEN
from test_pages import page


def limits(site):
    status, answer = site.api("GET", "/api/spaces/alice/hello/limits")
    assert status == 200 and "next start" in answer["note"]
    return {o["name"]: o for o in answer["limits"]}


def set_limits(site, body, status=200):
    got, answer = site.api("POST", "/api/spaces/alice/hello/limits", body)
    assert got == status, answer
    return answer


def test_defaults_are_the_configurations(site):
    site.deploy()
    of = limits(site)
    assert (of["memory"]["value"], of["memory"]["default"], of["memory"]["own"]) == ("1G", "1G", False)
    assert {"cpu", "pids", "open_files", "file_size", "tmp_size", "tmp_inodes", "home_size", "home_inodes", "log_rate"} < set(of)


def test_set_and_back_to_the_default(site):
    site.deploy()
    set_limits(site, "memory=2G&cpu=0.5")
    of = limits(site)
    assert (of["memory"]["value"], of["memory"]["default"], of["memory"]["own"]) == ("2G", "1G", True)
    assert of["cpu"]["value"].startswith("0.5") and not of["pids"]["own"]
    set_limits(site, "memory=default")
    of = limits(site)
    assert not of["memory"]["own"] and of["cpu"]["own"]


def test_one_that_is_wrong_changes_none(site):
    site.deploy()
    assert "at least 16M" in set_limits(site, "pids=99&memory=1M", 400)["error"]
    assert "there is no limit \"memroy\"" in set_limits(site, "pids=99&memroy=2G", 400)["error"]
    assert "cpu" in set_limits(site, "cpu=many", 400)["error"]
    assert not any(o["own"] for o in limits(site).values())


def test_only_an_operator(site):
    site.deploy()
    for method in ("GET", "POST"):
        assert site.ask(method, "/api/spaces/alice/hello/limits", "memory=2G")[0] == 401
    assert site.api("GET", "/api/spaces/alice/nobody/limits")[0] == 404
    assert not any(o["own"] for o in limits(site).values())


def test_what_is_used_is_shown(site):
    site.deploy()
    sid = site.space_id()
    site.runner.add_worker(sid, 7, 1, memory_bytes=5 << 20, pids=3)
    site.runner.set_stage(sid, "RUNNING", worker_id=7)
    of = limits(site)
    assert (of["memory"]["used"], of["pids"]["used"]) == ("5 MiB", "3") and "used" not in of["file_size"]


def test_what_its_worker_ran_into_is_shown_to_the_operator(site):
    site.deploy()
    sid = site.space_id()
    site.runner.add_worker(sid, 7, 1)
    site.runner.life.execute("UPDATE workers SET ran_into = '/tmp is full: 8 MiB' WHERE id = 7")
    site.runner.set_stage(sid, "RUNNING", worker_id=7)
    assert site.api("GET", "/api/spaces/alice/hello")[1]["ran_into"] == "/tmp is full: 8 MiB"
    said = "Its worker ran into: /tmp is full: 8 MiB."
    assert said in page(site, "/spaces/alice/hello", token=TOKEN).text
    assert said not in page(site, "/spaces/alice/hello").text
    site.runner.set_stage(sid, "SLEEPING")
    assert "ran_into" not in site.api("GET", "/api/spaces/alice/hello")[1]


def test_what_data_takes_is_shown(site):
    site.deploy()
    assert "data" not in site.api("GET", "/api/spaces/alice/hello")[1]
    site.runner.set_stage(site.space_id(), "SLEEPING")
    site.runner.life.execute("UPDATE spaces SET data_bytes = 3145728, data_inodes = 7, data_quota = 'soft'")
    data = site.api("GET", "/api/spaces/alice/hello")[1]["data"]
    assert (data["bytes"], data["inodes"], data["limit_bytes"], data["quota"]) == (3 << 20, 7, 5 << 30, "soft")
    words = "/data: 3 MiB of 5 GiB, 7 files and folders (the limit is soft)"
    assert words in page(site, "/spaces/alice/hello", token=TOKEN).text
    assert words not in page(site, "/spaces/alice/hello").text
    of = limits(site)
    assert (of["data_size"]["used"], of["data_inodes"]["used"]) == ("3 MiB", "7")
    set_limits(site, "data_size=64M")
    site.runner.life.execute("UPDATE spaces SET data_quota = 'project'")
    assert site.api("GET", "/api/spaces/alice/hello")[1]["data"]["text"] == "3 MiB of 64 MiB, 7 files and folders"


def test_page(site):
    site.deploy()
    set_limits(site, "memory=2G")
    p = page(site, "/spaces/alice/hello/limits", token=TOKEN)
    fields = {a["name"]: a for t, a in p.tags if t == "input"}
    assert fields["memory"]["value"] == "2G" and fields["cpu"]["value"] == "" and fields["cpu"]["placeholder"] == "1"
    answer = site.ask("POST", "/spaces/alice/hello/limits", "memory=&cpu=2", token=TOKEN, headers={"Accept": "text/html"})
    assert answer[0] in (302, 303) and answer[2]["Location"].endswith("/spaces/alice/hello/limits")
    of = limits(site)
    assert not of["memory"]["own"] and of["cpu"]["value"] == "2"
    status, body, _ = site.ask("POST", "/spaces/alice/hello/limits", "cpu=%3Cb%3E", token=TOKEN, headers={"Accept": "text/html"})
    assert status == 400 and b"&lt;b&gt;" in body
