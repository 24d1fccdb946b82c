/* Small graphs for tests: from text, evaluated, compared. */
#include "graph_text.h"

#include "ops/infer.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf *on_wrong_graph; /* NULL: the program ends */

/* Also outside of libcheck: a wrong graph in a test's text ends the program. */
static void require(bool good, const char *what)
{
    if (good)
        return;
    if (on_wrong_graph)
        longjmp(*on_wrong_graph, 1);
    fprintf(stderr, "%s: %s\n", what, oi_error_current()->message);
    abort();
}

uint64_t next_random(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

oi_tensor tensor_random(uint64_t *seed, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    oi_tensor t;
    require(!oi_tensor_create(NULL, dtype, rank, dims, &t), "building a graph");
    for (int64_t i = 0; i < oi_tensor_count(&t); i++) {
        uint64_t r = next_random(seed);
        if (oi_dtype_is_float(dtype))
            oi_elem_set_double(dtype, t.data, (size_t)i, (double)(r >> 11) / 4503599627370496.0 - 1);
        else
            oi_elem_set_int(dtype, t.data, (size_t)i, dtype == ONNX_INFER_BOOL ? (int64_t)(r & 1) : (int64_t)(r & 3));
    }
    return t;
}

static char *word(char **p)
{
    *p += strspn(*p, " ");
    char *start = *p;
    *p += strcspn(*p, " ");
    if (**p)
        *(*p)++ = 0;
    return start;
}

static oi_dtype dtype_named(const char *name)
{
    for (oi_dtype t = 1; t < OI_DTYPE_COUNT; t++) {
        if (strcmp(oi_dtype_name(t), name) == 0)
            return t;
    }
    require(false, name);
    return ONNX_INFER_UNDEFINED;
}

static int32_t read_dims(oi_graph *g, const char *text, oi_dim *dims)
{
    int32_t rank = 0;
    if (strcmp(text, "scalar") == 0)
        return 0;
    while (*text) {
        char name[32];
        size_t n = 0;
        if (isdigit((unsigned char)*text)) {
            dims[rank++] = strtoll(text, (char **)&text, 10);
        } else {
            while (*text && *text != 'x')
                name[n++] = *text++;
            name[n] = 0;
            dims[rank++] = oi_dim_symbol(g->syms, name);
        }
        text += *text == 'x';
    }
    return rank;
}

static oi_value_id value_named(oi_graph *g, const char *name)
{
    oi_value_id v = oi_graph_find_value(g, name);
    if (v == OI_NONE)
        require(!oi_graph_add_value(g, name, &v), "building a graph");
    return v;
}

static void read_const(oi_graph *g, char *p, uint64_t *seed)
{
    const char *name = word(&p);
    oi_dtype dtype = dtype_named(word(&p));
    oi_dim dims[OI_MAX_RANK];
    int32_t rank = read_dims(g, word(&p), dims);
    oi_tensor t = tensor_random(seed, dtype, rank, dims);
    oi_value_id v;
    if (strcmp(word(&p), "=") == 0) {
        double last = 0;
        for (int64_t i = 0; i < oi_tensor_count(&t); i++) {
            char *w = word(&p);
            last = *w ? strtod(w, NULL) : last;
            oi_elem_set_double(dtype, t.data, (size_t)i, last);
        }
    }
    require(!oi_graph_add_const(g, name, &t, &v), "building a graph");
}

static uint32_t read_names(oi_graph *g, char *list, oi_value_id *out)
{
    uint32_t n = 0;
    for (char *name = strtok(list, ", "); name; name = strtok(NULL, ", "))
        out[n++] = strcmp(name, "_") == 0 ? OI_NONE : value_named(g, name);
    return n;
}

enum { MAX_SUBS = 32, MAX_DEPTH = 6, MAX_ARGS = 96 };

/* A graph that is being read; of a subgraph also what it is called, and what it captures of the graph around it. */
typedef struct {
    oi_graph *g;
    char name[32];
    oi_value_id capture[MAX_ARGS];
    char captured[MAX_ARGS][32];
    uint32_t ncapture;
    bool captures_done; /* they are inputs behind the formal ones */
} reading;

typedef struct {
    reading at[MAX_DEPTH], sub[MAX_SUBS]; /* sub: complete, not yet part of a node */
    uint32_t depth, nsub;
    uint64_t seed;
} reader;

static reading *sub_named(reader *r, const char *name)
{
    for (uint32_t i = r->nsub; i-- > 0;) {
        if (strcmp(r->sub[i].name, name) == 0)
            return &r->sub[i];
    }
    require(false, name);
    return NULL;
}

/* "<then_branch=a, else_branch=b>": the captures become inputs of the node. */
static uint32_t read_subs(reader *r, char *text, oi_sub *sub, uint32_t *nin, oi_value_id *in)
{
    static const char *const names[] = {"then_branch", "else_branch", "body"}; /* they outlive the graph */
    static uint32_t captures[MAX_SUBS][MAX_ARGS];
    uint32_t n = 0;
    for (char *word = strtok(text, "<>, "); word; word = strtok(NULL, "<>, ")) {
        char *equals = strchr(word, '=');
        const char *name = NULL;
        require(equals && n < MAX_SUBS, word);
        *equals = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            name = strcmp(names[i], word) ? name : names[i];
        require(name != NULL, word);
        const reading *s = sub_named(r, equals + 1);
        sub[n] = (oi_sub){name, s->g, captures[n], s->ncapture};
        for (uint32_t i = 0; i < s->ncapture; i++) {
            captures[n][i] = *nin;
            in[(*nin)++] = s->capture[i];
        }
        n++;
    }
    return n;
}

static void read_node(reader *r, char *line)
{
    oi_graph *g = r->at[r->depth].g;
    oi_value_id in[MAX_ARGS * 2 + 16], out[16];
    oi_sub sub[MAX_SUBS];
    char *equals = strstr(line, " = "), *open = strchr(equals, '('), *close = strchr(open, ')'), *subs = strchr(close, '<');
    require(equals && open && close, line);
    *equals = *open = *close = 0;
    if (subs)
        *subs++ = 0;
    const oi_op *op = oi_op_find("", equals + 3);
    op = op ? op : oi_op_find("onnx_infer", equals + 3);
    op = op ? op : oi_op_find("com.microsoft", equals + 3);
    require(op != NULL, equals + 3);
    void *attr;
    require(!oi_attr_parse_text(g->arena, op, close + 1, &attr), "building a graph");
    uint32_t nin = read_names(g, open + 1, in), nout = read_names(g, line, out), nsub = subs ? read_subs(r, subs, sub, &nin, in) : 0;
    oi_status status = oi_graph_add_node(g, op, NULL, attr, nin, in, nout, out, nsub, nsub ? sub : NULL, NULL);
    require(!status, "graph");
}

/* "sub name(x, y)" up to "end". */
static void begin_sub(reader *r, char *p)
{
    char *open = strchr(p, '('), *close = open ? strchr(open, ')') : NULL;
    require(open && close && r->depth + 1 < MAX_DEPTH, "sub");
    *open = *close = 0;
    oi_graph *around = r->at[r->depth].g;
    reading *s = &r->at[++r->depth];
    *s = (reading){.g = oi_graph_create_sub(around)};
    snprintf(s->name, sizeof s->name, "%s", word(&p));
    for (char *name = strtok(open + 1, ", "); name; name = strtok(NULL, ", ")) {
        s->capture[s->ncapture] = value_named(around, name);
        snprintf(s->captured[s->ncapture++], sizeof s->captured[0], "%s", name);
    }
}

static void end_captures(reading *s)
{
    oi_value_id v;
    const oi_fact unknown = oi_fact_unknown();
    for (uint32_t i = 0; i < s->ncapture && !s->captures_done; i++)
        require(!oi_graph_add_input(s->g, s->captured[i], &unknown, &v), "building a graph");
    s->captures_done = true;
}

static void read_line(reader *r, char *line)
{
    reading *s = &r->at[r->depth];
    oi_value_id v;
    char *p = line;
    if (strncmp(line, "input ", 6) == 0) {
        word(&p);
        const char *name = word(&p);
        const char *type = word(&p);
        oi_fact f = oi_fact_unknown();
        if (strcmp(type, "any") != 0) {
            oi_dim dims[OI_MAX_RANK];
            int32_t rank = read_dims(s->g, word(&p), dims);
            f = oi_fact_tensor(dtype_named(type), rank, dims);
        }
        require(!oi_graph_add_input(s->g, name, &f, &v), "building a graph");
        return;
    }
    end_captures(s);
    if (strncmp(line, "const ", 6) == 0) {
        word(&p);
        read_const(s->g, p, &r->seed);
    } else if (strncmp(line, "output ", 7) == 0) {
        word(&p);
        require(!oi_graph_mark_output(s->g, value_named(s->g, word(&p))), "building a graph");
    } else if (strncmp(line, "sub ", 4) == 0) {
        word(&p);
        begin_sub(r, p);
    } else if (strcmp(line, "end") == 0) {
        require(r->depth > 0 && r->nsub < MAX_SUBS, "end");
        r->sub[r->nsub++] = r->at[r->depth--];
    } else {
        read_node(r, line);
    }
}

oi_graph *graph_from_text(const char *text)
{
    reader r = {.seed = 1};
    oi_graph *g = r.at[0].g = oi_graph_create(NULL, NULL);
    char *copy = strdup(text), *rest = copy;
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " ");
        if (*line)
            read_line(&r, line);
    }
    free(copy);
    oi_status status = oi_infer_graph(g);
    require(!status, "graph");
    status = oi_graph_verify(g);
    require(!status, "graph");
    return g;
}

/* LeakSanitizer's, where the program has it. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

oi_graph *graph_try_text(const char *text)
{
    jmp_buf wrong;
    oi_graph *volatile g = NULL;
    on_wrong_graph = &wrong;
    if (__lsan_disable)
        __lsan_disable(); /* what a wrong graph had made is lost */
    if (!setjmp(wrong))
        g = graph_from_text(text);
    if (__lsan_enable)
        __lsan_enable();
    on_wrong_graph = NULL;
    return g;
}

static int append(void *user, const void *p, size_t n)
{
    FILE *f = user;
    return fwrite(p, 1, n, f) == n ? 0 : -1;
}

static void print_ops(FILE *f, oi_graph *g)
{
    oi_node_id *order;
    uint32_t n;
    require(!oi_graph_order(g, &order, &n), "building a graph");
    for (uint32_t i = 0; i < n; i++) {
        const oi_node *node = &g->node[order[i]];
        fprintf(f, "%s%s", i ? " " : "", node->op->name);
        for (uint32_t k = 0; k < node->nsub; k++) {
            fprintf(f, k ? " | " : "(");
            print_ops(f, node->sub[k].graph);
        }
        fprintf(f, node->nsub ? ")" : "");
    }
}

char *graph_ops(oi_graph *g)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    print_ops(f, g);
    fclose(f);
    return text;
}

char *graph_print(const oi_graph *g)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    oi_writer w = {f, append};
    require(!oi_graph_dump_text(g, &w), "building a graph");
    for (uint32_t v = 0; v < g->nvalue; v++) {
        fprintf(f, "%u def %u/%u uses", v, g->value[v].def, g->value[v].slot);
        for (uint32_t k = 0; k < g->value[v].nuse; k++)
            fprintf(f, " %u/%u", g->value[v].use[k].node, g->value[v].use[k].slot);
        fprintf(f, " konst %d out %d\n", g->value[v].fact.konst != NULL, g->value[v].is_output);
    }
    fprintf(f, "%u nodes\n", g->nnode);
    fclose(f);
    return text;
}

oi_status graph_evaluate(oi_graph *g, uint64_t seed, int64_t open, oi_tensor *out)
{
    oi_node_id *order;
    uint32_t n;
    oi_tensor *value = calloc(g->nvalue + 1, sizeof *value);
    const oi_tensor *in[64];
    oi_status status = oi_graph_order(g, &order, &n);
    for (uint32_t v = 0; v < g->nvalue; v++) {
        if (g->value[v].fact.konst)
            oi_tensor_share(&value[v], g->value[v].fact.konst);
    }
    for (uint32_t i = 0; i < g->ninput; i++) {
        const oi_fact *f = oi_graph_fact(g, g->input[i]);
        int64_t dims[OI_MAX_RANK];
        for (int32_t k = 0; k < f->shape.rank; k++)
            dims[k] = oi_dim_is_number(f->shape.dim[k]) ? f->shape.dim[k] : open;
        value[g->input[i]] = tensor_random(&seed, f->dtype, f->shape.rank, dims);
    }
    for (uint32_t i = 0; i < n && !status; i++) {
        const oi_node *node = &g->node[order[i]];
        oi_tensor made[16];
        for (uint32_t k = 0; k < node->nin; k++)
            in[k] = node->in[k] == OI_NONE ? NULL : &value[node->in[k]];
        status = oi_fold_eval(g, order[i], NULL, node->nin, in, made);
        for (uint32_t k = 0; k < node->nout && !status; k++) {
            if (node->out[k] == OI_NONE) {
                oi_tensor_clear(&made[k]);
                continue;
            }
            oi_tensor_clear(&value[node->out[k]]);
            value[node->out[k]] = made[k];
        }
    }
    for (uint32_t i = 0; i < g->noutput; i++)
        oi_tensor_share(&out[i], &value[g->output[i]]);
    for (uint32_t v = 0; v < g->nvalue; v++)
        oi_tensor_clear(&value[v]);
    free(value);
    return status;
}

static bool is_denormal(oi_dtype dtype, double x)
{
    return dtype == ONNX_INFER_FLOAT && fabs(x) < FLT_MIN;
}

bool tensors_equal(const oi_tensor *a, const oi_tensor *b)
{
    if (a->dtype != b->dtype || !oi_tensor_same_shape(a, b))
        return false;
    for (int64_t i = 0; i < oi_tensor_count(a); i++) {
        double x = oi_elem_get_double(a->dtype, a->data, (size_t)i), y = oi_elem_get_double(b->dtype, b->data, (size_t)i);
        if (x != y && !(isnan(x) && isnan(y)) && !(is_denormal(a->dtype, x) && is_denormal(a->dtype, y)))
            return false;
    }
    return true;
}

double tensors_differ(const oi_tensor *a, const oi_tensor *b)
{
    double most = 0, size = 1;
    if (a->dtype != b->dtype || !oi_tensor_same_shape(a, b))
        return 1e30;
    for (int64_t i = 0; i < oi_tensor_count(a); i++) {
        double x = oi_elem_get_double(a->dtype, a->data, (size_t)i), y = oi_elem_get_double(b->dtype, b->data, (size_t)i);
        if (isnan(x) || isnan(y)) {
            if (isnan(x) != isnan(y))
                return 1e30;
            continue;
        }
        if (x == y)
            continue;
        most = fmax(most, fabs(x - y));
        size = fmax(size, fmax(fabs(x), fabs(y)));
    }
    return most / size;
}
