"""Help: each algorithm's pages name all that it takes and gives, and lead to each other."""

import re
from html import unescape

import pytest
from conftest import ROOT
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QFont, QImage, QTextDocument

NAMES = [
    "trainsslkd",
    "detectroads",
    "vectoriseroads",
    "evaluateroads",
    "exportonnx",
    "setup",
    "diagnose",
    "trainanddetect",
]
PAGES = ROOT / "docs" / "help"


def titles(algorithm):
    """What the dialog calls the parameters and outputs, without what is in brackets, by their keys."""
    # The definitions live no longer than their algorithm, which the argument keeps.
    definitions = [*algorithm.parameterDefinitions(), *algorithm.outputDefinitions()]
    return {each.name(): each.description().partition(" (")[0] for each in definitions}


def test_every_algorithm_is_looked_at():
    provider = QgsApplication.processingRegistry().providerById("sslkd")
    assert {algorithm.name() for algorithm in provider.algorithms()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_short_help_explains_every_parameter_and_output(algorithm, name):
    text = unescape(re.sub(r"<[^>]*>", "", algorithm(name).shortHelpString())).casefold()
    assert [title for title in titles(algorithm(name)).values() if title.casefold() not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_page_explains_every_parameter_and_output_and_no_other(algorithm, name):
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    explained = dict(re.findall(r"(?m)^\| `([A-Za-z0-9_:]+)` \| ([^|]+?) \| [^|]*\S", page))
    wanted = titles(algorithm(name))
    assert {key: title.partition(" (")[0] for key, title in explained.items()} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_page_s_example_names_parameters_that_are_there(algorithm, name):
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    (example,) = re.findall(rf"qgis_process run sslkd:{name}( --(?:\s+(?:\\\s+)?[A-Za-z0-9_:]+=\S+)+)?\n", page)
    given = set(re.findall(r"([A-Za-z0-9_:]+)=", example))
    assert given <= set(titles(algorithm(name)))
    assert bool(given) == (name != "setup")


@pytest.mark.parametrize("name", NAMES)
def test_help_button_opens_the_page_in_the_project_s_repository(algorithm, name):
    assert algorithm(name).helpUrl() == f"https://github.com/qgis-sslkd/qgis_sslkd/blob/main/docs/help/{name}.md"


@pytest.mark.parametrize("name", NAMES)
def test_short_help_begins_with_a_picture_that_qt_can_show(algorithm, name):
    (address,) = re.findall(r'^<img src="([^"]+)">\n', algorithm(name).shortHelpString())
    image = QImage(QUrl(address).toLocalFile())
    # Wider ones would have the dialog's help scroll sideways.
    assert not image.isNull() and image.width() <= 220


@pytest.mark.parametrize("name", NAMES)
def test_titles_in_the_short_help_can_be_read_in_a_dark_theme(algorithm, name):
    # QGIS's dialog styles it so in any theme.
    shown = QTextDocument()
    shown.setDefaultStyleSheet("b { color: #333333; }")
    shown.setHtml(algorithm(name).shortHelpString())
    formats = [each.toCharFormat() for each in shown.allFormats() if each.isCharFormat()]
    assert any(each.fontWeight() > QFont.Weight.Normal for each in formats)
    assert "#333333" not in [each.foreground().color().name() for each in formats]


def test_links_of_the_pages_lead_somewhere():
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
