"""A Gradio Space as people have it: sent by `hf upload`, built from its card alone, asked by gradio_client."""
import pytest
from hub import CLIENTS, Hub, install, new_user
from vitrine import PATIENCE, Vitrine, until

APP = '''
import gradio as gr

def greet(name):
    return "Hello " + name

gr.Interface(greet, "text", "text", api_name="greet").launch()
'''
ASK = """
import gradio_client
try:
    c = gradio_client.Client(sys.argv[1], **json.loads(sys.argv[2]), verbose=False)
    say(c.predict("Ada", api_name="/greet"))
except Exception as e:
    say([type(e).__name__, str(e)])
"""


@pytest.fixture(scope="module")
def system():
    install()
    v = Vitrine("[limits]\nmemory = 1G\n")
    v.start()
    yield v
    v.end()


@pytest.fixture(scope="module")
def space(system):
    hub = Hub(system, "current", new_user(system, "ada"))
    folder = system.bundle("gradio", card="title: Hello\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py", **{"app.py": APP})
    r = hub.hf("upload", "ada/hello", folder, "--repo-type", "space")
    assert r.returncode == 0, r.stderr
    assert until(lambda: hub.vitrine.stage("ada/hello") == "RUNNING", 300 * PATIENCE, 0.5), system.cli("logs", "ada/hello", "--build").stdout[-2000:]
    return hub


@pytest.mark.parametrize("client", CLIENTS)
def test_predict(system, space, client):
    hub = Hub(system, client, space.token)
    word = "token" if client == "current" else "hf_token"
    assert hub.script(ASK, "ada/hello", "{}") == ["Hello Ada"]
    asleep = space.script("say(api.pause_space('ada/hello').stage); say(api.restart_space('ada/hello').stage)")
    assert asleep[0] == "PAUSED"
    assert until(lambda: system.stage("ada/hello") in ("RUNNING", "SLEEPING"), 60 * PATIENCE)
    space.script("api.update_repo_settings('ada/hello', private=True, repo_type='space')")
    assert hub.script(ASK, "ada/hello", '{"%s": "%s"}' % (word, space.token)) == ["Hello Ada"]
    # asleep, and private: the client asks the address at once, and its own patience of five seconds is not this machine's
    space.script("api.set_space_sleep_time('ada/hello', 1)")
    assert until(lambda: system.stage("ada/hello") == "SLEEPING", 60 * PATIENCE)
    space.script("api.set_space_sleep_time('ada/hello', 3600)")
    assert system.stage("ada/hello") == "SLEEPING"
    assert hub.script(ASK, "ada/hello", '{"%s": "%s", "httpx_kwargs": {"timeout": 60}}' % (word, space.token)) == ["Hello Ada"]
    other = Hub(system, client, new_user(system, "eve"))
    assert other.script(ASK, "ada/hello", "{}")[0][0] == "RepositoryNotFoundError"
    space.script("api.update_repo_settings('ada/hello', private=False, repo_type='space')")
