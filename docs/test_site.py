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
BASE = urlsplit(SITE_ADDRESS or "").path.rstrip("/") + "/"  # the path of the published site
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
        next: document.querySelector("a.right-next")?.href,
        previous: document.querySelector("a.left-prev")?.href,
        undescribed: [...document.images].filter(
            i => !i.alt && !i.closest(".sphx-glr-thumbcontainer, .navbar-brand")).map(i => i.src),
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
# Texts of less contrast than 4.5 with the colour behind them, as the contrast is defined in WCAG 2.
TOO_PALE = """
const numbers = color => color.match(/[\\d.]+/g).map(Number);
const luminance = color => numbers(color).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = e => {
    const color = getComputedStyle(e).backgroundColor;
    return (numbers(color)[3] ?? 1) === 1 || e === document.documentElement ? color
        : behind(e.parentElement);
};
const contrast = e => {
    const [low, high] = [getComputedStyle(e).color, behind(e)].map(luminance).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
};
const hasText = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
document.documentElement.dataset.theme = arguments[0];
return [...document.querySelectorAll(".bd-article *, .bd-article")]
    .filter(e => hasText(e) && e.checkVisibility() && !e.closest(".sk-top-container"))
    .map(e => [contrast(e), e.className, e.textContent.slice(0, 40)]).filter(([c]) => c < 4.5);
"""
# Tables that scroll, whose first column does not stay or leaves too little room for the others.
LOST_LABELS = """
return [...document.querySelectorAll(".bd-article table:not(.genindextable)")].filter(t => {
    if (t.scrollWidth <= t.clientWidth || t.rows[0].cells.length < 2) return false;
    t.scrollLeft = t.scrollWidth;
    const first = t.querySelector("tr > :first-child").getBoundingClientRect();
    const box = t.getBoundingClientRect();
    return Math.abs(first.left - box.left) > 2 || first.width > 0.5 * box.width;
}).map(t => t.outerHTML.slice(0, 80));
"""


class Handler(SimpleHTTPRequestHandler):
    """Serve the site as GitHub Pages does, with 404.html for what is missing; print nothing."""

    def translate_path(self, path):
        return super().translate_path(path.removeprefix(BASE))

    def send_error(self, code, message=None, explain=None):
        page = (SITE / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def root():
    """The site's address on this machine."""
    handler = functools.partial(Handler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{BASE}"
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
    assert len([page for page in PAGES if "/plot_" in page]) >= 4


@pytest.mark.parametrize("page", PAGES)
def test_pages_load(seen, page):
    assert seen[page]["logged"] == []
    assert seen[page]["missing pictures"] == []
    assert seen[page]["from elsewhere"] == []


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.startswith(("index", "guide/")) or "/plot_" in p]
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
            target = unquote(parts.path.removeprefix(BASE)) or "index.html"
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
        unquote(urlsplit(link).path.removeprefix(BASE))
        for page, found in seen.items()
        for link in found["links"]
        if link.startswith(root) and urlsplit(link).path.removeprefix(BASE) != page
    }
    assert set(PAGES) - linked <= {"search.html", "genindex.html", "404.html"}


def test_next_and_previous_lead_through_the_site(seen, root):
    path = [root + "index.html"]
    while following := seen[path[-1].removeprefix(root)]["next"]:
        assert seen[following.removeprefix(root)]["previous"] == path[-1]
        path.append(following)
    left_out = set(PAGES) - {link.removeprefix(root) for link in path}
    assert left_out <= {"search.html", "genindex.html", "404.html"}


def test_a_missing_address_shows_the_page_for_it(browser, root):
    browser.get(root + "api/no/such/page.html")
    assert "Page not found" in browser.find_element(By.TAG_NAME, "h1").text
    assert browser.execute_async_script(LOAD_PICTURES) == []
    logo_height = "return document.querySelector('.logo__image').getBoundingClientRect().height"
    assert browser.execute_script(logo_height) < 100  # by the theme's style
    links = browser.find_elements(By.CSS_SELECTOR, ".bd-article a.internal")
    assert len(links) >= 3
    for link in [link.get_attribute("href") for link in links]:
        assert (SITE / link.removeprefix(root)).is_file()


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("HistogramEqualizer", "api/sklearn_histeq.HistogramEqualizer.html"),
        ("DICOM", "deployment.html"),
        ("Keras", "deployment.html"),
        ("float32", "deployment.html"),
        ("mlflow", "deployment.html"),
        ("ONNX", "deployment.html"),
        ("volume", "guide/input.html"),
        ("Lab", "guide/definitions.html"),
        ("landmarks", "guide/estimators.html"),
    ],
)
def test_the_search_finds_the_page(browser, root, word, page):
    set_width(browser, DESKTOP)
    browser.get(f"{root}search.html?q={word}")
    results = (By.CSS_SELECTOR, "#search-results ul.search li a")
    done = "return document.querySelector('.search-summary')?.textContent"
    WebDriverWait(browser, 20).until(
        lambda b: b.find_elements(*results) and "found" in (b.execute_script(done) or "")
    )
    links = [a.get_attribute("href") for a in browser.find_elements(*results)]
    assert any(link.startswith(root + page) for link in links[:5])


def test_a_pipelines_diagram_links_to_a_published_site_only(browser, root):
    browser.get(root + "auto_examples/pipelines/plot_08_recognise.html")
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


@pytest.mark.parametrize("page", PAGES)
def test_the_first_column_of_a_table_stays_on_a_phone(browser, root, page):
    set_width(browser, (375, 812))
    browser.get(root + page)
    assert browser.execute_script(LOST_LABELS) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_text_and_code_have_contrast(browser, root, page, theme):
    set_width(browser, DESKTOP)
    browser.get(root + page)
    assert browser.execute_script(TOO_PALE, theme) == []


@pytest.mark.parametrize("page", PAGES)
def test_images_have_alternative_texts(seen, page):
    assert seen[page]["undescribed"] == []


def test_tables_take_the_width_of_a_desktop(browser, root):
    set_width(browser, DESKTOP)
    browser.get(root + "choosing.html")
    width = "return document.querySelector('.bd-article {}').getBoundingClientRect().width"
    table, text = (browser.execute_script(width.format(tag)) for tag in ("table", "section > p"))
    assert table > text


def test_header_and_footer_name_the_version(browser, root):
    set_width(browser, DESKTOP)
    browser.get(root + "index.html")
    for place in ("navbar-brand", "bd-footer"):
        assert sklearn_histeq.__version__ in browser.find_element(By.CLASS_NAME, place).text


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
