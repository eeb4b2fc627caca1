"""The train step as Kubeflow sees it."""

from kfp import dsl

from components.core.images import COMPONENTS_IMAGE


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def train(usecase: str, seed: int, rows: dsl.Input[dsl.Dataset], bundle: dsl.Output[dsl.Model]) -> None:
    """Searches, fits, calibrates and exports the model as a bundle."""
    from components.core.settings import read_settings

    # First: other libraries read what this sets when they are imported.
    settings = read_settings().resolved()

    from pathlib import Path

    from components.core.importing import PACKAGE, import_reference, own_digest, source_folder
    from components.core.progress import say
    from components.core.settings import git_commit
    from components.core.usecase import load_usecase
    from components.train import step
    from components.train.kept import KeptFindings

    case, module = load_usecase(usecase), import_reference(usecase)
    shipped = module.__name__.startswith(PACKAGE)
    commit = settings.code_commit if shipped else git_commit(source_folder(module))
    trained = step.train(
        case, Path(rows.path), Path(bundle.path), seed=seed, code=settings.code_commit,
        source={"commit": commit, "digest": own_digest(module)},
        examine=KeptFindings(module, case, settings.home_path).examine, say=say,
    )  # fmt: skip
    bundle.metadata["digest"] = trained.digest
