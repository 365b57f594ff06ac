"""Bring the translations up to date: every text of the plugin into i18n/*.ts, and those into the *.qm that Qt reads."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

PLUGIN = Path(__file__).resolve().parent.parent / "qgis_sslkd"
I18N = PLUGIN / "i18n"
# As resources.tr() asks for it; Qt's own tool would take the names of classes.
CONTEXT = "SSLKD"
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n'


def main() -> None:
    """Rewrite each .ts file, keeping its translations, and compile it."""
    texts = list(source_texts())
    for path in sorted(I18N.glob("*.ts")):
        done = translations(path)
        write(path, {text: done.get(text, "") for text in texts})
        missing = sum(text not in done for text in texts)
        print(f"{path.name}: {len(texts)} texts, {missing} without a translation")
    lrelease = shutil.which("lrelease")
    if lrelease is None:
        sys.exit("translations: lrelease is missing; on Debian: apt-get install qttools5-dev-tools.")
    sys.exit(subprocess.run([lrelease, "-silent", *sorted(map(str, I18N.glob("*.ts")))]).returncode)


def source_texts() -> Iterator[str]:
    """Each text that the plugin shows in QGIS, once: of the modules in their order, then of models and of styles."""
    yield from dict.fromkeys([*_texts_of_modules(), *_texts_of_models(), *_texts_of_styles()])


def _texts_of_modules() -> Iterator[str]:
    for path in sorted(PLUGIN.rglob("*.py")):
        if path.relative_to(PLUGIN).parts[0] == "worker":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr"):
                continue
            # What is read from models and styles is found there.
            if not isinstance(node.args[0], ast.Call):
                yield ast.literal_eval(node.args[0])


def _texts_of_models() -> Iterator[str]:
    for path in sorted(PLUGIN.glob("models/*.model3")):
        yield from (each.get("value", "") for each in ET.parse(path).iterfind(".//Option[@name='description']"))


def _texts_of_styles() -> Iterator[str]:
    for path in sorted(PLUGIN.glob("styles/*.qml")):
        labels = (element.get("label", "") for element in ET.parse(path).iter())
        # A word has two letters at least, and needs a translation; metres do not.
        yield from (label for label in labels if re.search("[a-z]{2}", label))
        yield from (alias.get("name", "") for alias in ET.parse(path).iter("alias"))


def translations(path: Path) -> dict[str, str]:
    """The finished translations of a .ts file."""
    found = {}
    for message in ET.parse(path).iter("message"):
        translation = message.find("translation")
        if translation is not None and translation.get("type") is None and translation.text:
            found[message.findtext("source", "")] = translation.text
    return found


def write(path: Path, texts: dict[str, str]) -> None:
    """Write a .ts file; an empty translation is marked as unfinished."""
    root = ET.Element("TS", version="2.1", language=path.stem.rpartition("_")[2])
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = CONTEXT
    for source, target in texts.items():
        message = ET.SubElement(context, "message")
        ET.SubElement(message, "source").text = source
        ET.SubElement(message, "translation", {} if target else {"type": "unfinished"}).text = target
    ET.indent(root)
    path.write_text(HEAD + ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
