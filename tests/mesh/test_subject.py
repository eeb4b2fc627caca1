"""Behind a mesh: whom Istio has verified is whom the model server counts and believes, and nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.cluster import apiserver
from tests.mesh.world import Issuer, envoy, gateway
from tests.server.world import ROOT, ROW, Answer, Running, call, make_bundle, ndarray, server

HEADER = "x-lifeboat-subject"
PAGE = ROOT / "docs" / "access.md"
NAME = "https://issuer.example"
BODY = ndarray(list(ROW.values()), names=list(ROW))

# `make test` leaves it out, since the first run builds kube-apiserver and Istio's control plane.
LACKING = [] if os.environ.get("TEST_MESH") else ["run by make test-mesh"]
WHY = ", ".join(LACKING or apiserver.missing())
pytestmark = pytest.mark.skipif(bool(WHY), reason=WHY)


@dataclass
class Mesh:
    """A model server behind a gateway, and who signs for it."""

    url: str
    serving: Running
    issuer: Issuer

    def ask(self, **headers: str) -> Answer:
        return call(f"{self.url}/api/v1.0/predictions", BODY, **headers)

    def counted(self) -> dict[str, float]:
        """How many requests of each caller were taken."""
        text = call(f"http://127.0.0.1:{self.serving.metrics_port}/prometheus").body.decode()
        lines = [line for line in text.splitlines() if line.startswith("lifeboat_callers_total{")]
        taken = [line for line in lines if 'result="taken"' in line]
        return {line.partition('caller="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in taken}


def documents(issuer: Issuer) -> list[dict[str, Any]]:
    """Those of docs/access.md, with the keys in place of where they are had."""
    text = PAGE.read_text().partition("## Behind a mesh")[2].partition("\n## ")[0]
    block = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    found = [document for document in yaml.safe_load_all(block) if document]
    (rule,) = found[0]["spec"]["jwtRules"]
    assert (rule["issuer"], rule["outputClaimToHeaders"][0]["header"]) == (NAME, HEADER)
    del rule["jwksUri"]
    rule["jwks"] = issuer.keys
    return found


@pytest.fixture(scope="module", params=["authorised", "open"])
def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """As the page has it, and without its policy, so that whoever has no token comes through as well."""
    envoy()
    folder = tmp_path_factory.mktemp("mesh")
    issuer = Issuer(NAME)
    chosen = documents(issuer)
    kinds = {document["kind"] for document in chosen}
    assert kinds == {"RequestAuthentication", "AuthorizationPolicy"}
    if request.param == "open":
        chosen = [document for document in chosen if document["kind"] == "RequestAuthentication"]
    with (
        server(make_bundle(folder / "bundle"), "--subject-header", HEADER, "--requests-per-minute", "50") as serving,
        gateway(folder, chosen, serving.port) as url,
    ):
        yield Mesh(url, serving, issuer)


def test_who_was_verified_is_who_is_counted_whatever_the_client_says_besides(mesh: Mesh) -> None:
    before = mesh.counted()
    assert mesh.ask(authorization=mesh.issuer.token("ann")).status == 200
    assert mesh.ask(authorization=mesh.issuer.token("ann"), **{HEADER: "mallory"}).status == 200
    after = mesh.counted()
    assert after["ann"] - before.get("ann", 0) == 2
    assert "mallory" not in after


def test_without_a_token_nobody_is_who_he_says(mesh: Mesh, request: pytest.FixtureRequest) -> None:
    answer = mesh.ask(**{HEADER: "mallory"})
    is_open = "[open]" in request.node.name
    assert answer.status == (200 if is_open else 403)
    assert "mallory" not in mesh.counted()


@pytest.mark.parametrize("how", ["expired", "another issuer", "another key", "cut off"])
def test_a_token_that_does_not_count_reaches_no_server(mesh: Mesh, how: str) -> None:
    token = {
        "expired": lambda: mesh.issuer.token("eve", seconds=-120),
        "another issuer": lambda: mesh.issuer.token("eve", iss="https://elsewhere.example"),
        "another key": lambda: Issuer(NAME).token("eve"),
        "cut off": lambda: mesh.issuer.token("eve")[:-7],
    }[how]()
    assert mesh.ask(authorization=token, **{HEADER: "eve"}).status in (401, 403)
    assert "eve" not in mesh.counted()


def test_limits_are_each_subjects_own(mesh: Mesh) -> None:
    token = mesh.issuer.token("busy")
    statuses = [mesh.ask(authorization=token).status for _ in range(60)]
    assert (statuses.count(200), statuses[-1]) == (50, 429)
    assert mesh.ask(authorization=mesh.issuer.token("calm")).status == 200
