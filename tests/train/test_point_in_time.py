"""The bundle of a moment can be made again when more is known."""

from datetime import UTC, datetime

import numpy as np

from lifeboat.data.labelled.labelled_rows import write_labelled
from lifeboat.data.timestamps import parse_timestamp
from lifeboat.model.bundle import open_bundle
from lifeboat.preprocess.step import preprocess
from lifeboat.registry.storage import S3, open_storage
from lifeboat.train.step import train
from tests.preprocess.test_feedback import fed
from tests.preprocess.world import SCHEMA, outputs, quiet, write
from tests.train.test_train import LOGISTIC, patients, usecase_of


def truths(start, count):
    """Patients who came later, of families of their own, whom a large dose does not help any more."""
    random = np.random.default_rng(start)
    doses = random.uniform(0, 100, count).round(2).tolist()
    return [
        fed(start + n, id=10_000 + start + n, family=f"N{start + n}", dose=dose, cured=int(dose < 50))
        for n, dose in enumerate(doses)
    ]


def test_a_bundle_of_the_past_is_made_again_byte_for_byte(tmp_path):
    usecase, store = usecase_of(LOGISTIC), open_storage(str(tmp_path / "store"), S3())
    source = write(tmp_path / "rows.csv", patients())

    def bundle(name, as_of=None):
        out = outputs(tmp_path / name)
        preprocess(usecase, source, out, labelled=store, as_of=as_of, say=quiet)
        train(usecase, out.train, tmp_path / name / "bundle", seed=3, say=quiet)
        return open_bundle(tmp_path / name / "bundle")

    write_labelled(store, "cure", SCHEMA, truths(0, 80))
    then = bundle("then")
    write_labelled(store, "cure", SCHEMA, truths(500, 80))
    facts = then.manifest["lineage"]["data"]
    again, now = bundle("again", parse_timestamp(facts["labelled_until"])), bundle("now")
    assert (facts["labelled"], facts["labelled_until"]) == (80, "1970-01-01T00:34:39Z")
    assert len(facts["labelled_digest"]) == 64
    assert again.digest == then.digest != now.digest
    assert again.model == then.model != now.model
    assert now.manifest["lineage"]["data"]["labelled"] == 160
    later = bundle("later", datetime(1970, 1, 1, 0, 41, tzinfo=UTC))  # between two truths, and asked for by hand
    assert later.digest == then.digest
