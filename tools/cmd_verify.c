/* onnx-infer verify: directories in the ONNX test layout. */
#include "tool.h"

#include "onnx/model_file.h"
#include "onnx/value_file.h"
#include "ops/op.h"
#include "runtime/options.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 6, PATH_BYTES = 4096 };

typedef struct {
    const tool_args *args;
    onnx_infer_options *options, *reference; /* reference: only with --exact */
    size_t passed, failed;
    double shown; /* when progress was last shown */
} verifier;

typedef struct {
    const char *dir;
    double rtol, atol;
    onnx_infer_model *model;
    onnx_infer_context *context, *reference; /* reference: of what the outputs are held against; NULL: files */
    char why[1024]; /* of the first failure; "" while there is none */
} test_case;

static bool is_file(const char *path)
{
    struct stat s;
    return !stat(path, &s) && S_ISREG(s.st_mode);
}

/* The number behind "key" in the few words of a case.json; `fallback` where it is not there. */
static double number_in(const char *text, const char *key, double fallback)
{
    const char *p = strstr(text, key);
    p = p ? strchr(p, ':') : NULL;
    if (!p)
        return fallback;
    char *end;
    double v = strtod(p + 1, &end);
    return end == p + 1 ? fallback : v;
}

static void read_tolerances(test_case *t)
{
    char path[PATH_BYTES], text[1024];
    snprintf(path, sizeof path, "%s/case.json", t->dir);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    t->rtol = number_in(text, "\"rtol\"", t->rtol);
    t->atol = number_in(text, "\"atol\"", t->atol);
}

static bool graph_is_random(const oi_graph *g);

static bool node_is_random(const oi_node *n)
{
    if (n->op->flags & OI_OP_RANDOM)
        return true;
    for (uint32_t i = 0; i < n->nsub; i++)
        if (graph_is_random(n->sub[i].graph))
            return true;
    return false;
}

static bool graph_is_random(const oi_graph *g)
{
    for (uint32_t i = 0; i < g->nnode; i++)
        if (g->node[i].op && node_is_random(&g->node[i]))
            return true;
    return false;
}

/* Whether a random operator is among the nodes that v depends on. `seen` and `todo` have a place for each value. */
static bool is_random(const oi_graph *g, oi_value_id v, uint8_t *seen, oi_value_id *todo)
{
    size_t n = 0;
    for (todo[n++] = v; n;) {
        oi_node_id def = g->value[todo[--n]].def;
        const oi_node *node = def == OI_NONE ? NULL : &g->node[def];
        if (!node || !node->op)
            continue;
        if (node_is_random(node))
            return true;
        for (uint32_t i = 0; i < node->nin; i++)
            if (node->in[i] != OI_NONE && !seen[node->in[i]]) {
                seen[node->in[i]] = 1;
                todo[n++] = node->in[i];
            }
    }
    return false;
}

static bool output_is_random(const char *path, size_t index)
{
    oi_onnx_model *m = NULL;
    const oi_onnx_options o = {0};
    if (oi_onnx_load_file(path, &o, &m))
        return false;
    uint8_t *seen = oi_alloc_mem(NULL, m->graph->nvalue + (size_t)1);
    oi_value_id *todo = oi_alloc_array(NULL, m->graph->nvalue + (size_t)1, sizeof *todo);
    bool random = seen && todo && index < m->graph->noutput && is_random(m->graph, m->graph->output[index], seen, todo);
    oi_free_mem(NULL, seen);
    oi_free_mem(NULL, todo);
    oi_onnx_free(m);
    return random;
}

static void compare_output(test_case *t, size_t set, size_t k, const onnx_infer_value *got,
                           const onnx_infer_value *expected)
{
    char why[512], path[PATH_BYTES];
    const char *name = onnx_infer_port_name(onnx_infer_model_output(t->model, k));
    if (!tool_compare(got, expected, t->rtol, t->atol, why, sizeof why))
        return;
    snprintf(path, sizeof path, "%s/model.onnx", t->dir);
    if (output_is_random(path, k) && !tool_compare_random(got, expected, why, sizeof why))
        return;
    snprintf(t->why, sizeof t->why, "data set %zu: output %zu '%s' %s", set, k, name, why);
}

/* input_K.pb is for the model's K-th input; where there are only as many files as inputs without an initializer, for the
 * K-th of those. */
static oi_status read_inputs(const test_case *t, size_t set, size_t nin, onnx_infer_value **in)
{
    char path[PATH_BYTES];
    size_t files = 0, required = 0;
    for (size_t i = 0; i < nin; i++) {
        snprintf(path, sizeof path, "%s/test_data_set_%zu/input_%zu.pb", t->dir, set, i);
        files += is_file(path);
        required += !onnx_infer_port_is_optional(onnx_infer_model_input(t->model, i));
    }
    for (size_t i = 0, k = 0; i < nin; i++) {
        const onnx_infer_port *port = onnx_infer_model_input(t->model, i);
        if (files <= required && onnx_infer_port_is_optional(port))
            continue;
        snprintf(path, sizeof path, "%s/test_data_set_%zu/input_%zu.pb", t->dir, set, k++);
        if (is_file(path))
            OI_TRY(oi_onnx_read_value(NULL, path, onnx_infer_port_kind(port), &in[i]));
    }
    return ONNX_INFER_OK;
}

/* Against what the reference evaluators make of the same inputs. */
static oi_status compare_exactly(test_case *t, size_t set, size_t nin, onnx_infer_value **in, size_t nout,
                                 onnx_infer_value **out)
{
    char path[PATH_BYTES], why[512];
    onnx_infer_value **expected = oi_alloc_array(NULL, nout + 1, sizeof(onnx_infer_value *));
    if (!expected)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = onnx_infer_run(t->reference, NULL, nin, (const onnx_infer_value *const *)in, nout, expected);
    snprintf(path, sizeof path, "%s/model.onnx", t->dir);
    for (size_t k = 0; k < nout && !status; k++) {
        if (tool_compare(out[k], expected[k], 0, 0, why, sizeof why) && !output_is_random(path, k))
            snprintf(t->why, sizeof t->why, "data set %zu: output %zu is not exact: %s", set, k, why);
    }
    for (size_t k = 0; k < nout; k++)
        onnx_infer_value_release(expected[k]);
    oi_free_mem(NULL, expected);
    return status;
}

static oi_status run_set(test_case *t, size_t set, size_t nin, onnx_infer_value **in, size_t nout,
                         onnx_infer_value **out)
{
    char path[PATH_BYTES];
    OI_TRY(read_inputs(t, set, nin, in));
    OI_TRY(onnx_infer_run(t->context, NULL, nin, (const onnx_infer_value *const *)in, nout, out));
    if (t->reference)
        return compare_exactly(t, set, nin, in, nout, out);
    size_t compared = 0;
    for (size_t k = 0; k < nout && !t->why[0]; k++) {
        onnx_infer_value *expected = NULL;
        snprintf(path, sizeof path, "%s/test_data_set_%zu/output_%zu.pb", t->dir, set, k);
        if (!is_file(path))
            continue;
        OI_TRY(oi_onnx_read_value(NULL, path, onnx_infer_port_kind(onnx_infer_model_output(t->model, k)),
                                  &expected));
        compare_output(t, set, k, out[k], expected);
        onnx_infer_value_release(expected);
        compared++;
    }
    OI_FAIL_IF(!compared, ONNX_INFER_E_NOT_FOUND, "there is no expected output in it");
    return ONNX_INFER_OK;
}

static oi_status check_set(test_case *t, size_t set)
{
    size_t nin = onnx_infer_model_input_count(t->model), nout = onnx_infer_model_output_count(t->model);
    onnx_infer_value **v = oi_alloc_array(NULL, nin + nout + 1, sizeof(onnx_infer_value *));
    if (!v)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = run_set(t, set, nin, v, nout, v + nin);
    for (size_t i = 0; i < nin + nout; i++)
        onnx_infer_value_release(v[i]);
    oi_free_mem(NULL, v);
    return status ? oi_error_prefix("data set %zu: ", set) : ONNX_INFER_OK;
}

static int append(void *user, const void *p, size_t n)
{
    return fwrite(p, 1, n, user) == n ? 0 : -1;
}

/* Puts in place of the model what it gives when it is written as ONNX and loaded again. */
static oi_status reload(const verifier *v, test_case *t)
{
    char *bytes = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&bytes, &n);
    OI_FAIL_IF(!f, ONNX_INFER_E_OUT_OF_MEMORY, "no memory for the saved model");
    const onnx_infer_writer w = {sizeof w, f, append};
    onnx_infer_model *again = NULL;
    oi_status status = onnx_infer_model_save_onnx(t->model, v->options, &w, NULL, NULL);
    fclose(f);
    if (status)
        oi_error_prefix("saving: ");
    if (!status && (status = onnx_infer_model_load_memory(bytes, n, NULL, NULL, v->options, &again)))
        oi_error_prefix("loading what was saved: ");
    free(bytes);
    OI_TRY(status);
    onnx_infer_model_release(t->model);
    t->model = again;
    return ONNX_INFER_OK;
}

static oi_status check_case(const verifier *v, test_case *t)
{
    char path[PATH_BYTES];
    onnx_infer_plan *plan = NULL;
    snprintf(path, sizeof path, "%s/model.onnx", t->dir);
    OI_TRY(onnx_infer_model_load_file(path, v->options, &t->model));
    if (v->args->reload)
        OI_TRY(reload(v, t));
    OI_TRY(onnx_infer_plan_create(t->model, v->options, &plan));
    oi_status status = onnx_infer_context_create(plan, &t->context);
    onnx_infer_plan_release(plan);
    OI_TRY(status);
    if (v->reference) {
        OI_TRY(onnx_infer_plan_create(t->model, v->reference, &plan));
        status = onnx_infer_context_create(plan, &t->reference);
        onnx_infer_plan_release(plan);
        OI_TRY(status);
    }
    size_t set = 0;
    for (;; set++) {
        struct stat s;
        snprintf(path, sizeof path, "%s/test_data_set_%zu", t->dir, set);
        if (t->why[0] || stat(path, &s) || !S_ISDIR(s.st_mode))
            break;
        OI_TRY(check_set(t, set));
    }
    OI_FAIL_IF(!set, ONNX_INFER_E_NOT_FOUND, "there is no test_data_set_0 in it");
    return ONNX_INFER_OK;
}

static void verify_case(verifier *v, const char *dir)
{
    test_case t = {.dir = dir, .rtol = 1e-3, .atol = 1e-7};
    double now = tool_now_ms();
    if (now - v->shown > 200) {
        tool_progress("%zu passed, %zu failed; %s", v->passed, v->failed, dir);
        v->shown = now;
    }
    read_tolerances(&t);
    t.rtol = v->args->rtol >= 0 ? v->args->rtol : t.rtol;
    t.atol = v->args->atol >= 0 ? v->args->atol : t.atol;
    oi_status status = check_case(v, &t);
    if (status)
        snprintf(t.why, sizeof t.why, "%s (%s)", onnx_infer_error_message(onnx_infer_last_error()),
                 onnx_infer_status_name(status));
    if (t.why[0]) {
        v->failed++;
        tool_progress("%s", "");
        printf("FAIL %s: %s\n", dir, t.why);
    } else {
        v->passed++;
    }
    onnx_infer_context_free(t.context);
    onnx_infer_context_free(t.reference);
    onnx_infer_model_release(t.model);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* A directory with a model, or a folder of such directories. */
static oi_status visit(verifier *v, const char *dir, int depth)
{
    char path[PATH_BYTES];
    struct stat s;
    OI_FAIL_IF((size_t)snprintf(path, sizeof path, "%s/model.onnx", dir) >= sizeof path - 64, ONNX_INFER_E_IO,
               "%s: the path is too long", dir);
    OI_FAIL_IF(stat(dir, &s) || !S_ISDIR(s.st_mode), ONNX_INFER_E_IO, "%s is no directory", dir);
    if (is_file(path)) {
        verify_case(v, dir);
        return ONNX_INFER_OK;
    }
    struct dirent **entry = NULL;
    int n = depth < MAX_DEPTH ? scandir(dir, &entry, NULL, by_name) : 0;
    oi_status status = n < 0 ? oi_fail(ONNX_INFER_E_IO, "%s cannot be read", dir) : ONNX_INFER_OK;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        if (!status && name[0] != '.' && strncmp(name, "test_data_set_", 14)) {
            snprintf(path, sizeof path, "%s/%s", dir, name);
            if (!stat(path, &s) && S_ISDIR(s.st_mode))
                status = visit(v, path, depth + 1);
        }
        free(entry[i]);
    }
    free(entry);
    return status;
}

static int verify(const tool_args *args)
{
    verifier v = {.args = args, .shown = tool_now_ms()};
    oi_status status = tool_options(args, &v.options);
    if (!status && args->exact) {
        v.options->exact = true;
        status = onnx_infer_options_set_level(v.options, 1);
        if (!status)
            status = tool_options(args, &v.reference);
        if (!status)
            status = onnx_infer_options_set_level(v.reference, 0);
    }
    for (size_t i = 0; i < args->npath && !status; i++)
        status = visit(&v, args->path[i], 0);
    tool_progress("%s", "");
    onnx_infer_options_free(v.options);
    onnx_infer_options_free(v.reference);
    if (!status && !v.passed && !v.failed)
        status = oi_fail(ONNX_INFER_E_NOT_FOUND, "no directory with a model.onnx was found");
    if (status)
        return tool_complain(NULL);
    printf("%zu passed, %zu failed\n", v.passed, v.failed);
    if (!v.failed)
        return 0;
    fflush(stdout);
    fprintf(stderr, "onnx-infer: %zu of %zu directories failed to verify\n", v.failed, v.passed + v.failed);
    return EXIT_VERIFY_FAILED;
}

int tool_verify(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_MACHINE | TOOL_STAGE | TOOL_TOLERANCE | TOOL_RELOAD };
    tool_args args;
    int code = 0;
    if (tool_args_read(argc, argv, ACCEPTS, &args)) {
        code = tool_complain(NULL);
    } else if (args.help) {
        printf("usage: onnx-infer verify DIR... [OPTION]...\n\n"
               "Runs directories in the ONNX test layout (model.onnx, test_data_set_N/{input,output}_K.pb), "
               "or folders of such\n"
               "directories, and compares the outputs. A case.json beside the model may give \"rtol\" and "
               "\"atol\". Prints a line for\n"
               "each directory that fails; the last line is `N passed, M failed`.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else if (!args.npath) {
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "verify takes directories; see onnx-infer verify --help");
        code = tool_complain(NULL);
    } else {
        code = verify(&args);
    }
    tool_args_clear(&args);
    return code;
}
