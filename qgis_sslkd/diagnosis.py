"""What SSLKD finds on this machine, what is wrong and what mends it: as text and as a page."""

from __future__ import annotations

import html
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osgeo import gdal
from qgis.core import Qgis, QgsApplication, QgsProcessingFeedback, QgsProcessingUtils, QgsProjUtils
from qgis.PyQt.QtCore import QT_VERSION_STR, QSysInfo, QUrl

from .client import JobCancelled, WorkerError, run_job
from .environment import EnvironmentMissing, home, worker_python
from .installer import has_nvidia_gpu
from .managed import plugin_version, read_marker
from .network import proxy_variables
from .processes import NotStarted, ProgramFailed, run_program
from .resources import tr
from .uv import package_index

_LEAST_SPACE = 2 * 2**30
_ASK_GPUS = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]


@dataclass(frozen=True)
class Section:
    """Facts that belong together.

    Attributes:
        title: what they are about.
        facts: names and values.
    """

    title: str
    facts: dict[str, str]


@dataclass(frozen=True)
class Diagnosis:
    """All that was found.

    Attributes:
        sections: the facts.
        problems: a sentence for each, with what mends it.
    """

    sections: list[Section]
    problems: list[str]


def diagnose(feedback: QgsProcessingFeedback) -> Diagnosis:
    """Look at QGIS, at the machine and at the worker, which runs a network."""
    sections = [_about_qgis(), _about_paths(), _about_gpus(feedback)]
    problems = list(_shortages())
    try:
        sections.append(Section(tr("Worker's Python"), {tr("Program"): worker_python()}))
        facts = run_job({"kind": "diagnose"}, feedback)
    except JobCancelled:
        raise
    except (EnvironmentMissing, WorkerError) as error:
        problems.append(str(error))
    else:
        problems += facts.pop("problems", [])
        sections.append(Section(tr("Worker"), {name.replace("_", " "): str(value) for name, value in facts.items()}))
    return Diagnosis(sections, problems)


def as_text(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as plain text, to be sent along with a question."""
    lines = [tr("SSLKD diagnostics"), "", tr("Problems")]
    lines += [f"- {problem}" for problem in diagnosis.problems] or ["- " + tr("none found")]
    for section in diagnosis.sections:
        lines += ["", section.title, *(f"  {name}: {value}" for name, value in section.facts.items())]
    return "\n".join(lines) + "\n"


def as_page(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as an HTML page."""
    found = [f"<li>{_escape(problem)}</li>" for problem in diagnosis.problems]
    parts = [f"<h1>{tr('SSLKD diagnostics')}</h1>", f"<h2>{tr('Problems')}</h2>"]
    parts.append(f"<ul class='wrong'>{''.join(found)}</ul>" if found else f"<p>{tr('none found')}</p>")
    for section in diagnosis.sections:
        rows = [f"<tr><th>{_escape(name)}</th><td>{_escape(value)}</td></tr>" for name, value in section.facts.items()]
        parts.append(f"<h2>{_escape(section.title)}</h2><table>{''.join(rows)}</table>")
    return _PAGE.format(body="\n".join(parts))


def _about_qgis() -> Section:
    return Section(
        tr("QGIS"),
        {
            "SSLKD": plugin_version(),
            "QGIS": Qgis.version(),
            "Qt": QT_VERSION_STR,
            "Python": platform.python_version(),
            "GDAL": gdal.VersionInfo("RELEASE_NAME"),
            "PROJ": f"{QgsProjUtils.projVersionMajor()}.{QgsProjUtils.projVersionMinor()}",
            tr("System"): f"{QSysInfo.prettyProductName()}, {QSysInfo.kernelVersion()}, {platform.machine()}",
        },
    )


def _about_paths() -> Section:
    marker = read_marker(home().environment)
    made = tr("by SSLKD {}, PyTorch {}").format(marker.version, marker.torch) if marker else tr("no")
    proxy = QUrl(proxy_variables(package_index()).get("HTTPS_PROXY", ""))
    return Section(
        tr("Paths and network"),
        {
            tr("Profile"): QgsApplication.qgisSettingsDirPath(),
            tr("Environment"): str(home().environment),
            tr("Made by set-up"): made,
            tr("Free space in the profile"): _gigabytes(_free(Path(QgsApplication.qgisSettingsDirPath()))),
            tr("Folder of temporary files"): QgsProcessingUtils.tempFolder(),
            tr("Free space there"): _gigabytes(_free(Path(QgsProcessingUtils.tempFolder()))),
            # Without user and password: this is to be shown to others.
            tr("Proxy of QGIS"): f"{proxy.host()}:{proxy.port()}" if proxy.host() else tr("none"),
        },
    )


def _about_gpus(feedback: QgsProcessingFeedback) -> Section:
    """Ask the driver, which knows the GPU even where PyTorch cannot use it."""
    gpus: list[str] = []
    if has_nvidia_gpu():
        try:
            run_program(_ASK_GPUS, feedback, gpus.append)
        except (NotStarted, ProgramFailed) as error:
            gpus = [tr("nvidia-smi failed: {}").format(error)]
    found = {tr("GPU {} (name, driver, memory)").format(number): gpu for number, gpu in enumerate(gpus)}
    return Section(tr("Graphics"), found or {tr("NVIDIA driver"): tr("none")})


def _shortages() -> Iterator[str]:
    for folder in {QgsApplication.qgisSettingsDirPath(), QgsProcessingUtils.tempFolder()}:
        free = _free(Path(folder))
        if free < _LEAST_SPACE:
            yield tr("There are {} free in {}: make room.").format(_gigabytes(free), folder)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _escape(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


_PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>SSLKD</title><style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
th {{ text-align: left; font-weight: normal; color: #555; padding-right: 1.5em; vertical-align: top; }}
.wrong {{ color: #a40000; }}
</style></head><body>
{body}
</body></html>
"""
