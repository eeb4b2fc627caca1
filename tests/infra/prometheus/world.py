"""Real programs of ours behind the objects of a cluster, and a real Prometheus on the operator's configuration."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import apiserver
from tests.detector.world import add_bundle, detector
from tests.infra.kustomize.build import overlay
from tests.infra.prometheus import programs
from tests.infra.prometheus.cluster import Cluster, until
from tests.infra.prometheus.pods import place, serve, with_engine
from tests.ports import free_port
from tests.server.world import Running, server
from tests.trigger.world import Trigger, World

RULE_FILES = "/etc/prometheus/rules/"


@dataclass(frozen=True)
class Monitored:
    """What is scraped, and who scrapes it.

    Args:
        url: Prometheus's.
        digest: of the bundle that both model servers serve.
        servers: by the names of their pods.
        trigger: the retrain trigger.
        folder: of their files and logs.
    """

    url: str
    digest: str
    servers: dict[str, Running]
    trigger: Trigger
    folder: Path

    def ask(self, path: str, **query: str) -> Any:
        """The data of an answer of Prometheus's API; fails on an error."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def vector(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant vector."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=query)["result"]]


@contextmanager
def monitored(cluster: Cluster, folder: Path) -> Iterator[Monitored]:
    """Two model servers, the detector and the trigger, as pods that Prometheus finds in the API server."""
    api, ours, store = cluster.api, overlay("production"), folder / "store"
    digest = add_bundle(store)
    home = World(folder / "trigger")
    (folder / "token").write_text("s3cret")
    with ExitStack() as stack:
        servers = {}
        for name, resources in (("tiny-blue-0", ours), ("tiny-blue-1", with_engine(ours))):
            one = stack.enter_context(server(store / "bundles" / "tiny" / digest, "--model-version", "3"))
            ports = {"http": one.port, "metrics": one.metrics_port}
            place(api, resources, "model-template", name, "127.0.0.1", ports, **{"seldon-app": "tiny-blue"})
            servers[name] = one
        host = cluster.address
        watch = stack.enter_context(detector(store, folder / "drift" / "drift.db", "--host", host))
        place(api, ours, "drift-detector", "drift-detector-0", host, {"http": watch.port})
        serve(api, ("lifeboat", "drift-detector"), "drift-detector-0", host, http=watch.port)
        trigger = stack.enter_context(home.trigger(host=host, token_file=folder / "token"))
        port = urllib.parse.urlsplit(trigger.url).port or 0
        place(api, ours, "retrain-trigger", "retrain-trigger-0", host, {"http": port})
        serve(api, ("kubeflow", "lifeboat-trigger"), "retrain-trigger-0", host, http=port)
        url = stack.enter_context(prometheus(configuration(cluster, folder), folder))
        yield Monitored(url, digest, servers, trigger, folder)


def configuration(cluster: Cluster, folder: Path) -> Path:
    """What the operator wrote, put where a process of this machine finds it, and as fast as a test."""
    config = cluster.prometheus
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for scrape in config["scrape_configs"]:
        scrape["scrape_interval"] = "1s"
    config["rule_files"] = [path.replace(RULE_FILES, f"{folder}/rules/") for path in config["rule_files"]]
    first = Path(config["rule_files"][0]).parent
    first.mkdir(parents=True)
    for name, text in cluster.rules.items():
        (first / name).write_text(text)
    # As the reloader in Prometheus's pod does.
    text = yaml.safe_dump(config).replace("$(POD_NAME)", "prometheus-0").replace("$(SHARD)", "0")
    (folder / "prometheus.yaml").write_text(text)
    return folder / "prometheus.yaml"


@contextmanager
def prometheus(config: Path, folder: Path) -> Iterator[str]:
    """A Prometheus on a configuration; gives its URL once it answers."""
    port = free_port()
    command = [
        str(programs.PROMETHEUS.build()), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with apiserver.process(command, folder / "prometheus.log"):
        url = f"http://127.0.0.1:{port}"
        until(lambda: _is_ready(url), folder / "prometheus.log")
        yield url


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # not yet
        return False
