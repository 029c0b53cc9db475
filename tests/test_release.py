"""What a release says about itself, in several places, is the same."""

import ast
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

import sklearn_histeq

ROOT = Path(__file__).parents[1]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_names_this_version():
    assert (
        re.search(r"^version: (\S+)$", read("CITATION.cff"), re.M)[1] == sklearn_histeq.__version__
    )


def test_the_changelog_begins_with_this_version():
    assert re.search(r"^## \[(\S+)\]", read("CHANGELOG.md"), re.M)[1] == sklearn_histeq.__version__


def test_the_licence_is_one():
    assert 'license = "BSD-3-Clause"' in read("pyproject.toml")
    assert "license: BSD-3-Clause" in read("CITATION.cff")
    assert read("LICENSE").startswith("BSD 3-Clause License")


def test_the_recipe_of_conda_needs_what_the_package_needs():
    if not (recipe := ROOT / ".ci" / "conda" / "recipe.yaml").exists():
        pytest.skip("a source archive has no recipe")
    text = recipe.read_text(encoding="utf-8")
    assert re.search(r'^  version: "(.+)"$', text, re.M)[1] == sklearn_histeq.__version__
    run = re.search(r"^  run:\n    - python\n((?:    - .+\n)+)", text, re.M)[1]
    dependencies = tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]
    assert {line.replace(" ", "") for line in re.findall("- (.+)", run)} == set(dependencies)


def test_the_address_of_the_repository_is_one():
    urls = tomllib.loads(read("pyproject.toml"))["project"].get("urls", {})
    cited = re.search(r"^repository-code: (\S+)$", read("CITATION.cff"), re.M)
    assert urls.get("Repository") == (cited and cited[1])


def test_pypi_gets_a_readme_whose_links_are_addresses(monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    if not (ROOT / "sklearn_histeq").exists():
        pytest.skip("setup.py has no package beside it: the tests are of an installed wheel")
    described = {}
    monkeypatch.setattr(setuptools, "setup", described.update)
    script = runpy.run_path(str(ROOT / "setup.py"))
    text = read("README.md")
    if "urls" not in tomllib.loads(read("pyproject.toml"))["project"]:
        assert described["long_description"] == text
    published = script["with_addresses"](text, "https://example.org/repo", "1.2.3")
    links = r"\[[^]]*\]\(([^)#]+)(?:#[^)]*)?\)"
    ours, theirs = (re.findall(links, page) for page in (text, published))
    assert len(theirs) == len(ours) > 10
    for here, there in zip(ours, theirs):
        if not here.startswith("https:"):
            kind = "raw" if here.endswith(".png") else "blob"
            assert there == f"https://example.org/repo/{kind}/v1.2.3/{here}"
    assert re.sub(links, "", published) == re.sub(links, "", text)  # the example is left alone


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"]
)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_targets_that_are_named_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", read(page), re.M))
    assert named
    assert named <= targets | {"help"}, named - targets


def test_actions_are_named_by_hash_and_version():
    """A tag could be moved to other code; the version says to a reader what the hash is."""
    if not (workflows := [*(ROOT / ".github" / "workflows").glob("*.yml")]):
        pytest.skip("a source archive has no workflows")
    text = "\n".join(path.read_text(encoding="utf-8") for path in workflows)
    used = re.findall(r"uses: (\S+?)@(.+)", text)
    assert used
    pinned = re.compile(r"[0-9a-f]{40}  # v\d+\.\d+\.\d+")
    assert [ref for _, ref in used if not pinned.fullmatch(ref)] == []
    by_action = {action: {ref for name, ref in used if name == action} for action, _ in used}
    assert {action for action, refs in by_action.items() if len(refs) > 1} == set()


PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
DEPENDENCIES = dict(re.match(r"([\w-]+)>=([\d.]+)$", d).groups() for d in PROJECT["dependencies"])


def test_what_is_imported_is_declared():
    """Where another dependency brings it, too: that may change."""
    imported = set()
    for path in Path(sklearn_histeq.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    names = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}
    others = imported - sys.stdlib_module_names - {"sklearn_histeq"}
    optional = {"dask", "matplotlib", "array_api_compat", "imagecodecs"}
    assert optional <= others
    assert {names.get(name, name) for name in others - optional} == set(DEPENDENCIES)


def test_the_oldest_releases_are_tested():
    oldest = dict(re.findall(r"([\w-]+)==([\d.]+)", read("Makefile")))
    assert DEPENDENCIES.keys() <= oldest.keys()
    for name, bound in DEPENDENCIES.items():
        assert f"{oldest[name]}.".startswith(f"{bound}."), name


def test_every_module_and_every_test_stands_in_the_table_of_tests():
    text = read("CONTRIBUTING.md")
    table = text[text.index("| module or rule |") : text.index("The built site")]
    rows = [line.split("|")[1:3] for line in table.split("\n")[2:] if line]
    modules, tests = (
        {name for row in rows for name in re.findall(r"`([^` ]+)`", row[column])}
        for column in (0, 1)
    )
    package = Path(sklearn_histeq.__file__).parent
    paths = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    # these hold no code
    paths -= {"_arithmetic/__init__.py", "_equalize/__init__.py", "_kernels/__init__.py"}
    assert {path for path in paths if not is_named(path, modules)} == set()
    assert {path.name for path in Path(__file__).parent.glob("test_*.py")} == tests
    places = {name for name in modules if name.endswith((".py", "/"))}
    assert {name for name in places if not (package / name).exists()} == set()


def is_named(path, names):
    """Whether a module or one of its folders is among the names."""
    return path in names or any(path.startswith(name) for name in names if name.endswith("/"))
