"""How Sphinx builds the site: `make docs`. Nothing is fetched, and a warning is an error."""

import sphinx_gallery.sorting

import sklearn_histeq

project = "sklearn-histeq"
author = "The sklearn-histeq developers"
copyright = author
version = release = sklearn_histeq.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "auto_examples/*.ipynb",
    "auto_examples/*.py",
    "sg_execution_times.rst",
]
templates_path = ["_templates"]
default_role = "code"  # `X` in a docstring is code, as in Markdown
suppress_warnings = [
    "config.cache",  # sphinx-gallery's settings hold functions
    "myst.header",  # docs/performance.md, as `make bench` writes it, skips a level
]

# Pages in Markdown are read on their own, too: their links are those of files and of headings.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings tell
numpydoc_show_class_members = False  # _templates/class.rst lists those of this package
numpydoc_xref_param_type = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": sphinx_gallery.sorting.FileNameSortKey,
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
    "image_scrapers": ("matplotlib",),
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
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {
        "text": "sklearn-histeq",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "show_prev_next": False,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
# Only the gallery and the reference have pages below them to be listed.
html_sidebars = {"[!ar]*": [], "architecture": []}
