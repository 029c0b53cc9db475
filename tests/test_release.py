"""What a release says about itself, in several places, is the same."""

import re
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


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_targets_that_are_named_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", read(page), re.M))
    assert named
    assert named <= targets | {"help"}, named - targets
