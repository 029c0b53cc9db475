"""The built site in a real browser: every page loads, is complete, and fits a phone and a desktop.

`make test-docs` builds the site and runs this. The pages are served on this machine; a request for
anything elsewhere is an error.
"""

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import sklearn_histeq
from sklearn_histeq._base import SITE as SITE_ADDRESS

SITE = Path(__file__).parent / "_build" / "html"
FILES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
PAGES = [page for page in FILES if not page.startswith("_static/")]  # the theme's own templates
DESKTOP, PHONES = (1400, 900), [(360, 800), (400, 850)]
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
]
# A picture below the fold may be loaded late; it is, before the page is looked at.
LOAD_PICTURES = """
const done = arguments[0], pictures = [...document.images];
for (const picture of pictures) picture.loading = "eager";
Promise.all(pictures.map(p => p.decode().catch(() => null))).then(
    () => done(pictures.filter(p => !p.naturalWidth).map(p => p.src)));
"""
LINKS = """
return {links: [...document.querySelectorAll("a[href]")].map(a => a.href),
        ids: [...document.querySelectorAll("[id], a[name]")].map(e => e.id || e.name)};
"""
# Boxes that are wider than the page, or than what they scroll in; tables and code may scroll.
TOO_WIDE = """
const boxes = [document.documentElement, ...document.querySelectorAll(".bd-main, .bd-main *")];
const scrolls = "table, pre, .sk-top-container, .bd-breadcrumbs, .bd-toc";
return boxes.filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1 && !e.closest(scrolls)
    && getComputedStyle(e).display !== "inline"
    && (e === document.documentElement || getComputedStyle(e).overflowX !== "visible")
).map(e => e.outerHTML.slice(0, 80));
"""


class Handler(SimpleHTTPRequestHandler):
    """Serve files and print nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def root():
    """The site's address on this machine."""
    handler = functools.partial(Handler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(30)
    yield driver
    driver.quit()


def set_width(browser, size):
    """A window of this size; a headless one may be narrower than a real one can be."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture(scope="module")
def seen(browser, root):
    """What the browser saw on each page."""
    set_width(browser, DESKTOP)
    return {page: look(browser, root, page) for page in PAGES}


def look(browser, root, page):
    """Open a page and say what it logged, lacks, asks for and links to."""
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(root + page)
    missing = browser.execute_async_script(LOAD_PICTURES)
    asked = [line["message"] for line in browser.get_log("performance")]
    return {
        "missing pictures": missing,
        "pictures": len(browser.find_elements(By.TAG_NAME, "img")),
        "logged": [
            line["message"] for line in browser.get_log("browser") if line["level"] != "INFO"
        ],
        "from elsewhere": [
            message
            for message in asked
            if "Network.requestWillBeSent" in message
            and '"url":"http' in message
            and f'"url":"{root}' not in message
        ],
        **browser.execute_script(LINKS),
    }


def test_the_site_is_built():
    assert {"index.html", "user_guide.html", "migration.html", "search.html"} <= set(PAGES)
    assert len([page for page in PAGES if page.startswith("auto_examples/plot_")]) >= 4


@pytest.mark.parametrize("page", PAGES)
def test_pages_load(seen, page):
    assert seen[page]["logged"] == []
    assert seen[page]["missing pictures"] == []
    assert seen[page]["from elsewhere"] == []


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.startswith(("index", "guide/", "auto_examples/plot"))]
)
def test_pages_with_pictures_have_them(seen, page):
    assert seen[page]["pictures"] >= 1


def test_links_inside_the_site_resolve(seen, root):
    broken = set()
    for page, found in seen.items():
        for link in found["links"]:
            if not link.startswith(root):
                continue
            parts = urlsplit(link)
            target = unquote(parts.path[1:]) or "index.html"
            if not (SITE / target).is_file():
                broken.add((page, link))
                continue
            # what follows :~: is a text to be shown, not a place
            place = unquote(parts.fragment.split(":~:")[0])
            if place and target in seen and place not in seen[target]["ids"]:
                broken.add((page, link))
    assert not broken


@pytest.mark.parametrize("page", [p for p in PAGES if p.startswith("guide/")])
def test_the_guide_links_to_classes_and_parameters(seen, root, page):
    links = [link for link in seen[page]["links"] if link.startswith(root + "api/")]
    places = {link.partition("#sklearn_histeq.")[2].count(".") for link in links}
    assert {0, 1} <= places  # as in HistogramEqualizer, and in HistogramEqualizer.dtype


def test_every_page_is_linked_from_another(seen, root):
    linked = {
        unquote(urlsplit(link).path[1:])
        for page, found in seen.items()
        for link in found["links"]
        if link.startswith(root) and urlsplit(link).path[1:] != page
    }
    assert set(PAGES) - linked <= {"search.html", "genindex.html"}


def test_the_search_finds_the_equalizer(browser, root):
    set_width(browser, DESKTOP)
    browser.get(root + "search.html?q=HistogramEqualizer")
    results = (By.CSS_SELECTOR, "#search-results ul.search li a")
    WebDriverWait(browser, 20).until(lambda b: b.find_elements(*results))
    links = [a.get_attribute("href") for a in browser.find_elements(*results)]
    assert any("api/sklearn_histeq.HistogramEqualizer.html" in link for link in links[:3])


@pytest.mark.parametrize("word", ["DICOM", "Keras", "float32", "mlflow", "ONNX"])
def test_the_search_finds_deployment(browser, root, word):
    browser.get(f"{root}search.html?q={word}")
    wanted = (By.CSS_SELECTOR, '#search-results ul.search li a[href^="deployment.html"]')
    WebDriverWait(browser, 20).until(lambda b: b.find_elements(*wanted))


def test_a_pipelines_diagram_links_to_a_published_site_only(browser, root):
    browser.get(root + "auto_examples/plot_08_recognise.html")
    links = browser.find_elements(By.CSS_SELECTOR, "a.sk-estimator-doc-link")
    hrefs = [link.get_attribute("href") for link in links]
    ours = [href for href in hrefs if href and "HistogramEqualizer" in href]
    assert bool(ours) == bool(SITE_ADDRESS)
    assert all(href.startswith(SITE_ADDRESS) for href in ours)


@pytest.mark.parametrize("size", PHONES)
@pytest.mark.parametrize("page", PAGES)
def test_pages_fit_a_phone(browser, root, page, size):
    set_width(browser, size)
    browser.get(root + page)
    assert browser.execute_script("return window.innerWidth") == size[0]
    assert browser.execute_script(TOO_WIDE) == []


def test_tables_take_the_width_of_a_desktop(browser, root):
    set_width(browser, DESKTOP)
    browser.get(root + "choosing.html")
    width = "return document.querySelector('.bd-article {}').getBoundingClientRect().width"
    table, text = (browser.execute_script(width.format(tag)) for tag in ("table", "section > p"))
    assert table > text


def test_the_header_names_the_version(browser, root):
    browser.get(root + "index.html")
    assert sklearn_histeq.__version__ in browser.find_element(By.CLASS_NAME, "navbar-brand").text


def test_the_search_leaves_out_the_tooltips_of_diagrams():
    index = (SITE / "searchindex.js").read_text(encoding="utf-8")
    assert "n_tile" in index
    assert "break_ti" not in index  # a parameter of SVC, which only its diagram describes


def test_names_of_other_libraries_are_links(seen):
    links = {link for found in seen.values() for link in found["links"]}
    for start in (
        "https://numpy.org/doc/stable/reference/generated/numpy.stack.html",
        "https://scikit-learn.org/stable/modules/generated/sklearn.svm.SVC.html",
        "https://scikit-image.org/docs/stable/api/skimage.exposure.html",
        "https://docs.dask.org/en/stable/generated/dask.array.from_array.html",
    ):
        assert any(link.startswith(start) for link in links), start
