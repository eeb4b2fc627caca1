"""The reasons that an endpoint gives as a frame, as those of a model in this process; and in a terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lifeboat.api import Client, load
from lifeboat.config.errors import DeployError
from tests.detector.world import people
from tests.server.receiver import Receiver
from tests.server.world import Running, server

FRAME = pd.DataFrame(people(45, seed=11)).astype({"age": float})


def test_a_client_gives_the_same_frame_as_a_model(served: Running, bundle: Path) -> None:
    for outputs in (None, ["probability_died"], ["survived", "died"]):
        asked = Client(served.url).explain(FRAME, outputs)
        pd.testing.assert_frame_equal(asked, load(bundle).explain(FRAME, outputs), rtol=1e-9, atol=1e-12)
    none = Client(served.url).explain(FRAME[:0])
    assert list(none.columns) == list(asked.columns)
    assert len(none) == 0


def test_what_is_asked_for_reasons_is_no_traffic(served: Running, bundle: Path, receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{served.port}"
    with server(bundle, "--events-url", receiver.url) as alone:
        with pytest.raises(DeployError, match="501.*explainer_url"):
            Client(alone.url).explain(FRAME[:1])
        assert alone.stop() == 0
    with pytest.raises(DeployError, match="rows 1 to 20 of the frame: .*there is no 'nobody'"):
        Client(url).explain(FRAME, ["nobody"])
    assert receiver.predictions == []
