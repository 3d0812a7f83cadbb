"""The page with everything that a page can have, opened in a real browser without a network.

Chromium of the system, found by its name or by the environment variable CHROMIUM.
"""

import os
import shutil

import pytest

from jxr.reporting import write_report
from tests.reporting.fake_results import fake_examples, fake_results, fake_sweep
from tests.reporting.screen import SIZE

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Words that anyone could have as names of classes and files: long, or hostile.
LONG = "Klebsiella_pneumoniae_" * 6
ATTACK = '<img src=x onerror="window.attacked=1">\'&amp;</style></script>'


@pytest.fixture(scope="module")
def examples():
    return fake_examples(titles=("normal", LONG + ATTACK), size=SIZE)


@pytest.fixture(scope="module")
def address(tmp_path_factory, examples):
    """The address of a page with everything that a page can have."""
    results = fake_results() | {"sweep": fake_sweep()}
    for row in results["classification"] + results["roc"] + results["sweep"]:
        if row["task"] == "bacterial_vs_viral":
            row["task"] = f"{ATTACK}_vs_{LONG}"
    results["provenance"]["notes"] = [ATTACK, LONG]
    folder = tmp_path_factory.mktemp("report")
    write_report(results, folder, examples=examples)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium here: install the system's package, or name one by CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page as a new visitor; at the end, nothing may have gone wrong for any."""
    said, requests, contexts = [], [], []

    def open_page(**settings):
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield open_page
    assert said == []
    assert [url for url in requests if not url.startswith("data:")] == [address] * len(contexts)
    for context in contexts:
        context.close()
