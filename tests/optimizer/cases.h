/* Graphs as text (graph_text.h) for each rule and pass of the optimizer: what it rewrites and what it must leave. */
#ifndef TESTS_OPTIMIZER_CASES_H
#define TESTS_OPTIMIZER_CASES_H

#include "optimizer/optimizer.h"

typedef struct {
    const char *name, *graph, *ops; /* ops: of the graph at the table's stage, as graph_ops says them */
} rewrite_case;

typedef struct {
    const char *rule, *name, *graph, *ops; /* rule: name of the rule or pass that may not change this graph */
} leave_case;

typedef struct {
    oi_stage stage;
    const rewrite_case *rewrite;
    size_t nrewrite;
    const leave_case *leave;
    size_t nleave;
} case_table;

#define CASE_TABLE(stage, rewrites, leaves) \
    {stage, rewrites, sizeof rewrites / sizeof *rewrites, leaves, sizeof leaves / sizeof *leaves}

/* The tables are in cases_list.h. */
#define CASES(name) extern const case_table name##_cases;
#include "cases_list.h"
#undef CASES

#endif
