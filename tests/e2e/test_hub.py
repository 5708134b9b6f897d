"""Hugging Face's own clients, of today and of a year ago, unmodified: upload, download, and everything around a Space."""
import json
import os
import re
import subprocess

import pytest
from hub import CLIENTS, Hub, install, new_user
from vitrine import until


@pytest.fixture(scope="module", params=CLIENTS)
def hub(request, up):
    install()
    return Hub(up, request.param, new_user(up, request.param))


@pytest.fixture
def space(hub):
    """A static Space that `hf upload` made."""
    name = hub.folder.rsplit("/", 1)[1] + "/page"
    folder = hub.vitrine.bundle("page", **{"index.html": "by hf", "card": "sdk: static\ntitle: Page\ntags: [one]", "sub/data.bin": bytes(range(256)) * 100})
    r = hub.hf("upload", name, folder, "--repo-type", "space")
    assert r.returncode == 0, r.stdout + r.stderr
    assert re.search(rf"http://{hub.vitrine.site}/spaces/{name}/commit/[0-9a-f]{{40}}", r.stdout)
    yield name
    hub.vitrine.cli("delete", name)


def test_upload_runs(hub, space):
    assert until(lambda: hub.vitrine.demo(space).body == b"by hf")
    folder = hub.vitrine.bundle("page", **{"index.html": "again", "card": "sdk: static\ntitle: Page"})
    assert hub.hf("upload", space, folder, "--repo-type", "space", "--delete", "sub/*").returncode == 0
    assert until(lambda: hub.vitrine.demo(space).body == b"again")
    files, = hub.script("say(api.list_repo_files(sys.argv[1], repo_type='space'))", space)
    assert sorted(files) == ["README.md", "index.html"]


def test_hf_download_and_whoami(hub, space):
    who = hub.hf("auth", "whoami")
    assert who.returncode == 0 and hub.folder.rsplit("/", 1)[1] in who.stdout, who.stderr
    r = hub.hf("download", space, "--repo-type", "space", "--local-dir", "got")
    assert r.returncode == 0, r.stderr
    with open(os.path.join(hub.vitrine.folder, "got/sub/data.bin"), "rb") as f:
        assert f.read() == bytes(range(256)) * 100


def test_repository(hub, space):
    info, tree, commits, paths, refs, made, branch, gone = hub.script("""
s = sys.argv[1]
i = api.space_info(s, files_metadata=True)
say(dict(id=i.id, sha=i.sha, host=i.host, stage=i.runtime.stage, sdk=i.sdk, tags=i.tags, title=i.card_data.title, files={f.rfilename: f.size for f in i.siblings}))
say([type(x).__name__ + " " + x.path for x in api.list_repo_tree(s, repo_type="space", recursive=True)])
say([[c.title, c.authors] for c in api.list_repo_commits(s, repo_type="space")])
say([x.path for x in api.get_paths_info(s, ["sub", "README.md", "none"], repo_type="space")])
api.create_branch(s, branch="dev/x", repo_type="space")
api.create_tag(s, tag="v1", tag_message="one", repo_type="space")
r = api.list_repo_refs(s, repo_type="space")
say([[b.name for b in r.branches], [t.name for t in r.tags]])
c = api.upload_file(path_or_fileobj=b"on a branch", path_in_repo="new.txt", repo_id=s, repo_type="space", revision="dev/x", commit_message="Hello")
say(c.oid)
say([api.space_info(s, revision="dev/x").sha, open(api.hf_hub_download(s, "new.txt", repo_type="space", revision="dev/x")).read(),
     api.file_exists(s, "new.txt", repo_type="space"), api.revision_exists(s, "none", repo_type="space"), api.repo_exists(s + "x", repo_type="space")])
api.delete_branch(s, branch="dev/x", repo_type="space")
api.delete_tag(s, tag="v1", repo_type="space")
api.delete_folder("sub", s, repo_type="space")
say([[b.name for b in api.list_repo_refs(s, repo_type="space").branches], api.list_repo_files(s, repo_type="space")])
""", space)
    assert info["id"] == space and info["host"] == f"http://{hub.vitrine.host(space)}" and info["files"]["sub/data.bin"] == 25600
    assert (info["stage"], info["sdk"], info["title"], info["tags"]) == ("RUNNING", "static", "Page", ["one", "static"])
    assert {"RepoFile README.md", "RepoFolder sub", "RepoFile sub/data.bin"} < set(tree)
    assert [c[0] for c in commits] == ["Upload folder using huggingface_hub", "initial commit"] and commits[0][1] == [space.split("/")[0]]
    assert sorted(paths) == ["README.md", "sub"] and refs == [["dev/x", "main"], ["v1"]]
    assert branch == [made, "on a branch", False, False, False]
    assert gone[0] == ["main"] and sorted(gone[1]) == ["README.md", "index.html"]


def test_resolve(hub, space):
    """What a download rests on; and that a browser never shows a stranger's file as a page of the site."""
    data, path = bytes(range(256)) * 100, f"/spaces/{space}/resolve/main/sub/data.bin"
    head, whole = hub.vitrine.http("HEAD", path), hub.vitrine.get(path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "25600") and whole.body == data
    assert re.fullmatch(r'"[0-9a-f]{40}"', head.headers["etag"]) and re.fullmatch("[0-9a-f]{40}", head.headers["x-repo-commit"])
    assert "sandbox" in whole.headers["content-security-policy"] and whole.headers["content-disposition"].startswith("attachment")
    assert hub.vitrine.get(path, headers={"If-None-Match": head.headers["etag"]}).status == 304
    for asked, status, got in [("bytes=0-9", 206, data[:10]), ("bytes=25590-", 206, data[-10:]), ("bytes=-5", 206, data[-5:]), ("bytes=100-99999", 206, data[100:]),
                               ("bytes=25600-", 416, b""), ("bytes=9-1", 416, b""), ("bytes=-0", 416, b""), ("bytes=0-1,3-4", 200, data), ("lines=1", 200, data),
                               ("bytes=x", 200, data)]:
        a = hub.vitrine.get(path, headers={"Range": asked})
        assert (a.status, a.body) == (status, got), asked
        assert status != 416 or a.headers["content-range"] == "bytes */25600"
    assert hub.vitrine.get(path, headers={"Range": "bytes=1-2"}).headers["content-range"] == "bytes 1-2/25600"
    etag = head.headers["etag"]
    assert hub.vitrine.get(path, headers={"Range": "bytes=1-2", "If-Range": etag}).body == data[1:3]
    assert hub.vitrine.get(path, headers={"Range": "bytes=1-2", "If-Range": '"other"'}).body == data
    raw = f"/spaces/{space}/raw/sub/data.bin"
    a = hub.vitrine.get(raw, headers={"Range": "bytes=5-9"})
    assert (a.status, a.body, a.headers["content-range"], a.headers["etag"]) == (206, data[5:10], "bytes 5-9/25600", etag)
    a = hub.vitrine.get(raw, headers={"Range": "bytes=25600-"})
    assert (a.status, a.body, a.headers["content-range"]) == (416, b"", "bytes */25600")
    for wrong, code in [("main/none", "EntryNotFound"), ("none/README.md", "RevisionNotFound"), ("main/sub", "EntryNotFound"), ("main/../x", "EntryNotFound")]:
        a = hub.vitrine.http("HEAD", f"/spaces/{space}/resolve/{wrong}")
        assert a.status in (400, 404) and a.headers.get("x-error-code", code) == code, wrong
    sha = head.headers["x-repo-commit"]
    assert hub.vitrine.get(f"/spaces/{space}/resolve/{sha}/index.html").body == b"by hf"


def test_operation(hub, space):
    said = hub.script("""
s = sys.argv[1]
r = api.get_space_runtime(s)
say([r.stage, r.hardware, r.sleep_time])
say(api.set_space_sleep_time(s, 3600).sleep_time)
say(api.pause_space(s).stage)
say(api.restart_space(s).stage)
api.add_space_variable(s, "COLOUR", "red", description="d")
say({k: v.value for k, v in api.get_space_variables(s).items()})
api.add_space_secret(s, "KEY", "hidden")
api.delete_space_secret(s, "KEY")
api.delete_space_variable(s, "COLOUR")
say([x.id for x in api.list_spaces(author=s.split("/")[0], filter="static", limit=3)])
api.move_repo(s, s + "-moved", repo_type="space")
say(api.space_info(s + "-moved").subdomain)
api.move_repo(s + "-moved", s, repo_type="space")
say(api.restart_space(s, factory_reboot=True).stage)
api.auth_check(s, repo_type="space")
new = hasattr(api, "list_spaces_hardware")
say([h.name for h in api.list_spaces_hardware()] if new else ["cpu-basic"])
say([r.id for r in api.list_user_repos()] if new else [s])
""", space)
    assert said[0][0] == "RUNNING" and said[0][1] and said[0][2] == 600 and said[1] == 3600 and said[2] == "PAUSED"
    assert said[3] in ("APP_STARTING", "RUNNING", "RUNNING_APP_STARTING") and said[4] == {"COLOUR": "red"} and said[5] == [space]
    assert said[6] == space.replace("/", "-") + "-moved" and said[7]
    assert "cpu-basic" in said[8] and space in said[9]
    assert until(lambda: hub.vitrine.demo(space).body == b"by hf")


def test_what_there_is_none_of(hub, space):
    """An empty list where the clients take one, else a sentence that says what to do."""
    me, new = space.split("/")[0], hub.folder.endswith("current")
    said = hub.script("""
s, me, new = sys.argv[1], sys.argv[2], sys.argv[3] == "1"
def why(call, *args, **kw):
    try:
        r = call(*args, **kw)
        say("done", r if isinstance(r, (list, str)) else "")
    except Exception as e:
        say(getattr(getattr(e, "response", None), "status_code", 0), str(e))
for call in (api.list_user_followers, api.list_user_following, api.list_organization_followers):
    why(lambda: list(call(me)))
why(lambda: list(api.list_user_followers("nobody-at-all")))
why(api.create_repo, me + "/gpu", repo_type="space", space_sdk="static", space_hardware="t4-small")
why(api.request_space_hardware, s, "t4-medium")
why(lambda: api.repo_exists(me + "/gpu", repo_type="space") and "made" or "none")
if new:
    why(api.list_space_templates)
    why(api.create_repo, me + "/templated", repo_type="space", space_template="gradio")
    why(api.set_space_volumes, s, [Volume(type="model", source="a/b", mount_path="/models")])
    why(api.delete_space_volumes, s)
    why(api.create_repo, me + "/mounted", repo_type="space", space_sdk="static", space_volumes=[Volume(type="model", source="a/b", mount_path="/models")])
    why(lambda: [x.id for x in api.search_spaces(s.split("/")[1])])
    why(lambda: api.get_zero_gpu_quota().remaining == 0 and "none")
    why(api.enable_space_dev_mode, s)
    why(lambda: api.disable_space_dev_mode(s).stage)
else:
    why(lambda: api.request_space_storage(s, "small").stage)
    why(api.delete_space_storage, s)
""", space, me, "1" if new else "0")
    assert said[:2] == [["done", []]] * 2 and said[2][0] == 404 and said[3][0] == 404, said
    for code, words in said[4:6]:
        assert code == 400 and "CONFIG_ERROR: there is no hardware" in words and "cpu-basic" in words, said
    assert said[6] == ["done", "none"]
    if new:
        assert said[7] == ["done", []] and "template" in said[8][1] and said[9][0] == 400 and "preload_from_hub" in said[9][1] and said[10][0] == 400, said
        assert said[11][0] == 400 and "mounted" in said[11][1] and said[12] == ["done", [space]] and said[13] == ["done", "none"], said
        assert said[14][0] == 400 and "vitrine dev" in said[14][1] and said[15][0] == "done", said
    else:
        assert said[7] == ["done", "RUNNING"] and said[8][0] == 400 and "/data" in said[8][1], said


@pytest.mark.parametrize("client", CLIENTS)
def test_hardware_with_a_gpu(vitrine, client, tmp_path):
    """By Hugging Face's names, where a flavour has one"""
    install()
    os.chmod(tmp_path, 0o755)
    os.symlink("/dev/full", tmp_path / "nvidia0")
    v = vitrine(f"[hardware]\nflavours = card: memory=256M gpu=1\ngpus = {tmp_path}/nvidia0\n")
    said = Hub(v, client, new_user(v, "ann")).script("""
s = "ann/g"
api.create_repo(s, repo_type="space", space_sdk="static", space_hardware="t4-small")
def has(r): say(r.hardware, r.requested_hardware)
has(api.get_space_runtime(s))
has(api.request_space_hardware(s, "cpu-basic"))
has(api.request_space_hardware(s, SpaceHardware.A10G_SMALL))
new = hasattr(api, "list_spaces_hardware")
say([[h.name, h.accelerator and h.accelerator.quantity] for h in api.list_spaces_hardware()] if new else None)
""")
    assert said[:3] == [["card", "t4-small"], ["cpu-basic", "cpu-basic"], ["card", "a10g-small"]]
    assert said[3] in ([["cpu-basic", None], ["card", "1"]], None)


def test_a_moved_space_is_found_by_its_old_name(hub, space):
    v, new = hub.vitrine, space + "-new"
    said = hub.script("""
s, to = sys.argv[1:]
api.move_repo(s, to, repo_type="space")
say(api.space_info(s).id)
say(open(api.hf_hub_download(s, "index.html", repo_type="space")).read())
api.upload_file(path_or_fileobj=b"by the old name", path_in_repo="index.html", repo_id=s, repo_type="space")
say([x.id for x in api.list_spaces(author=s.split("/")[0])])
""", space, new)
    assert said == [new, "by hf", [new]]
    assert until(lambda: v.demo(new).body == b"by the old name")
    a = v.get(f"/api/spaces/{space}/tree/main?recursive=1")
    assert (a.status, a.headers["location"]) == (307, f"/api/spaces/{new}/tree/main?recursive=1")
    # git follows, and says so
    folder = os.path.join(v.folder, "moved-" + os.path.basename(hub.folder))
    git = lambda *argv: subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", "-C", folder if os.path.isdir(folder) else v.folder, *argv], capture_output=True, text=True,
                                       env={"PATH": os.environ["PATH"], "HOME": v.folder, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"})
    for argv in (("clone", "-q", f"http://x:{hub.token}@{v.site}/spaces/{space}", folder), ("rm", "-qr", "sub"), ("commit", "-qm", "by git"), ("push", "-q", "origin", "HEAD:main")):
        p = git(*argv)
        assert p.returncode == 0, p
    assert not any("sub" in x for x in v.get(f"/api/spaces/{new}/tree/main?recursive=1").body.decode().split('"path"'))
    # a browser goes by way of the site; a program is told that there is nothing
    old = space.replace("/", "-").lower() + "." + v.site
    a = v.get("/x?y=1", host=old, headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert a.status == 303 and "/visit/" in a.headers["location"]
    a = v.get("/" + a.headers["location"].split("/", 3)[3])
    assert a.status == 303 and a.headers["location"].endswith(v.host(new) + "/x?y=1"), a.headers
    assert v.get("/", host=old, headers={"Accept": "application/json"}).status == 404
    # of a private one nobody is told
    assert v.api("PUT", f"/api/spaces/{new}/settings", body='{"visibility": "private"}').status == 200
    assert v.get(f"/api/spaces/{space}").status == 404 and v.api("GET", f"/api/spaces/{space}").status == 307
    # until somebody takes the name
    assert hub.script("api.create_repo(sys.argv[1], repo_type='space', space_sdk='static'); say(api.space_info(sys.argv[1]).id)", space) == [space]
    assert v.get(f"/api/spaces/{space}").status == 200
    v.cli("delete", new)


def test_duplicate(hub, space):
    to = space + "-copy"
    url, files, title = hub.script("""
s, to = sys.argv[1:]
duplicate = getattr(api, "duplicate_repo", None)
say(str(duplicate(s, to, repo_type="space") if duplicate else api.duplicate_space(s, to)))
say(sorted(api.list_repo_files(to, repo_type="space")))
say(api.list_repo_commits(to, repo_type="space")[0].title)
""", space, to)
    assert url == f"http://{hub.vitrine.site}/spaces/{to}" and files == ["README.md", "index.html", "sub/data.bin"] and title == f"Duplicate from {space}"
    assert until(lambda: hub.vitrine.demo(to).body == b"by hf") and hub.vitrine.demo(to, "/sub/data.bin").body == bytes(range(256)) * 100
    hub.vitrine.cli("delete", to)


def test_a_duplicate_is_the_same(hub):
    """Executable files and links are, variables come along unless they are given, secrets never; two thousand files are no work."""
    v, name = hub.vitrine, hub.folder.rsplit("/", 1)[1] + "/whole"
    folder = v.bundle("whole-" + hub.folder.rsplit("/", 1)[1], card="sdk: static", **{"index.html": "x", "tool.sh": "#!/bin/sh\n", **{f"many/{i}": str(i) for i in range(2000)}})
    os.chmod(f"{folder}/tool.sh", 0o755)
    os.symlink("index.html", f"{folder}/link.html")
    assert v.cli("deploy", folder, name).returncode == 0
    took, variables, secrets = hub.script("""
import time
s, to = sys.argv[1:]
api.add_space_variable(s, "KEPT", "1", description="of the first")
api.add_space_variable(s, "OTHER", "2")
api.add_space_variable(s, "HIDDEN", "3")
api.add_space_secret(s, "SECRET", "never copied")
began = time.monotonic()
given = dict(space_variables=[{"key": "OTHER", "value": "two"}], space_secrets=[{"key": "HIDDEN", "value": "its own"}])
if hasattr(api, "duplicate_repo"): api.duplicate_repo(s, to, repo_type="space", **given)
else: api.duplicate_space(s, to, variables=given["space_variables"], secrets=given["space_secrets"])
say(time.monotonic() - began)
say({k: [x.value, x.description] for k, x in api.get_space_variables(to).items()})
from urllib.request import Request, urlopen
say(sorted(json.loads(urlopen(Request(f"{api.endpoint}/api/spaces/{to}/secrets", headers={"Authorization": "Bearer " + os.environ["HF_TOKEN"]})).read())))
""", name, name + "-copy")
    assert variables == {"KEPT": ["1", "of the first"], "OTHER": ["two", ""]} and secrets == ["HIDDEN"]
    assert took < 20, took
    trees = []
    for space in (name, name + "-copy"):
        git = f"{v.folder}/{space.replace('/', '-')}.git"
        subprocess.run(["git", "clone", "-q", "--bare", f"http://{v.site}/spaces/{space}", git], check=True)
        trees.append(subprocess.run(["git", "-C", git, "ls-tree", "-r", "main"], capture_output=True, text=True, check=True).stdout)
        commits = subprocess.run(["git", "-C", git, "log", "--format=%s"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert trees[0] == trees[1] and "100755" in trees[0] and "120000" in trees[0] and commits == [f"Duplicate from {name}"]
    v.cli("delete", name)
    v.cli("delete", name + "-copy")


def test_squash(hub, space):
    before, after, side, works = hub.script("""
s = sys.argv[1]
for n in range(3):
    api.upload_file(path_or_fileobj=b"state %d" % n, path_in_repo="index.html", repo_id=s, repo_type="space")
api.create_branch(s, branch="side", repo_type="space")
log = lambda **kw: [c.title for c in api.list_repo_commits(s, repo_type="space", **kw)]
say(len(log()))
api.super_squash_history(s, repo_type="space", commit_message="All in one")
say(log())
api.super_squash_history(s, branch="side", repo_type="space")
say(log(revision="side"))
api.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id=s, repo_type="space")
say(log()[1:])
""", space)
    assert before >= 4 and after == ["All in one"] == works and len(side) == 1 and "side" in side[0]
    assert until(lambda: hub.vitrine.demo(space, "/more.txt").body == b"more") and hub.vitrine.demo(space).body == b"state 2"


def test_discussions(hub, space):
    listed, details = hub.script("""
s = sys.argv[1]
d = api.create_discussion(s, "It does not work", description="at all", repo_type="space")
api.comment_discussion(s, d.num, "really", repo_type="space")
api.rename_discussion(s, d.num, "It works now", repo_type="space")
c = api.edit_discussion_comment(s, d.num, d.events[0].id, "a bit", repo_type="space")
api.change_discussion_status(s, d.num, "closed", repo_type="space")
say([[x.num, x.title, x.status, x.author, x.is_pull_request] for x in api.get_repo_discussions(s, repo_type="space")])
d = api.get_discussion_details(s, d.num, repo_type="space")
say([[e.type, getattr(e, "content", None)] for e in d.events])
""", space)
    author = space.split("/")[0]
    assert listed == [[1, "It works now", "closed", author, False]]
    assert details == [["comment", "a bit"], ["comment", "really"], ["title-change", None], ["status-change", None]]


def test_logs(hub):
    if hub.folder.endswith("yearold"):
        pytest.skip("it had no logs then")
    name = "current/talks"
    folder = hub.vitrine.probe(more="print('hello from here', flush=True)")
    assert hub.hf("upload", name, folder, "--repo-type", "space").returncode == 0
    lines, = hub.script("""
for line in fetch_space_logs(sys.argv[1], follow=True):
    if "hello from here" in line:
        say(line)
        break
""", name)
    assert lines.endswith("hello from here\n")
    hub.vitrine.cli("delete", name)


def test_the_card_is_judged_first(hub, space):
    said = hub.script("""
def why(call, *args, **kw):
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        try:
            call(*args, **kw)
            say("fine", [str(x.message) for x in w])
        except Exception as e:
            say(type(e).__name__, str(e))
def commit(text):
    return api.create_commit(sys.argv[1], [CommitOperationAdd("README.md", text.encode())], commit_message="x", repo_type="space")
why(commit, "---\\nsdk: nonsense\\n---\\n")
why(commit, "---\\nsdk: static\\ntitle: [\\n---\\n")
why(commit, "---\\nsdk: static\\ncolorFrom: beige\\n---\\n")
why(commit, "no front matter")
why(SpaceCard("---\\nsdk: nonsense\\n---\\n").validate)
why(SpaceCard("---\\nsdk: static\\n---\\n").validate)
why(RepoCard("---\\nsdk: nonsense\\n---\\n").validate, repo_type="model")
""", space)
    assert said[0][0] == "ValueError" and "- README.md:2: sdk: " in said[0][1]
    assert said[1][0] == "ValueError" and re.search("README.md:[34]: the front matter is no YAML", said[1][1])
    if not hub.folder.endswith("yearold"):  # RepoCard.validate of that one asks huggingface.co, whatever HF_ENDPOINT is
        assert said[4][0] == "ValueError" and "README.md:2: sdk: " in said[4][1]
        assert [s[0] for s in said[5:]] == ["fine", "fine"] and [] == said[5][1], said
    assert "no front matter" in json.dumps(said[3]), said
    head = hub.vitrine.http("POST", "/api/validate-yaml", body=json.dumps({"content": "---\nsdk: x\n---\n", "repoType": "space"}), headers={"Content-Type": "application/json"})
    assert head.status == 400 and json.loads(head.body)["errors"][0]["line"] == 2


def test_owners(hub, space):
    me, org = space.split("/")[0], space.split("/")[0] + "-lab"
    for argv in (("user", "add", org, "--org"), ("user", "member", org, me, "--role", "write")):
        r = hub.vitrine.cli(*argv)
        assert r.returncode == 0 or "already" in r.stderr, r.stderr
    user, lab, members, strangers = hub.script("""
me, org = sys.argv[1:]
u = api.get_user_overview(me)
say([u.username, u.user_type, u.num_spaces, u.num_models])
o = api.get_organization_overview(org)
say([o.name, o.num_users, o.num_spaces])
say([m.username for m in api.list_organization_members(org)])
out = []
for call in (api.get_user_overview, api.get_organization_overview, api.list_organization_members):
    try:
        say(list(call("nobody-at-all")))
    except HfHubHTTPError as e:
        out.append(e.response.status_code)
say(out)
""", me, org)
    assert user == [me, "user", 1, 0] and lab == [org, 1, 0] and members == [me] and strangers == [404, 404, 403]


def test_what_is_refused(hub, space):
    other = new_user(hub.vitrine, "other")
    reader = new_user(hub.vitrine, space.split("/")[0], "read")
    code = """
def why(call, *args, **kw):
    try:
        call(*args, **kw)
        say("done")
    except Exception as e:
        say([type(e).__name__, getattr(getattr(e, "response", None), "status_code", None), str(e)])
s = sys.argv[1]
why(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=s, repo_type="space")
why(api.delete_repo, s, repo_type="space")
why(api.space_info, s + "-none")
why(api.space_info, s, revision="none")
why(api.hf_hub_download, s, "none.txt", repo_type="space")
why(api.create_repo, s, repo_type="space", space_sdk="static")
why(api.create_repo, s.split("/")[0] + "/model", repo_type="model")
"""
    for token in (other, reader):
        said = Hub(hub.vitrine, hub.folder.rsplit("/", 1)[1], token).script(code, space)
        assert [x[0] for x in said[2:5]] == ["RepositoryNotFoundError", "RevisionNotFoundError", said[4][0]] and "EntryNotFound" in said[4][0]
        assert [x[1] for x in said[:2] + said[5:]] == [403, 403, 403, 400], said
        assert ("may not change Spaces of" if token == other else 'has the role "read"') in said[0][2]
    wrong = Hub(hub.vitrine, hub.folder.rsplit("/", 1)[1], "vt_" + "0" * 64).hf("auth", "whoami")
    assert wrong.returncode != 0
    said = hub.script(code.replace("why(api.delete_repo, s, repo_type=\"space\")", ""), space)
    assert said[0] == "done" and said[4][1] == 409 and said[5][1] == 400


def test_a_commit_that_cannot_be(hub, space):
    """The card's line and reason reach the person; nothing has changed."""
    folder = hub.vitrine.bundle("wrong", card="sdk: static\napp_port: no", **{"index.html": "x"})
    r = hub.hf("upload", space, folder, "--repo-type", "space")
    assert r.returncode != 0 and "README.md:3" in r.stdout + r.stderr, r.stderr[-2000:]
    assert hub.vitrine.demo(space).body == b"by hf"


def test_files_one_by_one(hub):
    """As a notebook does: what is there is no app until its file comes."""
    name = hub.folder.rsplit("/", 1)[1] + "/slowly"
    said = hub.script("""
s = sys.argv[1]
api.create_repo(s, repo_type="space", space_sdk="static", private=False)
say(api.space_info(s).runtime.stage)
api.upload_file(path_or_fileobj=b"a {}", path_in_repo="site.css", repo_id=s, repo_type="space")
say(api.space_info(s).runtime.stage)
api.upload_file(path_or_fileobj=b"at last", path_in_repo="index.html", repo_id=s, repo_type="space")
say(api.list_repo_files(s, repo_type="space"))
""", name)
    assert said[:2] == ["NO_APP_FILE"] * 2 and sorted(said[2]) == ["README.md", "index.html", "site.css"]
    assert until(lambda: hub.vitrine.demo(name).body == b"at last")
    hub.script("api.delete_repo(sys.argv[1], repo_type='space')", name)


def test_thousands_of_files(hub):
    name = hub.folder.rsplit("/", 1)[1] + "/many"
    folder = hub.vitrine.bundle("many", card="sdk: static", **{"index.html": "many", **{f"d{i % 50}/f{i}.txt": f"file {i}" for i in range(2000)}})
    r = hub.hf("upload", name, folder, "--repo-type", "space")
    assert r.returncode == 0, r.stderr[-2000:]
    assert until(lambda: hub.vitrine.demo(name, "/d7/f1007.txt").body == b"file 1007")
    count, = hub.script("say(len(list(api.list_repo_tree(sys.argv[1], repo_type='space', recursive=True))))", name)
    assert count == 2000 + 50 + 2
    hub.vitrine.cli("delete", name)


def test_git_lfs(vitrine):
    """Above the limit, what goes by Git LFS; where the client would speak Xet, its error says what to do."""
    v = vitrine("[upload]\nmax_regular = 1M\n")
    install()
    data = os.urandom(3 << 20)
    folder = v.bundle("large", card="sdk: static", **{"index.html": "x", "model.bin": data})
    for client in CLIENTS:
        hub = Hub(v, client, new_user(v, client))
        r = hub.hf("upload", client + "/large", folder, "--repo-type", "space", HF_HUB_DISABLE_XET="1")
        assert r.returncode == 0, r.stderr[-2000:]
        assert until(lambda: v.demo(client + "/large", "/model.bin").body == data), client
        stored, got = hub.script("""
i = api.space_info(sys.argv[1], files_metadata=True)
say({f.rfilename: f.lfs.size for f in i.siblings if f.lfs})
say(os.path.getsize(api.hf_hub_download(sys.argv[1], "model.bin", repo_type="space")))
""", client + "/large")
        assert stored == {"model.bin": len(data)} and got == len(data)
        said = hub.script("""
s = sys.argv[1]
def why(call, *args, **kw):
    try:
        call(*args, repo_type="space", **kw)
        say("done")
    except HfHubHTTPError as e:
        say(str(e))
files = list(api.list_lfs_files(s, repo_type="space"))
say([[f.filename, f.size, f.ref, f.pushed_at.year > 2000] for f in files])
why(api.permanently_delete_lfs_files, s, files, rewrite_history=False)
api.create_branch(s, branch="side", repo_type="space")
api.create_tag(s, tag="first", tag_message="the first", repo_type="space")
api.upload_file(path_or_fileobj=b"y", path_in_repo="index.html", repo_id=s, repo_type="space", commit_message="Another page")
api.upload_file(path_or_fileobj=b"t", path_in_repo="thing", repo_id=s, repo_type="space")
api.create_commit(s, [CommitOperationDelete("thing"), CommitOperationAdd("thing/inside", b"t")], commit_message="A file becomes a folder\\n\\nM 100644 0000000000000000000000000000000000000000 no line of the stream", repo_type="space")
log = lambda **kw: [[c.title, c.message, c.created_at.isoformat()] for c in api.list_repo_commits(s, repo_type="space", **kw)]
before = log()
why(api.permanently_delete_lfs_files, s, files)
say(before == log(), len(before))
say([sorted(api.list_repo_files(s, revision=r, repo_type="space")) for r in ["main", "side", "first"] + [c.commit_id for c in api.list_repo_commits(s, repo_type="space")]])
say(list(api.list_lfs_files(s, repo_type="space")))
why(api.permanently_delete_lfs_files, s, files)
why(api.permanently_delete_lfs_files, s, files, rewrite_history=False)
""", client + "/large") if client == "current" else None
        if said:
            assert said[0] == [["model.bin", len(data), "main", True]] and "is model.bin of main: delete that file first" in said[1]
            # rewritten: every branch, tag and commit is as before, but for the file
            assert said[2] == "done" and said[3][0] is True and said[3][1] >= 3, said
            assert all("model.bin" not in files for files in said[4]) and all("index.html" in files for files in said[4][:4]), said
            assert said[5:] == [[], "done", "done"] and until(lambda: v.demo(client + "/large").body == b"y") and v.demo(client + "/large", "/model.bin").status == 404
            folder_of, = hub.script("say(sorted(f for f in api.list_repo_files(sys.argv[1], repo_type='space') if f.startswith('thing')))", client + "/large")
            assert folder_of == ["thing/inside"]
    hub.script("getattr(api, 'duplicate_repo', api.duplicate_space)(sys.argv[1], sys.argv[1] + '2', **({'repo_type': 'space'} if hasattr(api, 'duplicate_repo') else {}))", "yearold/large")
    assert until(lambda: v.demo("yearold/large2", "/model.bin").body == data)
    with open(folder + "/model.bin", "wb") as f:
        f.write(os.urandom(2 << 20))
    r = Hub(v, "current", new_user(v, "current")).hf("upload", "current/large", folder, "--repo-type", "space")
    assert r.returncode != 0 and "HF_HUB_DISABLE_XET=1" in r.stderr, r.stderr[-1000:]


def test_copies_between_spaces(vitrine):
    """Files in Git LFS too, which the client of today has copied by the server."""
    v = vitrine("[upload]\nmax_regular = 1M\nmax_repository = 7M\n")
    install()
    data = os.urandom(3 << 20)
    hub, other = (Hub(v, "current", new_user(v, name)) for name in ("current", "other"))
    folder = v.bundle("copied", card="sdk: static", **{"index.html": "x", "model.bin": data, "sub/a.txt": "a", "sub/deep/b.txt": "b"})
    for h, name in [(hub, "current/one"), (other, "other/hidden")]:
        r = h.hf("upload", name, folder, "--repo-type", "space", HF_HUB_DISABLE_XET="1")
        assert r.returncode == 0, r.stderr[-2000:]
    assert v.cli("visibility", "other/hidden", "private").returncode == 0
    made, hidden, full = hub.script("""
api.create_repo("current/two", repo_type="space", space_sdk="static")
api.copy_files("hf://spaces/current/one/model.bin", "hf://spaces/current/two/weights.bin")
api.copy_files("hf://spaces/current/one/sub/", "hf://spaces/current/two/all/")
api.create_commit("current/two", [CommitOperationCopy("index.html", "index.html", src_repo_id="current/one", src_repo_type="space")], commit_message="A page", repo_type="space")
say(sorted(api.list_repo_files("current/two", repo_type="space")))
def why(source, to):
    try:
        api.copy_files(source, to)
        say("done")
    except Exception as e:
        say(type(e).__name__ + ": " + str(e))
why("hf://spaces/other/hidden/model.bin", "hf://spaces/current/two/m.bin")
api.upload_file(path_or_fileobj=os.urandom(900000), path_in_repo="noise1", repo_id="current/two", repo_type="space")
api.upload_file(path_or_fileobj=os.urandom(900000), path_in_repo="noise2", repo_id="current/two", repo_type="space")
open("large", "wb").write(os.urandom(3 << 20))
api.create_repo("current/three", repo_type="space", space_sdk="static")
api.upload_file(path_or_fileobj="large", path_in_repo="large.bin", repo_id="current/three", repo_type="space")
why("hf://spaces/current/three/large.bin", "hf://spaces/current/two/large.bin")
""", HF_HUB_DISABLE_XET="1")
    assert {"README.md", "index.html", "weights.bin", "all/a.txt", "all/deep/b.txt"} <= set(made), made
    assert until(lambda: v.demo("current/two", "/weights.bin").body == data) and v.demo("current/two", "/all/deep/b.txt").body == b"b"
    assert hidden.startswith("RepositoryNotFoundError"), hidden
    assert full.startswith("FileDuplicationError") and "7 MiB" in full, full

    def ask(source, target, oid="0" * 64, token=hub.token):
        a = v.http("POST", f"/api/spaces/{source}/lfs-files/duplicate", body=json.dumps({"target": {"type": "space", "name": target}, "files": [{"sha256": oid}]}),
                   headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
        return a.status, a.body.decode()
    status, said = ask("current/one", "current/two")
    assert status == 200 and [f["sha256"] for f in json.loads(said)["failed"]] == ["0" * 64], said
    assert ask("current/one", "current/two", "../../x")[0] == 200 and "x" in ask("current/one", "current/two", "../../x")[1]
    assert ask("other/hidden", "current/two")[0] == 404 and ask("current/one", "other/hidden")[0] == 404 and ask("current/one", "current/none")[0] == 404
    assert ask("current/one", "current/two", token=other.token)[0] == 403 and ask("current/one", "current/two", token="x")[0] == 401


def test_the_command(hub, space):
    """`hf spaces` and `hf repos` as people type them; the one of a year ago has few of these."""
    if hub.folder.endswith("yearold"):
        pytest.skip("it had no `hf spaces` then")
    for words, shown in [("spaces ls --author current --format json", f'"{space}"'), ("spaces info " + space, '"stage": "RUNNING"'), ("spaces search " + space.split("/")[1], space),
                         ("spaces hardware", "cpu-basic"), (f"spaces variables add {space} -e A=b", "keys: ['A']"), ("spaces templates", "No results"), ("spaces volumes ls " + space, "No results"),
                         (f"spaces settings {space} --sleep-time 3600", "sleep_time: 3600"), ("repos ls", space), (f"repos tag create {space} v1 --type space", "tag: v1"),
                         (f"spaces pause {space}", "PAUSED"), (f"spaces restart {space}", "Space restart triggered")]:
        r = hub.hf(*words.split())
        assert r.returncode == 0 and shown in r.stdout, (words, r.stdout, r.stderr[-1000:])
    assert re.search("stage: (APP_STARTING|RUNNING)", r.stdout), r.stdout  # it is quick
    r = hub.hf("spaces", "dev-mode", space)
    assert r.returncode == 1 and "vitrine dev" in r.stderr
