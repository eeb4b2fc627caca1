"""Submitting the compiled pipeline to a Kubeflow Pipelines API.

Through the generated client and not `kfp.Client`, which takes cookies, headers and a namespace from a file in the home
directory and may write it, asks a failing API five times with a traceback each, knows no time-out, and prints.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kfp_server_api as api
import urllib3
import yaml

from components.core.errors import PipelineError, SettingsError
from components.core.settings import Settings
from pipelines.compile import compile_pipeline

EXPERIMENT = "lifeboat"
CONNECT_SECONDS, ANSWER_SECONDS = 5, 20


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
    host = _host(settings)
    configuration = api.Configuration(host)
    configuration.retries = 1
    if token := _token(settings):
        configuration.api_key["authorization"] = token
        configuration.api_key_prefix["authorization"] = "Bearer"
    spec = _spec(image)
    try:
        with api.ApiClient(configuration) as client:
            run = _start(client, spec, arguments, settings.kfp_namespace or None)
    except (api.OpenApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise PipelineError(f"{host} did not take the run: {_sentence(error)}") from error
    if not run:
        raise PipelineError(f"{host} did not take the run: what answers there is not the Kubeflow Pipelines API")
    return f"{host}/#/runs/details/{run}"


def _spec(image: str) -> dict[str, Any]:
    """The pipeline as the API takes it: both documents of the compiled file."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compile_pipeline(package, image)
        pipeline, platform = yaml.safe_load_all(package.read_text())
    return {"pipeline_spec": pipeline, "platform_spec": platform}


def _start(client: api.ApiClient, spec: dict[str, Any], arguments: dict[str, Any], namespace: str | None) -> str | None:
    """The new run's id; None where the answer names none."""
    limits = {"_request_timeout": (CONNECT_SECONDS, ANSWER_SECONDS)}
    runs = api.RunServiceApi(client)
    run = api.V2beta1Run(
        experiment_id=_experiment(client, namespace, limits),
        display_name=f"{arguments.get('usecase', EXPERIMENT)} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        pipeline_spec=spec,
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
    )
    identifier: str | None = runs.run_service_create_run(run, **limits).run_id
    return identifier


def _experiment(client: api.ApiClient, namespace: str | None, limits: dict[str, Any]) -> str | None:
    experiments = api.ExperimentServiceApi(client)
    wanted = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": EXPERIMENT}]}
    place = {"namespace": namespace} if namespace else {}
    found = experiments.experiment_service_list_experiments(filter=json.dumps(wanted), **place, **limits).experiments
    if found:
        known: str | None = found[0].experiment_id
        return known
    new = api.V2beta1Experiment(display_name=EXPERIMENT, namespace=namespace)
    created: str | None = experiments.experiment_service_create_experiment(new, **limits).experiment_id
    return created


def _host(settings: Settings) -> str:
    host = settings.kfp_host.rstrip("/")
    if not host:
        raise SettingsError("no host: give --host URL or LIFEBOAT_KFP_HOST, such as http://localhost:8080/pipeline")
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"the host {host!r} is no http or https URL, such as http://localhost:8080/pipeline")
    return host


def _token(settings: Settings) -> str:
    """The bearer token, '' for none; no message ever shows it."""
    token, source = settings.kfp_token.strip(), "LIFEBOAT_KFP_TOKEN"
    if settings.kfp_token_file:
        source = f"token file {settings.kfp_token_file}"
        try:
            token = Path(settings.kfp_token_file).read_bytes().decode(errors="replace").strip()
        except OSError as error:
            raise SettingsError(f"{source} cannot be read: {error.strerror}") from error
        if not token:
            raise SettingsError(f"{source} is empty")
    if not token.isascii() or any(character.isspace() or not character.isprintable() for character in token):
        raise SettingsError(f"{source} holds no token: a space, a line break or a character that is not ASCII is in it")
    return token


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
