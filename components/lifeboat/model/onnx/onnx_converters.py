"""Which of our ONNX forms skl2onnx uses: of the transformers in `usecase.transformers`, and in place of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter, get_shape_calculator, register_converter
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn import (
    cluster,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_selection,
    impute,
    kernel_approximation,
    neural_network,
    preprocessing,
    random_projection,
    semi_supervised,
    tree,
)
from sklearn._loss.link import LogLink
from sklearn.base import ClassifierMixin, is_regressor
from sklearn.model_selection import FixedThresholdClassifier

from lifeboat.model.onnx import booster_converters as boosters
from lifeboat.model.onnx import calendar_converters as calendar
from lifeboat.model.onnx import encoder_converters as encoders
from lifeboat.model.onnx import function_converters as functions
from lifeboat.model.onnx import imputer_converters as imputers
from lifeboat.model.onnx import model_converters as models
from lifeboat.model.onnx import numeric_converters as numeric
from lifeboat.model.onnx import own_converters as own
from lifeboat.model.onnx import projection_converters as projections
from lifeboat.model.onnx.nodes import Nodes, observed_width
from lifeboat.model.onnx.tree_converters import float_thresholds, regression_trees, trees
from lifeboat.usecase.transformers import (
    CategoryCodes,
    CategoryFlags,
    Cycle,
    DateParts,
    Floats32,
    MissingFlag,
    Quotient,
    RegexFlags,
    RowSum,
    SecondsBetween,
    Shift,
    TextBetween,
)

Convert = Callable[[Nodes], None]
_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False],
    "nocl": [True, False],
    "output_class_labels": [False],
    "raw_scores": [False],
}
OWN: dict[type, tuple[Callable[[Any], None], Convert]] = {
    CategoryCodes: (own.same_shape, encoders.category_codes),
    CategoryFlags: (own.flags_shape, own.category_flags),
    Cycle: (calendar.cycle_shape, calendar.cycle),
    DateParts: (calendar.parts_shape, calendar.date_parts),
    Floats32: (own.same_shape, own.floats),
    MissingFlag: (own.same_shape, own.missing),
    Quotient: (own.single_shape, own.quotient),
    RegexFlags: (own.flags_shape, own.regex_flags),
    RowSum: (own.single_shape, own.row_sum),
    SecondsBetween: (calendar.between_shape, calendar.seconds_between),
    Shift: (own.same_shape, own.shift),
    TextBetween: (own.text_shape, own.text_between),
}
TRANSFORMERS: dict[type, Convert] = {
    preprocessing.Binarizer: numeric.binarizer,
    preprocessing.FunctionTransformer: functions.function,
    preprocessing.KBinsDiscretizer: numeric.k_bins,
    preprocessing.MaxAbsScaler: numeric.maxabs_scaler,
    preprocessing.MinMaxScaler: numeric.minmax_scaler,
    preprocessing.OneHotEncoder: encoders.one_hot,
    preprocessing.OrdinalEncoder: encoders.ordinal,
    preprocessing.PolynomialFeatures: numeric.polynomial,
    preprocessing.PowerTransformer: numeric.power,
    preprocessing.QuantileTransformer: numeric.quantile,
    preprocessing.RobustScaler: numeric.robust_scaler,
    preprocessing.SplineTransformer: projections.splines,
    preprocessing.StandardScaler: numeric.standard_scaler,
    preprocessing.TargetEncoder: encoders.target,
    impute.MissingIndicator: imputers.missing_indicator,
    impute.KNNImputer: imputers.nearest_neighbours,
    impute.SimpleImputer: imputers.simple_imputer,
    cluster.Birch: projections.clusters,
    cluster.BisectingKMeans: projections.clusters,
    cluster.FeatureAgglomeration: projections.affine,
    cluster.KMeans: projections.clusters,
    cluster.MiniBatchKMeans: projections.clusters,
    decomposition.FactorAnalysis: projections.affine,
    decomposition.FastICA: projections.affine,
    decomposition.MiniBatchSparsePCA: projections.affine,
    decomposition.SparsePCA: projections.affine,
    random_projection.SparseRandomProjection: projections.affine,
    kernel_approximation.Nystroem: projections.nystroem,
    kernel_approximation.RBFSampler: projections.random_fourier,
    kernel_approximation.SkewedChi2Sampler: projections.skewed_chi2,
    neural_network.BernoulliRBM: projections.boltzmann,
    **dict.fromkeys(
        (
            feature_selection.GenericUnivariateSelect,
            feature_selection.RFE,
            feature_selection.RFECV,
            feature_selection.SelectFdr,
            feature_selection.SelectFpr,
            feature_selection.SelectFromModel,
            feature_selection.SelectFwe,
            feature_selection.SelectKBest,
            feature_selection.SelectPercentile,
            feature_selection.SequentialFeatureSelector,
            feature_selection.VarianceThreshold,
        ),
        models.selection,
    ),
}
CLASSIFIERS: dict[type, Convert] = {
    discriminant_analysis.LinearDiscriminantAnalysis: models.linear_discriminant,
    dummy.DummyClassifier: models.dummy,
    ensemble.ExtraTreesClassifier: trees,
    ensemble.RandomForestClassifier: trees,
    ensemble.VotingClassifier: models.voting,
    tree.DecisionTreeClassifier: trees,
    tree.ExtraTreeClassifier: trees,
    FixedThresholdClassifier: models.inner_classifier,
    semi_supervised.LabelPropagation: projections.propagation,
    semi_supervised.LabelSpreading: projections.propagation,
    semi_supervised.SelfTrainingClassifier: models.inner_classifier,
}
REGRESSORS: dict[type, Convert] = {
    ensemble.ExtraTreesRegressor: regression_trees,
    ensemble.RandomForestRegressor: regression_trees,
    tree.DecisionTreeRegressor: regression_trees,
    tree.ExtraTreeRegressor: regression_trees,
}


# Of libraries that need not be installed, by the module that has the class.
BOOSTERS: dict[str, tuple[dict[str, Convert], dict[str, Convert]]] = {
    "lightgbm": ({"LGBMClassifier": boosters.lightgbm}, {"LGBMRegressor": boosters.lightgbm}),
    "catboost": ({"CatBoostClassifier": boosters.catboost}, {"CatBoostRegressor": boosters.catboost}),
    "xgboost": ({"XGBClassifier": boosters.xgboost}, {"XGBRegressor": boosters.xgboost}),
}


def register_converters() -> None:
    """Tells skl2onnx about all of them; calling it again changes nothing."""
    classifiers, regressors = dict(CLASSIFIERS), dict(REGRESSORS)
    for module, (theirs, others) in BOOSTERS.items():
        # A model of it implies that it was imported.
        if library := sys.modules.get(module):
            classifiers |= {getattr(library, name): convert for name, convert in theirs.items()}
            regressors |= {getattr(library, name): convert for name, convert in others.items()}
    for transformer, (shape, convert) in OWN.items():
        _register(transformer, shape, convert)
    for transformer, convert in TRANSFORMERS.items():
        _register(transformer, _any_shape, convert)
    for classifier, convert in classifiers.items():
        update_registered_converter(
            classifier,
            f"Lifeboat{classifier.__name__}",
            calculate_linear_classifier_output_shapes,
            _called(convert),
            overwrite=True,
            # CatBoost's is none by its bases, which are all that skl2onnx looks at.
            parser=None if issubclass(classifier, ClassifierMixin) else _parse_classifier,
            options=_CLASSIFIER_OPTIONS,
        )
    for regressor, convert in regressors.items():
        update_registered_converter(
            regressor,
            f"Lifeboat{regressor.__name__}",
            _regressor_shape,
            _value_of(convert, f"Sklearn{regressor.__name__}"),
            overwrite=True,
            options={"decision_leaf": [True, False], "decision_path": [True, False]},
        )
    for boosting in (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor):
        _register_histogram_boosting(boosting)


def _register(transformer: type, shape: Callable[[Any], None], convert: Convert) -> None:
    name = f"Lifeboat{transformer.__name__}"
    # The parser too: one that predicts as well, such as a selector of features, would be taken for a classifier.
    update_registered_converter(
        transformer, name, shape, _called(convert), parser=_parse_transformer, options=_CLASSIFIER_OPTIONS
    )


def _parse_transformer(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:  # noqa: ARG001
    operator = scope.declare_local_operator(f"Lifeboat{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("variable", FloatTensorType([None, observed_width(model)])))
    return operator.outputs


def _parse_classifier(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:  # noqa: ARG001
    operator = scope.declare_local_operator(f"Lifeboat{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
    operator.outputs.append(scope.declare_local_variable("probabilities", FloatTensorType()))
    return operator.outputs


def _called(convert: Convert) -> Callable[[Any, Any, Any], None]:
    def call(scope: Any, operator: Any, container: Any) -> None:
        convert(Nodes(scope, operator, container))

    return call


def _regressor_shape(operator: Any) -> None:
    """Of the value; of the leaves that an embedding asks for skl2onnx's own."""
    shape = calculate_linear_regressor_output_shapes
    if len(operator.outputs) > 1:
        shape = get_shape_calculator(f"Sklearn{type(operator.raw_operator).__name__}")
    shape(operator)


def _value_of(convert: Convert, theirs: str) -> Callable[[Any, Any, Any], None]:
    """Our form where the value is asked for, and skl2onnx's where the leaf is, by an embedding in trees."""

    def call(scope: Any, operator: Any, container: Any) -> None:
        if len(operator.outputs) > 1:
            get_converter(theirs)(scope, operator, container)
        else:
            convert(Nodes(scope, operator, container))

    return call


def _register_histogram_boosting(kind: type) -> None:
    """skl2onnx's own, on thresholds that a float32 holds, and with the exponential of a loss that has a log link."""
    alias = sklearn_operator_name_map[kind]
    found = get_converter(alias)
    if getattr(found, "is_lifeboats", False):
        return

    def convert(scope: Any, operator: Any, container: Any) -> None:
        operator.raw_operator = float_thresholds(operator.raw_operator)
        found._fct(scope, operator, container)
        if isinstance(operator.raw_operator._loss.link, LogLink) and is_regressor(operator.raw_operator):
            raw, made = scope.get_unique_variable_name("raw"), operator.outputs[0].full_name
            for node in container.nodes:
                node.output[:] = [raw if name == made else name for name in node.output]
            container.add_node("Exp", [raw], [made], op_version=13, name=scope.get_unique_operator_name("Exp"))

    register_converter(alias, convert, overwrite=True, options=found.get_allowed_options())
    get_converter(alias).is_lifeboats = True


def _any_shape(operator: Any) -> None:
    """Of strings an imputer and a selector make strings, all others numbers."""
    text = isinstance(operator.inputs[0].type, StringTensorType)
    kept = isinstance(operator.raw_operator, impute.SimpleImputer) or hasattr(operator.raw_operator, "get_support")
    operator.outputs[0].type = (StringTensorType if text and kept else FloatTensorType)(
        [None, observed_width(operator.raw_operator)]
    )
