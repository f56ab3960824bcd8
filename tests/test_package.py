"""What is installed is what is shown here: light imports, and a wheel that runs without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

NEVER_IN_STREAM = (
    "torch",
    "scipy",
    "python_speech_features",
    "sklearn",
    "matplotlib",
    "onnx",
    "train",
    "export",
    "models.nets",
)
#: Of extras, which are loaded by what asks for them alone.
NEVER_UNASKED = ("ray", "pyarrow", "fsspec")
PACKAGES = {"stream", "train", "export", "models"}


def output(*command: object, cwd: Path, **env: str) -> str:
    """Standard output of a command that is to succeed, with no trace of the checkout in its surroundings."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | env
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("stream.cli", NEVER_IN_STREAM),
        # Everything that a stream may load on its way, and what the whole program loads before a command is chosen.
        ("stream.cli, stream.tools_cli, stream.classify, stream.device_check", NEVER_IN_STREAM),
        ("stream.classify_cli, stream.tabulate, stream.tables.out", (*NEVER_IN_STREAM, "pyarrow")),
        ("stream.sessions_cli, stream.sessions.listing, stream.sessions.removal", NEVER_IN_STREAM),
        ("stream.report_cli, stream.report.making, stream.report.page, stream.report.labels", NEVER_IN_STREAM),
        ("stream.report.plot", NEVER_IN_STREAM),  # it asks for matplotlib once it draws
        ("laennec, stream.engines", (*NEVER_IN_STREAM[:6], *NEVER_UNASKED, "numpy")),
        ("stream.cluster.engine, stream.cluster.driver, stream.cluster.places", (*NEVER_IN_STREAM, *NEVER_UNASKED)),
    ],
)
def test_import_leaves_training_packages_alone(modules: str, absent: tuple[str, ...]) -> None:
    code = f"import {modules}, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(output(sys.executable, "-c", code, cwd=ROOT)))
    assert "models.errors" in loaded
    assert not loaded & set(absent)


def test_every_file_of_the_models_but_the_networks_is_kept_from_torch() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    listed = next(set(each["source_modules"]) for each in contracts if "models.nets alone" in each["name"])
    files = {f"models.{path.stem}" for path in (ROOT / "models").glob("*.py")}
    assert listed == files - {"models.__init__", "models.nets"}


def test_streaming_loads_no_training_package_while_it_runs(tmp_path: Path) -> None:
    arguments = ["-X", "importtime", "-m", "laennec", "demo", "--seconds", "5", "--speed", "max", "--quiet"]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "onnxruntime" in imported
    assert not {name.partition(".")[0] for name in imported} & set(NEVER_IN_STREAM[:6])


@pytest.mark.parametrize(("ending", "loads"), [("html", False), ("txt", False), ("csv", False), ("png", True)])
def test_matplotlib_is_loaded_for_a_drawn_report_alone(ending: str, loads: bool, tmp_path: Path) -> None:
    log = tmp_path / "s.jsonl"
    demo = ["demo", "--seconds", "5", "--speed", "max", "--quiet", "--log", log]
    output(sys.executable, "-m", "laennec", *demo, cwd=ROOT)
    arguments = ["-X", "importtime", "-m", "laennec", "report", log, "--out", tmp_path / f"x.{ending}"]
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert ("matplotlib" in imported) == loads
    assert not imported & {"torch", "scipy", "sklearn", "onnx", "matplotlib.pyplot"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    output(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


def test_wheel_holds_the_program_and_its_model_and_nothing_else(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in held}
    (metadata,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == PACKAGES | {"laennec.py", metadata}
    sources = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert {name for name in held if name.endswith(".py")} == sources | {"laennec.py"}
    bundles = {path.relative_to(ROOT).as_posix() for path in (ROOT / "models" / "bundles").iterdir() if path.is_file()}
    assert {name for name in held if name.startswith("models/bundles/")} == bundles
    assert "stream/report/page.css" in held
    assert {"models/bundles/laennec.onnx", "models/bundles/laennec.golden.json", "models/bundles/CARD.md"} <= bundles
    assert not [name for name in held if "__pycache__" in name or name.endswith(".pyc")]
    assert {f"{metadata}/licenses/LICENSE", f"{metadata}/entry_points.txt"} <= held


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; what Laennec depends on comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--disable-pip-version-check"]
    output(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (own,) = folder.glob("lib/python*/site-packages")
    # Named after everything else of its own, so that the wheel's modules are found before the editable checkout's.
    (own / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


MODULES = """
import json, sys
import laennec, stream.cli, models.bundle, train.cli, export.cli
print(json.dumps([m.__file__ for m in (laennec, stream.cli, models.bundle, train.cli, export.cli)]))
print(models.bundle.SHIPPED)
"""


def test_installed_wheel_runs_from_any_folder_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    out = output(installed / "bin" / "laennec", "demo", "--seconds", 5, "--speed", "max", "--plain", cwd=tmp_path)
    assert out.splitlines()[0].endswith("listening")
    assert out.splitlines()[-1].startswith("end: end of input; 20000 samples captured = 20000 analysed")
    files, shipped = output(installed / "bin" / "python", "-c", MODULES, cwd=tmp_path).splitlines()
    for path in (*json.loads(files), shipped):
        assert Path(path).is_relative_to(installed), f"{path} is not the wheel's"


def test_installed_wheel_makes_a_report(installed: Path, tmp_path: Path) -> None:
    laennec = installed / "bin" / "laennec"
    output(laennec, "demo", "--seconds", 5, "--speed", "max", "--quiet", "--log", "s.jsonl", cwd=tmp_path)
    assert "reported" in output(laennec, "report", "s.jsonl", "--out", "x.html", cwd=tmp_path)
    assert "not a medical device" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_installed_wheel_passes_its_own_examination(installed: Path, tmp_path: Path) -> None:
    findings = json.loads(output(installed / "bin" / "laennec", "doctor", "--json", cwd=tmp_path))
    states = {finding["name"]: finding["state"] for finding in findings}
    assert states["model"] == states["golden vectors"] == "ok"
