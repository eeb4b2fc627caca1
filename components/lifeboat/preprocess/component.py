"""The preprocess step as Kubeflow sees it."""

from kfp import dsl

from lifeboat.config.images import COMPONENTS_IMAGE


@dsl.component(base_image=COMPONENTS_IMAGE, install_kfp_package=False)
def preprocess(
    usecase: str,
    data: str,
    labelled: bool,
    train_rows: dsl.Output[dsl.Dataset],
    test_rows: dsl.Output[dsl.Dataset],
    quarantine: dsl.Output[dsl.Dataset],
    profile: dsl.Output[dsl.HTML],
    as_of: str = "",
) -> None:
    """Reads, checks, deduplicates and splits the labelled table; empty `data` means the use case's own.

    With `labelled` the rows that came back from serving with their truth are taken as well, as they were known at the
    moment `as_of`; empty means now.
    """
    from lifeboat.config.settings import read_settings

    # First: other libraries read what this sets when they are imported.
    settings = read_settings()

    from dataclasses import asdict
    from pathlib import Path

    from lifeboat.config.placeholders import plain_values
    from lifeboat.data.timestamps import read_timestamp
    from lifeboat.preprocess import step
    from lifeboat.registry.storage import open_storage
    from lifeboat.system.progress import say
    from lifeboat.usecase.usecase import load_usecase

    case = load_usecase(usecase)
    paths = step.Outputs(*(Path(item.path) for item in (train_rows, test_rows, quarantine, profile)))
    store = open_storage(settings.bundle_store, settings.s3) if labelled else None
    moment = read_timestamp(as_of, "as_of")
    table = data or str(case.data)
    summary = step.preprocess(
        case,
        table,
        paths,
        labelled=store,
        trusted=settings.trusted,
        pseudonyms=settings.pseudonyms,
        as_of=moment,
        s3=settings.s3,
        say=say,
    )
    train_rows.metadata.update(plain_values(asdict(summary)))
