"""The evaluate step as Kubeflow sees it."""

from kfp import dsl

from lifeboat.config.images import COMPONENTS_IMAGE


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def evaluate(
    usecase: str,
    extra_gates: str,
    reason: str,
    begin_anew: str,
    bundle: dsl.Input[dsl.Model],
    test_rows: dsl.Input[dsl.Dataset],
    profile: dsl.Input[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    curves: dsl.Output[dsl.ClassificationMetrics],
    card: dsl.Output[dsl.HTML],
    card_markdown: dsl.Output[dsl.Markdown],
    evaluation: dsl.Output[dsl.Artifact],
    verdict: dsl.Output[dsl.Artifact],
) -> bool:
    """Judges the bundle on the held-out rows, registers it as the challenger, and says whether it passes its gate."""
    from lifeboat.config.settings import read_settings

    # First: other libraries read what this sets when they are imported.
    settings = read_settings()

    from pathlib import Path

    from lifeboat.evaluate import publish
    from lifeboat.evaluate.reports.report import report_of
    from lifeboat.model.bundle import open_bundle
    from lifeboat.registry.registry import Registry
    from lifeboat.system.progress import say
    from lifeboat.usecase.usecase import load_usecase

    outputs = publish.Outputs(*(Path(item.path) for item in (card, card_markdown, evaluation, verdict)))
    case = load_usecase(usecase)
    found = publish.evaluate_and_register(
        case, open_bundle(bundle.path), Path(test_rows.path), Registry(settings), outputs,
        extra_gates=extra_gates, reason=reason, begin_anew=begin_anew, profile=Path(profile.path), say=say,
    )  # fmt: skip
    for name, figure in found.metrics.items():
        metrics.log_metric(name, figure.value)
    report_of(case.task).log_kubeflow(curves, found.details)
    return found.verdict.passed
