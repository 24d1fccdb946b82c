"""Random cases of the operators of ai.onnx.ml and of strings; they join random_cases.GENERATORS."""
import numpy as np
from onnx import numpy_helper

from random_cases import Case, generator

ML = "ai.onnx.ml"
WORDS = np.array(["", "a", "b", "ab", "Ab", "x y", "été", "Straße", "日本", "zz", "-1", "3.5", " pad ", "q,r,,s", "same same"], object)
POST = ("NONE", "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def ml(d, version=None):
    case = Case(d)
    case.opsets[ML] = version or d.int(1, 5)
    return case


def node(case, op, *inputs, outputs=1, **attributes):
    return case.node(op, *inputs, outputs=outputs, domain=ML, **attributes)


def words(d, shape, choices=WORDS):
    return d.rng.choice(choices, shape)


def rows(d, dtype=None, cols=None):
    """Up to 33 rows of numbers, of which some repeat; now and then none."""
    dtype = dtype or d.pick("float32", "float32", "float32", "float64", "int64", "int32")
    value = d.values([0 if d.flip(0.04) else d.pick(1, 1, 2, 5, 17, 33), cols or d.pick(1, 2, 3, 8, 13)], dtype)
    return np.round(value * 2) / value.dtype.type(2) if dtype.startswith("float") and d.flip(0.3) else value


def floats(d, n, scale=1.0):
    return [float(v) for v in (d.rng.standard_normal(n) * scale).astype(np.float32)]


def labels(d, n, ints, strings):
    """The attribute that names n classes."""
    if d.flip():
        return {ints: [int(v) for v in d.rng.permutation(100)[:n]]}
    return {strings: [f"class {k}" for k in d.rng.permutation(100)[:n]]}


@generator
def ml_features(d):
    case, kind = ml(d), d.int(0, 5)
    if kind == 0:
        value = d.pick(rows(d), words(d, [d.int(1, 5), d.int(1, 9)]), d.values([d.int(1, 9)]), d.values([2, 3, d.int(1, 9)]))
        index = d.rng.integers(0, value.shape[-1], d.int(1, 12))
        return case.output(node(case, "ArrayFeatureExtractor", case.input(value), case.weight(index)))
    if kind == 1:
        return case.output(node(case, "Binarizer", case.input(rows(d, d.pick("float32", "float32", "float64", "int64"))), threshold=0.5))
    if kind == 2:
        count = d.int(1, 9)
        value = [d.values([count, d.int(1, 7)], "float32") for _ in range(d.int(1, 4))]
        dims = [v.shape[1] if d.flip(0.7) else d.int(1, 9) for v in value]
        return case.output(node(case, "FeatureVectorizer", *map(case.input, value), inputdimensions=dims))
    if kind == 3:
        value = rows(d, d.pick("float32", "float32", "int64"))
        n = d.pick(1, value.shape[1])
        if value.dtype.kind == "i":
            return case.output(node(case, "Imputer", case.input(value), imputed_value_int64s=[int(v) for v in range(n)],
                                    replaced_value_int64=int(value.flat[0] if value.size else 1)))
        missing = d.pick(np.nan, float(value.flat[0] if value.size else 1))
        value = np.where(d.rng.random(value.shape) < 0.3, value.dtype.type(missing), value)
        return case.output(node(case, "Imputer", case.input(value), imputed_value_floats=floats(d, n), replaced_value_float=missing))
    value = rows(d)
    if kind == 4:
        if d.flip(0.2):
            value = value * value.dtype.type(0)
        return case.output(node(case, "Normalizer", case.input(value), norm=d.pick("MAX", "L1", "L2")))
    n = d.pick(1, value.shape[1])
    return case.output(node(case, "Scaler", case.input(value), offset=floats(d, n), scale=floats(d, n)))


@generator
def ml_categories(d):
    kind = d.int(0, 3)
    if kind == 0:
        case, n = ml(d, d.int(2, 5)), d.int(1, 8)
        keys = {"keys_strings": [str(w) for w in d.rng.permutation(WORDS)[:n]], "keys_int64s": [int(v) for v in d.rng.permutation(12)[:n]],
                "keys_floats": [float(v) for v in d.rng.permutation(12)[:n] / 2]}
        values = {"values_strings": [f"v{k}" for k in range(n)], "values_int64s": list(range(n)), "values_floats": floats(d, n)}
        key, value = d.pick(*keys), d.pick(*values)
        default = {"values_strings": {"default_string": "none"}, "values_int64s": {"default_int64": -7}, "values_floats": {"default_float": 2.5}}
        shape = d.shape(1, 3, 200)
        data = {"keys_strings": words(d, shape), "keys_int64s": d.rng.integers(0, 12, shape),
                "keys_floats": (d.rng.integers(0, 12, shape) / 2).astype(np.float32)}[key]
        attributes = {key: keys[key], value: values[value], **(default[value] if d.flip(0.7) else {})}
        return case.output(node(case, "LabelEncoder", case.input(data), **attributes))
    if kind == 1:
        case, n, dtype = ml(d, 4), d.int(1, 8), d.pick("float32", "float64", "int64", "int16")
        keys, values = d.rng.permutation(12)[:n].astype(dtype), d.rng.permutation(12)[:n].astype(dtype)
        data = d.rng.integers(0, 12, d.shape(1, 3, 200)).astype(dtype)
        return case.output(node(case, "LabelEncoder", case.input(data), keys_tensor=numpy_helper.from_array(keys),
                                values_tensor=numpy_helper.from_array(values),
                                default_tensor=numpy_helper.from_array(np.array([5], dtype))))
    case, shape = ml(d), d.shape(1, 2, 200)
    if kind == 2:
        n = d.int(1, 8)
        data = words(d, shape) if d.flip() else d.rng.integers(0, 12, shape)
        return case.output(node(case, "CategoryMapper", case.input(data), cats_int64s=[int(v) for v in d.rng.permutation(12)[:n]],
                                cats_strings=[str(w) for w in d.rng.permutation(WORDS)[:n]], default_int64=-3, default_string="none"))
    if d.flip():
        return case.output(node(case, "OneHotEncoder", case.input(words(d, shape)), cats_strings=[str(w) for w in WORDS[:d.int(1, 8)]]))
    data = d.rng.integers(0, 12, shape).astype(d.pick("int64", "float32", "int32"))
    return case.output(node(case, "OneHotEncoder", case.input(data), cats_int64s=[int(v) for v in d.rng.permutation(12)[:d.int(1, 8)]]))


@generator
def ml_maps(d):
    case, kind, n = ml(d), d.int(0, 2), d.int(1, 6)
    if kind == 0:
        names = d.pick({"classlabels_int64s": list(range(n))}, {"classlabels_strings": [f"c{k}" for k in range(n)]})
        return case.output(node(case, "ZipMap", case.input(d.values([d.int(1, 5), n])), **names))
    keys = sorted(int(k) for k in d.rng.permutation(9)[:n])
    if kind == 1:
        data = {k: np.float32(v) for k, v in zip(keys, floats(d, n, 10))}
        if d.flip(0.3):
            data = {k: f"{v:.3f}" for k, v in data.items()}
        return case.output(node(case, "CastMap", case.input(data), cast_to=d.pick("TO_FLOAT", "TO_STRING", "TO_INT64")
                                if not isinstance(data[keys[0]], str) else d.pick("TO_FLOAT", "TO_STRING"),
                                map_form=d.pick("DENSE", "SPARSE"), max_map=9))
    of = d.pick(np.float32, np.float64)
    if d.flip():
        return case.output(node(case, "DictVectorizer", case.input({k: of(k / 3) for k in keys}), int64_vocabulary=list(range(9))))
    return case.output(node(case, "DictVectorizer", case.input({f"k{k}": of(k / 3) for k in keys}),
                            string_vocabulary=[f"k{k}" for k in d.rng.permutation(9)]))


@generator
def ml_linear(d):
    case, value, n = ml(d), rows(d), d.pick(1, 1, 2, 3, 5)
    case.atol = 2e-4  # ONNX Runtime sums in float32
    weights = {"coefficients": floats(d, n * value.shape[1]), "intercepts": floats(d, n), "post_transform": d.pick(*POST)}
    if weights["post_transform"] == "PROBIT":
        value = value * value.dtype.type(0)
        weights["intercepts"] = [float(v) for v in d.rng.uniform(0.05, 0.95, n)]
    if d.flip():
        weights["post_transform"] = "NONE"
        return case.output(node(case, "LinearRegressor", case.input(value), targets=n, **weights))
    if n == 1 and weights["post_transform"] == "PROBIT":  # ONNX Runtime leaves the second score unwritten
        weights["post_transform"] = "NONE"
    names = labels(d, 2 if n == 1 else n, "classlabels_ints", "classlabels_strings")
    return case.output(*node(case, "LinearClassifier", case.input(value), outputs=2, **names, **weights))


@generator
def strings(d):
    case, kind = Case(d), d.int(0, 1)
    if kind == 0:
        shape = d.shape(0, 3, 100)
        return case.output(case.node("StringConcat", case.input(words(d, shape)), case.weight(words(d, d.broadcast(shape)))))
    data = words(d, d.shape(1, 2, 60, zero=False), np.array(["a,b", "q,r,,s", "x y", " pad ", "  ", "one  two three", "ab", "été"], object))
    return case.output(*case.node("StringSplit", case.input(data), outputs=2, delimiter=d.pick(",", "a", "ab", "é", None),
                                  maxsplit=d.pick(None, None, 1, 2)))


@generator
def normalized_strings(d):
    """Of letters whose case is the same by Unicode's full mapping and by that of single characters."""
    case, pool = Case(d), np.array(["Monday", "TUESDAY", "été", "ÉTÉ", "Ωmega", "ωMEGA", "日本", "x1", "a b", "Źródło", "ДА", "да"], object)
    stop = [str(w) for w in d.rng.permutation(pool)[:d.int(0, 4)]]
    data = words(d, [d.int(1, 9)] if d.flip() else [1, d.int(1, 9)], pool)
    return case.output(case.node("StringNormalizer", case.input(data), case_change_action=d.pick("NONE", "LOWER", "UPPER"),
                                 is_case_sensitive=int(d.flip()), locale=d.pick("en_US.UTF-8", None), stopwords=stop or None))


def pattern(d, depth):
    """A random regular expression over a few letters."""
    kind = d.int(0, 7) if depth else 0
    if kind == 0:
        return d.pick("a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\w", r"\pL", "x?", "", "(?i)A")
    if kind <= 2:
        return pattern(d, depth - 1) + pattern(d, depth - 1)
    if kind == 3:
        return f"({pattern(d, depth - 1)}|{pattern(d, depth - 1)})"
    return f"(?:{pattern(d, depth - 1)}){d.pick('*', '+', '?', '{2}', '{1,3}', '*?', '+?')}"


@generator
def matched_strings(d):
    case = Case(d)
    data = np.array(["".join(d.rng.choice(list("aabbé1x\n"), d.int(0, 6))) for _ in range(d.int(1, 24))], object)
    return case.output(case.node("RegexFullMatch", case.input(data), pattern=pattern(d, 4)))


@generator
def tfidf(d):
    case = Case(d)
    tokens = [str(w) for w in WORDS[:6]] if d.flip() else list(range(5))
    low = d.int(1, 2)
    high = d.int(low, 3)
    pool, counts = [], []
    for size in range(1, high + 1):
        counts.append(len(pool))
        grams = {tuple(int(k) for k in d.rng.integers(0, len(tokens), size)) for _ in range(d.int(1, 5))}
        pool += [tokens[k] for gram in sorted(grams) for k in gram]
    total = sum((end - begin) // size for size, (begin, end) in enumerate(zip(counts, [*counts[1:], len(pool)]), 1))
    key = "pool_strings" if isinstance(tokens[0], str) else "pool_int64s"
    shape = [d.int(1, 12)] if d.flip(0.4) else [d.int(1, 4), d.int(1, 12)]
    data = words(d, shape, np.array(tokens, object)) if key == "pool_strings" else d.rng.integers(0, 6, shape).astype(d.pick("int64", "int32"))
    return case.output(case.node("TfIdfVectorizer", case.input(data), max_gram_length=high, min_gram_length=low, max_skip_count=d.int(0, 3),
                                 mode=d.pick("TF", "IDF", "TFIDF"), ngram_counts=counts, ngram_indexes=[int(k) for k in d.rng.permutation(total)],
                                 weights=floats(d, total) if d.flip() else None, **{key: pool}))


def grow(d, depth, columns, modes, missing):
    """A tree as nested tuples (mode, feature, split, missing, yes, no); leaves are None."""
    if depth == 0 or d.flip(0.2):
        return None
    split = float(np.float32(np.round(d.rng.standard_normal() * 2) / 2 if d.flip() else d.rng.standard_normal()))
    return (d.pick(*modes), d.int(0, columns - 1), split, int(missing and d.flip()),
            grow(d, depth - 1, columns, modes, missing), grow(d, depth - 1, columns, modes, missing))


def tuples(d, trees, prefix, ids, several, positive):
    """Attributes nodes_* and PREFIX_* of the deprecated operators."""
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    votes = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for t, tree in enumerate(trees):
        todo, count = [(0, tree)], 1
        while todo:
            k, node = todo.pop(0)
            mode, feature, split, missing, yes, no = node or ("LEAF", 0, 0.0, 0, None, None)
            below = (count, count + 1) if node else (0, 0)
            if node:
                todo += [(count, yes), (count + 1, no)]
                count += 2
            else:
                for target in d.rng.permutation(ids)[:d.int(1, len(ids)) if several else 1]:
                    weight = float(np.float32(d.rng.uniform(0, 1) if positive else d.rng.standard_normal()))
                    for key, value in (("treeids", t), ("nodeids", k), ("ids", int(target)), ("weights", weight)):
                        votes[key].append(value)
            for key, value in (("treeids", t), ("nodeids", k), ("featureids", feature), ("values", split), ("modes", mode),
                               ("truenodeids", below[0]), ("falsenodeids", below[1]), ("missing_value_tracks_true", missing)):
                nodes[key].append(value)
    return {**{f"nodes_{key}": value for key, value in nodes.items()}, **{f"{prefix}_{key}": value for key, value in votes.items()}}


def tree_input(d, missing, dtype=None):
    dtype = dtype or d.pick("float32", "float32", "float64", "int64", "int32")
    value = rows(d, dtype)
    if d.flip(0.3):
        value = np.repeat(value, d.pick(3, 40), axis=0)
    if dtype.startswith("float") and missing:
        value = np.where(d.rng.random(value.shape) < 0.15, value.dtype.type(np.nan), value)
    return value


MODES = (("BRANCH_LEQ",), ("BRANCH_LEQ",), ("BRANCH_LT",), ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"))


@generator
def ml_trees(d):
    case, missing, modes = ml(d, d.pick(1, 3)), d.flip(0.4), d.pick(*MODES)
    value = tree_input(d, missing)
    forest = [grow(d, d.int(0, 6), value.shape[1], modes, missing) for _ in range(d.pick(1, 2, 7, 40, 300))]
    if d.flip():
        n = d.pick(1, 1, 2, 4)
        attributes = tuples(d, forest, "target", range(n), d.flip(), False)
        how = d.pick("SUM", "SUM", "AVERAGE", "MIN", "MAX")
        if d.flip(0.4) and n == 1:  # elsewhere ONNX Runtime leaves out targets without votes
            attributes["base_values"] = floats(d, n)
        return case.output(node(case, "TreeEnsembleRegressor", case.input(value), n_targets=n, **attributes, aggregate_function=how,
                                post_transform=d.pick("NONE", "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO") if n > 1 else "NONE"))
    n = d.pick(2, 2, 3, 5)
    one = d.int(0, 1) if n == 2 else None  # ONNX Runtime's label is wrong where both of two classes get votes
    attributes = tuples(d, forest, "class", range(n) if one is None else [one], one is None, d.flip())
    transform = d.pick("NONE", "NONE", "LOGISTIC", *(["SOFTMAX", "SOFTMAX_ZERO"] if one is None else []))
    if d.flip(0.4) and (n > 2 or one == 0):  # ONNX Runtime lets the base values of two classes overwrite votes
        attributes["base_values"] = floats(d, n if one is None else 1)
    names = labels(d, n, "classlabels_int64s", "classlabels_strings")
    return case.output(*node(case, "TreeEnsembleClassifier", case.input(value), outputs=2, **names, **attributes, post_transform=transform))


@generator
def ml_tree_ensemble(d):
    case, missing, dtype = ml(d, 5), d.flip(0.4), d.pick("float32", "float32", "float64")
    value, modes = tree_input(d, missing, dtype), range(6) if d.flip() else [0]
    n, nodes, leaves, roots = d.pick(1, 2, 4), [], [], []
    for _ in range(d.pick(1, 2, 7, 40)):
        roots.append(len(nodes))
        nodes.append(None)
        todo = [(roots[-1], grow(d, d.int(1, 6), value.shape[1], modes, missing) or (0, 0, 0.0, 0, None, None))]
        while todo:
            at, (mode, feature, split, missed, *branches) = todo.pop()
            ends = []
            for branch in branches:
                ends.append((len(leaves), 1) if branch is None else (len(nodes), 0))
                if branch is None:
                    leaves.append((d.int(0, n - 1), d.rng.standard_normal()))
                else:
                    todo.append((len(nodes), branch))
                    nodes.append(None)
            nodes[at] = (mode, feature, split, missed, *ends)
    return case.output(node(
        case, "TreeEnsemble", case.input(value), n_targets=n, tree_roots=roots, aggregate_function=d.pick(0, 1, 1, 2, 3),
        post_transform=d.pick(0, 0, 3) if n > 1 else 0,  # ONNX Runtime takes 1 for 2 and 2 for 1
        nodes_modes=numpy_helper.from_array(np.array([v[0] for v in nodes], np.uint8)), nodes_featureids=[v[1] for v in nodes],
        nodes_splits=numpy_helper.from_array(np.array([v[2] for v in nodes], dtype)), nodes_missing_value_tracks_true=[v[3] for v in nodes],
        nodes_truenodeids=[v[4][0] for v in nodes], nodes_trueleafs=[v[4][1] for v in nodes],
        nodes_falsenodeids=[v[5][0] for v in nodes], nodes_falseleafs=[v[5][1] for v in nodes],
        leaf_targetids=[v[0] for v in leaves], leaf_weights=numpy_helper.from_array(np.array([v[1] for v in leaves], dtype))))


@generator
def ml_svm(d):
    case, value = ml(d), rows(d)
    columns, kind = value.shape[1], d.pick("LINEAR", "POLY", "RBF", "SIGMOID")
    case.atol = 2e-4 if value.dtype.kind == "f" and kind != "POLY" else None
    shared = {"kernel_type": kind, "kernel_params": [float(np.float32(d.rng.uniform(0.1, 0.5))), 0.25, float(d.int(2, 3))]}
    if d.flip():
        n = d.pick(0, 1, 4, 9)
        return case.output(node(case, "SVMRegressor", case.input(value), coefficients=floats(d, n or columns), n_supports=n or None,
                                support_vectors=floats(d, n * columns) if n else None, one_class=int(d.flip(0.3)), rho=floats(d, 1), **shared))
    classes = d.pick(2, 2, 3, 5)
    names = labels(d, classes, "classlabels_ints", "classlabels_strings")
    if classes > 2 and d.flip(0.3):  # of two, ONNX Runtime answers the second wherever a score is positive
        return case.output(*node(case, "SVMClassifier", case.input(value), outputs=2, coefficients=floats(d, classes * columns), rho=floats(d, 2),
                                 **{**shared, "kernel_type": "LINEAR"}, **names))
    vectors = [d.int(1, 5) for _ in range(classes)]
    pairs = classes * (classes - 1) // 2
    proba = {"prob_a": [-abs(v) - 0.1 for v in floats(d, pairs)], "prob_b": floats(d, pairs, 0.1)} if d.flip() else {}
    return case.output(*node(case, "SVMClassifier", case.input(value), outputs=2, coefficients=floats(d, (classes - 1) * sum(vectors)),
                             support_vectors=floats(d, sum(vectors) * columns), vectors_per_class=vectors, rho=floats(d, pairs),
                             **shared, **proba, **names))


@generator
def tokens(d):
    case = Case(d)
    data = np.array(["".join(d.rng.choice(list("aB1 ,é-日"), d.int(0, 14))) for _ in range(d.int(1, 6))], object)
    how = d.pick({"separators": [""]}, {"tokenexp": d.pick("[a-zA-Z0-9_]+", r"\\w", "[^ ]+", "a|B|1+")},
                 {"separators": d.pick([" "], [" ", ","], [",+| +", "-"], ["é"])})
    return case.output(case.node("Tokenizer", case.input(data if d.flip() else data.reshape(1, -1)), mark=int(d.flip()), pad_value="#",
                              mincharnum=1 if how == {"separators": [""]} else d.int(1, 2), domain="com.microsoft", **how))
