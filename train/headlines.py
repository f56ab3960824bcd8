"""The few scores of each protocol that README, model card and `laennec model` show."""

from __future__ import annotations

from typing import Any

from train import signal_report

_SOURCES = {"pascal_a": "set A of PASCAL", "pascal_b": "set B of PASCAL", "circor": "CirCor"}
_OVERALL = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Scores, each with value, low and high, by what they are."""
    name = result["protocol"]
    if name in {"timing", "quality"}:
        return signal_report.headline(result)
    shown = {
        "circor-patients": _patients,
        "new-device": _new_device,
        "cross-device": _cross_device,
        "leakage": _leakage,
    }.get(name, _recordings)
    return shown(result)


def _recordings(result: dict[str, Any]) -> dict[str, Any]:
    shown = {what: result[key] for key, what in _OVERALL.items()}
    shown |= {f"{what}, rare classes favoured": result["rare_favoured"][key] for key, what in _OVERALL.items()}
    shown |= {f"AUROC, {name}": score for name, score in result["auroc"].items()}
    return shown | {"calibration error": result["calibration_error"]}


def _patients(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "AUROC, murmur present vs absent": result["auroc"]["rule"],
        "weighted accuracy": result["weighted_accuracy"],
        "balanced accuracy over present, unknown, absent": result["balanced_accuracy"],
    }


def _new_device(result: dict[str, Any]) -> dict[str, Any]:
    shown = {}
    for source, found in result["sources"].items():
        where = f"{_SOURCES.get(source, source)} unheard"
        shown[f"clear normals called normal or uncertain, {where}"] = found["clear_normals"]["normal or uncertain"]
        shown[f"AUROC of murmur vs normal, {where}"] = found["auroc"]["murmur vs normal"]
    return shown


def _cross_device(result: dict[str, Any]) -> dict[str, Any]:
    return {f"AUROC of murmur vs normal, {pair}": score for pair, score in result["auroc"].items()}


def _leakage(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "AUROC, set A vs set B from what the network knows": result["device_auroc"],
        "set A's normals called artifact or extra heart sound": result["set_a_normals"]["likeliest class"],
    }
