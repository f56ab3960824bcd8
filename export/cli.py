"""`laennec export` and `laennec model`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import InputFileError, ModelError, SettingError, in_words, printable

if TYPE_CHECKING:
    from models.bundle import Bundle
    from train.config import Config

app = typer.Typer()


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `laennec train` left.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="The bundle to write.")],
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", help="A JSON file of `laennec evaluate`, for the card; repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Id of the model; else the file's stem.")] = None,
) -> None:
    """Write a model bundle, its card and golden vectors, after proving that ONNX Runtime answers as torch does."""
    if out.suffix != ".onnx" or not out.parent.is_dir() or out.is_dir():
        raise SettingError(f"{out}: give a name that ends in .onnx, in a folder that exists")
    try:
        from export import card, golden, onnx, parity
        from models import bundle
    except ModuleNotFoundError as error:
        raise SettingError(f"exporting needs {error.name}; run in the checkout: pip install -e '.[train]'") from error

    trained = onnx.load(run)
    meta = onnx.describe(trained, name or out.stem, [_result(path, trained.config) for path in results or []])
    block_frames = trained.config.rhythm.block_frames
    beats = onnx.rhythm_graph(trained.beat_net, block_frames) if trained.beat_net else None
    data = onnx.with_metadata(onnx.graph(trained.net, trained.config.window.window_frames), meta, beats)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        # Written beside its place and moved there only once it is proved: a failed export leaves the old bundle.
        draft = Path(folder) / out.name
        draft.write_bytes(data)
        loaded = bundle.load(draft)
        worst = parity.check(trained.net, loaded, parity.windows(run))
        if trained.beat_net:
            worst = max(worst, parity.check_rhythm(trained.beat_net, loaded, parity.windows(run)))
        vectors, text = json.dumps(golden.vectors(trained)), card.card(meta)
        os.replace(draft, out)  # noqa: PTH105 - the atomic one
    out.with_suffix(".golden.json").write_text(vectors + "\n")
    out.with_name("CARD.md").write_text(text, encoding="utf-8")
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
    try:
        if as_json:
            typer.echo(json.dumps({"path": str(loaded.path), "sha256": loaded.sha256, **loaded.meta}, indent=2))
            return
        lines = [printable(line) for line in _description(loaded)]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        message = f"{loaded.path}: its description is incomplete or wrong ({in_words(error)}); export it again"
        raise ModelError(message) from error
    typer.echo("\n".join([*lines, "verified: description, front-end digest and graph fit together"]))


def _description(loaded: Bundle) -> list[str]:
    meta, spec, window = loaded.meta, loaded.front_end.spec, loaded.window
    hop_s = spec.hop_samples / spec.rate_hz
    return [
        str(loaded.path),
        f"  id            {loaded.id}",
        f"  sha256        {loaded.sha256}",
        f"  classes       {', '.join(meta['classes'])}",
        f"  parameters    {meta.get('parameters', 'unknown')}",
        f"  hears         {spec.low_hz:g}-{spec.high_hz:g} Hz at {spec.rate_hz} Hz, {spec.features} values a frame",
        f"  S1 and S2     {_rhythm(loaded)}",
        f"  window        {window.window_frames * hop_s:.2f} s, every {window.hop_frames * hop_s:.2f} s",
        f"  abstains      below probability {loaded.decide.threshold:.2f}",
        f"  licence       {meta.get('licence', 'unknown')}",
        f"  intended use  {meta.get('intended_use', 'unknown')}",
        *(f"  {figure['protocol']:<13} {_short(figure)}" for figure in meta.get("figures", [])),
    ]


def _rhythm(loaded: Bundle) -> str:
    if loaded.rhythm is None:
        return "not found by this model"
    return f"told {loaded.rhythm.spec.delay_s(loaded.front_end.spec):.2f} s late at most"


def _short(figure: dict[str, Any]) -> str:
    scores = ", ".join(f"{name} {score['value']}" for name, score in figure["headline"].items())
    return scores + (f" ({figure['leaky']})" if figure["leaky"] else "")


def _result(path: Path, config: Config) -> dict[str, Any]:
    from export.onnx import figures

    try:
        return figures(json.loads(path.read_text()), config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputFileError(f"{path}: is not a result of `laennec evaluate --json` ({error})") from error
