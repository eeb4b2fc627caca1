"""The import rules of the design, read from the sources: who may reach what, and that importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The roots of the one import package.
ROOTS = ("components", "pipelines", "serving")
# Called or entered at the top of a module, these do something that stays.
MAINS = (
    "components/lifeboat/config/settings.py",
    "/__main__.py",
    "pipelines/lifeboat/cli/verbs.py",
    "serving/lifeboat/server/fetch.py",
    "serving/lifeboat/server/supervised.py",
)


def sources(*packages: str) -> list[Path]:
    """The sources of packages, by the names after `lifeboat.`; of all without any."""
    folders = [ROOT / root / "lifeboat" / Path(*name.split(".")) for root in ROOTS for name in packages or ("",)]
    return sorted(path for start in folders for path in start.rglob("*.py"))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_path(name: str) -> Path | None:
    bases = [ROOT.joinpath(root, *name.split(".")) for root in ROOTS]
    found = (path for base in bases for path in (base.with_suffix(".py"), base / "__init__.py"))
    return next((path for path in found if path.is_file()), None)


def running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, but those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from running(child)


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names that a source imports anywhere, also inside functions, and their packages."""
    names = set()
    for node in running(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = module_name(path).split(".")
            start = start if path.name == "__init__.py" else start[:-1]
            base = start[: len(start) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            names |= {name, *(f"{name}.{alias.name}" for alias in node.names)}
    return frozenset(".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2))


def closure(start: list[Path]) -> dict[str, str]:
    """Every name reachable from the sources, with the source that names it."""
    reached: dict[str, str] = {}
    waiting, seen = list(start), set(start)
    while waiting:
        path = waiting.pop()
        for name in imported(path):
            reached.setdefault(name, short(path))
            below = module_path(name)
            if below is not None and below not in seen:
                seen.add(below)
                waiting.append(below)
    return reached


def reaches(start: list[Path], *forbidden: str) -> dict[str, str]:
    assert start, "the rule is about sources that are there"
    found = closure(start)
    return {name: by for name, by in found.items() for bad in forbidden if name == bad or name.startswith(f"{bad}.")}


WEB = ("fastapi", "flask", "starlette", "uvicorn", "aiohttp", "django", "tornado", "httptools", "uvloop")
HEAVY = ("kfp", "mlflow", "sklearn", "pandas", "pyarrow", "skl2onnx", "matplotlib", "jinja2")


# Below the steps: what training and serving share.
FOUNDATION = ("config", "data", "model", "registry", "system", "tasks", "usecase")
STEPS = ("preprocess", "train", "evaluate", "deploy")
ABOVE = tuple(f"lifeboat.{name}" for name in (*STEPS, "usecases", "pipeline", "cli", "trigger", "demo", "ui"))


def parts(*packages: str) -> set[str]:
    """The packages of ours that some reach."""
    return {name.split(".")[1] for name in closure(sources(*packages)) if module_path(name)}


def test_the_model_server_reaches_no_training_code():
    assert not reaches(sources("http", "server", "supervisor"), *ABOVE, *HEAVY)


def test_serving_reaches_the_foundation_and_nothing_else_of_the_components():
    assert parts("http", "server", "supervisor") <= {*FOUNDATION, "http", "server", "supervisor"}
    assert parts("detector") <= {*FOUNDATION, "http", "server", "detector"}
    assert parts("explainer") <= {*FOUNDATION, "http", "server", "explainer"}
    serving = sources("http", "server", "supervisor", "detector", "explainer")
    assert not reaches(serving, "kfp", "mlflow", "sklearn", "pandas")
    assert not reaches(sources("explainer"), "grpc", "uvloop")  # its extra has neither


def test_http_knows_none_of_the_servers_that_it_carries():
    assert parts("http") == {"config", "http", "system"}


def test_the_data_plane_knows_neither_http_nor_json():
    """Of `http` it has the errors only, so that an adapter of another protocol needs nothing else."""
    for name in ("dataplane", "model.batcher", "model.onnx_model", "request_id", "identity", "large_requests"):
        path = module_path(f"lifeboat.server.{name}")
        assert path is not None
        assert not imported(path) & {"json", "orjson"}, name
        used = {one for one in imported(path) if one.startswith("lifeboat.http.")}
        assert all(one.startswith("lifeboat.http.errors") for one in used), name


def test_the_foundation_knows_no_pipeline_no_web_framework_and_no_use_case():
    assert not reaches(sources(*FOUNDATION), "kfp", *ABOVE, *WEB)
    assert parts(*FOUNDATION) == set(FOUNDATION)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_runs_without_kubeflow(step):
    own = [path for path in sources(step) if path.name != "component.py"]
    assert not reaches(own, "kfp", "lifeboat.usecases")


def test_use_cases_know_only_the_foundation():
    assert parts("usecases") <= {*FOUNDATION, "usecases"}


def environment_reads(path: Path) -> list[int]:
    """Lines that read os.environ; setting a variable for a library is no reading."""
    nodes = list(ast.walk(tree(path)))
    set_here = {id(n.value) for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)}
    attributes = (n for n in nodes if isinstance(n, ast.Attribute) and id(n) not in set_here)
    reads = [n.lineno for n in attributes if ast.unparse(n) in ("os.environ", "os.getenv", "os.environb")]
    brought = (n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == "os")
    return reads + [n.lineno for n in brought if {a.name for a in n.names} & {"environ", "getenv"}]


def allowed_to_read(path: Path) -> bool:
    return any(short(path).endswith(end) for end in MAINS)


def test_the_environment_is_read_in_mains_and_settings_only():
    readers = {short(path): lines for path in sources() if (lines := environment_reads(path))}
    assert {name for name in readers if not allowed_to_read(ROOT / name)} == set()


def test_all_modules_can_be_imported_and_nothing_happens(tmp_path):
    """In a process that ends on a write, a connection or a process started while a module of ours loads."""
    names = [module_name(path) for path in sources() if path.name != "__main__.py"]
    done = subprocess.run(
        [sys.executable, "-c", GUARD, *names], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not list(tmp_path.iterdir())


GUARD = """
import importlib, os, sys

def ours():
    #The module of ours that does it, unless a library that it imports does.
    frame = sys._getframe(2)
    while frame and frame.f_code.co_name != "exec_module":
        name = frame.f_globals.get("__name__", "")
        if name.split(".")[0] == "lifeboat":
            return name
        frame = frame.f_back
    return None

EFFECTS = {"socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.putenv",
           "shutil.rmtree", "signal.signal", "os.fork"}

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in EFFECTS or writes:
        name = ours()
        if name:
            raise SystemExit(f"{name}: {event} {arguments}")

sys.addaudithook(watch)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "lifeboat":
            raise  # a library of another image's group may be missing here, a module of ours may not
"""
