"""The seed of a run."""

from __future__ import annotations

from lifeboat.config.errors import SettingsError

# NumPy's and scikit-learn's generators take no larger one.
LARGEST_SEED = 2**32 - 1


def check_seed(seed: object) -> int:
    """Gives the seed; raises SettingsError for one that no generator takes."""
    if not isinstance(seed, int):
        raise SettingsError(f"seed is {seed!r}, not a whole number")
    if not 0 <= seed <= LARGEST_SEED:
        raise SettingsError(f"seed is {seed}, it must be 0 to {LARGEST_SEED}")
    return seed
