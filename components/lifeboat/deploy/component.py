"""The deploy step, and its counterpart when the gate says no, as Kubeflow sees them."""

from kfp import dsl

from lifeboat.config.images import COMPONENTS_IMAGE


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def deploy(
    target: str,
    bundle: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
    deployment: dsl.Output[dsl.Artifact],
    timeline: dsl.Output[dsl.HTML],
) -> None:
    """Rolls a bundle that passed its gate out and makes it the champion."""
    from lifeboat.config.settings import read_settings

    # First: other libraries read what this sets when they are imported.
    settings = read_settings()

    from pathlib import Path

    from lifeboat.deploy import step
    from lifeboat.deploy.targets import make_target
    from lifeboat.deploy.timeline import RolloutTimeline
    from lifeboat.registry.registry import Registry
    from lifeboat.system.files import write_text
    from lifeboat.system.progress import say

    place = make_target(target, settings)
    with RolloutTimeline(f"Rollout on {target}", say, lambda page, _: write_text(Path(timeline.path), page)) as course:
        shipped = step.deploy(Path(bundle.path), Path(verdict.path), Registry(settings), place, course.note)
    write_text(Path(deployment.path), shipped.to_json())


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def keep(verdict: dsl.Input[dsl.Artifact]) -> None:
    """Says why the champion stays."""
    from pathlib import Path

    from lifeboat.system.progress import say
    from lifeboat.usecase.gates import Verdict

    for why in Verdict.from_json(Path(verdict.path).read_bytes()).reasons:
        say(f"not deployed, because {why}")
