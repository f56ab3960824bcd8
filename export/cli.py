"""`laennec export` and `laennec model`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import LaennecError, SettingError

app = typer.Typer()


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `laennec train` left.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="The bundle to write.")],
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", help="A JSON file of `laennec evaluate`, for the card; repeatable."),
    ] = None,
    audio: Annotated[
        list[Path] | None, typer.Option("--audio", help="A recording to prove parity on; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Id of the model; else the file's stem.")] = None,
) -> None:
    """Write a model bundle, its card and golden vectors, after proving that ONNX Runtime answers as torch does."""
    from export import card, golden, onnx, parity
    from models import bundle
    from train.audio import load as load_audio

    if out.suffix != ".onnx" or not out.parent.is_dir():
        raise SettingError(f"{out}: give a name that ends in .onnx, in a folder that exists")
    trained = onnx.load(run)
    meta = onnx.describe(trained, name or out.stem, [_result(path) for path in results or []])
    data = onnx.with_metadata(onnx.graph(trained.net, trained.config.window.window_frames), meta)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        # Written beside its place and moved there only once it is proved: a failed export leaves the old bundle.
        draft = Path(folder) / out.name
        draft.write_bytes(data)
        loaded = bundle.load(draft)
        rate_hz = loaded.front_end.spec.rate_hz
        windows = [loaded.front_end.extract(load_audio(path, rate_hz)) for path in audio or []]
        worst = parity.check(trained.net, loaded, windows)
        vectors = golden.vectors(trained)
        os.replace(draft, out)  # noqa: PTH105 - the atomic one
    out.with_suffix(".golden.json").write_text(json.dumps(vectors) + "\n")
    out.with_name("CARD.md").write_text(card.card(meta), encoding="utf-8")
    typer.echo(
        f"{out}: {len(data):,} bytes, {meta['parameters']:,} parameters; torch and ONNX Runtime differ by {worst:.1e}"
    )


@app.command()
def model(
    path: Annotated[Path | None, typer.Argument(help="A bundle; else the shipped one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole metadata as JSON.")] = False,
) -> None:
    """Describe and verify a model bundle."""
    from models import bundle

    loaded = bundle.load(path or bundle.SHIPPED)
    if as_json:
        typer.echo(json.dumps({"path": str(loaded.path), "sha256": loaded.sha256, **loaded.meta}, indent=2))
        return
    meta, spec, window = loaded.meta, loaded.front_end.spec, loaded.window
    typer.echo(f"{loaded.path}\n  id            {loaded.id}\n  sha256        {loaded.sha256}")
    typer.echo(f"  classes       {', '.join(meta['classes'])}")
    typer.echo(f"  parameters    {meta.get('parameters', 'unknown')}")
    typer.echo(
        f"  hears         {spec.low_hz:g}-{spec.high_hz:g} Hz at {spec.rate_hz} Hz, {spec.features} values a frame"
    )
    hop_s = spec.hop_samples / spec.rate_hz
    typer.echo(f"  window        {window.window_frames * hop_s:.2f} s, every {window.hop_frames * hop_s:.2f} s")
    typer.echo(f"  abstains      below probability {loaded.decide.threshold:.2f}")
    typer.echo(
        f"  licence       {meta.get('licence', 'unknown')}\n  intended use  {meta.get('intended_use', 'unknown')}"
    )
    for figure in meta.get("figures", []):
        typer.echo(f"  {figure['protocol']:<13} {_short(figure)}")
    typer.echo("verified: description, front-end digest and graph fit together")


def _short(figure: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{key.replace('_', ' ')} {figure[key]['value']}" for key in ("accuracy", "balanced_accuracy", "macro_f1")
    )
    return scores + (f" ({figure['leaky']})" if figure["leaky"] else "")


def _result(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise LaennecError(f"{path}: is not a result of `laennec evaluate --json` ({error})") from error
