"""What to use instead of a step that has no exact ONNX form, by its class."""

from __future__ import annotations

_SCALED = "StandardScaler(), MinMaxScaler(), RobustScaler() or QuantileTransformer()"
_REDUCED = "PCA(), TruncatedSVD() or SelectKBest()"
_BOOSTED = "HistGradientBoostingClassifier() or RandomForestClassifier()"
_PROBABLE = "CalibratedClassifierCV(estimator), which gives probabilities"
_NUMBERED = (
    "OneHotEncoder(handle_unknown='ignore') or OrdinalEncoder(handle_unknown='use_encoded_value', unknown_value=-1)"
)

REMEDIES: dict[str, str] = {
    "BernoulliRBM": _REDUCED,
    "Birch": "KMeans()",
    "CCA": _REDUCED,
    "ClassifierChain": "its base estimator itself: there is one label",
    "CountVectorizer": "CountVectorizer() without strip_accents, without stop words beside n-grams",
    "DictVectorizer": _NUMBERED,
    "DictionaryLearning": _REDUCED,
    "FactorAnalysis": _REDUCED,
    "FastICA": _REDUCED,
    "FeatureAgglomeration": _REDUCED,
    "FeatureHasher": _NUMBERED,
    "FunctionTransformer": "a function of NumPy's own such as numpy.log1p",
    "GaussianProcessClassifier": "SVC(probability=True) or KNeighborsClassifier()",
    "HashingVectorizer": "CountVectorizer() or TfidfVectorizer()",
    "Isomap": _REDUCED,
    "HistGradientBoostingClassifier": "it with Floats32() as the last step of the features",
    "KNNImputer": "SimpleImputer(add_indicator=True)",
    "KNeighborsClassifier": "it with weights='uniform' on scaled features",
    "KNeighborsTransformer": _REDUCED,
    "IterativeImputer": "SimpleImputer(add_indicator=True) or KNNImputer()",
    "KernelPCA": "PCA() or PolynomialFeatures()",
    "LabelPropagation": "KNeighborsClassifier()",
    "LabelSpreading": "KNeighborsClassifier()",
    "LatentDirichletAllocation": "TruncatedSVD()",
    "LinearSVC": _PROBABLE,
    "LocallyLinearEmbedding": _REDUCED,
    "MiniBatchDictionaryLearning": _REDUCED,
    "MiniBatchNMF": _REDUCED,
    "MiniBatchSparsePCA": _REDUCED,
    "MultiOutputClassifier": "its base estimator itself: there is one label",
    "NMF": _REDUCED,
    "NearestCentroid": "KNeighborsClassifier() or LinearDiscriminantAnalysis()",
    "Nystroem": "PolynomialFeatures()",
    "OneHotEncoder": "OneHotEncoder(handle_unknown='ignore')",
    "OneVsOneClassifier": "its base estimator itself: there are two classes",
    "OrdinalEncoder": "OrdinalEncoder(handle_unknown='use_encoded_value', unknown_value=-1)",
    "OutputCodeClassifier": "its base estimator itself: there are two classes",
    "PLSCanonical": _REDUCED,
    "PLSRegression": _REDUCED,
    "PLSSVD": _REDUCED,
    "PassiveAggressiveClassifier": _PROBABLE,
    "Perceptron": _PROBABLE,
    "PolynomialCountSketch": "PolynomialFeatures()",
    "RBFSampler": "PolynomialFeatures()",
    "RadiusNeighborsClassifier": "KNeighborsClassifier()",
    "RandomTreesEmbedding": _BOOSTED,
    "RidgeClassifier": "LogisticRegression()",
    "RidgeClassifierCV": "LogisticRegressionCV()",
    "SkewedChi2Sampler": "PolynomialFeatures()",
    "AdditiveChi2Sampler": "PolynomialFeatures()",
    "RadiusNeighborsTransformer": _REDUCED,
    "SparsePCA": _REDUCED,
    "SplineTransformer": "KBinsDiscretizer() or PolynomialFeatures()",
    "TfidfVectorizer": "TfidfVectorizer() without sublinear_tf or strip_accents, without stop words beside n-grams",
    "VotingClassifier": "VotingClassifier(voting='soft')",
}
ELSE = "a step that docs/estimators.md lists as working"
# Those of the table that are refused for their arguments only.
_EXACT = ("FunctionTransformer", "OneHotEncoder", "OrdinalEncoder", "VotingClassifier")
# What scikit-learn says where it refuses a row that the schema allows, and what helps.
_CAUSES = (
    ("contains NaN", "impute first, by SimpleImputer(add_indicator=True), or use HistGradientBoostingClassifier()"),
    ("unknown categories", "set handle_unknown: 'ignore' of OneHotEncoder, 'use_encoded_value' of OrdinalEncoder"),
    ("not finite", "declare the columns' minimum and maximum in the schema, or use another estimator"),
    ("infinity", "declare the column's minimum and maximum in the schema"),
    ("Negative values", "declare the column's minimum in the schema, or scale by MinMaxScaler(clip=True) first"),
)


def remedy(class_name: str) -> str:
    """What to use instead of a class of scikit-learn's."""
    return REMEDIES.get(class_name, ELSE)


def remedy_of_difference(class_name: str) -> str | None:
    """What to use instead of a class whose graph answers otherwise; None of one that is known to be exact."""
    return None if class_name in _EXACT else REMEDIES.get(class_name)


def remedy_of_refusal(message: str) -> str | None:
    """What helps where scikit-learn refuses a row; None where that is not known."""
    return next((text for cause, text in _CAUSES if cause in message), None)
