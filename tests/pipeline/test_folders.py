"""A checkout and a home in folders whose names hold what shells, URLs and units take for something else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.pipeline.laptop import ROOT, Laptop
from tests.server.world import call
from tests.usecases import breast_cancer

ROOTS = ("components", "pipelines", "serving")
FOLDER = "a folder/with spaces, Ünïcödé ß & 100 % d'État #1"


class Elsewhere(Laptop):
    """The sources copied to a folder, with the environments of this checkout linked."""

    def __init__(self, checkout: Path, home: Path) -> None:
        super().__init__(home)
        self.checkout = checkout
        skipped = shutil.ignore_patterns("__pycache__")
        for name in (*ROOTS, "tests/usecases"):
            shutil.copytree(ROOT / name, checkout / name, ignore=skipped)
        (checkout / "tests" / "__init__.py").touch()
        (checkout / ".venvs").symlink_to(ROOT / ".venvs")
        # Before the checkout that the environments were made for.
        self.path = os.pathsep.join(str(checkout / name) for name in (*ROOTS, ""))
        self.environment["PYTHONPATH"] = self.path

    def lifeboat(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lifeboat.cli.main", *arguments],
            cwd=self.checkout, env=self.environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pids(self) -> list[int]:
        found = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [int(path.name) for path in found if self._is_ours(path)]

    def _is_ours(self, path: Path) -> bool:
        try:
            return f"PYTHONPATH={self.path}\0".encode() in (path / "environ").read_bytes()
        except OSError:  # it ended, or is another user's
            return False


@pytest.mark.slow
def test_a_run_goes_the_whole_way_and_comes_back(tmp_path: Path) -> None:
    laptop = Elsewhere(tmp_path / "code" / FOLDER, tmp_path / "state" / FOLDER)
    laptop.home.mkdir(parents=True)
    data = breast_cancer.write_data(laptop.home / "masses 1.parquet")
    try:
        flags = ("--usecase", "tests.usecases.breast_cancer", "--data", str(data), "--require-deploy")
        assert "Deployed breast-cancer version 1" in laptop.lifeboat("run", *flags)
        assert laptop.pids()
        assert "stopped breast-cancer" in laptop.lifeboat("stop")
        assert laptop.pids() == []
        said = laptop.lifeboat("serve", "--detach", "--usecase", "breast-cancer")
        assert f"at http://127.0.0.1:{laptop.settings.detector_port}/, ready" in said
        body = {"jsonData": dict.fromkeys(breast_cancer.NAMES, 1.0)}
        assert call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", body).status == 200
        # What reads the registry, by its database and by the addresses of its artifacts.
        because = ("promote", "1", "--usecase", "breast-cancer", "--because", "a test")
        assert "version 1 is the champion of breast-cancer already" in laptop.lifeboat(*because, code=1)
        assert "version 1 (bundle" in laptop.lifeboat("status")
    finally:
        laptop.lifeboat("stop")


def test_packages_that_mlflow_cannot_work_from_are_said_before_the_run(tmp_path: Path) -> None:
    place = tmp_path / "100% mine" / ".venv"
    venv.create(place, symlinks=True)
    packages = place / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (packages / "lifeboat.pth").write_text(
        "\n".join([sysconfig.get_path("purelib"), *(str(ROOT / name) for name in ROOTS), ""])
    )
    laptop = Laptop(tmp_path / "home")
    done = subprocess.run(
        [str(place / "bin" / "python"), "-m", "lifeboat.cli.main", "run"],
        cwd=tmp_path, env=laptop.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lifeboat: MLflow cannot work from {packages}: a folder's name has a %; move or rename it\n"
    assert not (laptop.home / "runs").exists()
