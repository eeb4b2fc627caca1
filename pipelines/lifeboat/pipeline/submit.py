"""Submitting the compiled pipeline to a Kubeflow Pipelines API.

Through the generated client and not `kfp.Client`, which takes cookies, headers and a namespace from a file in the home
directory and may write it, asks a failing API five times with a traceback each, knows no time-out, and prints.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kfp_server_api as api
import urllib3
import yaml

from lifeboat.config.errors import PipelineError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.config.token_file import checked_token, read_token
from lifeboat.pipeline.compile import compile_pipeline

EXPERIMENT = "lifeboat"
CONNECT_SECONDS, ANSWER_SECONDS = 5, 20
SUCCEEDED = "SUCCEEDED"
FINAL = (SUCCEEDED, "SKIPPED", "FAILED", "CANCELED")


def submit(settings: Settings, image: str, arguments: dict[str, Any]) -> str:
    """Starts a run and gives its URL.

    Args:
        settings: host, token (or its file) and namespace.
        image: reference of the components' image.
        arguments: of the pipeline.

    Raises:
        SettingsError: no host, or no usable token.
        PipelineError: the API cannot be reached or refuses the run.
    """
    name = f"{arguments.get('usecase', EXPERIMENT)} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    return run_url(settings, create_run(settings, image, arguments, name))


def create_run(settings: Settings, image: str, arguments: dict[str, Any], name: str) -> str:
    """Starts a run of a given name and gives its id; raises as `submit`."""
    with connected(settings, "did not take the run") as client:
        run = api.V2beta1Run(
            experiment_id=experiment(client, settings),
            display_name=name,
            pipeline_spec=compiled(image),
            runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        )
        return identified(api.RunServiceApi(client).run_service_create_run(run, **limits()).run_id)


def find_run(settings: Settings, name: str) -> str | None:
    """The id of the newest run of that name, if there is one; raises as `submit`."""
    with connected(settings, "did not list the runs") as client:
        listed = api.RunServiceApi(client).run_service_list_runs(
            filter=named(name), sort_by="created_at desc", **place(settings), **limits()
        )
        return listed.runs[0].run_id if listed.runs else None


def read_run(settings: Settings, run: str) -> tuple[str, set[str]]:
    """A run's state as Kubeflow names it, and the names of its steps that succeeded; raises as `submit`."""
    with connected(settings, "did not show the run") as client:
        found = api.RunServiceApi(client).run_service_get_run(run, **limits())
        identified(found.run_id)
        steps = found.run_details.task_details if found.run_details else None
        return found.state or "PENDING", {step.display_name for step in steps or [] if step.state == SUCCEEDED}


def end_run(settings: Settings, run: str) -> None:
    """Asks Kubeflow to end a run; raises as `submit`."""
    with connected(settings, "did not end the run") as client:
        api.RunServiceApi(client).run_service_terminate_run(run, **limits())


def run_url(settings: Settings, run: str) -> str:
    """The page of a run: where Kubeflow's pages are, which within a cluster is not where its API is."""
    return f"{settings.kfp_pages.rstrip('/') or host_of(settings)}/#/runs/details/{run}"


@contextmanager
def connected(settings: Settings, refusal: str) -> Iterator[api.ApiClient]:
    """A client whose errors within the block are a PipelineError, one sentence with `refusal` in it."""
    host = host_of(settings)
    configuration = api.Configuration(host)
    configuration.retries = 1
    if token := _token(settings):
        configuration.api_key["authorization"] = token
        configuration.api_key_prefix["authorization"] = "Bearer"
    try:
        with api.ApiClient(configuration) as client:
            yield client
    except (api.OpenApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise PipelineError(f"{host} {refusal}: {_sentence(error)}") from error


def limits() -> dict[str, Any]:
    """The time-outs of one request."""
    return {"_request_timeout": (CONNECT_SECONDS, ANSWER_SECONDS)}


def place(settings: Settings) -> dict[str, str]:
    """The namespace of a request, where there is one."""
    return {"namespace": settings.kfp_namespace} if settings.kfp_namespace else {}


def named(name: str) -> str:
    """The filter for what has that name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def identified(identifier: str | None) -> str:
    """The id in an answer; a ValueError where it names none."""
    if not identifier:
        raise ValueError("what answers there is not the Kubeflow Pipelines API")
    return identifier


def compiled(image: str) -> dict[str, Any]:
    """The pipeline as the API takes it: both documents of the compiled file."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compile_pipeline(package, image)
        pipeline, platform = yaml.safe_load_all(package.read_text())
    return {"pipeline_spec": pipeline, "platform_spec": platform}


def experiment(client: api.ApiClient, settings: Settings) -> str | None:
    """The id of the experiment of all runs, which is made if missing."""
    experiments = api.ExperimentServiceApi(client)
    wanted = {"filter": named(EXPERIMENT), **place(settings), **limits()}
    if found := experiments.experiment_service_list_experiments(**wanted).experiments:
        known: str | None = found[0].experiment_id
        return known
    new = api.V2beta1Experiment(display_name=EXPERIMENT, **place(settings))
    created: str | None = experiments.experiment_service_create_experiment(new, **limits()).experiment_id
    return created


def host_of(settings: Settings) -> str:
    """The API's URL without a slash at its end; raises SettingsError."""
    host = settings.kfp_host.rstrip("/")
    if not host:
        raise SettingsError("no host: give --host URL or LIFEBOAT_KFP_HOST, such as http://localhost:8080/pipeline")
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"the host {host!r} is no http or https URL, such as http://localhost:8080/pipeline")
    return host


def _token(settings: Settings) -> str:
    """The bearer token, '' for none."""
    if settings.kfp_token_file:
        return read_token(Path(settings.kfp_token_file))
    return checked_token(settings.kfp_token.strip(), "LIFEBOAT_KFP_TOKEN")


def _sentence(error: Exception) -> str:
    if isinstance(error, api.ApiException) and error.status:
        return f"{error.status} {error.reason}{_detail(error.body)}"
    if isinstance(error, urllib3.exceptions.HTTPError):
        # 'HTTPConnectionPool(…): Max retries exceeded with url: … (Caused by …('…: Connection refused'))'
        return f"it does not answer: {str(getattr(error, 'reason', error)).rpartition(': ')[2]}"
    return " ".join((getattr(error, "reason", None) or str(error)).split())


def _detail(body: Any) -> str:
    """The API's own reason from an error's body, if it gives one."""
    try:
        document = json.loads(body)
    except (TypeError, ValueError):
        return ""
    message = document.get("message") or document.get("error") if isinstance(document, dict) else None
    return f": {' '.join(str(message).split())[:300]}" if message else ""
