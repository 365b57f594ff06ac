"""Icons, styles and translated texts."""

from __future__ import annotations

from configparser import ConfigParser
from functools import cache
from pathlib import Path

from qgis.core import QgsApplication, QgsProcessingAlgorithm
from qgis.PyQt.QtCore import QLocale, QTranslator
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtXml import QDomDocument

_HERE = Path(__file__).parent
_CONTEXT = "SSLKD"


def tr(text: str) -> str:
    """Return the text in QGIS's language.

    Not by a translator of the application: where one comes or goes, QGIS's open dialogs lose the texts of buttons.
    """
    # As bytes: PyQt takes only ASCII for a text here.
    return _of_qgis().translate(_CONTEXT, text.encode()) or text


@cache
def _of_qgis() -> QTranslator:
    return translator(QgsApplication.locale())


def translator(locale: str) -> QTranslator:
    """Return what translates the plugin's texts to a language, such as `de_AT`; empty for one that there is not."""
    made = QTranslator()
    made.load(QLocale(locale), "sslkd", "_", str(_HERE / "i18n"))
    return made


def translate_titles(algorithm: QgsProcessingAlgorithm) -> None:
    """Have an algorithm that is read from a file call its parameters and outputs by QGIS's language."""
    for definition in (*algorithm.parameterDefinitions(), *algorithm.outputDefinitions()):
        definition.setDescription(tr(definition.description()))


def icon(name: str) -> QIcon:
    """Return one of the plugin's icons."""
    return QIcon(str(_HERE / "icons" / f"{name}.svg"))


def short_help(name: str, text: str) -> str:
    """Return the help beside an algorithm's dialog: a picture of what goes in and what comes out, and a text."""
    # QGIS shows <b> in one dark grey, whatever the theme; <strong> has the colour of the rest.
    legible = text.replace("<b>", "<strong>").replace("</b>", "</strong>")
    return f'<img src="{(_HERE / "help" / name).as_uri()}.svg">\n\n{legible}'


def help_page(name: str) -> str:
    """Return the address of an algorithm's help page."""
    metadata = ConfigParser(interpolation=None)
    metadata.read(_HERE / "metadata.txt", encoding="utf-8")
    return f"{metadata['general']['homepage']}/blob/main/docs/help/{name}.md"


def layer_style(name: str) -> QDomDocument:
    """Return one of the plugin's layer styles, with its legend and the titles of its fields in QGIS's language."""
    style = QDomDocument()
    style.setContent((_HERE / "styles" / f"{name}.qml").read_text(encoding="utf-8"))
    for tag, shown in (("paletteEntry", "label"), ("range", "label"), ("alias", "name")):
        entries = style.elementsByTagName(tag)
        for entry in (entries.at(number).toElement() for number in range(entries.count())):
            entry.setAttribute(shown, tr(entry.attribute(shown)))
    return style
