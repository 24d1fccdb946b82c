"""Runs the standard's conformance cases and holds the outcome against tests/conformance/manifest.txt.

The manifest has a line a case: `pass KIND/NAME` or `fail KIND/NAME reason`. A case that ends otherwise than listed, or
is not listed, fails the run. One process of `onnx-infer verify` runs all cases; only if it dies are they divided, to
find the case that killed it. The last line is `N passed, M failed`: cases that ended as listed, and those that did not.
"""
import argparse
import pathlib
import re
import sys
import time

import generate
import harness

MANIFEST = pathlib.Path(__file__).resolve().parent / "manifest.txt"
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$")
SECONDS_PER_CASE = 2


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", help="how far graphs are taken: typed, decluttered, lowered, placed")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--isa")
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
               for word in (f"--{name}", getattr(args, name))]
    began = time.monotonic()
    outcome = verify(folder, cases, options)
    took = time.monotonic() - began

    listed = read_manifest()
    if args.update:
        listed.update(outcome)
        if not args.filter and args.kinds == ",".join(generate.KINDS):
            listed = dict(outcome)
        write_manifest(listed)
    wrong = 0
    for case, reason in outcome.items():
        if case not in listed:
            print(f"FAIL {case}  not in the manifest; it {'passes' if reason is None else 'fails: ' + reason}")
        elif listed[case] is None and reason is not None:
            print(f"FAIL {case}  {reason}")
        elif listed[case] is not None and reason is None:
            print(f"FAIL {case}  passes, but the manifest lists it as failing ({listed[case]}); run with --update")
        else:
            continue
        wrong += 1
    passing = sum(reason is None for reason in outcome.values())
    print(f"{len(cases)} cases in {took:.1f} s: {passing} conform, {len(cases) - passing} do not")
    print(f"{len(cases) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
