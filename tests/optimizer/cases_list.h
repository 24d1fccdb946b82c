/* Every table of cases, one a line: its name, "_cases" left out. */
CASES(attention)
CASES(axes)
CASES(body)
CASES(bytes)
CASES(declutter)
CASES(lower)
CASES(pads)
CASES(recompose)
