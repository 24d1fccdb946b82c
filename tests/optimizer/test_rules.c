/* What each rule and pass of the optimizer rewrites and what it leaves. Rewritten graphs still compute the same, bit by bit where
 * a rule says so, and no rule or pass is without a graph of either kind: their own tables are asked for what there is. */
#include "cases.h"
#include "changes.h"
#include "graph_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUTS = 4, SEED = 7, OPEN = 5 };

static const case_table *const tables[] = {
#define CASES(name) &name##_cases,
#include "cases_list.h"
#undef CASES
};
enum { TABLES = sizeof tables / sizeof *tables };

/* --- watching the optimizer -------------------------------------------------------------------------------------- */

typedef struct {
    change_counts counts;
    /* set by whoever wants each change to be checked: */
    const char *name;
    oi_graph *g;
    oi_tensor before[MAX_OUTPUTS];
} watcher;

static void take_outputs(watcher *w, const oi_tensor *now)
{
    for (uint32_t i = 0; i < w->g->noutput; i++) {
        oi_tensor_clear(&w->before[i]);
        w->before[i] = now[i];
    }
}

static void changed(void *user, const char *pass, const oi_rule *rule)
{
    watcher *w = user;
    oi_tensor now[MAX_OUTPUTS] = {0};
    ck_assert(changes_count(&w->counts, pass, rule));
    if (!w->g)
        return;
    const char *who = rule ? rule->name : pass;
    oi_status status = graph_compute(w->g, SEED, OPEN, now);
    ck_assert_msg(!status, "%s: after %s: %s", w->name, who, oi_error_current()->message);
    for (uint32_t i = 0; i < w->g->noutput; i++) {
        double differ = tensors_differ(&w->before[i], &now[i]);
        ck_assert_msg(differ < 1e-5, "%s: output %u differs by %g after %s", w->name, i, differ, who);
        ck_assert_msg(changes_round(pass, rule) || tensors_equal(&w->before[i], &now[i]),
                      "%s: output %u differs by %g after %s, which is OI_EXACT in its table: mend it, or say OI_ROUNDS there if it adds, "
                      "multiplies or approximates numbers in another way", w->name, i, differ, who);
    }
    take_outputs(w, now);
}

/* --- running cases ----------------------------------------------------------------------------------------------- */

static bool computable(const char *graph)
{
    return !strstr(graph, "Random") && !strstr(graph, "Bernoulli") && !strstr(graph, "Dropout"); /* not evaluated ahead of a run */
}

static oi_graph *optimized(const char *name, const char *text, oi_stage stage, oi_cpu_isa isa, watcher *w, bool check)
{
    const oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_optimize_options o = {.strict = true, .watch = {.changed = changed, .user = w}};
    oi_graph *g = graph_from_text(text);
    w->name = name;
    w->g = check && computable(text) ? g : NULL;
    if (w->g)
        ck_assert_int_eq(graph_compute(g, SEED, OPEN, w->before), ONNX_INFER_OK);
    oi_status status = oi_optimize_with(g, stage, &target, &o);
    ck_assert_msg(!status, "%s: %s", name, oi_error_current()->message);
    for (int i = 0; i < MAX_OUTPUTS; i++)
        oi_tensor_clear(&w->before[i]);
    w->g = NULL;
    return g;
}

static void expect_ops(const char *name, oi_graph *g, const char *expected)
{
    char *ops = graph_ops(g);
    ck_assert_msg(strcmp(ops, expected) == 0, "%s: got '%s', expected '%s'", name, ops, expected);
    free(ops);
}

/* On every instruction set what is lowered computes the same. */
static void expect_results(const char *name, const char *text)
{
    oi_tensor want[MAX_OUTPUTS] = {0}, got[MAX_OUTPUTS] = {0};
    oi_graph *before = graph_from_text(text);
    ck_assert_int_eq(graph_compute(before, SEED, OPEN, want), ONNX_INFER_OK);
    for (oi_cpu_isa isa = 0; isa < OI_ISA_COUNT; isa++) {
        watcher w = {0};
        if (!oi_cpu_isa_available(isa) || oi_kernels_for(isa)->isa != isa)
            continue;
        oi_graph *g = optimized(name, text, OI_STAGE_LOWERED, isa, &w, false);
        oi_status status = graph_compute(g, SEED, OPEN, got);
        ck_assert_msg(!status, "%s: %s", name, oi_error_current()->message);
        for (uint32_t i = 0; i < g->noutput; i++) {
            double differ = tensors_differ(&want[i], &got[i]);
            ck_assert_msg(differ < 1e-5, "%s, %s: output %u differs by %g", name, oi_cpu_isa_name(isa), i, differ);
            oi_tensor_clear(&got[i]);
        }
        oi_graph_destroy(g);
    }
    for (uint32_t i = 0; i < before->noutput; i++)
        oi_tensor_clear(&want[i]);
    oi_graph_destroy(before);
}

static void run_rewrites(const case_table *t, int i)
{
    const rewrite_case *c = &t->rewrite[i];
    watcher w = {0};
    oi_graph *g = optimized(c->name, c->graph, t->stage, oi_cpu_isa_detect(), &w, true);
    expect_ops(c->name, g, c->ops);
    oi_graph_destroy(g);
    if (computable(c->graph))
        expect_results(c->name, c->graph);
}

static void run_leaves(const case_table *t, int i)
{
    const leave_case *c = &t->leave[i];
    watcher w = {0};
    oi_graph *g = optimized(c->name, c->graph, t->stage, oi_cpu_isa_detect(), &w, true);
    expect_ops(c->name, g, c->ops);
    for (size_t k = 0; k < w.counts.n; k++)
        ck_assert_msg(strcmp(w.counts.at[k].rule ? w.counts.at[k].rule->name : w.counts.at[k].pass, c->rule) != 0, "%s: %s changes it", c->name, c->rule);
    oi_graph_destroy(g);
    if (computable(c->graph))
        expect_results(c->name, c->graph);
}

/* The i-th case of all tables. */
static void run_case(int i, size_t (*count)(const case_table *), void (*run)(const case_table *, int))
{
    size_t left = (size_t)i;
    for (size_t t = 0; t < TABLES; left -= count(tables[t++])) {
        if (left < count(tables[t])) {
            run(tables[t], (int)left);
            return;
        }
    }
}

static size_t count_rewrites(const case_table *t)
{
    return t->nrewrite;
}

static size_t count_leaves(const case_table *t)
{
    return t->nleave;
}

static int count_all(size_t (*count)(const case_table *))
{
    size_t n = 0;
    for (size_t t = 0; t < TABLES; t++)
        n += count(tables[t]);
    return (int)n;
}

START_TEST(rewrites_what_it_should)
{
    run_case(_i, count_rewrites, run_rewrites);
}
END_TEST

START_TEST(leaves_what_it_must)
{
    run_case(_i, count_leaves, run_leaves);
}
END_TEST

/* --- every rule has cases ---------------------------------------------------------------------------------------- */

static bool is_left(const char *rule)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < tables[t]->nleave; i++) {
            if (strcmp(tables[t]->leave[i].rule, rule) == 0)
                return true;
        }
    }
    return false;
}

static bool exists(const char *rule)
{
    oi_pass_info p;
    for (size_t i = 0; oi_optimize_pass(i, &p); i++) {
        if (strcmp(p.name, rule) == 0)
            return true;
        for (size_t k = 0; p.rules && k < p.rules->n; k++) {
            if (strcmp(p.rules->rule[k].name, rule) == 0)
                return true;
        }
    }
    return false;
}

static int report(oi_stage stage, const char *pass, const char *name, const char *op, uint64_t changes)
{
    const char *file = stage == OI_STAGE_DECLUTTERED ? "cases_declutter.c" : "cases_lower.c";
    int missing = 0;
    if (!changes) {
        printf("%s: rule '%s'%s%s never changes a graph of the tests: add to `rewrites` in tests/optimizer/%s a graph that it rewrites,\n"
               "    {\"what it does\", \"input x float32 2x3\\n y = Op(x)\\n output y\", \"operators that are left\"},\n",
               pass, name, op ? " on " : "", op ? op : "", file);
        missing++;
    }
    if (!is_left(name)) {
        printf("%s: there is no graph that '%s' must leave: add to `leaves` in tests/optimizer/%s one that nearly matches,\n"
               "    {\"%s\", \"why it stays\", \"input x float32 2x3\\n y = Op(x)\\n output y\", \"operators that are left\"},\n",
               pass, name, file, name);
        missing++;
    }
    return missing;
}

START_TEST(every_rule_has_graphs_of_both_kinds)
{
    static watcher w;
    oi_pass_info p;
    int missing = 0;
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < tables[t]->nrewrite; i++)
            oi_graph_destroy(optimized(tables[t]->rewrite[i].name, tables[t]->rewrite[i].graph, OI_STAGE_LOWERED, oi_cpu_isa_detect(), &w, false));
        for (size_t i = 0; i < tables[t]->nleave; i++)
            ck_assert_msg(exists(tables[t]->leave[i].rule), "%s: there is no rule '%s'", tables[t]->leave[i].name, tables[t]->leave[i].rule);
    }
    for (size_t i = 0; oi_optimize_pass(i, &p); i++) {
        for (size_t k = 0; p.rules && k < p.rules->n; k++)
            missing += report(p.stage, p.name, p.rules->rule[k].name, p.rules->rule[k].op, changes_counted(&w.counts, p.name, &p.rules->rule[k]));
        if (!p.rules)
            missing += report(p.stage, "pass", p.name, NULL, changes_counted(&w.counts, p.name, NULL));
    }
    ck_assert_msg(!missing, "%d graphs are missing, as printed above", missing);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("rules");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, rewrites_what_it_should, 0, count_all(count_rewrites));
    tcase_add_loop_test(t, leaves_what_it_must, 0, count_all(count_leaves));
    tcase_add_test(t, every_rule_has_graphs_of_both_kinds);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
