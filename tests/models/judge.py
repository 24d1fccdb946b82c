"""Judges outputs: the accuracy rule, and whether an output moves with its input.

Against a float64 reference the largest error may be FACTOR times ONNX Runtime's own, or FLOOR of the output's largest
magnitude, whichever is more. Integers, booleans and strings must be equal.
"""
import numpy as np

FACTOR = 4
FLOOR = 5e-5
# An output moves if another input changes it by at least this many times the error that the rule allows, ...
MOVES = 20
# ... and the change must be the one that ONNX Runtime sees, to this part of it.
SAME_MOVE = 0.05


class Verdict:
    """ok, and a text with the error, ONNX Runtime's own and the allowed one, relative to the output's magnitude."""

    def __init__(self, ok, text, error=0.0, theirs=0.0, allowed=0.0):
        self.ok, self.text, self.error, self.theirs, self.allowed = ok, text, error, theirs, allowed


def largest(values):
    return float(np.max(values)) if values.size else 0.0


def floating(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def same_form(ours, theirs):
    """None, or what differs in kind, type or shape."""
    if isinstance(theirs, np.ndarray) != isinstance(ours, np.ndarray):
        return f"is {type(ours).__name__}, expected {type(theirs).__name__}"
    if not isinstance(theirs, np.ndarray):
        return None if len(ours) == len(theirs) else f"has {len(ours)} items, expected {len(theirs)}"
    if ours.dtype != theirs.dtype:
        return f"has type {ours.dtype}, expected {theirs.dtype}"
    if ours.shape != theirs.shape:
        return f"has shape {list(ours.shape)}, expected {list(theirs.shape)}"
    return None


def accuracy(ours, theirs, reference, floor=FLOOR):
    """Judges one output against the reference (None: against ONNX Runtime itself)."""
    wrong = same_form(ours, theirs)
    if wrong:
        return Verdict(False, wrong)
    if not isinstance(theirs, np.ndarray):
        return maps(ours, theirs, floor)
    if not floating(theirs):
        differ = int(np.count_nonzero(ours != theirs))
        return Verdict(differ == 0, "equal" if not differ else f"{differ} of {ours.size} elements differ", float(differ > 0))
    exact = theirs if reference is None else reference
    finite = np.isfinite(exact)
    if not np.array_equal(finite, np.isfinite(ours)) or not np.array_equal(
            ours[~finite].astype(np.float64), exact[~finite].astype(np.float64), equal_nan=True):
        return Verdict(False, "has NaN or infinity where the reference has none, or the reverse", 1.0)
    exact = exact[finite].astype(np.float64)
    magnitude = largest(np.abs(exact)) or 1.0
    error = largest(np.abs(ours[finite] - exact)) / magnitude
    own = largest(np.abs(theirs[finite] - exact)) / magnitude
    allowed = max(FACTOR * own, floor)
    return Verdict(error <= allowed, f"error {error:.1e}, ONNX Runtime {own:.1e}, allowed {allowed:.1e}", error, own, allowed)


def maps(ours, theirs, floor):
    """Sequences of maps from keys to numbers."""
    for mine, other in zip(ours, theirs, strict=True):
        if set(mine) != set(other):
            return Verdict(False, "maps have other keys")
        error = max((abs(mine[key] - other[key]) for key in other), default=0)
        if error > floor * max(map(abs, other.values()), default=1):
            return Verdict(False, f"a map's value is off by {error:.1e}", error)
    return Verdict(True, "equal maps")


def shipped(ours, expected, rtol=1e-3, atol=1e-7):
    """Judges an output against the one that came with the model, as the standard's tests do."""
    wrong = same_form(ours, expected)
    if wrong:
        return Verdict(False, wrong)
    ok = np.allclose(ours, expected, rtol=rtol, atol=atol, equal_nan=True)
    error = largest(np.abs(ours.astype(np.float64) - expected)) / (largest(np.abs(expected)) or 1.0)
    return Verdict(bool(ok), f"error {error:.1e} of the shipped output", error)


def movement(ours, theirs, allowed):
    """Judges whether an output moves: `ours` and `theirs` are pairs of outputs for two inputs. None: it does."""
    if same_form(ours[1], theirs[1]):
        return f"second input: {same_form(ours[1], theirs[1])}"
    if not isinstance(theirs[0], np.ndarray):
        return None
    if ours[0].shape != ours[1].shape:
        return None
    if not floating(theirs[0]):
        if np.array_equal(theirs[0], theirs[1]):
            return "does not move with the input in ONNX Runtime either: this check says nothing"
        return None if np.array_equal(ours[1], theirs[1]) else "does not follow another input"
    wide = [value.astype(np.float64) for value in (*ours, *theirs)]
    mine, other = wide[1] - wide[0], wide[3] - wide[2]
    moved = largest(np.abs(np.nan_to_num(other)))
    if moved < MOVES * allowed * (largest(np.abs(np.nan_to_num(wide[2]))) or 1.0):
        return f"moves by only {moved:.1e} in ONNX Runtime: this check says nothing"
    off = largest(np.abs(np.nan_to_num(mine - other)))
    if off > SAME_MOVE * moved:
        return f"does not move with its input: another input should change it by {moved:.1e}, {off:.1e} of that is off"
    return None
