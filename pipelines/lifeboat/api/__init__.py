"""Lifeboat from Python, in a notebook or a program: a run, and asking a model, in process and by HTTP.

`run` goes the whole way, as the verb does:

    result = run("titanic")     # or the UseCase itself: prints as it goes, then the figures
    result.deployed, result.metrics["roc_auc"], result.card, result.model

The same frame gives the same numbers in this process and through the endpoint:

    >>> import pandas as pd
    >>> from lifeboat.api import Client, load
    >>> people = pd.DataFrame({
    ...     "Pclass": [1, 3], "Name": ["Doe, Miss. Jane", "Doe, Mr. John"], "Sex": ["female", "male"],
    ...     "Age": [30, None], "SibSp": [0, 0], "Parch": [0, 0], "Fare": [80.0, 8.0],
    ... })
    >>> answer = load("titanic@champion").predict(people)
    >>> list(answer.columns)
    ['probability_died', 'probability_survived', 'prediction']
    >>> list(answer["prediction"])
    ['survived', 'died']
    >>> Client(url).predict(people).equals(answer)
    True

`url` is that of a model server, such as http://127.0.0.1:9000. The package `lifeboat` itself holds no names: its parts
come from several folders, and any of them may be installed without the others.
"""

from lifeboat.api.asking import Client, Model, load
from lifeboat.api.running import Run, run

__all__ = ["Client", "Model", "Run", "load", "run"]
