"""Our routes as the real operator writes them anew, in a real Alertmanager, to the real trigger."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from lifeboat.demo.rules import alertmanager_config
from tests.cluster import apiserver
from tests.infra.alerts.monitoring import ALERTMANAGER, load, passes
from tests.infra.alerts.test_alertmanager import World as Alertmanager
from tests.infra.alerts.test_alertmanager import is_ready
from tests.infra.prometheus import platform
from tests.infra.prometheus.cluster import Cluster, until
from tests.ports import free_port
from tests.trigger.world import MODEL, World

DRIFT = {"alertname": "LifeboatDrift", "model": MODEL, "version": "3", "severity": "ticket", "action": "retrain"}


def test_the_operator_keeps_every_route_and_receiver(cluster: Cluster) -> None:
    """It takes the file apart and writes it anew; what it does not know would be gone."""
    written = yaml.safe_load(cluster.alertmanager)
    assert {name: value for name, value in written.items() if value} == load(ALERTMANAGER)


def test_the_token_is_mounted_where_the_configuration_reads_it(cluster: Cluster) -> None:
    name = f"alertmanager-{platform.ALERTMANAGER}"
    found = cluster.api.get(f"/apis/apps/v1/namespaces/monitoring/statefulsets/{name}")
    assert found
    pod = found["spec"]["template"]["spec"]
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    (container,) = (one for one in pod["containers"] if one["name"] == "alertmanager")
    mounted = {mount["mountPath"]: secrets.get(mount["name"]) for mount in container["volumeMounts"]}
    assert mounted["/etc/alertmanager/secrets/lifeboat-trigger"] == "lifeboat-trigger"
    assert "/etc/alertmanager/secrets/lifeboat-trigger/token" in cluster.alertmanager


@contextmanager
def alertmanager(config: str, folder: Path) -> Iterator[Alertmanager]:
    """An Alertmanager on a configuration, ready."""
    (folder / "alertmanager.yaml").write_text(config)
    place = f"127.0.0.1:{free_port()}"
    command = [
        str(shutil.which("prometheus-alertmanager")), f"--config.file={folder / 'alertmanager.yaml'}",
        f"--storage.path={folder / 'data'}", f"--web.listen-address={place}", "--cluster.listen-address=",
    ]  # fmt: skip
    with apiserver.process(command, folder / "alertmanager.log"):
        until(lambda: is_ready(f"http://{place}"), folder / "alertmanager.log")
        yield Alertmanager(f"http://{place}")


def test_drift_reaches_the_trigger_with_its_token_and_starts_a_run(cluster: Cluster, tmp_path: Path) -> None:
    with World(tmp_path / "trigger").trigger() as trigger:
        config = alertmanager_config(cluster.alertmanager, f"{trigger.url}/alerts", str(trigger.token_file), 1 / 60)
        (tmp_path / "checked.yaml").write_text(config)
        assert "SUCCESS" in passes("amtool", "check-config", tmp_path / "checked.yaml")
        with alertmanager(config, tmp_path) as sender:
            sender.post(DRIFT, {"alertname": "Watchdog", "severity": "none"})
            until(lambda: trigger.runs, tmp_path / "alertmanager.log")
        assert trigger.run_is("succeeded")["reason"] == f"LifeboatDrift {MODEL} 3"
        assert trigger.metric("requests_total", result="started") == len(trigger.runs) == 1
        assert trigger.metric("requests_total", result="unauthorized") == 0
