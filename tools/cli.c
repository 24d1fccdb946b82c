/* The command line: one table of options for all commands. */
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FLAG, TEXT, PAIR, INTEGER, THREADS, LEVEL, NUMBER } option_type;

typedef struct {
    const char *name, *value, *help;
    option_type type;
    unsigned group;
    size_t offset;
} option;

#define AT(field) offsetof(tool_args, field)

static const option OPTIONS[] = {
    {"--input", "NAME=FILE",
     "an input: .npy, .pb (TensorProto, SequenceProto, ...) or raw bytes; others are drawn", PAIR,
     TOOL_RUN_OPTIONS, AT(input)},
    {"--seed", "N", "of the inputs that are drawn: floats normal(0,1), integers 1, bool true [0]", INTEGER,
     TOOL_RUN_OPTIONS, AT(seed)},
    {"--dim", "SYMBOL=N", "fixes a dimension that the model names", PAIR, TOOL_RUN_OPTIONS | TOOL_SHAPES, AT(dim)},
    {"--shape", "INPUT=1x3x48x320", "fixes an input's shape", PAIR, TOOL_RUN_OPTIONS | TOOL_SHAPES, AT(shape)},
    {"--timeout", "S", "ends a run after S seconds with the deadline status", NUMBER, TOOL_RUN_OPTIONS,
     AT(timeout)},
    {"--threads", "N", "threads of a run; 0: all CPUs that this process may use [0]", THREADS, TOOL_MACHINE,
     AT(threads)},
    {"--isa", "NAME", "caps the instruction set: generic, sse2, avx2, avx512, neon", TEXT, TOOL_MACHINE,
     AT(isa)},
    {"--backend", "NAME", "where it runs: cpu", TEXT, TOOL_MACHINE, AT(backend)},
    {"--cache", "DIR", "a folder that keeps plans for the next start", TEXT, TOOL_MACHINE, AT(cache)},
    {"--stage", "S", "how far the graph is taken: imported, typed, decluttered, lowered", TEXT, TOOL_STAGE,
     AT(stage)},
    {"--level", "N", "the same as a number: 0 imported or typed, 1 decluttered, 2 lowered [2]", LEVEL,
     TOOL_STAGE | TOOL_LEVEL, AT(stage)},
    {"--stop-after", "N", "lets the optimizer make N changes to a graph and no more; see bisect", INTEGER, TOOL_STAGE,
     AT(stop_after)},
    {"--verbose", NULL, "prints what the optimizer changes, with the changes' numbers", FLAG, TOOL_STAGE, AT(verbose)},
    {"--save", "DIR", "writes the outputs as DIR/output_K.npy, .pb where .npy cannot hold them", TEXT,
     TOOL_SAVE, AT(save)},
    {"--graph", "FILE", "writes the graph at the stage: FILE.txt, .dot, .json or .svg", TEXT, TOOL_GRAPH,
     AT(graph)},
    {"--rtol", "R", "relative tolerance [case.json, or 1e-3]", NUMBER, TOOL_TOLERANCE, AT(rtol)},
    {"--atol", "A", "absolute tolerance [case.json, or 1e-7]", NUMBER, TOOL_TOLERANCE, AT(atol)},
    {"--reload", NULL, "runs what the simplified model gives when it is saved as ONNX and loaded again", FLAG,
     TOOL_RELOAD, AT(reload)},
    {"--exact", NULL, "decluttered by what keeps every bit only, against the reference evaluators, bit by bit", FLAG,
     TOOL_RELOAD, AT(exact)},
    {"--seconds", "S", "how long to measure [2]", NUMBER, TOOL_BENCH, AT(seconds)},
    {"--profile", NULL, "a line a step: time, share, GFLOP/s, kernel", FLAG, TOOL_BENCH, AT(profile)},
    {"--json", NULL, "prints JSON", FLAG, TOOL_JSON, AT(json)},
    {"--help", NULL, "prints this", FLAG, ~0u, AT(help)},
};

void tool_print_options(FILE *f, unsigned accepts)
{
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        const option *o = &OPTIONS[i];
        char left[64];
        if (!(o->group & accepts) && o->group != ~0u)
            continue;
        snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(f, "  %-28s %s\n", left, o->help);
    }
}

static oi_status add_pair(tool_pairs *pairs, const option *o, const char *text)
{
    /* names may hold '=', and so may files: the value of --input begins at the first, a number's at the last */
    const char *cut = !strcmp(o->name, "--input") ? strchr(text, '=') : strrchr(text, '=');
    OI_FAIL_IF(!cut || cut == text || !cut[1], ONNX_INFER_E_INVALID_ARGUMENT, "%s takes %s, not '%s'",
               o->name, o->value, text);
    tool_pair *at = oi_realloc_mem(NULL, pairs->at, (pairs->n + 1) * sizeof *at);
    if (!at)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    pairs->at = at;
    char *name = oi_alloc_text(NULL, text, strlen(text));
    if (!name)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    name[cut - text] = '\0';
    at[pairs->n++] = (tool_pair){.name = name, .value = name + (cut - text) + 1};
    return ONNX_INFER_OK;
}

static oi_status set(tool_args *args, const option *o, const char *text)
{
    char *field = (char *)args + o->offset, *end = NULL;
    errno = 0;
    switch (o->type) {
    case FLAG:
        *(bool *)field = true;
        return ONNX_INFER_OK;
    case TEXT:
        *(const char **)field = text;
        return ONNX_INFER_OK;
    case PAIR:
        return add_pair((tool_pairs *)field, o, text);
    case INTEGER:
        *(uint64_t *)field = strtoull(text, &end, 10);
        OI_FAIL_IF(errno || end == text || *end || *text == '-', ONNX_INFER_E_INVALID_ARGUMENT,
                   "%s takes a whole number, not '%s'", o->name, text);
        return ONNX_INFER_OK;
    case THREADS:
    case LEVEL: {
        long n = strtol(text, &end, 10), most = o->type == LEVEL ? 2 : 4096;
        OI_FAIL_IF(errno || end == text || *end || n < 0 || n > most, ONNX_INFER_E_INVALID_ARGUMENT,
                   "%s takes a number from 0 to %ld, not '%s'", o->name, most, text);
        if (o->type == LEVEL)
            *(const char **)field = n == 0 ? "typed" : n == 1 ? "decluttered" : "lowered";
        else
            *(int32_t *)field = (int32_t)n;
        return ONNX_INFER_OK;
    }
    case NUMBER: {
        double v = strtod(text, &end);
        OI_FAIL_IF(end == text || *end || !(v >= 0) || !isfinite(v), ONNX_INFER_E_INVALID_ARGUMENT,
                   "%s takes a number that is not negative, not '%s'", o->name, text);
        *(double *)field = v;
        return ONNX_INFER_OK;
    }
    }
    return ONNX_INFER_OK;
}

static const option *find(const char *name, size_t n, unsigned accepts)
{
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
        if (strlen(OPTIONS[i].name) == n && !memcmp(OPTIONS[i].name, name, n) &&
            (OPTIONS[i].group == ~0u || OPTIONS[i].group & accepts))
            return &OPTIONS[i];
    return NULL;
}

oi_status tool_args_read(int argc, char **argv, unsigned accepts, tool_args *args)
{
    *args = (tool_args){.rtol = -1, .atol = -1, .seconds = 2, .level = 2};
    args->path = oi_alloc_array(NULL, (size_t)argc + 1, sizeof *args->path);
    if (!args->path)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strncmp(word, "--", 2)) {
            args->path[args->npath++] = word;
            continue;
        }
        const char *cut = strchr(word, '=');
        const option *o = find(word, cut ? (size_t)(cut - word) : strlen(word), accepts);
        OI_FAIL_IF(!o, ONNX_INFER_E_INVALID_ARGUMENT,
                   "unknown option '%s'; --help lists those that there are", word);
        OI_FAIL_IF(o->type == FLAG && cut, ONNX_INFER_E_INVALID_ARGUMENT, "%s takes no value", o->name);
        const char *text = NULL;
        if (o->type != FLAG) {
            text = cut ? cut + 1 : i + 1 < argc ? argv[++i] : NULL;
            OI_FAIL_IF(!text, ONNX_INFER_E_INVALID_ARGUMENT, "%s needs a value: %s", o->name, o->value);
        }
        OI_TRY(set(args, o, text));
    }
    if (args->stage)
        OI_TRY(tool_stage_level(args->stage, &args->level));
    return ONNX_INFER_OK;
}

static void clear_pairs(tool_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        oi_free_mem(NULL, pairs->at[i].name);
    oi_free_mem(NULL, pairs->at);
}

void tool_args_clear(tool_args *args)
{
    clear_pairs(&args->input);
    clear_pairs(&args->dim);
    clear_pairs(&args->shape);
    oi_free_mem(NULL, args->path);
}

oi_status tool_stage_level(const char *stage, int32_t *level)
{
    static const struct {
        const char *name;
        int32_t level;
    } stages[] = {{"imported", 0}, {"typed", 0}, {"decluttered", 1}, {"lowered", 2}, {"placed", 2}};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (!strcmp(stages[i].name, stage)) {
            *level = stages[i].level;
            return ONNX_INFER_OK;
        }
    return oi_fail(ONNX_INFER_E_INVALID_ARGUMENT,
                   "no stage '%s'; there are imported, typed, decluttered and lowered", stage);
}

oi_status tool_parse_shape(const char *text, int32_t *rank, int64_t *dims)
{
    *rank = 0;
    if (!*text || !strcmp(text, "scalar"))
        return ONNX_INFER_OK;
    for (const char *p = text;;) {
        char *end;
        errno = 0;
        long long n = strtoll(p, &end, 10);
        OI_FAIL_IF(errno || end == p || n < 0 || (*end && *end != 'x' && *end != ','),
                   ONNX_INFER_E_INVALID_ARGUMENT, "'%s' is no shape; write it like 1x3x224x224", text);
        OI_FAIL_IF(*rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "shape '%s' has more than %d dimensions", text,
                   OI_MAX_RANK);
        dims[(*rank)++] = n;
        if (!*end)
            return ONNX_INFER_OK;
        p = end + 1;
    }
}
