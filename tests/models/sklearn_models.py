"""Runs models of scikit-learn, converted by skl2onnx, through onnx-infer and holds them against scikit-learn itself.

Labels must be equal; scores and probabilities within 1e-4. --keep DIR leaves the cases there. The last line is
`N passed, M failed`.
"""
import argparse
import json
import pathlib
import re
import sys
import tempfile
import warnings

import harness

sys.path.append(str(harness.CACHE / "sklearn"))  # where tests/models/sklearn put the packages

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import ensemble, feature_extraction, linear_model, naive_bayes, neighbors, neural_network, pipeline, preprocessing, svm, tree
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_regression
from sklearn.impute import SimpleImputer

import conformance
import properties

ROWS = 80
SENTENCES = ["the cat sat on the mat", "one dog and one cat", "no dogs here", "mats, cats and hats", "the hat sat", "dogs bark at cats",
             "one quiet day", "the day of the dog", "cats like hats", "rain, rain, rain"]


def classes(count, strings=False):
    x, y = make_classification(400, 9, n_informative=6, n_classes=count, random_state=count)
    return x.astype(np.float32), np.array(["red", "green", "blue", "grey"])[y] if strings else y * 10 + 5


def numbers():
    x, y = make_regression(400, 9, noise=3, random_state=3)
    return x.astype(np.float32), y / 100


def classifier(estimator, count=3, strings=False, zipmap=False):
    x, y = classes(count, strings)
    model = estimator.fit(x, y)
    return model, x[:ROWS], [FloatTensorType([None, x.shape[1]])], {"zipmap": zipmap}


def regressor(estimator):
    x, y = numbers()
    return estimator.fit(x, y), x[:ROWS], [FloatTensorType([None, x.shape[1]])], None


def transformer(estimator, missing=False):
    x, y = numbers()
    if missing:
        x[::7, 2] = np.nan
    return estimator.fit(x, y), x[:ROWS], [FloatTensorType([None, x.shape[1]])], None


def words(estimator):
    y = np.arange(len(SENTENCES)) % 2
    text = np.array(SENTENCES)
    model = estimator.fit(text, y)
    return model, text.astype(object).reshape(-1, 1), [StringTensorType([None, 1])], {"zipmap": False} if hasattr(model, "predict") else None


def categories(estimator, dtype):
    rng = np.random.default_rng(5)
    if dtype is str:
        x = rng.choice(np.array(["a", "b", "c", "d"], object), (60, 3))
        return estimator.fit(x), x, [StringTensorType([None, 3])], None
    x = rng.integers(0, 5, (60, 3))
    return estimator.fit(x), x, [Int64TensorType([None, 3])], None


def columns():
    x, y = classes(3)
    steps = ColumnTransformer([("scaled", preprocessing.StandardScaler(), [0, 1, 2, 3]), ("norm", preprocessing.Normalizer(), [4, 5, 6]),
                               ("flag", preprocessing.Binarizer(threshold=0.1), [7, 8])])
    return pipeline.make_pipeline(steps, linear_model.LogisticRegression())


MODELS = {
    "logistic_regression": lambda: classifier(linear_model.LogisticRegression()),
    "logistic_regression_binary_strings_zipmap": lambda: classifier(linear_model.LogisticRegression(), 2, True, True),
    "ridge": lambda: regressor(linear_model.Ridge()),
    "linear_svc": lambda: classifier(svm.LinearSVC()),
    "svc_rbf": lambda: classifier(svm.SVC()),
    "svc_poly_binary_strings": lambda: classifier(svm.SVC(kernel="poly", degree=3), 2, True),
    "svc_sigmoid": lambda: classifier(svm.SVC(kernel="sigmoid", gamma=0.02)),
    "svr": lambda: regressor(svm.SVR()),
    "nu_svc": lambda: classifier(svm.NuSVC(nu=0.3)),
    "decision_tree": lambda: classifier(tree.DecisionTreeClassifier(max_depth=7, random_state=0)),
    "decision_tree_binary": lambda: classifier(tree.DecisionTreeClassifier(max_depth=7, random_state=0), 2),
    "random_forest": lambda: classifier(ensemble.RandomForestClassifier(60, random_state=0)),
    "random_forest_binary_strings": lambda: classifier(ensemble.RandomForestClassifier(60, random_state=0), 2, True, True),
    "extra_trees_regressor": lambda: regressor(ensemble.ExtraTreesRegressor(60, random_state=0)),
    "gradient_boosting": lambda: classifier(ensemble.GradientBoostingClassifier(n_estimators=30, random_state=0)),
    "gradient_boosting_binary": lambda: classifier(ensemble.GradientBoostingClassifier(n_estimators=30, random_state=0), 2),
    "gradient_boosting_regressor": lambda: regressor(ensemble.GradientBoostingRegressor(n_estimators=60, random_state=0)),
    "ada_boost": lambda: classifier(ensemble.AdaBoostClassifier(n_estimators=10, random_state=0)),
    "bagging": lambda: classifier(ensemble.BaggingClassifier(n_estimators=5, random_state=0)),
    "voting": lambda: classifier(ensemble.VotingClassifier([("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())],
                                                           voting="soft", flatten_transform=False)),
    "gaussian_nb": lambda: classifier(naive_bayes.GaussianNB()),
    "nearest_neighbours": lambda: classifier(neighbors.KNeighborsClassifier(5)),
    "perceptron_layers": lambda: classifier(neural_network.MLPClassifier((16,), max_iter=200, random_state=0)),
    "columns": lambda: classifier(columns()),
    "scaler": lambda: transformer(preprocessing.StandardScaler()),
    "min_max": lambda: transformer(preprocessing.MinMaxScaler()),
    "normalizer": lambda: transformer(preprocessing.Normalizer("l1")),
    "polynomial": lambda: transformer(preprocessing.PolynomialFeatures(2)),
    "imputer": lambda: transformer(SimpleImputer(), missing=True),
    "one_hot_strings": lambda: categories(preprocessing.OneHotEncoder(sparse_output=False), str),
    "one_hot_integers": lambda: categories(preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"), int),
    "ordinal": lambda: categories(preprocessing.OrdinalEncoder(), int),
    "count_words": lambda: words(feature_extraction.text.CountVectorizer()),
    "count_letters": lambda: words(feature_extraction.text.CountVectorizer(analyzer="char")),
    "tfidf_words": lambda: words(pipeline.make_pipeline(feature_extraction.text.TfidfVectorizer(ngram_range=(1, 2)),
                                                        linear_model.LogisticRegression())),
}


def answers(model, x, zipmap):
    """What scikit-learn says, in the order of the converted model's outputs."""
    x = x[:, 0] if x.dtype == object and x.shape[1] == 1 else x
    if not hasattr(model, "predict"):
        value = model.transform(x)
        return [np.asarray(value.toarray() if hasattr(value, "toarray") else value, np.float32)]
    label = model.predict(x)
    if not hasattr(model, "classes_"):
        return [label.astype(np.float32).reshape(-1, 1)]
    label = label.astype(object) if label.dtype.kind == "U" else label.astype(np.int64)
    if hasattr(model, "predict_proba"):
        scores = model.predict_proba(x)
    else:
        scores = model.decision_function(x)
        if scores.ndim == 1:  # the converter turns the sign of a machine with two classes
            scores = np.stack([scores, -scores] if isinstance(model, (svm.SVC, svm.NuSVC)) else [-scores, scores], 1)
    if zipmap:
        return [label, [dict(zip([c if isinstance(c, str) else int(c) for c in model.classes_], map(float, row))) for row in scores]]
    return [label, scores.astype(np.float32)]


def write(folder, name):
    model, x, types, options = MODELS[name]()
    try:
        converted = to_onnx(model, initial_types=[("x", types[0])], options=options and {id(model): options})
    except NameError:  # the converter has no such option for this model, which then has no maps either
        converted = to_onnx(model, initial_types=[("x", types[0])])
    case = folder / "sklearn" / name
    properties.generate.write(case / "model.onnx", converted.SerializeToString())
    properties.generate.write(case / "case.json", json.dumps({"rtol": 1e-4, "atol": 1e-4}).encode())
    for what, values in (("input", [x]), ("output", answers(model, x, options and options["zipmap"]))):
        for k, value in enumerate(values):
            properties.generate.write(case / "test_data_set_0" / f"{what}_{k}.pb", properties.encode(value, f"{what}_{k}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", metavar="REGEX", default="", help="only models whose name it finds")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the cases there")
    args = parser.parse_args()
    harness.tool()
    warnings.simplefilter("ignore")
    score = harness.Score()
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or pathlib.Path(folder)
        names = [name for name in MODELS if re.search(args.filter, name)]
        for name in names:
            harness.progress(f"fitting {name}")
            write(folder, name)
        cases = [f"sklearn/{name}" for name in names]
        for case, reason in conformance.verify(folder, cases, [], kinds=("sklearn",)).items():
            score.add(reason is None, f"{case}  {reason or ''}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
