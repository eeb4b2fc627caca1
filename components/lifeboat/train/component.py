"""The train step as Kubeflow sees it."""

from kfp import dsl

from lifeboat.config.images import COMPONENTS_IMAGE


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def train(usecase: str, seed: int, rows: dsl.Input[dsl.Dataset], bundle: dsl.Output[dsl.Model]) -> None:
    """Searches, fits, calibrates and exports the model as a bundle."""
    from lifeboat.config.settings import read_settings

    # First: other libraries read what this sets when they are imported.
    settings = read_settings().resolved()

    from pathlib import Path

    from lifeboat.config.settings import git_commit
    from lifeboat.system.progress import say
    from lifeboat.train import step
    from lifeboat.train.candidate_cache import KeptFindings
    from lifeboat.usecase.importing import PACKAGE, import_reference, own_digest, source_folder
    from lifeboat.usecase.usecase import load_usecase

    case, module = load_usecase(usecase), import_reference(usecase)
    shipped = module.__name__.startswith(PACKAGE)
    commit = settings.code_commit if shipped else git_commit(source_folder(module))
    trained = step.train(
        case, Path(rows.path), Path(bundle.path), seed=seed, code=settings.code_commit,
        version=settings.version, source={"commit": commit, "digest": own_digest(module)},
        examine=KeptFindings(module, case, settings.home_path).examine, say=say,
    )  # fmt: skip
    bundle.metadata["digest"] = trained.digest
