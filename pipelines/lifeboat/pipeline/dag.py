"""The pipeline: preprocess, train, evaluate, and deploy only what passes its gate."""

from kfp import dsl, kubernetes

from lifeboat.deploy.component import deploy, keep
from lifeboat.evaluate.component import evaluate
from lifeboat.preprocess.component import preprocess
from lifeboat.train.component import train

NAME = "lifeboat"


# What a step reads of the cluster: the ConfigMap is in kustomize, docs/kubernetes.md says how the Secret is made.
# A run without either uses the settings' defaults, as on a laptop, where both mean nothing.
SETTINGS = {
    "tracking-uri": "LIFEBOAT_TRACKING_URI",
    "store": "LIFEBOAT_STORE",
    "s3-endpoint": "LIFEBOAT_S3_ENDPOINT",
    "s3-region": "LIFEBOAT_S3_REGION",
    "predictor-url": "LIFEBOAT_PREDICTOR_URL",
    "rollout": "LIFEBOAT_ROLLOUT",
    "trusted-sources": "LIFEBOAT_TRUSTED_SOURCES",
}
KEYS = {"access-key": "LIFEBOAT_S3_ACCESS_KEY", "secret-key": "LIFEBOAT_S3_SECRET_KEY"}
# By which pseudonyms of personal keys are made, for the one step that reads what came back from serving.
PERSONAL = {"key": "LIFEBOAT_PERSONAL_KEY"}
# The user of the components' image.
USER = 10001


def _settle(task: dsl.PipelineTask) -> None:
    """Gives a step its settings, its user and its place in a cluster."""
    kubernetes.use_config_map_as_env(task, "lifeboat-steps", SETTINGS, optional=True)
    kubernetes.use_secret_as_env(task, "s3-pipeline", KEYS, optional=True)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    # Terraform's cheap nodes for pipelines take nothing else; where there are none this means nothing.
    kubernetes.add_toleration(task, key="lifeboat.dev/pool", operator="Equal", value="pipelines", effect="NoSchedule")


# Between two tries of a step.
BACKOFF_SECONDS, BACKOFF_FACTOR = 30, 2
# Until a try starts: a node has to come, and the image has to reach it.
START_SECONDS = 900


def _limit(task: dsl.PipelineTask, *, cpu: tuple[str, str], memory: str, retries: int, minutes: int) -> None:
    """Gives a step at least and at most so much CPU, and so much memory.

    With less CPU than it could use a step is slower. With less memory it is killed: the scheduler sets all of it aside.
    """
    least, most = cpu
    task.set_cpu_request(least).set_cpu_limit(most).set_memory_request(memory).set_memory_limit(memory)
    # Nothing is taken from the cache. Its key holds the id of each input artifact, and not what is in it: that is new
    # whenever preprocess ran, so training would never be found; and the other steps have effects.
    task.set_caching_options(False)
    kubernetes.set_timeout(task, seconds=60 * minutes)
    # Without retries as well: a step that says nothing gets the retries of Argo's defaults.
    task.set_retry(
        retries,
        backoff_duration=f"{BACKOFF_SECONDS}s",
        backoff_factor=float(BACKOFF_FACTOR),
        backoff_max_duration=f"{_span(retries, minutes)}s",
    )


def _span(retries: int, minutes: int) -> int:
    """The seconds that all tries of a step may take.

    Kubeflow's `backoff_max_duration` is no bound on a pause. Argo counts it from the start of the first try: after it
    there is no other try, and one that runs then is ended.
    """
    pauses: int = sum(BACKOFF_SECONDS * BACKOFF_FACTOR**past for past in range(retries))
    return (retries + 1) * (START_SECONDS + 60 * minutes) + pauses


@dsl.pipeline(name=NAME, description="Prepares, trains, judges and ships one use case's model.")
def pipeline(
    usecase: str = "titanic",
    data: str = "",
    seed: int = 0,
    extra_gates: str = "",
    target: str = "local",
    reason: str = "manual",
    labelled: bool = True,
    as_of: str = "",
    begin_anew: str = "",
) -> None:
    """The DAG; empty `data` means the use case's own table, `reason` is why the run was started.

    With `labelled` the rows that came back from serving with their truth are trained and judged on as well, as they
    were known at the moment `as_of`; empty means now. `begin_anew` says why the champion is not to be compared with.
    """
    prepared = preprocess(usecase=usecase, data=data, labelled=labelled, as_of=as_of)
    kubernetes.use_secret_as_env(prepared, "personal-key", PERSONAL, optional=True)
    trained = train(usecase=usecase, seed=seed, rows=prepared.outputs["train_rows"])
    judged = evaluate(
        usecase=usecase,
        extra_gates=extra_gates,
        reason=reason,
        begin_anew=begin_anew,
        bundle=trained.outputs["bundle"],
        test_rows=prepared.outputs["test_rows"],
        profile=prepared.outputs["profile"],
    )
    with dsl.If(judged.outputs["Output"] == True, name="gate passed"):  # noqa: E712  # KFP compiles the comparison
        shipped = deploy(target=target, bundle=trained.outputs["bundle"], verdict=judged.outputs["verdict"])
    with dsl.Else(name="gate failed"):
        kept = keep(verdict=judged.outputs["verdict"])

    # What a step needs at a million rows, measured by `make bench`, with room to spare; deploying mostly waits. Four
    # cores are enough for them and the rest of a laptop's cluster: tests/infra/kustomize/test_room.py adds it up.
    # A step is tried again where its pod was lost, and not where it failed: kustomize/kubeflow-pipelines/runs.yaml says
    # so to Argo. Deploying is tried once: a second try is a decision.
    _limit(prepared, cpu=("500m", "1"), memory="4G", retries=2, minutes=30)
    _limit(trained, cpu=("1", "2"), memory="6G", retries=2, minutes=120)
    _limit(judged, cpu=("500m", "1"), memory="4G", retries=1, minutes=30)
    _limit(shipped, cpu=("100m", "1"), memory="1G", retries=0, minutes=60)
    _limit(kept, cpu=("100m", "1"), memory="512M", retries=1, minutes=5)
    for task in (prepared, trained, judged, shipped, kept):
        _settle(task)
