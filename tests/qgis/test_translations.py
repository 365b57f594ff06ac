"""Translations: whole, true to their places for values, compiled, and shown by a QGIS in that language."""

import re
import string
import sys

import pytest
from conftest import PLUGINS, ROOT, qgis_process
from qgis.PyQt.QtCore import QTranslator

sys.path.append(str(ROOT / "tools"))

import translations
from qgis_sslkd import resources
from qgis_sslkd.algorithms import ALGORITHMS
from qgis_sslkd.models import TrainAndDetect
from qgis_sslkd.resources import layer_style, translator

FILES = sorted((PLUGINS / "qgis_sslkd" / "i18n").glob("*.ts"))
TEXTS = list(translations.source_texts())


def places(text):
    """What a text leaves open for values, with how they are to be written."""
    return sorted((name, form) for _, name, form, _ in string.Formatter().parse(text) if name is not None)


def marks(text):
    return sorted(mark for mark in ("<b>", "</b>", "<i>", "</i>", "\n") for _ in range(text.count(mark)))


def test_german_is_there_and_every_text_is_found():
    assert [path.name for path in FILES] == ["sslkd_de.ts"]
    assert {"Detect roads", "Cancelled.", "The layer {} holds neither polygons nor lines."} <= set(TEXTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_text_has_a_finished_translation_and_no_other_is_there(path):
    assert set(translations.translations(path)) == set(TEXTS)


TERMS = {
    "extent": "ausdehnung",
    "nodata": "nodata",
    "plugin": "erweiterung",
    "student": "schüler",
    "threshold": "schwellenwert",
    "tile": "kachel",
    "windows": "ausschnitt",
    "worker": "arbeitsprozess",
}


@pytest.mark.parametrize(("word", "term"), TERMS.items())
def test_german_calls_a_thing_by_one_name(word, term):
    # Of worker.txt it is the name; Windows, with a capital, is a system.
    pattern = re.compile(rf"\b{word}s?\b(?!\.txt)")
    german = translations.translations(FILES[0]).items()
    assert [text for source, text in german if pattern.search(source) and term not in text.casefold()] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_translations_keep_places_for_values_and_marks(path):
    wrong = [
        source
        for source, target in translations.translations(path).items()
        if places(source) != places(target) or marks(source) != marks(target)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_compiled_file_is_what_the_source_gives(path, monkeypatch):
    compiled = QTranslator()
    assert compiled.load(str(path.with_suffix(".qm")))
    monkeypatch.setattr(resources, "_of_qgis", lambda: compiled)
    assert {text: resources.tr(text) for text in TEXTS} == translations.translations(path)


@pytest.mark.parametrize(
    ("locale", "text"), [("de", "Straßen erkennen"), ("de_AT", "Straßen erkennen"), ("en_GB", ""), ("xx", "")]
)
def test_language_is_that_of_the_locale(locale, text):
    assert translator(locale).translate(translations.CONTEXT, "Detect roads") == text


@pytest.fixture
def german(monkeypatch):
    """Has the plugin speak German meanwhile."""
    spoken = translator("de")
    monkeypatch.setattr(resources, "_of_qgis", lambda: spoken)


@pytest.mark.usefixtures("german")
def test_german_short_help_explains_what_the_german_dialog_shows():
    for algorithm in (make() for make in (*ALGORITHMS, TrainAndDetect)):
        algorithm.initAlgorithm({})
        shown = algorithm.shortHelpString().casefold()
        definitions = [*algorithm.parameterDefinitions(), *algorithm.outputDefinitions()]
        titles = [each.description().partition(" (")[0].casefold() for each in definitions]
        assert [title for title in titles if title not in shown] == [], algorithm.name()


@pytest.mark.usefixtures("german")
def test_german_legends_explain_the_map_of_an_evaluation():
    entries = layer_style("map").elementsByTagName("paletteEntry")
    legend = [entries.at(number).toElement().attribute("label") for number in range(entries.count())]
    assert legend == [
        "zu Recht keine Straße",
        "Straße, gefunden",
        "Straße, übersehen",
        "fälschlich als Straße bezeichnet",
    ]


@pytest.mark.usefixtures("german")
def test_german_titles_of_fields_tell_their_units():
    titles = layer_style("centre_lines").elementsByTagName("alias")
    shown = [titles.at(number).toElement().attribute("name") for number in range(titles.count())]
    assert shown == ["Breite (m)", "Länge (m)"]


def test_qgis_in_german_shows_german_names_and_keeps_the_ids(tmp_path):
    settings = tmp_path / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("[locale]\noverrideFlag=true\nuserLocale=de\n")
    listed = qgis_process(tmp_path, "list").stdout
    for name, title in (("detectroads", "Straßen erkennen"), ("trainanddetect", "Trainieren und erkennen")):
        assert f"sslkd:{name}\t{title}" in listed
    assert {f"sslkd:{make().name()}" for make in (*ALGORITHMS, TrainAndDetect)} <= set(listed.split())
