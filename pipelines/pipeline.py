"""The pipeline: preprocess, train, evaluate, and deploy only what passes its gate."""

from kfp import dsl, kubernetes

from components.deploy.component import deploy, keep
from components.evaluate.component import evaluate
from components.preprocess.component import preprocess
from components.train.component import train

NAME = "lifeboat"


def _limit(task: dsl.PipelineTask, *, cpu: str, memory: str, retries: int, minutes: int, cached: bool) -> None:
    """Requests equal limits: the scheduler then never gives a step less than it was measured to need."""
    task.set_cpu_request(cpu).set_cpu_limit(cpu).set_memory_request(memory).set_memory_limit(memory)
    task.set_caching_options(cached)
    kubernetes.set_timeout(task, seconds=60 * minutes)
    if retries:
        task.set_retry(retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="300s")


@dsl.pipeline(name=NAME, description="Prepares, trains, judges and ships one use case's model.")
def pipeline(
    usecase: str = "titanic",
    data: str = "",
    seed: int = 0,
    extra_gates: str = "",
    target: str = "local",
    reason: str = "manual",
    labelled: bool = True,
) -> None:
    """The DAG; empty `data` means the use case's own table, `reason` is why the run was started.

    With `labelled` the rows that came back from serving with their truth are trained and judged on as well.
    """
    prepared = preprocess(usecase=usecase, data=data, labelled=labelled)
    trained = train(usecase=usecase, seed=seed, rows=prepared.outputs["train_rows"])
    judged = evaluate(
        usecase=usecase,
        extra_gates=extra_gates,
        reason=reason,
        bundle=trained.outputs["bundle"],
        test_rows=prepared.outputs["test_rows"],
        profile=prepared.outputs["profile"],
    )
    with dsl.If(judged.outputs["Output"] == True, name="gate passed"):  # noqa: E712  # KFP compiles the comparison
        shipped = deploy(target=target, bundle=trained.outputs["bundle"], verdict=judged.outputs["verdict"])
    with dsl.Else(name="gate failed"):
        kept = keep(verdict=judged.outputs["verdict"])

    # What a step needs at a million rows, measured by `make bench`, with room to spare. Only training is cached: a
    # table may change behind its URL, which is all that the cache's key knows of it, and the other steps have effects.
    # Deploying is tried once: a second try is a decision.
    _limit(prepared, cpu="1", memory="4G", retries=2, minutes=30, cached=False)
    _limit(trained, cpu="2", memory="6G", retries=2, minutes=120, cached=True)
    _limit(judged, cpu="1", memory="4G", retries=1, minutes=30, cached=False)
    _limit(shipped, cpu="1", memory="1G", retries=0, minutes=60, cached=False)
    _limit(kept, cpu="1", memory="512M", retries=1, minutes=5, cached=False)
