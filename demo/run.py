"""The demo: trains and detects through the real QGIS, on real imagery or on a generated scene.

Run it by `make demo`, or, once that has set everything up: python3 demo/run.py [--data real|generated|FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from progress import relay

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
OUT = ROOT / "demo" / "out"
PLUGINS = BUILD / "plugins"
WORKER = BUILD / "worker" / "bin"
SYSTEM_PYTHON = Path("/usr/bin/python3")  # QGIS's; a version manager's would not see PyQGIS

DATA_FILES = (
    "train.tif",
    "train_roads.gpkg",
    "train_extent.gpkg",
    "test.tif",
    "test_roads.gpkg",
    "test_extent.gpkg",
)
RESULTS = (
    "model.safetensors",
    "report.html",
    "surface.tif",
    "probability.tif",
    "outlines.gpkg",
    "metrics.json",
    "demo.qgz",
    "overview.png",
)
SCORES = (("oa", "OA"), ("precision", "precision"), ("recall", "recall"), ("iou", "IoU"), ("f1", "F1"))


class DemoError(Exception):
    """Raised when a stage of the demo fails; the message is the sentence to show."""


def main() -> None:
    """Run the stages one after another and print what came out."""
    parser = argparse.ArgumentParser(description="Train SSLKD and detect roads through QGIS.")
    parser.add_argument("--data", default="", help="'real', 'generated' or a folder; else real where there is any")
    parser.add_argument("--steps", type=int, help="training steps of each stage, instead of the preset's")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    options = parser.parse_args()
    try:
        _run(options)
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")


def _run(options: argparse.Namespace) -> None:
    times: dict[str, float] = {}
    _check_set_up()
    with _stage("data", times):
        data = _find_data(options.data)
    qgis_process = _qgis_process()
    _clear_results()
    with _stage("training", times):
        _train(qgis_process, data, options)
    with _stage("detection", times):
        _detect(qgis_process, data)
    with _stage("evaluation", times):
        scores = _evaluate(data)
    with _stage("map", times):
        _map(data)
    _print_summary(scores, times)


def _check_set_up() -> None:
    for path in (WORKER / "python", PLUGINS / "qgis_sslkd" / "metadata.txt"):
        if not path.exists():
            raise DemoError(f"{path.relative_to(ROOT)} is missing; run `make demo`, which makes it.")


def _clear_results() -> None:
    """Nothing of an earlier run may pass for this one's."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in RESULTS:
        for path in (OUT / name, OUT / f"{name}.aux.xml"):
            path.unlink(missing_ok=True)


@contextmanager
def _stage(name: str, times: dict[str, float]) -> Iterator[None]:
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    yield
    times[name] = time.monotonic() - start


def _find_data(choice: str) -> Path:
    """The folder that the choice names; without a choice, real imagery or else a generated scene."""
    if choice == "generated":
        return _generated_scene()
    if choice not in ("", "real"):
        return _checked(Path(choice).resolve())
    for folder in _real_folders():
        if folder.is_dir():
            return _checked(folder)
    if choice == "real":
        looked = " nor ".join(map(str, _real_folders()))
        raise DemoError(f"there is no real imagery in {looked}; set SSLKD_DATA to the folder that holds epfl_mosaic.")
    print("no real imagery found: using a generated scene")
    return _generated_scene()


def _real_folders() -> list[Path]:
    places: list[str | Path] = [os.environ.get("SSLKD_DATA", ""), ROOT.parent / "shared" / "data"]
    return [Path(place).resolve() / "epfl_mosaic" for place in places if place]


def _checked(folder: Path) -> Path:
    missing = [name for name in DATA_FILES if not (folder / name).is_file()]
    if missing:
        raise DemoError(f"{folder} lacks {', '.join(missing)}.")
    print(f"imagery: {folder}")
    return folder


def _generated_scene() -> Path:
    folder = BUILD / "demo-scene"
    command: list[str | Path] = [WORKER / "python", "-m", "demo.scene", folder]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise DemoError("the scene cannot be generated; the message above says why.")
    return _checked(folder)


def _qgis_process() -> str:
    """The program, with the plugin switched on; Debian 12's wrapper `qgis_process` is broken, so .bin comes first."""
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if program is None:
        raise DemoError("qgis_process is missing; run `make setup`, which installs QGIS or says how.")
    # Enabling fails where the plugin is enabled already, so whether its algorithms are there is what counts.
    for words in (("plugins", "enable", "qgis_sslkd"), ("help", "sslkd:detectroads")):
        asked = subprocess.run([program, *words], env=_environment(), capture_output=True, text=True)
    if asked.returncode:
        raise DemoError(f"QGIS cannot load the plugin: {_last_line(asked.stdout + asked.stderr)}")
    return program


def _environment() -> dict[str, str]:
    """QGIS without a window, with the staged plugin, this checkout's worker and a profile of its own."""
    return {
        **os.environ,
        # QGIS takes the first python3 on the path for its own; an active virtual environment's sees no PyQGIS.
        "PATH": f"{SYSTEM_PYTHON.parent}:{os.environ.get('PATH', '')}",
        # GDAL would note in the folder of the imagery what values QGIS found there.
        "GDAL_PAM_ENABLED": "NO",
        "PYTHONWARNINGS": "ignore",
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(PLUGINS),
        "QGIS_CUSTOM_CONFIG_PATH": str(BUILD / "qgis-config"),
        "SSLKD_PYTHON": str(WORKER / "python"),
    }


def _train(qgis_process: str, data: Path, options: argparse.Namespace) -> None:
    parameters: dict[str, object] = {
        "LABELLED": data / "train.tif",
        "ANNOTATIONS": data / "train_roads.gpkg",
        "AREA": data / "train_extent.gpkg",
        "PRESET": "quick",
        "SEED": options.seed,
        "MODEL": OUT / "model.safetensors",
        "REPORT": OUT / "report.html",
    }
    if options.steps is not None:
        parameters["STEPS"] = options.steps
    _run_algorithm(qgis_process, "sslkd:trainsslkd", parameters)
    _expect("training", "model.safetensors", "report.html")


def _detect(qgis_process: str, data: Path) -> None:
    parameters: dict[str, object] = {
        "INPUT": data / "test.tif",
        "MODEL": OUT / "model.safetensors",
        "SURFACE": OUT / "surface.tif",
        "PROBABILITY": OUT / "probability.tif",
        "OUTLINES": OUT / "outlines.gpkg",
    }
    _run_algorithm(qgis_process, "sslkd:detectroads", parameters)
    _expect("detection", "surface.tif", "probability.tif", "outlines.gpkg")


def _run_algorithm(qgis_process: str, algorithm: str, parameters: dict[str, object]) -> None:
    """Run an algorithm, showing its progress."""
    command = [qgis_process, "run", algorithm, "--", *(f"{key}={value}" for key, value in parameters.items())]
    # To a pipe, qgis_process would write its messages in batches; to a terminal it writes them at once.
    ours, its = pty.openpty()
    with subprocess.Popen(command, env=_environment(), stdin=subprocess.DEVNULL, stdout=its, stderr=its) as process:
        os.close(its)
        relay(ours, lambda line: print(line, flush=True))
    os.close(ours)
    if process.returncode:
        raise DemoError(f"{algorithm} failed; QGIS's message above says why.")


def _expect(stage: str, *names: str) -> None:
    missing = [name for name in names if not (OUT / name).is_file()]
    if missing:
        raise DemoError(f"the {stage} left no {' and no '.join(missing)}.")


def _evaluate(data: Path) -> dict[str, float | None]:
    metrics = OUT / "metrics.json"
    command: list[str | Path] = [WORKER / "sslkd", "evaluate", "--surface", OUT / "surface.tif", "--json", metrics]
    command += ["--roads", data / "test_roads.gpkg", "--area", data / "test_extent.gpkg"]
    evaluated = subprocess.run(command, capture_output=True, text=True)
    if evaluated.returncode:
        raise DemoError(f"the evaluation failed: {_last_line(evaluated.stderr)}")
    return dict(json.loads(metrics.read_text(encoding="utf-8")))


def _map(data: Path) -> None:
    python = SYSTEM_PYTHON if SYSTEM_PYTHON.exists() else Path(sys.executable)
    command: list[str | Path] = [python, ROOT / "demo" / "overview.py", data, OUT, PLUGINS / "qgis_sslkd" / "styles"]
    drawn = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    if drawn.returncode:
        raise DemoError(f"the map cannot be drawn: {_last_line(drawn.stderr)}")
    _expect("map", "demo.qgz", "overview.png")


def _print_summary(scores: dict[str, float | None], times: dict[str, float]) -> None:
    print("\n== on the test imagery\n")
    for key, label in SCORES:
        score = scores[key]
        print(f"  {label:<10} {'none' if score is None else format(score, '.3f'):>6}")
    print("\n== time\n")
    for name, seconds in (*times.items(), ("together", sum(times.values()))):
        print(f"  {name:<10} {int(seconds // 60):3d} min {seconds % 60:2.0f} s")
    print(f"\nLook at {OUT.relative_to(ROOT)}/overview.png; open {OUT.relative_to(ROOT)}/demo.qgz in QGIS.")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it left no message")


if __name__ == "__main__":
    main()
