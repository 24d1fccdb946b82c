/* What must hold of any graph: it computes the same before and after the passes, each alone and all together. */
#include "differential.h"
#include "graph_run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUTS = 16, OPEN = 3 };

typedef struct {
    const char *text;
    uint64_t seed;
    oi_graph *original;
    oi_tensor expected[MAX_OUTPUTS];
    double bound;
    bool tame, sensitivity_known;
    change_counts *counts;
    char *why; /* "" while nothing is wrong */
    size_t cap;
} subject;

static void fail(subject *s, const char *fmt, ...)
{
    va_list args;
    if (s->why[0])
        return;
    va_start(args, fmt);
    vsnprintf(s->why, s->cap, fmt, args);
    va_end(args);
}

static void clear(oi_tensor *t)
{
    for (int i = 0; i < MAX_OUTPUTS; i++)
        oi_tensor_clear(&t[i]);
}

/* --- the float rule ---------------------------------------------------------------------------------------------- */

static char *replaced(const char *text, const char *from, const char *to)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    for (const char *p = text, *at;; p = at + strlen(from)) {
        at = strstr(p, from);
        fprintf(f, "%.*s", at ? (int)(at - p) : (int)strlen(p), p);
        if (!at)
            break;
        fputs(to, f);
    }
    fclose(f);
    return out;
}

/* Where a graph is sensitive, rounding its inputs and all between differently shows too: as much as doubles change, and some more,
 * a rewrite that rounds may change. */
static void allow_for_sensitivity(subject *s)
{
    oi_tensor exact[MAX_OUTPUTS] = {0};
    if (s->sensitivity_known)
        return;
    s->sensitivity_known = true;
    char *doubles = replaced(s->text, "float32", "float64"), *casts = replaced(doubles, "to=1}", "to=11}");
    oi_graph *g = graph_try_text(casts);
    if (g && g->noutput == s->original->noutput && !graph_compute(g, s->seed, OPEN, exact)) {
        for (uint32_t i = 0; i < g->noutput; i++) {
            if (!oi_tensor_same_shape(&exact[i], &s->expected[i]))
                continue;
            const oi_dtype wide = exact[i].dtype;
            double most = 0, size = 1;
            for (int64_t k = 0; k < oi_tensor_count(&exact[i]); k++) {
                double x = oi_elem_get_double(wide, exact[i].data, (size_t)k);
                double y = oi_elem_get_double(s->expected[i].dtype, s->expected[i].data, (size_t)k);
                if (isfinite(x) && isfinite(y) && x != y) {
                    most = fmax(most, fabs(x - y));
                    size = fmax(size, fmax(fabs(x), fabs(y)));
                }
            }
            s->bound = fmax(s->bound, 100 * most / size);
        }
    }
    clear(exact);
    if (g)
        oi_graph_destroy(g);
    free(doubles);
    free(casts);
}

static bool is_finite(const oi_tensor *t)
{
    for (int64_t i = 0; oi_dtype_is_float(t->dtype) && i < oi_tensor_count(t); i++) {
        if (!isfinite(oi_elem_get_double(t->dtype, t->data, (size_t)i)))
            return false;
    }
    return true;
}

/* Codes that are neighbours: the last bit decides between them. */
static bool neighbours(const oi_tensor *a, const oi_tensor *b)
{
    bool near = a->dtype == b->dtype && (a->dtype == ONNX_INFER_UINT8 || a->dtype == ONNX_INFER_INT8) && oi_tensor_same_shape(a, b);
    for (int64_t i = 0; near && i < oi_tensor_count(a); i++)
        near = fabs(oi_elem_get_double(a->dtype, a->data, (size_t)i) - oi_elem_get_double(b->dtype, b->data, (size_t)i)) <= 1;
    return near;
}

static void compare(subject *s, const oi_tensor *want, const oi_tensor *got, bool exact, const char *when, const char *who)
{
    for (uint32_t i = 0; i < s->original->noutput; i++) {
        double differ = tensors_differ(&want[i], &got[i]);
        if (!exact && !s->tame && !is_finite(&s->expected[i]) && want[i].dtype == got[i].dtype && oi_tensor_same_shape(&want[i], &got[i]))
            continue;
        if (!exact && strstr(s->text, "Quantize") && neighbours(&want[i], &got[i]))
            continue;
        if (exact ? tensors_equal(&want[i], &got[i]) : differ < s->bound)
            continue;
        if (!exact)
            allow_for_sensitivity(s);
        if (exact || !(differ < s->bound))
            fail(s, "%s%s: output %u differs by %g%s", when, who, i, differ, exact ? ", and not a bit may" : "");
    }
}

static bool computes(subject *s, oi_graph *g, oi_tensor *out, const char *when, const char *who)
{
    memset(out, 0, MAX_OUTPUTS * sizeof *out);
    oi_status status = graph_compute(g, s->seed, OPEN, out);
    if (status)
        fail(s, "%s%s: %s", when, who, oi_error_current()->message);
    return !status;
}

/* --- change by change -------------------------------------------------------------------------------------------- */

typedef struct {
    subject *s;
    oi_graph *g;
    const char *when;
    oi_tensor last[MAX_OUTPUTS];
    uint64_t changes; /* of any but "lower" */
} watcher;

static void step_seen(void *user, const char *pass, const oi_rule *rule)
{
    watcher *w = user;
    oi_tensor now[MAX_OUTPUTS];
    const char *who = rule ? rule->name : pass;
    if (w->s->counts)
        changes_count(w->s->counts, pass, rule);
    if (w->s->why[0] || !computes(w->s, w->g, now, w->when, who))
        return;
    compare(w->s, w->last, now, !changes_round(pass, rule), w->when, who);
    clear(w->last);
    memcpy(w->last, now, sizeof now);
}

static void only_counted(void *user, const char *pass, const oi_rule *rule)
{
    watcher *w = user;
    w->changes += strcmp(rule ? rule->name : pass, "lower") != 0;
}

static oi_graph *clone(subject *s, const oi_graph *g)
{
    oi_graph *copy = NULL;
    if (oi_graph_clone(NULL, g, NULL, &copy))
        fail(s, "clone: %s", oi_error_current()->message);
    return copy;
}

static bool optimize(subject *s, oi_graph *g, oi_stage to, oi_cpu_isa isa, oi_watch watch, const char *when, const char *who)
{
    const oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_optimize_options o = {.strict = true, .watch = watch};
    oi_status status = oi_optimize_with(g, to, &target, &o);
    if (status)
        fail(s, "%s%s: %s", when, who, oi_error_current()->message);
    return !status;
}

static void step_by_step(subject *s)
{
    watcher w = {.s = s, .g = clone(s, s->original), .when = "after "};
    for (uint32_t i = 0; i < s->original->noutput; i++)
        oi_tensor_share(&w.last[i], &s->expected[i]);
    if (w.g)
        optimize(s, w.g, OI_STAGE_LOWERED, oi_cpu_isa_detect(), (oi_watch){.changed = step_seen, .user = &w}, "all passes", "");
    clear(w.last);
    oi_graph_destroy(w.g);
}

/* --- alone, and all together ------------------------------------------------------------------------------------- */

static void alone(subject *s, oi_stage stage, const char *name, bool exact)
{
    watcher w = {.s = s, .g = clone(s, s->original)};
    oi_tensor got[MAX_OUTPUTS];
    if (w.g && optimize(s, w.g, stage, oi_cpu_isa_detect(), (oi_watch){.only = name, .changed = only_counted, .user = &w}, "alone: ", name) &&
        w.changes && computes(s, w.g, got, "alone: ", name)) {
        compare(s, s->expected, got, exact && stage == OI_STAGE_DECLUTTERED, "alone: ", name); /* lowering rounds */
        clear(got);
    }
    oi_graph_destroy(w.g);
}

/* Rules of a name that all keep every bit. */
static bool name_is_exact(const oi_rules *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->rule[i].name, name) == 0 && r->rule[i].rounding == OI_ROUNDS)
            return false;
    }
    return true;
}

static bool named_before(const oi_rules *r, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(r->rule[k].name, r->rule[i].name) == 0)
            return true;
    }
    return false;
}

static void each_alone(subject *s)
{
    oi_pass_info p;
    for (size_t i = 0; oi_optimize_pass(i, &p) && !s->why[0]; i++) {
        if (!p.rules)
            alone(s, p.stage, p.name, p.rounding == OI_EXACT);
        for (size_t k = 0; p.rules && k < p.rules->n && !s->why[0]; k++) {
            if (!named_before(p.rules, k))
                alone(s, p.stage, p.rules->rule[k].name, name_is_exact(p.rules, p.rules->rule[k].name));
        }
    }
}

static void exact_ones(subject *s)
{
    oi_graph *g = clone(s, s->original);
    for (oi_stage to = OI_STAGE_DECLUTTERED; g && to <= OI_STAGE_LOWERED; to++) {
        oi_tensor got[MAX_OUTPUTS];
        if (!optimize(s, g, to, oi_cpu_isa_detect(), (oi_watch){.exact = true}, "exact rules", "") ||
            !computes(s, g, got, "exact rules", ""))
            break;
        compare(s, s->expected, got, true, "exact rules", "");
        clear(got);
    }
    oi_graph_destroy(g);
}

static void pipeline(subject *s)
{
    oi_tensor got[MAX_OUTPUTS] = {0};
    oi_graph *g = clone(s, s->original);
    if (graph_run(s->original, oi_cpu_isa_detect(), s->seed, OPEN, got, NULL))
        fail(s, "planned: %s", oi_error_current()->message);
    else
        compare(s, s->expected, got, false, "planned", "");
    clear(got);
    if (!g || !optimize(s, g, OI_STAGE_DECLUTTERED, OI_ISA_GENERIC, (oi_watch){0}, "decluttered", ""))
        return;
    for (oi_cpu_isa isa = 0; isa < OI_ISA_COUNT && !s->why[0]; isa++) {
        if (!oi_cpu_isa_available(isa) || oi_kernels_for(isa)->isa != isa)
            continue;
        oi_graph *lowered = clone(s, g);
        if (lowered && optimize(s, lowered, OI_STAGE_LOWERED, isa, (oi_watch){0}, "lowered for ", oi_cpu_isa_name(isa)) &&
            computes(s, lowered, got, "lowered for ", oi_cpu_isa_name(isa))) {
            compare(s, s->expected, got, false, "lowered for ", oi_cpu_isa_name(isa));
            clear(got);
        }
        oi_graph_destroy(lowered);
    }
    oi_graph_destroy(g);
}

bool differential_holds(const char *text, uint64_t seed, bool tame, change_counts *counts, char *why, size_t cap)
{
    subject s = {.text = text, .seed = seed, .original = graph_from_text(text), .tame = tame, .counts = counts, .why = why, .cap = cap};
    s.bound = strstr(text, "Quantize") ? 0.1 : 2e-4; /* the last bit decides between two codes */
    why[0] = 0;
    if (s.original->noutput <= MAX_OUTPUTS && computes(&s, s.original, s.expected, "as it is", "")) {
        step_by_step(&s);
        if (!why[0])
            pipeline(&s);
        if (!why[0])
            exact_ones(&s);
        if (!why[0])
            each_alone(&s);
    }
    clear(s.expected);
    oi_graph_destroy(s.original);
    return !why[0];
}

int counts_report_missing(const change_counts *c)
{
    oi_pass_info p;
    int missing = 0;
    for (size_t i = 0; oi_optimize_pass(i, &p); i++) {
        for (size_t k = 0; p.rules && k < p.rules->n; k++) {
            const oi_rule *r = &p.rules->rule[k];
            if (changes_counted(c, p.name, r))
                continue;
            printf("no random graph was changed by rule '%s'%s%s (%s)\n", r->name, r->op ? " on " : "", r->op ? r->op : "", p.name);
            missing++;
        }
        if (!p.rules && !changes_counted(c, p.name, NULL)) {
            printf("no random graph was changed by pass '%s'\n", p.name);
            missing++;
        }
    }
    return missing;
}
