"""What tests share: where the real recordings are, and how a missing one is reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_SETS = ("pascal", "circor", "esc10")


def skip_or_fail(reason: str) -> None:
    """Skip with the reason shown; under CI=true fail, so that nothing is left out unseen."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"in CI nothing may be skipped: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings: $LAENNEC_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("LAENNEC_DATA", ROOT.parent / "shared" / "data"))
    missing = [name for name in DATA_SETS if not (folder / name).is_dir()]
    if missing:
        skip_or_fail(
            f"no {' and no '.join(missing)} in {folder}; set LAENNEC_DATA to the folder of the real recordings"
        )
    return folder
