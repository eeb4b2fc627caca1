"""The train step as Kubeflow sees it."""

from kfp import dsl

from components.core.images import COMPONENTS_IMAGE


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def train(usecase: str, seed: int, rows: dsl.Input[dsl.Dataset], bundle: dsl.Output[dsl.Model]) -> None:
    """Searches, fits, calibrates and exports the model as a bundle."""
    from components.core.settings import read_settings

    # First: other libraries read what this sets when they are imported.
    code = read_settings().resolved().code_commit

    from pathlib import Path

    from components.core.progress import say
    from components.core.usecase import load_usecase
    from components.train import step

    trained = step.train(load_usecase(usecase), Path(rows.path), Path(bundle.path), seed=seed, code=code, say=say)
    bundle.metadata["digest"] = trained.digest
