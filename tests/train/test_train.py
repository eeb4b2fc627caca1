import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from lifeboat.config.errors import DataError, SettingsError, UseCaseError
from lifeboat.model.bundle import open_bundle
from lifeboat.model.onnx.nodes import parts
from lifeboat.model.scoring import Scorer
from lifeboat.preprocess.merge import TIME
from lifeboat.preprocess.step import preprocess
from lifeboat.tasks.binary.calibration import Sigmoid
from lifeboat.tasks.calibration import Uncalibrated
from lifeboat.train import preflight, step
from lifeboat.train.folds import Rows
from lifeboat.train.parity import data_frame
from lifeboat.train.search import search
from lifeboat.train.step import train
from lifeboat.usecase.transformers import CategoryFlags, Floats32
from lifeboat.usecase.usecase import Candidate, Drift, Split
from tests.preprocess.world import make_usecase, outputs, quiet, rows, write


def make_features():
    return ColumnTransformer([("dose", SimpleImputer(), ["dose"]), ("sex", CategoryFlags(("f", "m")), ["sex"])])


LOGISTIC = Candidate("logistic", LogisticRegression(), {"C": (0.1, 1.0)})
FOREST = Candidate("forest", make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)))


def patients(count=400, seed=0):
    """Families of two; the dose and the sex say much about the label, not all."""
    random = np.random.default_rng(seed)
    dose = random.uniform(0, 100, count).round(2)
    odds = np.exp(0.06 * (dose - 50) + np.tile([1, -1], count // 2))
    cured = random.random(count) < odds / (1 + odds)
    return [row | {"dose": d, "cured": int(c)} for row, d, c in zip(rows(count), dose.tolist(), cured, strict=True)]


def prepared(folder, usecase, table=None):
    folder.mkdir(exist_ok=True)
    out = outputs(folder)
    preprocess(usecase, write(folder / "rows.csv", table or patients()), out, say=quiet)
    return out.train


def usecase_of(*candidates, **options):
    return make_usecase(features=make_features, candidates=candidates, **options)


@pytest.mark.parametrize(("few", "threads"), [(10_000, 1), (100, 2)])
def test_a_fit_has_threads_where_there_are_rows_for_them(tmp_path, monkeypatch, few, threads):
    seen = set()

    def fit(model, X, y, **options):
        seen.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")
        return plain(model, X, y, **options)

    plain = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", fit)
    monkeypatch.setattr(step, "ROWS_FOR_THREADS", few)
    usecase = usecase_of(LOGISTIC)
    with threadpool_limits(2, "openmp"):
        train(usecase, prepared(tmp_path / "data", usecase), tmp_path / "b", say=quiet)
    assert seen == {1, threads}  # the examination of the candidates has few rows


def test_a_bundle_holds_model_lineage_and_reference(tmp_path):
    usecase, said = usecase_of(LOGISTIC, FOREST), []
    train_rows = prepared(tmp_path / "data", usecase)
    trained = train(usecase, train_rows, tmp_path / "b", seed=7, code="abc123", say=said.append)
    bundle, table = open_bundle(tmp_path / "b"), pq.read_table(train_rows)
    assert bundle.digest == trained.digest
    assert bundle.schema == usecase.schema
    facts = bundle.manifest
    assert facts["lineage"]["code"] == "abc123"
    assert facts["lineage"]["seed"] == 7
    assert facts["lineage"]["data"]["rows"] == 400
    assert facts["lineage"]["data"]["train"] == table.num_rows
    assert facts["lineage"]["split"]["salt"] == "s"
    assert set(facts["versions"]) >= {"python", "scikit-learn", "skl2onnx", "onnxruntime"}
    assert len(facts["training"]["trials"]) == 3
    losses = [trial["log_loss"] for trial in facts["training"]["trials"]]
    assert losses == sorted(losses)
    assert facts["training"]["cross_validation"]["log_loss"] == losses[0]
    assert facts["training"]["cross_validation"]["roc_auc"] == facts["training"]["trials"][0]["roc_auc"]
    assert facts["drift"] == asdict(usecase.drift)
    assert facts["lineage"]["data"]["labelled"] == 0
    assert str(tmp_path) not in json.dumps(facts)

    expected = trained.model.answers(data_frame(table, usecase.schema))
    assert np.abs(Scorer(bundle.model, bundle.schema).answers(table) - expected).max() < 1e-5
    assert sum(line.startswith("trial ") for line in said) == 3
    assert said[0].startswith("trial 1/3: logistic (C=0.1): log loss ")
    assert any("differs from scikit-learn by at most" in line for line in said)


def test_the_reference_holds_training_rows_only(tmp_path):
    usecase = usecase_of(LOGISTIC)
    train_rows = prepared(tmp_path / "data", usecase)
    train(usecase, train_rows, tmp_path / "b", say=quiet)
    reference = pq.read_table(open_bundle(tmp_path / "b").reference)
    assert reference.column_names == [*usecase.schema.names, "__score", "__group"]
    assert reference.num_rows == pq.read_table(train_rows).num_rows
    families = pq.read_table(train_rows)["family"].to_pylist()
    assert len(set(zip(families, reference["__group"].to_pylist(), strict=True))) == len(set(families))
    train_doses = set(pq.read_table(train_rows)["dose"].to_pylist())
    held_out = set(pq.read_table(train_rows.with_name("test.parquet"))["dose"].to_pylist()) - train_doses
    assert held_out
    assert set(reference["dose"].to_pylist()) <= train_doses
    assert not reference.schema.metadata


def test_the_references_scores_are_of_models_that_did_not_see_the_row(tmp_path):
    """A forest without limits knows its training rows by heart and is right about them as it never will be again."""
    forest = Candidate("forest", RandomForestClassifier(30, random_state=0))
    usecase = usecase_of(forest)
    train_rows = prepared(tmp_path / "data", usecase)
    trained = train(usecase, train_rows, tmp_path / "b", say=quiet)
    assert trained.search.calibration.to_manifest() is not None
    bundle, table = open_bundle(tmp_path / "b"), pq.read_table(train_rows)
    reference = pq.read_table(bundle.reference)
    assert str(reference.schema.field("__score").type) == "float"
    scores = reference["__score"].to_numpy()
    expected = trained.search.calibration.apply(trained.search.best.out_of_fold)[:, 1]
    assert np.array_equal(scores, expected)
    held_out, scorer = pq.read_table(train_rows.with_name("test.parquet")), Scorer(bundle.model, bundle.schema)
    seen, new = (scorer.answers(rows)[:, 1] for rows in (table, held_out))
    pairs = ((seen, table), (scores, table), (new, held_out))
    wrong = [float(np.abs(p - rows["cured"].to_numpy()).mean()) for p, rows in pairs]
    assert wrong[1] == pytest.approx(wrong[2], abs=0.05)
    assert wrong[0] < wrong[2] - 0.07


def test_a_large_tables_reference_is_of_rows_of_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr("lifeboat.train.search.MOST_ROWS", 150)
    usecase = usecase_of(LOGISTIC)
    train_rows = prepared(tmp_path / "data", usecase)
    found = train(usecase, train_rows, tmp_path / "b", say=quiet).search
    table, reference = pq.read_table(train_rows), pq.read_table(open_bundle(tmp_path / "b").reference)
    assert 100 < found.searched < 200 < table.num_rows
    assert reference["dose"].to_pylist() == table["dose"].take(found.rows).to_pylist()


@pytest.mark.parametrize(("count", "kept"), [(29, None), (30, 30), (60, 50)])
def test_enough_rows_from_feedback_are_the_reference(tmp_path, count, kept):
    """Two windows of 20 are enough; the newest 50 of them are kept."""
    usecase, said = usecase_of(LOGISTIC, drift=Drift(window=20, minimum=10, reference=50)), []
    train_rows = prepared(tmp_path / "data", usecase)
    table = pq.read_table(train_rows)
    times = np.full(table.num_rows, np.nan)
    fed = np.random.default_rng(0).permutation(table.num_rows)[:count]
    times[fed] = 1e9 + np.arange(count)
    pq.write_table(table.set_column(table.column_names.index(TIME), TIME, pa.array(times)), train_rows)
    train(usecase, train_rows, tmp_path / "b", say=said.append)
    reference = pq.read_table(open_bundle(tmp_path / "b").reference)
    assert f"drift reference: the newest {kept} rows from feedback" in said or kept is None
    newest = np.sort(fed[-50:])
    assert (reference["dose"].to_pylist() == table["dose"].take(newest).to_pylist()) is (kept is not None)


def test_golden_rows_are_valid_requests_with_the_models_answers(tmp_path):
    usecase = usecase_of(LOGISTIC)
    train(usecase, prepared(tmp_path / "data", usecase), tmp_path / "b", say=quiet)
    bundle = open_bundle(tmp_path / "b")
    scorer = Scorer(bundle.model, bundle.schema)
    assert bundle.golden[-1]["row"] == {"dose": None, "sex": None, "note": None}
    for case in bundle.golden:
        parsed = bundle.schema.parse_row(case["row"])
        inputs = {
            c.name: np.array([[parsed[c.name]]], dtype=np.float32 if c.is_number else object)
            for c in bundle.schema.columns
        }
        assert np.allclose(scorer.run(inputs)[0], case["probabilities"], atol=1e-6)


TWICE = """
import sys
from pathlib import Path
from tests.train.test_train import FOREST, LOGISTIC, quiet, train, usecase_of
train_rows, bundle, seed = sys.argv[1:]
print(train(usecase_of(LOGISTIC, FOREST), Path(train_rows), Path(bundle), seed=int(seed), code="c", say=quiet).digest)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused_before_a_candidate_is_blamed(tmp_path, seed):
    with pytest.raises(SettingsError, match=f"seed is {seed}, it must be 0 to 4294967295"):
        train(usecase_of(LOGISTIC), tmp_path / "rows.parquet", tmp_path / "b", seed=seed, say=quiet)


@pytest.mark.slow
def test_data_code_and_seed_give_the_digest_in_any_process(tmp_path):
    usecase = usecase_of(LOGISTIC, FOREST)
    one = prepared(tmp_path / "one", usecase)
    other = prepared(tmp_path / "other", usecase, patients(seed=1))

    def digest(name, data=one, seed=0, hash_seed="1"):
        command = [sys.executable, "-c", TWICE, str(data), str(tmp_path / name), str(seed)]
        environment = {"PYTHONHASHSEED": hash_seed, "PATH": ""}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=True)
        return done.stdout.strip()

    first = digest("a")
    assert digest("b", hash_seed="2") == first
    assert (tmp_path / "a" / "model.onnx").read_bytes() == (tmp_path / "b" / "model.onnx").read_bytes()
    here = [
        train(usecase, data, tmp_path / name, seed=seed, code=code, say=quiet).digest
        for name, data, seed, code in [("c", one, 0, "c"), ("d", one, 1, "c"), ("e", other, 0, "c"), ("f", one, 0, "d")]
    ]
    assert here[0] == first
    assert len(set(here)) == 4


def unexported(*_, **__):
    """Takes estimators that are none of skl2onnx's."""
    return {}


class Bold(ClassifierMixin, BaseEstimator):
    """A logistic regression that triples its log odds: right in order, far too sure of itself."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        self.inner_ = LogisticRegression().fit(X, y)
        self.inner_.coef_ *= 3
        self.inner_.intercept_ *= 3
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


def split_of(table):
    frame = pd.DataFrame(table)
    frame = frame.astype({"dose": np.float32})
    return frame[["dose", "sex", "note"]], frame["cured"].to_numpy(np.int8), [f"g{name}" for name in frame["family"]]


def test_calibration_is_chosen_where_it_helps():
    X, y, groups = split_of(patients(1000))
    bold = search(usecase_of(Candidate("bold", Bold())), Rows(X, y, groups), seed=0, say=quiet, examine=unexported)
    assert isinstance(bold.calibration, Sigmoid)
    assert bold.calibration.slope == pytest.approx(1 / 3, abs=0.1)
    assert bold.calibrated["log_loss"] < bold.best.figures["log_loss"]
    modest = search(
        usecase_of(Candidate("modest", LogisticRegression())), Rows(X, y, groups), seed=0, say=quiet, examine=unexported
    )
    assert modest.calibration == Uncalibrated()


def test_the_graph_of_a_calibrated_model_is_calibrated(tmp_path):
    """A deep tree-based model on few rows is over-confident."""
    deep = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.5, min_samples_leaf=2, early_stopping=False)
    usecase, said = usecase_of(Candidate("deep", deep)), []
    train_rows = prepared(tmp_path / "data", usecase)
    trained = train(usecase, train_rows, tmp_path / "b", say=said.append)
    assert any(line.startswith("best: deep; calibration helps: [") for line in said)
    bundle, table = open_bundle(tmp_path / "b"), pq.read_table(train_rows)
    assert bundle.manifest["training"]["calibration"] == trained.search.calibration.to_manifest()
    answers = Scorer(bundle.model, bundle.schema).answers(table)
    raw = trained.model.pipeline.predict_proba(data_frame(table, usecase.schema))
    assert np.abs(answers - trained.model.answers(data_frame(table, usecase.schema))).max() < 2e-5
    assert np.abs(answers - raw).max() > 0.05


class Recorder(ClassifierMixin, BaseEstimator):
    """Notes the doses it is shown."""

    seen: list = []  # noqa: RUF012  # clones share it on purpose

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        self.known_ = set(X[:, 0].tolist())
        return self

    def predict_proba(self, X):
        self.seen.append((self.known_, set(X[:, 0].tolist())))
        return np.full((len(X), 2), 0.5)


def test_a_family_is_never_both_fitted_and_judged():
    table = [row | {"dose": (row["id"] - 1) // 2} for row in patients(120)]  # the dose is the family's number
    X, y, groups = split_of(table)
    Recorder.seen.clear()
    search(usecase_of(Candidate("recorder", Recorder())), Rows(X, y, groups), seed=0, say=quiet, examine=unexported)
    assert len(Recorder.seen) == 3
    assert all(known and asked and not known & asked for known, asked in Recorder.seen)
    assert set().union(*(asked for _, asked in Recorder.seen)) == set(range(60))


def test_rows_without_a_family_are_no_family_of_their_own(tmp_path):
    usecase = usecase_of(LOGISTIC)
    train_rows = prepared(tmp_path / "data", usecase, [row | {"family": ""} for row in patients()])
    train(usecase, train_rows, tmp_path / "b", say=quiet)


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        (
            Candidate("bad name", LogisticRegression(), {"Z": (1,)}),
            "candidate 'bad name': it cannot be trained with {'Z': 1}: Invalid",
        ),
        (
            Candidate("bad value", LogisticRegression(), {"C": (-1.0,)}),
            "candidate 'bad value': it cannot be trained with {'C': -1.0}: ",
        ),
        (Candidate("no grid", LogisticRegression(), {"C": 1.0}), "candidate 'no grid': its grid cannot be used: "),
        (
            Candidate("empty grid", LogisticRegression(), {"C": ()}),
            "candidate 'empty grid': its grid cannot be used: ",
        ),
        (
            Candidate("no estimator", object()),
            "candidate 'no estimator': it cannot be trained with its own parameters: ",
        ),
        (
            Candidate("no converter", Bold()),
            "candidate 'no converter': the estimator Bold cannot become an ONNX graph: the class has no converter; ",
        ),
    ],
)
def test_a_bad_candidate_is_named(tmp_path, candidate, sentence):
    usecase = usecase_of(candidate)
    train_rows = prepared(tmp_path / "data", usecase)
    with pytest.raises(UseCaseError) as error:
        train(usecase, train_rows, tmp_path / "b", say=quiet)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "b").exists()


def test_bad_features_are_named(tmp_path):
    usecase = make_usecase(features=lambda: ColumnTransformer([("x", Floats32(), ["colour"])]), candidates=(LOGISTIC,))
    with pytest.raises(UseCaseError, match="the features cannot be made: .*colour"):
        train(usecase, prepared(tmp_path / "data", usecase), tmp_path / "b", say=quiet)


@pytest.mark.parametrize("first", [True, False])
def test_a_candidate_that_cannot_be_exported_is_left_out_and_the_run_goes_on(tmp_path, first):
    said = []
    one, other = Candidate("bold", Bold()), Candidate("logistic", LogisticRegression(), {"C": (0.1, 1.0)})
    usecase = usecase_of(*((one, other) if first else (other, one)))
    train(usecase, prepared(tmp_path / "data", usecase), tmp_path / "b", say=said.append)
    facts = open_bundle(tmp_path / "b").manifest["training"]
    assert facts["candidate"] == "logistic"
    assert {trial["candidate"] for trial in facts["trials"]} == {"logistic"}
    problem = facts["left_out"]["bold"]
    assert problem.startswith("the estimator Bold cannot become an ONNX graph: ")
    assert said[0] == f"left out: candidate 'bold': {problem}"
    assert f"not among the candidates: bold: {problem}" in said[3:]


def test_features_that_cannot_be_exported_name_the_step_and_the_remedy(tmp_path):
    def features():
        cube = FunctionTransformer(lambda X: X**3)
        return ColumnTransformer([("x", make_pipeline(SimpleImputer(), cube), ["dose"])])

    usecase = make_usecase(features=features, candidates=(LOGISTIC, FOREST))
    with pytest.raises(UseCaseError) as error:
        train(usecase, prepared(tmp_path / "data", usecase), tmp_path / "b", say=quiet)
    where = "features, step 'functiontransformer' FunctionTransformer cannot become an ONNX graph: the function "
    assert f"candidate 'logistic': {where}" in str(error.value)
    assert f"candidate 'forest': {where}" in str(error.value)
    assert "use a function of NumPy's own such as numpy.log1p" in str(error.value)


def test_a_model_that_cannot_answer_a_null_the_schema_allows_is_no_candidate(tmp_path):
    usecase = make_usecase(features=lambda: ColumnTransformer([("x", Floats32(), ["dose"])]), candidates=(LOGISTIC,))
    with pytest.raises(UseCaseError, match=r"refuses a row that the schema allows \(.*null\): .*NaN.*; impute first"):
        train(usecase, prepared(tmp_path / "data", usecase), tmp_path / "b", say=quiet)


def test_too_few_groups_for_the_folds_are_refused(tmp_path):
    usecase = usecase_of(LOGISTIC, split=Split(test=0.25, folds=20, salt="s"))
    train_rows = prepared(tmp_path / "data", usecase, patients(40))
    with pytest.raises(DataError, match="too few groups for 20 folds: of (the rest of )?fold"):
        train(usecase, train_rows, tmp_path / "b", say=quiet)


@pytest.fixture
def broken_export(monkeypatch):
    """The final graph of a logistic regression is of other coefficients."""
    export = preflight.export_onnx

    def broken(model, schema, X):
        found = parts(model.pipeline) if len(X) > 250 else []  # few rows are the examination's
        for part in (part for part in found if isinstance(part, LogisticRegression)):
            part.coef_ += 0.01
        graph = export(model, schema, X)
        for part in (part for part in found if isinstance(part, LogisticRegression)):
            part.coef_ -= 0.01
        return graph

    monkeypatch.setattr(preflight, "export_onnx", broken)


@pytest.mark.usefixtures("broken_export")
def test_a_graph_that_answers_otherwise_is_no_bundle(tmp_path):
    usecase = usecase_of(LOGISTIC)
    train_rows = prepared(tmp_path / "data", usecase)
    with pytest.raises(
        UseCaseError, match=r"differs from the scikit-learn pipeline by 0\.\d+, at most 1e-05 may: where"
    ):
        train(usecase, train_rows, tmp_path / "b", say=quiet)
    assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("broken_export")
def test_the_next_best_is_taken_where_the_best_ones_graph_answers_otherwise(tmp_path):
    usecase, said = usecase_of(LOGISTIC, FOREST), []
    train_rows = prepared(tmp_path / "data", usecase)
    trained = train(usecase, train_rows, tmp_path / "b", say=said.append)
    facts = open_bundle(tmp_path / "b").manifest["training"]
    assert facts["candidate"] == trained.search.best.candidate == "forest"
    assert "differs from the scikit-learn pipeline" in facts["left_out"]["logistic"]
    assert facts["cross_validation"]["log_loss"] == facts["trials"][0]["log_loss"]
    assert [line.partition(";")[0] for line in said if line.startswith("best: ")] == ["best: logistic", "best: forest"]


def test_rows_of_another_origin_are_refused(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"train\.parquet: was not written by the preprocess step"):
        train(usecase_of(LOGISTIC), tmp_path / "train.parquet", tmp_path / "b", say=quiet)
