"""Limits of one Space as an operator sets them, at both widths and in both schemes."""
import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def space(up):
    up.deploy(up.bundle("limited", **{"README.md": "---\ntitle: Limited\nsdk: static\n---\n", "index.html": "<h1>x</h1>"}), "alice/limited")
    return "/spaces/alice/limited/limits"


@pytest.mark.parametrize("size,scheme", [((1280, 800), "light"), ((390, 844), "dark"), ((390, 844), "light"), ((1280, 800), "dark")])
def test_limits_page(browse, shot, space, size, scheme):
    page = browse(space, admin=True, size=size, scheme=scheme)
    expect(page.get_by_role("heading", name="Limits of Limited")).to_be_visible()
    page.locator("#limit-memory").fill("1 potato")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("limits.memory")
    page.locator("#limit-memory").fill("768M")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#limit-memory")).to_have_value("768M")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, f"limits-{size[0]}-{scheme}")
