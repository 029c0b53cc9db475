"""How Sphinx builds the site: `make docs`. Nothing is fetched, and a warning is an error."""

import inspect
import sys
import tempfile
import tomllib
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from sphinx_gallery.sorting import ExplicitOrder, FileNameSortKey

import sklearn_histeq
from sklearn_histeq._base import SITE

sys.path.insert(0, str(Path(__file__).parent))  # api_links, gallery
import gallery

project = "sklearn-histeq"
author = "The sklearn-histeq developers"
copyright = author
version = release = sklearn_histeq.__version__
PACKAGE = Path(sklearn_histeq.__file__).parent
SETTINGS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
# https://github.com/OWNER/NAME, once it is public
REPOSITORY = SETTINGS["project"].get("urls", {}).get("Repository")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "api_links",
    *(["sphinx.ext.linkcode"] if REPOSITORY else []),
]
exclude_patterns = [
    "_build",
    "auto_examples/**/*.ipynb",
    "auto_examples/**/*.py",
    "sg_execution_times.rst",
]
templates_path = ["_templates"]
default_role = "code"  # `X` in a docstring is code, as in Markdown
suppress_warnings = [
    "config.cache",  # sphinx-gallery's settings hold functions
]

# Pages in Markdown are read on their own, too: their links are those of files and of headings.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings tell
numpydoc_show_class_members = False  # _templates/class.rst lists those of this package
numpydoc_xref_param_type = False

# The names of other libraries that the site links to: address, page of a name, names. Their own
# inventories would have to be fetched.
LINKED = {
    "numpy": (
        "https://numpy.org/doc/stable/",
        "reference/generated/{name}.html",
        "linspace nan_to_num ndarray ptp repeat stack unique where",
    ),
    "sklearn": (
        "https://scikit-learn.org/stable/",
        "modules/generated/{name}.html",
        "decomposition.IncrementalPCA impute.SimpleImputer model_selection.GridSearchCV "
        "model_selection.GroupKFold model_selection.train_test_split pipeline.Pipeline "
        "pipeline.make_pipeline preprocessing.FunctionTransformer "
        "preprocessing.QuantileTransformer svm.SVC",
    ),
    "skimage": (
        "https://scikit-image.org/docs/stable/",
        "api/{module}.html#{name}",
        "data.cell data.coffee data.lfw_subset data.page data.stereo_motorcycle "
        "exposure.cumulative_distribution exposure.equalize_adapthist exposure.equalize_hist "
        "exposure.match_histograms transform.resize",
    ),
    "dask": (
        "https://docs.dask.org/en/stable/",
        "generated/{name}.html",
        "array.concatenate array.from_array",
    ),
    "joblib": (
        "https://joblib.readthedocs.io/en/stable/",
        "generated/{name}.html",
        "parallel_config",
    ),
}


def write_inventory(path, project, page, names):
    """Write an objects.inv, in which a name that begins with a capital letter is a class."""
    lines = []
    for name in (f"{project}.{name}" for name in names.split()):
        is_class = name.split(".")[-1][0].isupper() or name == "numpy.ndarray"
        role = "class" if is_class else "function"
        place = page.format(name=name, module=name.rpartition(".")[0])
        lines.append(f"{name} py:{role} 1 {place} -\n")
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    path.write_bytes(head.encode() + zlib.compress("".join(lines).encode()))
    return str(path)


inventories = tempfile.TemporaryDirectory()
intersphinx_mapping = {
    project: (
        address,
        write_inventory(Path(inventories.name) / f"{project}.inv", project, page, names),
    )
    for project, (address, page, names) in LINKED.items()
}


def setup(app):
    """Connect what Sphinx has no setting for."""
    app.connect("doctree-read", hide_diagrams_from_search)
    app.connect("html-page-context", adapt_page)


def adapt_page(app, pagename, templatename, context, doctree):
    """Set the base of links on the page for missing addresses; offer no edit of generated pages."""
    if pagename == "404":  # shown at any address, so that its own is no base for relative links
        context["metatags"] += f'<base href="{urlsplit(SITE or "").path.rstrip("/")}/404.html">'
    if pagename.startswith(("api/", "auto_examples/")):
        context["page_source_suffix"] = ""


def linkcode_resolve(domain, info):
    """Return the address of the lines that define a public name."""
    thing = sklearn_histeq
    for part in info["fullname"].split("."):
        thing = getattr(thing, part)
    file = Path(inspect.getsourcefile(inspect.unwrap(thing)))
    if not file.is_relative_to(PACKAGE):  # a method of scikit-learn
        return None
    lines, first = inspect.getsourcelines(inspect.unwrap(thing))
    lines = f"L{first}-L{first + len(lines) - 1}"
    return f"{REPOSITORY}/blob/main/{file.relative_to(PACKAGE.parent)}#{lines}"


def hide_diagrams_from_search(app, doctree):
    """Mark the HTML of estimators: its tooltips describe every parameter of scikit-learn."""
    for node in doctree.findall(nodes.raw):
        if "sk-top-container" in node.astext():
            node["classes"].append("no-search")


copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "subsection_order": ExplicitOrder([f"../examples/{name}" for name in gallery.GROUPS]),
    "within_subsection_order": FileNameSortKey,
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
    "image_scrapers": (gallery.described_figures,),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "doc_module": ("sklearn_histeq",),
    "reference_url": {"sklearn_histeq": None},
    "backreferences_dir": "api/backreferences",
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-histeq"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
if REPOSITORY:
    owner, name = urlsplit(REPOSITORY).path.strip("/").split("/")
    html_context |= {"github_user": owner, "github_repo": name}
    html_context |= {"github_version": "main", "doc_path": "docs"}
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {
        "text": f"sklearn-histeq {version}",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "use_edit_page_button": bool(REPOSITORY),
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc", "edit-this-page"],
    "footer_start": ["copyright"],
    "footer_end": ["version"],
}
# Only the gallery, the guide and the reference have pages below them to be listed.
html_sidebars = {"[!agr]*": [], "architecture": [], "genindex": []}
