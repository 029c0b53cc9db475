"""Link names of the package in pages and the gallery to the reference, with an id per parameter.

Pages write names as code: `HistogramEqualizer`, `relight`, and in the guide also `clip_limit=3`. In
each section, the first such code of a name becomes a link. So pages stay plain Markdown, and no
link is forgotten.
"""

import inspect
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

import sklearn_histeq

EQUALIZERS = [
    "HistogramEqualizer",
    "AdaptiveHistogramEqualizer",
    "LocalHistogramEqualizer",
    "HistogramMatcher",
]
# What has parameters or attributes that pages name, in the order in which it is looked for.
OWNERS = [
    *EQUALIZERS,
    *(f"{name}.fit_transform" for name in EQUALIZERS),  # mask
    "AugmentedEstimator",
    "relight",
    "relit_scorer",
    "EqualizationDisplay.from_estimator",
]
METHODS = ["partial_fit", "inverse_transform"]
NOT_LINKED = {"self", "X", "y", "estimator"}


def names_of(owner):
    """The parameters of a class, method or function, and the attributes that fit leaves."""
    thing = sklearn_histeq
    for part in owner.split("."):
        thing = getattr(thing, part)
    fitted = re.findall(r"^    (\w+_) : ", thing.__doc__, re.MULTILINE)
    return {*inspect.signature(thing).parameters, *fitted} - NOT_LINKED


NAMES = {owner: names_of(owner) for owner in OWNERS}


def setup(app):
    """Connect both functions to Sphinx."""
    app.connect("doctree-read", name_parameters)
    app.connect("doctree-resolved", link_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def name_parameters(app, doctree):
    """Give each parameter and attribute in the reference an id: sklearn_histeq.relight.bits."""
    for term in doctree.findall(nodes.term):
        signature = term
        while signature is not None and not isinstance(signature, addnodes.desc):
            signature = signature.parent
        if signature is None or not isinstance(term.children[0], nodes.strong):
            continue
        for name in re.findall(r"\w+", term.children[0].astext()):
            term["ids"].append(f"{signature[0]['ids'][0]}.{name}")


def link_code(app, doctree, docname):
    """Make links of code that names something in the reference, once per section."""
    is_example = docname.startswith("auto_examples/")
    if not is_example and Path(app.env.doc2path(docname)).suffix != ".md":
        return
    seen = set()
    for code in [*doctree.findall(nodes.literal)]:
        sections = [node for node in parents(code) if isinstance(node, nodes.section)]
        if any(isinstance(node, nodes.reference | nodes.title) for node in parents(code)):
            continue
        place = place_of(code.astext(), sections, is_guide=docname.startswith("guide/"))
        if place is None or (id(sections[0]), place) in seen:
            continue
        seen.add((id(sections[0]), place))
        page = "api/sklearn_histeq." + place.split(".")[0]
        address = f"{app.builder.get_relative_uri(docname, page)}#sklearn_histeq.{place}"
        link = nodes.reference("", "", refuri=address, internal=True)
        code.replace_self(link)
        link += code


def parents(node):
    """The nodes around a node, from the nearest on."""
    while node.parent is not None:
        node = node.parent
        yield node


def place_of(text, sections, is_guide):
    """What a text of code names: a public name, a method of one, or in the guide a parameter."""
    name = re.match(r"[\w.]*", text)[0]
    if name.split(".")[0] in sklearn_histeq.__all__:
        return name
    if not is_guide or not re.fullmatch(r"\w+(=.*)?", text):
        return None
    titles = " ".join(section.next_node(nodes.title).astext() for section in sections)
    owners = sorted(OWNERS, key=lambda owner: owner.split(".")[0] not in re.findall(r"\w+", titles))
    if name in METHODS:
        return f"{owners[0]}.{name}"
    return next((f"{owner}.{name}" for owner in owners if name in NAMES[owner]), None)
