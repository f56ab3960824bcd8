"""What a person reads of the protocols `timing` and `quality`, in Markdown."""

from __future__ import annotations

from typing import Any

from train.report import interval

_QUALITY_HEADLINES = {
    "heart sounds vs artifact, set A": "heart sounds vs artifact, set A of PASCAL",
    "excerpts vs the same at 0 dB": "heart sounds vs the same with noise at 0 dB within 25-400 Hz",
}
_TITLES = {"circor": "CirCor, by person", "pascal_a": "PASCAL set A, another device"}


def timing(result: dict[str, Any]) -> str:
    """A result of `train.timing.evaluate`."""
    parts = [
        f"## {result['protocol']}",
        f"{result['says']}.",
        f"A beat is told {result['delay_s']:.2f} s after its onset at most, beyond what the resampler is late.",
    ]
    parts += [_source(title, result[name]) for name, title in _TITLES.items() if name in result]
    noise = result["noise"]
    parts.append(
        f"In {noise['n']} clips of everyday noise without a heart, {interval(noise['beats_per_minute'])} beats are "
        "found a minute."
    )
    return "\n\n".join(parts) + "\n"


def _source(title: str, methods: dict[str, Any]) -> str:
    n = next(iter(methods.values()))["onsets"]["n"]
    lines = [
        f"### {title}: {n} recordings",
        "",
        "| | S1 F1, 60 ms | S2 F1, 60 ms | S1 F1, 100 ms | S2 F1, 100 ms | median error of hits within 100 ms |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in methods.items():
        sounds = found["onsets"]
        cells = [interval(sounds[s][t]["f1"]) for t in ("60 ms", "100 ms") for s in ("S1", "S2")]
        errors = ", ".join(_milliseconds(sounds[s]["100 ms"]["median_error_s"]) for s in ("S1", "S2"))
        lines.append(f"| {name} | {' | '.join(cells)} | {errors} |")
    head = "| | S1 precision, recall at 60 ms | S2 precision, recall | heart rate within 5 bpm | abstained | n |"
    lines += ["", head, "|---|---|---|---|---|---|"]
    for name, found in methods.items():
        pairs = [_pair(found["onsets"][sound]["60 ms"]) for sound in ("S1", "S2")]
        rate = found["rate"]
        rates = f"{interval(rate['within_5_bpm'])} | {interval(rate['abstained'])} | {rate['n']}"
        lines.append(f"| {name} | {' | '.join(pairs)} | {rates} |")
    rate = methods["stream"]["rate"]
    lines += [
        "",
        f"The stream marks a beat as early in {interval(rate['early_found'])} of these recordings; by the annotations "
        f"there is one in {interval(rate['early_annotated'])}.",
    ]
    return "\n".join(lines)


def _pair(score: dict[str, Any]) -> str:
    return ", ".join("-" if (x := score[name]["value"]) is None else f"{x:.3f}" for name in ("precision", "recall"))


def _milliseconds(score: dict[str, float | None]) -> str:
    return "-" if score["value"] is None else f"{1000 * score['value']:.1f} ms"


def quality(result: dict[str, Any]) -> str:
    """A result of `train.quality.evaluate`."""
    parts = [f"## {result['protocol']}", f"{result['says']}. {result['excerpts']} excerpts."]
    parts.append("AUROC of the index:\n\n" + "\n".join(f"- {k}: {interval(x)}" for k, x in result["auroc"].items()))
    head = f"| kind of excerpt | mean index | share below {result['poor_quality']} |\n|---|---|---|\n"
    low = result["share_below_poor_quality"]
    rows = [f"| {kind} | {interval(x)} | {interval(low[kind])} |" for kind, x in result["mean_index"].items()]
    return "\n\n".join([*parts, head + "\n".join(rows)]) + "\n"


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """The scores of a result of either protocol that README and model card show, by what they are."""
    if result["protocol"] == "quality":
        return {f"quality index, AUROC, {shown}": result["auroc"][name] for name, shown in _QUALITY_HEADLINES.items()}
    stream = result["circor"]["stream"]
    shown = {f"{s} found within 60 ms, F1, CirCor by person": stream["onsets"][s]["60 ms"]["f1"] for s in ("S1", "S2")}
    shown["heart rate within 5 bpm, share of those told, CirCor by person"] = stream["rate"]["within_5_bpm"]
    shown["heart rate not told, share, CirCor by person"] = stream["rate"]["abstained"]
    return shown
