"""Runs the standard's conformance cases and holds the outcome against tests/conformance/manifest.txt.

The manifest has a line a case: `pass KIND/NAME` or `fail KIND/NAME reason`. A case that ends otherwise than listed, or
is not listed, fails the run. --matrix runs the cases every way: by the reference evaluators, decluttered, decluttered by
what keeps every bit only (bit by bit against the reference evaluators), lowered for each instruction set on one and on two
threads, and saved as ONNX and loaded again. One process of `onnx-infer verify` runs all cases; only if it dies are they divided, to
find the case that killed it. The last line is `N passed, M failed`: runs that ended as listed, and those that did not.
"""
import argparse
import pathlib
import re
import sys
import tempfile
import time

import generate
import harness

HERE = pathlib.Path(__file__).resolve().parent
MANIFEST = HERE / "manifest.txt"
BACKEND_UNAVAILABLE = 14  # exit code where the machine lacks the instruction set
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$")
SECONDS_PER_CASE = 2
INSTRUCTION_SETS = ("generic", "sse2", "avx2", "avx512", "neon")


def read_manifest():
    """{case: None for pass, or the reason of a failure}."""
    listed = {}
    if MANIFEST.is_file():
        for line in MANIFEST.read_text().splitlines():
            if line and not line.startswith("#"):
                verdict, case, *reason = line.split(" ", 2)
                listed[case] = None if verdict == "pass" else (reason or ["no reason"])[0]
    return listed


def write_manifest(listed):
    lines = ["# Outcome of each of the standard's cases; tests/conformance/run --update rewrites it."]
    for case, reason in sorted(listed.items()):
        lines.append(f"pass {case}" if reason is None else f"fail {case} {reason}")
    MANIFEST.write_text("\n".join(lines) + "\n")


def failures(text, cases, kinds):
    """{case: reason} from the lines of verify that name a case's directory."""
    found = {}
    for line in text.splitlines():
        named = re.search(r"(?:^|[\s/'\"])((?:%s)/\w+)" % "|".join(kinds), line)
        if named and named[1] in cases and not re.match(r"\s*(pass|ok)\b", line, re.I):
            reason = line[named.end():].rpartition("/model.onnx: ")[2].lstrip("/'\":- ")
            found.setdefault(named[1], re.sub(r"\s+", " ", reason)[:160].strip() or "failed")
    return found


def verify(folder, cases, options, kinds=generate.KINDS):
    """{case: None or reason} of all cases KIND/NAME, dividing them where a process dies."""
    directories = [folder / case for case in cases]
    done = harness.run_tool("verify", *directories, *options, timeout=60 + SECONDS_PER_CASE * len(cases))
    found = failures(done.out + done.err, set(cases), kinds)
    last = done.out.splitlines()[-1:] or [""]
    counted = SUMMARY.match(last[0])
    if counted and int(counted[1]) + int(counted[2]) == len(cases) and int(counted[2]) == len(found):
        return {case: found.get(case) for case in cases}
    if len(cases) == 1:
        reason = done.why() if done.crashed or done.timed_out else f"verify gave no summary for it: {done.why()}"
        return {cases[0]: found.get(cases[0], reason)}
    parts = min(len(cases), 16)
    result = {}
    for part in range(parts):
        result.update(verify(folder, cases[part::parts], options, kinds))
    return result


def matrix(cache):
    """Options of every way to run a case; says which instruction sets this machine lacks. The second run with the folder
    `cache` finds what the first one has kept there."""
    ways = [["--stage", "typed"], ["--stage", "decluttered"], ["--exact"], ["--reload"], *[["--cache", cache]] * 2]
    lacking = []
    for isa in INSTRUCTION_SETS:
        if harness.run_tool("verify", "--isa", isa, HERE / "no-such-folder").code == BACKEND_UNAVAILABLE:
            lacking.append(isa)
        else:
            ways += [["--isa", isa, "--threads", threads] for threads in ("1", "2")]
    if lacking:
        print(f"not run, for want of the instruction set: {', '.join(lacking)}")
    return ways


def judge(listed, outcome, way):
    """Prints the cases that ended otherwise than listed and returns how many."""
    wrong = 0
    for case, reason in outcome.items():
        if case not in listed:
            print(f"FAIL {case}{way}  not in the manifest; it {'passes' if reason is None else 'fails: ' + reason}")
        elif listed[case] is None and reason is not None:
            print(f"FAIL {case}{way}  {reason}")
        elif listed[case] is not None and reason is None:
            print(f"FAIL {case}{way}  passes, but the manifest lists it as failing ({listed[case]}); run with --update")
        else:
            continue
        wrong += 1
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", help="how far graphs are taken: typed, decluttered, lowered, placed")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--isa")
    parser.add_argument("--reload", action="store_true", help="runs the model that was simplified, saved and loaded again")
    parser.add_argument("--exact", action="store_true", help="decluttered by what keeps every bit, bit by bit against the reference evaluators")
    parser.add_argument("--matrix", action="store_true", help="every way to run a case, one after another")
    parser.add_argument("--filter", metavar="REGEX", help="only cases whose KIND/NAME it finds")
    parser.add_argument("--kinds", default=",".join(generate.KINDS), help="default: %(default)s")
    parser.add_argument("--update", action="store_true", help="write the outcome into the manifest")
    args = parser.parse_args()
    harness.tool()
    folder = generate.cached()
    cases = [f"{path.parent.parent.name}/{path.parent.name}" for kind in args.kinds.split(",")
             for path in sorted((folder / kind).glob("*/model.onnx"))]
    if args.filter:
        cases = [case for case in cases if re.search(args.filter, case)]
    options = [word for name in ("stage", "threads", "isa") if getattr(args, name) is not None
               for word in (f"--{name}", getattr(args, name))] + ["--reload"] * args.reload + ["--exact"] * args.exact
    cache = tempfile.TemporaryDirectory()
    listed, wrong, ways = read_manifest(), 0, matrix(cache.name) if args.matrix else [options]
    for way in ways:
        began = time.monotonic()
        outcome = verify(folder, cases, way)
        took = time.monotonic() - began
        if args.update and way is ways[0]:
            if args.filter or args.kinds != ",".join(generate.KINDS):
                listed.update(outcome)
            else:
                listed = dict(outcome)
            write_manifest(listed)
        said = f" ({' '.join(map(str, way))})" if way else ""
        wrong += judge(listed, outcome, said)
        passing = sum(reason is None for reason in outcome.values())
        print(f"{len(cases)} cases in {took:.1f} s{said}: {passing} conform, {len(cases) - passing} do not", flush=True)
    print(f"{len(ways) * len(cases) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
