#!/usr/bin/env python3
"""Reads include/onnx_infer.h with pycparser, for the tests that are made from it.

  header.py names           the functions, sorted, one a line
  header.py wrap            the linker's options that send each of them through the shim
  header.py shim            the shim: notes every call's status and NULL arguments (tests/support/covered.c)
  header.py rules           checks what every declaration must keep; "N passed, M failed"
  header.py covered FILE    compares what the shim noted with the header's comments; "N passed, M failed"

--header FILE reads another header; the compiler is $CC. Exit status 77: pycparser is not installed.
"""
import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

try:
    from pycparser import c_ast, c_generator, c_parser
except ImportError:
    print("skipped: pycparser is not installed (Debian: python3-pycparser)")
    sys.exit(77)

TOP = pathlib.Path(__file__).resolve().parents[2]
STDDEF = "typedef unsigned long size_t;\n"
STDINT = "".join(f"typedef {'unsigned ' * (s == 'u')}{t} {s}int{n}_t;\n" for s in ("", "u")
                 for n, t in ((8, "char"), (16, "short"), (32, "int"), (64, "long long")))
# May come of any function, or is no failure that a test can ask for.
UNLISTED = {"OK", "INTERNAL"}


class Function:
    """A declared function: its node, parameters (name, type node), and the comment that stands above it."""

    def __init__(self, decl, comment):
        self.name, self.decl, self.comment = decl.name, decl, comment
        params = decl.type.args.params if decl.type.args else []
        self.variadic = any(isinstance(p, c_ast.EllipsisParam) for p in params)
        self.params = [(p.name, p.type) for p in params if isinstance(p, c_ast.Decl)]
        self.result = c_generator.CGenerator().visit(decl.type.type).strip()
        match = re.search(r"Errors:((?:[\s*,]*[A-Z][A-Z0-9_]*\b)+)", comment)
        self.open_ended = "those of operators of your own" in re.sub(r"[\s*]+", " ", comment)
        self.errors = None if not match else set(re.findall(r"[A-Z][A-Z0-9_]+", match.group(1)))

    @property
    def fallible(self):
        return self.result == "onnx_infer_status" and self.name != "onnx_infer_error_code"


def comment_of(lines, line):
    """The comment above the declaration at `line` (from 1) and those beside it. One comment stands for all the
    declarations that follow it without a blank line or another comment of its own line between."""
    beside = []
    n = line - 1
    while n < len(lines) and ";" not in lines[n]:
        n += 1
    for text in lines[line - 1:n + 1]:
        beside += re.findall(r"/\*(.*?)\*/", text)
    n = line - 2
    while n >= 0 and lines[n].strip() and not lines[n].rstrip().endswith("*/") or \
            n >= 0 and re.match(r"^\s*[^/\s*].*\*/\s*$", lines[n]):
        n -= 1
    above = []
    if n >= 0 and lines[n].strip():
        while n >= 0:
            above.insert(0, lines[n])
            if lines[n].lstrip().startswith("/*"):
                break
            n -= 1
    return "\n".join(above + beside)


def parse(header):
    """(functions, AST, the header's text)."""
    text = header.read_text()
    with tempfile.TemporaryDirectory() as work:
        for name, body in (("stddef.h", STDDEF), ("stdint.h", STDINT)):
            pathlib.Path(work, name).write_text(body)
        cc = shlex.split(os.environ.get("CC", "cc"))
        plain = subprocess.run(
            [*cc, "-E", "-undef", "-nostdinc", "-I", work, "-x", "c", str(header)],
            check=True, capture_output=True, text=True).stdout
    ast = c_parser.CParser().parse(re.sub(r'^# (\d+) "([^"]*)".*$', r'#line \1 "\2"', plain, flags=re.M), str(header))
    lines = text.splitlines()
    functions = [Function(d, comment_of(lines, d.coord.line)) for d in ast.ext
                 if isinstance(d, c_ast.Decl) and isinstance(d.type, c_ast.FuncDecl)]
    return functions, ast, text


def is_pointer(node):
    return isinstance(node, (c_ast.PtrDecl, c_ast.ArrayDecl))


def pointers(f, typedefs):
    """Parameters that may be NULL, and whether each is a function."""
    out = []
    for name, node in f.params:
        if is_pointer(node):
            out.append((name, isinstance(node.type, c_ast.FuncDecl)))
        elif isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType) and \
                is_pointer(typedefs.get(node.type.names[0])):
            out.append((name, True))
    return out


def typedefs_of(ast):
    return {t.name: t.type for t in ast.ext if isinstance(t, c_ast.Typedef)}


def statuses(text):
    """Names by number, from the #defines."""
    found = re.findall(r"^#define ONNX_INFER_(OK|E_[A-Z0-9_]+) (\d+)", text, flags=re.M)
    return {int(number): name.removeprefix("E_") for name, number in found}


def shim(functions, ast):
    generator = c_generator.CGenerator()
    typedefs = typedefs_of(ast)
    print("/* Made by tests/support/header.py from the header. */\n#include <onnx_infer.h>\n#include \"support/covered.h\"")
    for f in functions:
        args = ", ".join(generator.visit(c_ast.Decl(n, [], [], [], [], t, None, None)) for n, t in f.params) or "void"
        names = ", ".join(n for n, _ in f.params)
        nulls = " | ".join(f"(unsigned)!{n} << {i}" for i, (n, _) in enumerate(pointers(f, typedefs))) or "0u"
        ret = "" if f.result == "void" else "return oi_result;"
        take = "" if f.result == "void" else f"{f.result} oi_result = "
        status = "(int)oi_result" if f.fallible else "-1"
        print(f"{f.result} __real_{f.name}({args});\n{f.result} __wrap_{f.name}({args});\n"
              f"{f.result} __wrap_{f.name}({args})\n{{\n    static oi_covered_set oi_seen;\n    unsigned oi_nulls = {nulls};\n"
              f"    {take}__real_{f.name}({names});\n"
              f"    oi_covered(&oi_seen, \"{f.name}\", {status}, oi_nulls);\n    {ret}\n}}")


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, ok, text):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print(f"FAIL {text}")

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return int(self.failed != 0)


def banned_type(node, structs):
    """What of a parameter or result is against the rules, or None."""
    while is_pointer(node):
        node = node.type
    if isinstance(node, c_ast.FuncDecl):
        parts = [node.type] + [p.type for p in (node.args.params if node.args else []) if isinstance(p, c_ast.Decl)]
        if node.args and any(isinstance(p, c_ast.EllipsisParam) for p in node.args.params):
            return "variadic"
        return next((b for b in (by_value(p, structs) or banned_type(p, structs) for p in parts) if b), None)
    inner = node.type
    if isinstance(inner, c_ast.Enum):
        return "an enum type"
    if isinstance(inner, c_ast.IdentifierType):
        for word in inner.names:
            if word in ("long", "short", "bool", "_Bool", "unsigned", "double", "float", "wchar_t"):
                return f"the type {' '.join(inner.names)}" if word not in ("double", "float") else None
    return None


def by_value(node, structs):
    """Says so if the node is a struct or union that is not behind a pointer."""
    if not isinstance(node, c_ast.TypeDecl):
        return None
    inner = node.type
    if isinstance(inner, (c_ast.Struct, c_ast.Union)):
        return "a struct by value"
    if isinstance(inner, c_ast.IdentifierType) and inner.names[0] in structs:
        return f"{inner.names[0]} by value"
    return None


def rules(functions, ast, text, header):
    tally = Tally()
    typedefs = typedefs_of(ast)
    structs = {n for n, t in typedefs.items() if isinstance(t, c_ast.TypeDecl) and isinstance(t.type, (c_ast.Struct, c_ast.Union))}
    for f in functions:
        tally.check(f.name.startswith("onnx_infer_"), f"{f.name}: does not begin with onnx_infer_")
        tally.check(not f.variadic, f"{f.name}: is variadic")
        for name, node in [("its result", f.decl.type.type), *f.params]:
            wrong = by_value(node, structs) or banned_type(node, structs)
            tally.check(not wrong, f"{f.name}: {name} is {wrong}")
        tally.check(all(n for n, _ in f.params), f"{f.name}: a parameter has no name")
        tally.check(f.comment.strip(), f"{f.name}: has no comment")
        if f.fallible:
            tally.check(f.errors, f"{f.name}: its comment has no 'Errors: NAME, NAME.'")
        unknown = (f.errors or set()) - set(statuses(text).values())
        tally.check(not unknown, f"{f.name}: 'Errors:' names {', '.join(sorted(unknown))}, which are no statuses")
        tally.check(re.search(rf"\b{f.name}\([^;]*\) ONNX_INFER_NOEXCEPT;", text, re.S), f"{f.name}: is not ONNX_INFER_NOEXCEPT")
    wrapped = set(re.findall(r"\bonnx_infer_\w+", (header.parent / "onnx_infer.hpp").read_text()))
    for f in functions:
        tally.check(f.name in wrapped, f"{f.name}: onnx_infer.hpp does not wrap it")
    for name, node in typedefs.items():
        tally.check(not isinstance(getattr(node, "type", None), c_ast.Enum), f"{name}: an enum type")
        if is_pointer(node):
            wrong = banned_type(node, structs)
            tally.check(not wrong, f"{name}: has {wrong}")
    defined = [d.type for d in ast.ext if isinstance(d, c_ast.Decl) and isinstance(d.type, c_ast.Struct) and d.type.decls]
    defined += [t.type for t in typedefs.values() if isinstance(t, c_ast.TypeDecl) and isinstance(t.type, c_ast.Struct) and t.type.decls]
    for struct in defined:
        tally.check(struct.decls[0].name == "struct_size" and struct.decls[0].type.type.names == ["size_t"],
                    f"struct {struct.name}: does not begin with size_t struct_size")
        for d in struct.decls:
            wrong = by_value(d.type, structs) or banned_type(d.type, structs)
            tally.check(not wrong and not d.bitsize, f"struct {struct.name}: {d.name} is {wrong or 'a bit field'}")
    return tally.finish()


def covered(functions, ast, text, notes):
    """Each line of notes: function, status or -1, bits of the pointer arguments that were NULL."""
    seen, names, typedefs = {}, statuses(text), typedefs_of(ast)
    for line in notes.read_text().splitlines() if notes.exists() else []:
        function, status, nulls = line.split()
        seen.setdefault(function, set()).add((int(status), int(nulls)))
    tally = Tally()
    for f in functions:
        calls = seen.get(f.name, set())
        good = {nulls for status, nulls in calls if status <= 0}
        tally.check(good, f"{f.name}: no test of its success")
        if f.fallible:
            got = {names.get(status, str(status)) for status, _ in calls}
            for name in sorted((f.errors or set()) - got):
                tally.check(False, f"{f.name}: no test sees {name}")
            tally.passed += len((f.errors or set()) & got)
            for name in sorted(got - (f.errors or set()) - UNLISTED) if not f.open_ended else []:
                tally.check(False, f"{f.name}: returned {name}, which its comment does not list")
        for i, (name, function) in enumerate(pointers(f, typedefs)):
            if name == "user":
                continue
            tally.check(any(nulls >> i & 1 for _, nulls in calls), f"{f.name}: no test gives it {name} = NULL")
            tally.check(any(not nulls >> i & 1 for nulls in good), f"{f.name}: no test of success gives it {name}")
    return tally.finish()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["names", "wrap", "shim", "rules", "covered"])
    parser.add_argument("notes", nargs="?", type=pathlib.Path)
    parser.add_argument("--header", type=pathlib.Path, default=TOP / "include" / "onnx_infer.h")
    args = parser.parse_args()
    functions, ast, text = parse(args.header)
    if args.command == "names":
        print("\n".join(sorted(f.name for f in functions)))
    elif args.command == "wrap":
        print("\n".join(f"--wrap={f.name}" for f in functions))
    elif args.command == "shim":
        shim(functions, ast)
    elif args.command == "rules":
        return rules(functions, ast, text, args.header)
    else:
        return covered(functions, ast, text, args.notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
