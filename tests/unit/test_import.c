/* The importer: names, captures, functions, tensor data in every form, what it says of bad models. */
#include "onnx/model_file.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/value_file.h"
#include "onnx/wire.h"
#include "ops/infer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- building messages ------------------------------------------------------------------------------------------------ */

static oi_arena *arena; /* of the messages of one test */

static void make_arena(void)
{
    arena = oi_arena_create(NULL);
}

static void drop_arena(void)
{
    oi_arena_destroy(arena);
}

static void *room(size_t n)
{
    void *p = oi_arena_mem(arena, n + 1);
    ck_assert_ptr_nonnull(p);
    return p;
}

static void *keep(const void *p, size_t n)
{
    void *copy = room(n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

/* A list of n pointers with room for one more. */
static void *longer(void *list, size_t n)
{
    void *copy = room((n + 1) * sizeof(void *));
    if (n)
        memcpy(copy, list, n * sizeof(void *));
    return copy;
}

/* "a b c" into a list of names; "-" stands for "". */
static char **names(const char *text, size_t *n)
{
    char **list = room((strlen(text) + 1) * sizeof *list), *copy = keep(text, strlen(text) + 1), *at;
    for (*n = 0; (at = strtok(*n ? NULL : copy, " ")); ++*n)
        list[*n] = strcmp(at, "-") ? at : "";
    return list;
}

static OiOnnx__NodeProto *node(const char *op, const char *in, const char *out, const char *domain)
{
    OiOnnx__NodeProto p = OI_ONNX__NODE_PROTO__INIT;
    p.op_type = (char *)op;
    p.domain = (char *)domain;
    p.input = names(in, &p.n_input);
    p.output = names(out, &p.n_output);
    return keep(&p, sizeof p);
}

static void add_attribute(OiOnnx__NodeProto *n, const OiOnnx__AttributeProto *a)
{
    n->attribute = longer(n->attribute, n->n_attribute);
    n->attribute[n->n_attribute++] = keep(a, sizeof *a);
}

static OiOnnx__AttributeProto attribute(const char *name, int type)
{
    OiOnnx__AttributeProto a = OI_ONNX__ATTRIBUTE_PROTO__INIT;
    a.name = (char *)name;
    a.has_type = 1;
    a.type = type;
    return a;
}

static OiOnnx__NodeProto *with_graph(OiOnnx__NodeProto *n, const char *name, OiOnnx__GraphProto *g)
{
    OiOnnx__AttributeProto a = attribute(name, 5);
    a.g = g;
    add_attribute(n, &a);
    return n;
}

static OiOnnx__ValueInfoProto *port(const char *name, int dtype, size_t rank, const int64_t *dims)
{
    OiOnnx__ValueInfoProto v = OI_ONNX__VALUE_INFO_PROTO__INIT;
    OiOnnx__TypeProto t = OI_ONNX__TYPE_PROTO__INIT;
    OiOnnx__TypeProto__Tensor tensor = OI_ONNX__TYPE_PROTO__TENSOR__INIT;
    OiOnnx__TensorShapeProto shape = OI_ONNX__TENSOR_SHAPE_PROTO__INIT;
    shape.n_dim = rank;
    shape.dim = room((rank + 1) * sizeof *shape.dim);
    for (size_t i = 0; i < rank; i++) {
        OiOnnx__TensorShapeProto__Dimension d = OI_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT;
        d.has_dim_value = dims[i] >= 0;
        d.dim_value = dims[i];
        d.dim_param = dims[i] < 0 ? "N" : NULL;
        shape.dim[i] = keep(&d, sizeof d);
    }
    tensor.has_elem_type = 1;
    tensor.elem_type = dtype;
    tensor.shape = keep(&shape, sizeof shape);
    t.tensor_type = keep(&tensor, sizeof tensor);
    v.name = (char *)name;
    v.type = keep(&t, sizeof t);
    return keep(&v, sizeof v);
}

static OiOnnx__GraphProto *graph(const char *in, const char *out)
{
    OiOnnx__GraphProto g = OI_ONNX__GRAPH_PROTO__INIT;
    char **i = names(in, &g.n_input), **o = names(out, &g.n_output);
    g.name = "g";
    g.input = room((g.n_input + 1) * sizeof *g.input);
    g.output = room((g.n_output + 1) * sizeof *g.output);
    for (size_t k = 0; k < g.n_input; k++)
        g.input[k] = port(i[k], ONNX_INFER_FLOAT, 1, (int64_t[]){2});
    for (size_t k = 0; k < g.n_output; k++)
        g.output[k] = port(o[k], ONNX_INFER_FLOAT, 1, (int64_t[]){2});
    return keep(&g, sizeof g);
}

static void add(OiOnnx__GraphProto *g, OiOnnx__NodeProto *n)
{
    g->node = longer(g->node, g->n_node);
    g->node[g->n_node++] = n;
}

static OiOnnx__TensorProto *tensor(OiOnnx__GraphProto *g, const char *name, int dtype, size_t rank, const int64_t *dims)
{
    OiOnnx__TensorProto t = OI_ONNX__TENSOR_PROTO__INIT;
    t.name = (char *)name;
    t.has_data_type = 1;
    t.data_type = dtype;
    t.n_dims = rank;
    t.dims = keep(dims, rank * sizeof *dims);
    OiOnnx__TensorProto *kept = keep(&t, sizeof t);
    if (g) {
        g->initializer = longer(g->initializer, g->n_initializer);
        g->initializer[g->n_initializer++] = kept;
    }
    return kept;
}

static OiOnnx__ModelProto model(OiOnnx__GraphProto *g)
{
    static OiOnnx__OperatorSetIdProto opset = OI_ONNX__OPERATOR_SET_ID_PROTO__INIT, twice = OI_ONNX__OPERATOR_SET_ID_PROTO__INIT,
                                      own = OI_ONNX__OPERATOR_SET_ID_PROTO__INIT;
    static OiOnnx__OperatorSetIdProto *opsets[] = {&opset, &twice, &own};
    OiOnnx__ModelProto m = OI_ONNX__MODEL_PROTO__INIT;
    opset.has_version = twice.has_version = own.has_version = 1;
    opset.version = 17;
    twice.domain = "ai.onnx"; /* the same domain again: the higher version counts */
    twice.version = 13;
    own.domain = "own";
    own.version = 1;
    m.has_ir_version = 1;
    m.ir_version = 8;
    m.graph = g;
    m.n_opset_import = 3;
    m.opset_import = opsets;
    return m;
}

static oi_status load(const OiOnnx__ModelProto *m, bool keep_issues, oi_onnx_model **out)
{
    size_t n = oi_onnx__model_proto__get_packed_size(m);
    uint8_t *bytes = malloc(n + 1);
    ck_assert_ptr_nonnull(bytes);
    oi_onnx__model_proto__pack(m, bytes);
    const oi_onnx_options o = {.keep_issues = keep_issues};
    oi_status status = oi_onnx_load_memory(bytes, n, NULL, NULL, &o, out);
    free(bytes);
    return status;
}

static oi_onnx_model *loaded(const OiOnnx__ModelProto *m)
{
    oi_onnx_model *out;
    oi_status status = load(m, false, &out);
    ck_assert_msg(status == ONNX_INFER_OK, "%s: %s", oi_status_name(status), oi_error_current()->message);
    return out;
}

static void fails(const OiOnnx__ModelProto *m, oi_status expected, const char *word)
{
    oi_onnx_model *out = NULL;
    oi_status status = load(m, false, &out);
    ck_assert_msg(status == expected, "%s, not %s: %s", oi_status_name(status), oi_status_name(expected), oi_error_current()->message);
    ck_assert_ptr_null(out);
    ck_assert_msg(strstr(oi_error_current()->message, word) != NULL, "no '%s' in: %s", word, oi_error_current()->message);
}

static const oi_tensor *constant(const oi_onnx_model *m, const char *name)
{
    oi_value_id v = oi_graph_find_value(m->graph, name);
    ck_assert_uint_ne(v, OI_NONE);
    ck_assert_ptr_nonnull(m->graph->value[v].fact.konst);
    return m->graph->value[v].fact.konst;
}

/* --- tensors ------------------------------------------------------------------------------------------------------------ */

START_TEST(typed_and_raw_data_of_each_type)
{
    static const struct {
        int dtype, field; /* of TensorProto */
    } types[] = {
        {ONNX_INFER_FLOAT, 4}, {ONNX_INFER_DOUBLE, 10}, {ONNX_INFER_INT64, 7}, {ONNX_INFER_UINT64, 11}, {ONNX_INFER_UINT32, 11},
        {ONNX_INFER_INT32, 5}, {ONNX_INFER_INT16, 5}, {ONNX_INFER_UINT16, 5}, {ONNX_INFER_INT8, 5}, {ONNX_INFER_UINT8, 5},
    };
    static int32_t i32[] = {1, 2, 3};
    static int64_t i64[] = {1, 2, 3};
    static uint64_t u64[] = {1, 2, 3};
    static float f[] = {1, 2, 3};
    static double d[] = {1, 2, 3};
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Identity", "x", "y", NULL));
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        char name[2][16];
        snprintf(name[0], 16, "typed%zu", k);
        snprintf(name[1], 16, "raw%zu", k);
        OiOnnx__TensorProto *t = tensor(g, keep(name[0], 16), types[k].dtype, 1, (int64_t[]){3});
        t->n_float_data = types[k].field == 4 ? 3 : 0;
        t->float_data = f;
        t->n_double_data = types[k].field == 10 ? 3 : 0;
        t->double_data = d;
        t->n_int64_data = types[k].field == 7 ? 3 : 0;
        t->int64_data = i64;
        t->n_uint64_data = types[k].field == 11 ? 3 : 0;
        t->uint64_data = u64;
        t->n_int32_data = types[k].field == 5 ? 3 : 0;
        t->int32_data = i32;
        OiOnnx__TensorProto *raw = tensor(g, keep(name[1], 16), types[k].dtype, 1, (int64_t[]){3});
        uint8_t bytes[24];
        for (size_t i = 0; i < 3; i++)
            oi_elem_set_double(types[k].dtype, bytes, i, (double)(i + 1));
        raw->has_raw_data = 1;
        raw->raw_data.len = 3 * oi_dtype_size(types[k].dtype);
        raw->raw_data.data = keep(bytes, sizeof bytes);
    }
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m = loaded(&p);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (int raw = 0; raw < 2; raw++) {
            char name[16];
            snprintf(name, sizeof name, raw ? "raw%zu" : "typed%zu", k);
            const oi_tensor *t = constant(m, name);
            ck_assert_int_eq(t->dtype, types[k].dtype);
            ck_assert(oi_tensor_is_aligned(t));
            for (size_t i = 0; i < 3; i++)
                ck_assert_double_eq(oi_elem_get_double(t->dtype, t->data, i), (double)(i + 1));
        }
    oi_onnx_free(m);
}
END_TEST

START_TEST(strings_sparse_and_packed)
{
    static ProtobufCBinaryData s[] = {{2, (uint8_t *)"ab"}, {0, NULL}};
    static int32_t nibbles[] = {0x21, 0x03};
    static float values[] = {5, 7};
    static int64_t places[] = {1, 0, 0, 2}, dims[] = {2, 3};
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Identity", "x", "y", NULL));
    OiOnnx__TensorProto *t = tensor(g, "s", ONNX_INFER_STRING, 1, (int64_t[]){2});
    t->n_string_data = 2;
    t->string_data = s;
    t = tensor(g, "n", ONNX_INFER_UINT4, 1, (int64_t[]){3});
    t->n_int32_data = 2;
    t->int32_data = nibbles;
    OiOnnx__SparseTensorProto sparse = OI_ONNX__SPARSE_TENSOR_PROTO__INIT, *list[] = {&sparse};
    sparse.values = tensor(NULL, "d", ONNX_INFER_FLOAT, 1, (int64_t[]){2});
    sparse.values->n_float_data = 2;
    sparse.values->float_data = values;
    sparse.indices = tensor(NULL, NULL, ONNX_INFER_INT64, 2, (int64_t[]){2, 2});
    sparse.indices->n_int64_data = 4;
    sparse.indices->int64_data = places;
    sparse.n_dims = 2;
    sparse.dims = dims;
    g->n_sparse_initializer = 1;
    g->sparse_initializer = list;
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m = loaded(&p);
    const oi_string *text = constant(m, "s")->data;
    ck_assert_uint_eq(text[0].n, 2);
    ck_assert_str_eq(text[0].text, "ab");
    ck_assert_uint_eq(text[1].n, 0);
    const oi_tensor *n = constant(m, "n");
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(oi_elem_get_int(ONNX_INFER_UINT4, n->data, i), (int64_t)i + 1);
    const float *d = constant(m, "d")->data, dense[] = {0, 5, 0, 0, 0, 0};
    ck_assert_float_eq(d[3], dense[1]);
    ck_assert_float_eq(d[2], 7);
    ck_assert_float_eq(d[0] + d[1] + d[4] + d[5], 0);
    oi_onnx_free(m);
    places[0] = 2; /* outside */
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "outside");
}
END_TEST

START_TEST(bad_tensors)
{
    static float f[] = {1, 2, 3};
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Identity", "x", "y", NULL));
    OiOnnx__TensorProto *t = tensor(g, "w", ONNX_INFER_FLOAT, 1, (int64_t[]){4});
    OiOnnx__ModelProto p = model(g);
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "no data");
    t->n_float_data = 3;
    t->float_data = f;
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "'w'");
    t->dims[0] = 3;
    t->data_type = ONNX_INFER_INT64;
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "another type");
    t->data_type = 99;
    fails(&p, ONNX_INFER_E_UNSUPPORTED_TYPE, "99");
    t->data_type = ONNX_INFER_FLOAT;
    t->dims[0] = -3;
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "-3");
    t->dims[0] = (int64_t)1 << 60;
    fails(&p, ONNX_INFER_E_LIMIT, "'w'");
    t->dims[0] = 3;
    uint64_t forged[] = {9, 0, 12}; /* the scan's own field in a file says nothing */
    t->n_payload = 3;
    t->payload = forged;
    t->n_float_data = 0;
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "no data");
}
END_TEST

/* --- graphs ------------------------------------------------------------------------------------------------------------- */

START_TEST(ports_defaults_and_opsets)
{
    static float f[] = {1, 2};
    OiOnnx__GraphProto *g = graph("x w", "y");
    add(g, node("Add", "x w", "y", NULL));
    OiOnnx__TensorProto *t = tensor(g, "w", ONNX_INFER_FLOAT, 1, (int64_t[]){2});
    t->n_float_data = 2;
    t->float_data = f;
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m = loaded(&p);
    ck_assert_uint_eq(m->ninput, 2);
    ck_assert_ptr_null(m->input[0].initial);
    ck_assert_ptr_nonnull(m->input[1].initial);
    ck_assert_float_eq(((const float *)m->input[1].initial->data)[1], 2);
    ck_assert_str_eq(m->output[0].name, "y");
    ck_assert_uint_eq(m->nopset, 2);
    ck_assert_int_eq(m->opset[0].version, 17);
    ck_assert_str_eq(m->opset[0].domain, "");
    oi_onnx_free(m);
}
END_TEST

START_TEST(captures_through_two_levels)
{
    OiOnnx__GraphProto *g = graph("x", "y"), *inner = graph("", "a"), *inner2 = graph("", "b"), *outer = graph("", "c"),
                       *other = graph("", "d");
    g->input = longer(g->input, g->n_input);
    g->input[g->n_input++] = port("cond", ONNX_INFER_BOOL, 0, NULL);
    add(g, node("Neg", "x", "nx", NULL));
    add(inner, node("Identity", "nx", "a", NULL));
    add(inner2, node("Identity", "x", "b", NULL));
    add(outer, with_graph(with_graph(node("If", "cond", "c", NULL), "else_branch", inner2), "then_branch", inner));
    add(other, node("Identity", "x", "d", NULL));
    add(g, with_graph(with_graph(node("If", "cond", "y", NULL), "then_branch", outer), "else_branch", other));
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m = loaded(&p);
    const oi_node *n = &m->graph->node[m->graph->value[m->graph->output[0]].def];
    ck_assert_str_eq(n->op->name, "If");
    ck_assert_uint_eq(n->nsub, 2);
    ck_assert_str_eq(n->sub[0].name, "then_branch");
    ck_assert_uint_eq(n->sub[0].ncapture, 3); /* cond, nx, x */
    ck_assert_uint_eq(n->sub[1].ncapture, 1);
    ck_assert_uint_eq(n->nin, 1 + 3 + 1);
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t k = 0; k < n->sub[s].ncapture; k++) {
            const oi_graph *sub = n->sub[s].graph;
            ck_assert_str_eq(m->graph->value[n->in[n->sub[s].capture[k]]].name,
                             sub->value[sub->input[sub->ninput - n->sub[s].ncapture + k]].name);
        }
    const oi_graph *then = n->sub[0].graph;
    const oi_node *deep = &then->node[then->value[then->output[0]].def];
    ck_assert_str_eq(deep->sub[0].name, "then_branch"); /* in the operator's order, not the file's */
    ck_assert_uint_eq(deep->sub[0].ncapture, 1);
    ck_assert_int_eq(oi_graph_verify(m->graph), ONNX_INFER_OK);
    oi_onnx_free(m);
}
END_TEST

static OiOnnx__FunctionProto *function(const char *name, const char *in, const char *out, const char *attrs)
{
    OiOnnx__FunctionProto f = OI_ONNX__FUNCTION_PROTO__INIT;
    f.name = (char *)name;
    f.domain = "own";
    f.input = names(in, &f.n_input);
    f.output = names(out, &f.n_output);
    f.attribute = names(attrs, &f.n_attribute);
    return keep(&f, sizeof f);
}

static void body(OiOnnx__FunctionProto *f, OiOnnx__NodeProto *n)
{
    f->node = longer(f->node, f->n_node);
    f->node[f->n_node++] = n;
}

static int64_t axis_of(const oi_onnx_model *m, const char *op)
{
    char text[200];
    for (uint32_t i = 0; i < m->graph->nnode; i++)
        if (m->graph->node[i].op && !strcmp(m->graph->node[i].op->name, op)) {
            const char *at = strstr(oi_attr_text(m->graph->node[i].op, m->graph->node[i].attr, text, sizeof text), "axis=");
            return at ? atoi(at + 5) : 0;
        }
    return -99;
}

START_TEST(functions_are_inlined)
{
    OiOnnx__FunctionProto *inner = function("Inner", "a", "r", "ax"), *outer = function("Outer", "p q", "s t", "");
    OiOnnx__FunctionProto *list[] = {inner, outer};
    OiOnnx__NodeProto *gather = node("Concat", "a a", "r", NULL), *call = node("Inner", "p", "s", "own");
    OiOnnx__AttributeProto by_name = attribute("axis", 2), given = attribute("ax", 2), fallback = attribute("ax", 2);
    by_name.ref_attr_name = "ax";
    add_attribute(gather, &by_name);
    body(inner, gather);
    given.has_i = 1;
    given.i = -1;
    body(outer, call);
    body(outer, node("Identity", "q", "unused", NULL));
    outer->output[1] = "p"; /* an output that is an input */
    OiOnnx__GraphProto *g = graph("x", "y z");
    add(g, node("Outer", "x", "y z", "own")); /* leaves q out */
    OiOnnx__ModelProto p = model(g);
    p.n_functions = 2;
    p.functions = list;

    fallback.has_i = 1;
    fallback.i = 0;
    OiOnnx__AttributeProto *defaults[] = {&fallback};
    inner->n_attribute_proto = 1;
    inner->attribute_proto = defaults;
    oi_onnx_model *m = loaded(&p);
    ck_assert_int_eq(axis_of(m, "Concat"), 0);
    ck_assert_uint_eq(m->graph->noutput, 2);
    oi_onnx_free(m);

    add_attribute(call, &given);
    m = loaded(&p);
    ck_assert_int_eq(axis_of(m, "Concat"), -1);
    oi_onnx_free(m);

    body(inner, node("Outer", "a", "again more", "own"));
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "calls itself");
}
END_TEST

START_TEST(functions_cannot_explode)
{
    /* Each of 40 functions calls the next twice: 2^40 nodes from a small file. */
    OiOnnx__FunctionProto *list[40];
    for (int i = 0; i < 40; i++) {
        char name[8], next[8];
        snprintf(name, sizeof name, "F%d", i);
        snprintf(next, sizeof next, "F%d", i + 1);
        list[i] = function(keep(name, 8), "a", "b", "");
        body(list[i], node(i < 39 ? keep(next, 8) : "Identity", "a", "m", i < 39 ? "own" : NULL));
        body(list[i], node(i < 39 ? keep(next, 8) : "Identity", "m", "b", i < 39 ? "own" : NULL));
    }
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("F0", "x", "y", "own"));
    OiOnnx__ModelProto p = model(g);
    p.n_functions = 40;
    p.functions = list;
    size_t n = oi_onnx__model_proto__get_packed_size(&p);
    uint8_t *bytes = malloc(n);
    oi_onnx__model_proto__pack(&p, bytes);
    const oi_onnx_options o = {.max_nodes = 20000};
    oi_onnx_model *m;
    ck_assert_int_eq(oi_onnx_load_memory(bytes, n, NULL, NULL, &o, &m), ONNX_INFER_E_LIMIT);
    free(bytes);
}
END_TEST

START_TEST(all_faults_in_one_report)
{
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Nonesuch", "x", "a", NULL));
    add(g, node("Other", "a", "b", "own"));
    add(g, node("Add", "b nowhere", "c", NULL));
    add(g, node("Neg", "c", "a", NULL));
    add(g, node("Neg", "c", "y", NULL));
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m;
    ck_assert_int_eq(load(&p, true, &m), ONNX_INFER_OK);
    ck_assert_uint_ge(m->nissue, 4);
    int operators = 0, names_nowhere = 0, twice = 0;
    for (uint32_t i = 0; i < m->nissue; i++) {
        operators += m->issue[i].status == ONNX_INFER_E_UNSUPPORTED_OP;
        names_nowhere += !strcmp(m->issue[i].tensor, "nowhere");
        twice += strstr(m->issue[i].message, "more than once") != NULL;
    }
    ck_assert_int_eq(operators, 2);
    ck_assert_int_eq(names_nowhere, 1);
    ck_assert_int_eq(twice, 1);
    oi_status first = m->issue[0].status;
    oi_onnx_free(m);
    fails(&p, first, "Nonesuch");
}
END_TEST

START_TEST(cycles_and_order)
{
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Neg", "a", "y", NULL)); /* before what makes its input: still a good model */
    add(g, node("Neg", "x", "a", NULL));
    OiOnnx__ModelProto p = model(g);
    oi_onnx_free(loaded(&p));
    g->node[1]->input[0] = "y";
    fails(&p, ONNX_INFER_E_INVALID_MODEL, "y");
}
END_TEST

/* --- external data ------------------------------------------------------------------------------------------------------ */

static void write_bytes(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    fclose(f);
}

START_TEST(external_data_stay_in_the_folder)
{
    char folder[] = "/tmp/onnx_infer_import_XXXXXX", path[200], outside[200];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/model/in.bin", folder);
    write_bytes(path, (float[]){1, 2, 3, 4}, 16);
    snprintf(outside, sizeof outside, "%s/out.bin", folder);
    write_bytes(outside, (float[]){1, 2, 3, 4}, 16);
    snprintf(path, sizeof path, "%s/model/link.bin", folder);
    ck_assert_int_eq(symlink("../out.bin", path), 0);
    snprintf(path, sizeof path, "%s/model/near.bin", folder);
    ck_assert_int_eq(symlink("in.bin", path), 0);

    OiOnnx__StringStringEntryProto entry[3], *list[] = {&entry[0], &entry[1], &entry[2]};
    for (int i = 0; i < 3; i++)
        oi_onnx__string_string_entry_proto__init(&entry[i]);
    entry[0].key = "location";
    entry[1].key = "offset";
    entry[2].key = "length";
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Add", "x w", "y", NULL));
    OiOnnx__TensorProto *t = tensor(g, "w", ONNX_INFER_FLOAT, 1, (int64_t[]){2});
    t->has_data_location = 1;
    t->data_location = 1;
    t->n_external_data = 3;
    t->external_data = list;
    OiOnnx__ModelProto p = model(g);
    snprintf(path, sizeof path, "%s/model/model.onnx", folder);

    static const struct {
        const char *location, *offset, *length;
        oi_status status;
    } cases[] = {
        {"in.bin", "4", "8", ONNX_INFER_OK},          {"./in.bin", "0", "8", ONNX_INFER_OK},
        {"../out.bin", "0", "8", ONNX_INFER_E_INVALID_MODEL}, {"/etc/hostname", "0", "8", ONNX_INFER_E_INVALID_MODEL},
        {"link.bin", "0", "8", ONNX_INFER_E_INVALID_MODEL},   {"a/../../out.bin", "0", "8", ONNX_INFER_E_INVALID_MODEL},
        {"..\\out.bin", "0", "8", ONNX_INFER_E_INVALID_MODEL}, {"in.bin", "12", "8", ONNX_INFER_E_INVALID_MODEL},
        {"in.bin", "18446744073709551615", "8", ONNX_INFER_E_INVALID_MODEL}, {"in.bin", "-4", "8", ONNX_INFER_E_INVALID_MODEL},
        {"in.bin", "0", "4", ONNX_INFER_E_INVALID_MODEL}, {"absent.bin", "0", "8", ONNX_INFER_E_IO},
        {".", "0", "8", ONNX_INFER_E_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oi_onnx_model *m = NULL;
        entry[0].value = (char *)cases[i].location;
        entry[1].value = (char *)cases[i].offset;
        entry[2].value = (char *)cases[i].length;
        size_t n = oi_onnx__model_proto__get_packed_size(&p);
        uint8_t *bytes = malloc(n);
        oi_onnx__model_proto__pack(&p, bytes);
        write_bytes(path, bytes, n);
        oi_status status = oi_onnx_load_file(path, NULL, &m);
        ck_assert_msg(status == cases[i].status, "%s: %s: %s", cases[i].location, oi_status_name(status), oi_error_current()->message);
        if (m)
            ck_assert_float_eq(((const float *)constant(m, "w")->data)[0], cases[i].offset[0] == '4' ? 2 : 1);
        oi_onnx_free(m);
        ck_assert(status == ONNX_INFER_OK || oi_onnx_load_memory(bytes, n, NULL, NULL, NULL, &m) != ONNX_INFER_OK);
        free(bytes);
    }
    static const char *const made[] = {"model/model.onnx", "model/near.bin", "model/link.bin", "model/in.bin", "out.bin"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/model", folder);
    rmdir(path);
    rmdir(folder);
}
END_TEST

/* --- memory ownership, values ------------------------------------------------------------------------------------------- */

static int freed;

static void count_free(void *user, void *data)
{
    free(data);
    freed += *(int *)user;
}

START_TEST(borrowed_bytes)
{
    int one = 1;
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Add", "x w", "y", NULL));
    OiOnnx__TensorProto *t = tensor(g, "w", ONNX_INFER_FLOAT, 1, (int64_t[]){2});
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m;
    for (int good = 0; good < 2; good++) {
        t->has_raw_data = good;
        t->raw_data = (ProtobufCBinaryData){8, keep((float[]){1, 2}, 8)};
        size_t n = oi_onnx__model_proto__get_packed_size(&p);
        uint8_t *bytes = malloc(n);
        oi_onnx__model_proto__pack(&p, bytes);
        oi_status status = oi_onnx_load_memory(bytes, n, count_free, &one, NULL, &m);
        ck_assert_int_eq(status == ONNX_INFER_OK, good);
        if (good)
            oi_onnx_free(m);
        ck_assert_int_eq(freed, good); /* a failed load takes nothing */
        if (!good)
            free(bytes);
    }
}
END_TEST

/* A reader of bytes in memory that gives at most 100 at a time. */
typedef struct {
    const uint8_t *bytes;
    size_t n;
    bool maps, breaks;
} source;

static int64_t source_size(void *user)
{
    return (int64_t)((source *)user)->n;
}

static int64_t source_read(void *user, uint64_t offset, void *dst, size_t n)
{
    const source *s = user;
    n = n < 100 ? n : 100;
    if (offset + n > s->n || (s->breaks && offset > 100))
        return -1;
    memcpy(dst, s->bytes + offset, n);
    return (int64_t)n;
}

static const void *source_map(void *user, uint64_t offset, size_t n)
{
    const source *s = user;
    return s->maps && offset + n <= s->n ? s->bytes + offset : NULL;
}

static source weights;

static int source_external(void *user, const char *location, onnx_infer_reader *out)
{
    (void)user;
    *out = (onnx_infer_reader){.struct_size = sizeof *out, .user = &weights, .size = source_size, .read_at = source_read};
    return strcmp(location, "weights") != 0;
}

START_TEST(through_a_reader)
{
    static float numbers_outside[300];
    numbers_outside[299] = 7;
    weights = (source){(const uint8_t *)numbers_outside, sizeof numbers_outside, false, false};
    OiOnnx__StringStringEntryProto entry = OI_ONNX__STRING_STRING_ENTRY_PROTO__INIT, *list[] = {&entry};
    entry.key = "location";
    entry.value = "weights";
    OiOnnx__GraphProto *g = graph("x", "y");
    add(g, node("Identity", "x", "y", NULL));
    OiOnnx__TensorProto *t = tensor(g, "w", ONNX_INFER_FLOAT, 1, (int64_t[]){300});
    t->has_data_location = 1;
    t->data_location = 1;
    t->n_external_data = 1;
    t->external_data = list;
    tensor(g, "v", ONNX_INFER_FLOAT, 1, (int64_t[]){200})->has_raw_data = 1;
    g->initializer[1]->raw_data = (ProtobufCBinaryData){800, (uint8_t *)numbers_outside};
    OiOnnx__ModelProto p = model(g);
    source s = {.n = oi_onnx__model_proto__get_packed_size(&p)};
    uint8_t *bytes = malloc(s.n);
    s.bytes = bytes;
    oi_onnx__model_proto__pack(&p, bytes);
    onnx_infer_reader r = {.struct_size = sizeof r, .user = &s, .size = source_size, .read_at = source_read, .map = source_map,
                           .open_external = source_external};
    oi_onnx_model *m;
    for (int maps = 0; maps < 2; maps++) {
        s.maps = maps;
        ck_assert_msg(oi_onnx_load_reader(&r, NULL, &m) == ONNX_INFER_OK, "%s", oi_error_current()->message);
        ck_assert_float_eq(((const float *)constant(m, "w")->data)[299], 7);
        oi_onnx_free(m);
    }
    entry.value = "nothing";
    oi_onnx__model_proto__pack(&p, bytes);
    ck_assert_int_ne(oi_onnx_load_reader(&r, NULL, &m), ONNX_INFER_OK);
    s.maps = false;
    s.breaks = true;
    ck_assert_int_eq(oi_onnx_load_reader(&r, NULL, &m), ONNX_INFER_E_IO);
    free(bytes);
}
END_TEST

/* Numbers with a tag each, packed ones and other fields in between are one list, in the file's order. */
START_TEST(repeated_numbers_in_any_form)
{
    static const uint8_t bytes[] = {
        0x0a, 1,    'a',                                    /* name */
        0x40, 1,    0x40, 0xff, 0x01,                       /* ints: 1, 255 */
        0x3d, 0,    0,    0x80, 0x3f, 0x3d, 0, 0, 0, 0x40,  /* floats: 1, 2 */
        0x42, 2,    3,    4,                                /* ints, packed: 3, 4 */
        0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, /* ints: -1 */
        0xa0, 0x01, 7,                                      /* type */
        0x40, 5,                                            /* ints: 5 */
    };
    static const int64_t ints[] = {1, 255, 3, 4, -1, 5};
    const oi_wire_limits limits = {10, 10, 10};
    oi_wire_skeleton out;
    for (size_t n = 0; n < sizeof bytes; n++) { /* cut off anywhere it is refused or whole, never more */
        oi_status status = oi_wire_scan(&oi_alloc_libc, bytes, n, &oi_onnx__attribute_proto__descriptor, &limits, &out);
        ck_assert(status == ONNX_INFER_OK || status == ONNX_INFER_E_PARSE);
        oi_free_mem(&oi_alloc_libc, out.data);
    }
    ck_assert_int_eq(oi_wire_scan(&oi_alloc_libc, bytes, sizeof bytes, &oi_onnx__attribute_proto__descriptor, &limits, &out), ONNX_INFER_OK);
    OiOnnx__AttributeProto *a = oi_onnx__attribute_proto__unpack(NULL, out.size, out.data);
    ck_assert_ptr_nonnull(a);
    ck_assert_str_eq(a->name, "a");
    ck_assert_uint_eq(a->n_ints, 6);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(a->ints[i], ints[i]);
    ck_assert(a->n_floats == 2 && a->floats[0] == 1 && a->floats[1] == 2);
    ck_assert_int_eq(a->type, 7);
    oi_onnx__attribute_proto__free_unpacked(a, NULL);
    oi_free_mem(&oi_alloc_libc, out.data);
}
END_TEST

START_TEST(wrong_hints_do_no_harm)
{
    OiOnnx__GraphProto *g = graph("x", "y");
    OiOnnx__ValueInfoProto *hints[] = {port("a", ONNX_INFER_FLOAT, 3, (int64_t[]){9, 9, -1}), port("nobody", 77, 1, (int64_t[]){1}),
                                       port("b", 77, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1})};
    add(g, node("Neg", "x", "a", NULL));
    add(g, node("Neg", "a", "b", NULL));
    add(g, node("Neg", "b", "y", NULL));
    g->output[0] = port("y", ONNX_INFER_FLOAT, 2, (int64_t[]){5, 5});
    g->n_value_info = 3;
    g->value_info = hints;
    OiOnnx__ModelProto p = model(g);
    oi_onnx_model *m = loaded(&p);
    ck_assert_msg(oi_infer_graph(m->graph) == ONNX_INFER_OK, "%s", oi_error_current()->message);
    const oi_fact *f = &m->graph->value[m->graph->output[0]].fact;
    ck_assert_int_eq(f->shape.rank, 1);
    ck_assert_int_eq(f->shape.dim[0], 2);
    oi_onnx_free(m);
}
END_TEST

static int write_file(void *user, const void *p, size_t n)
{
    return fwrite(p, 1, n, user) != n;
}

static onnx_infer_value *numbers(float first)
{
    oi_tensor t;
    onnx_infer_value *v;
    ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_FLOAT, 1, (int64_t[]){3}, &t), ONNX_INFER_OK);
    for (int i = 0; i < 3; i++)
        ((float *)t.data)[i] = first + (float)i;
    ck_assert_int_eq(oi_value_from_tensor(NULL, &t, &v), ONNX_INFER_OK);
    return v;
}

static bool equal(const onnx_infer_value *a, const onnx_infer_value *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!equal(a->item[i], b->item[i]))
            return false;
    return a->kind != ONNX_INFER_TENSOR || oi_tensor_equal(&a->tensor, &b->tensor);
}

START_TEST(values_come_back_from_files)
{
    char path[] = "/tmp/onnx_infer_value_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    onnx_infer_value *v[6], *a = numbers(1), *b = numbers(4), *keys;
    oi_tensor t;
    ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_STRING, 1, (int64_t[]){3}, &t), ONNX_INFER_OK);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(oi_tensor_set_string(NULL, &t, i, "k0\0z" + i, 4 - i), ONNX_INFER_OK);
    ck_assert_int_eq(oi_value_from_tensor(NULL, &t, &keys), ONNX_INFER_OK);
    v[0] = oi_value_retain(a);
    v[1] = oi_value_retain(keys);
    for (int i = 2; i < 6; i++)
        ck_assert_int_eq(oi_value_create(NULL, i == 2 ? ONNX_INFER_SEQUENCE : i == 5 ? ONNX_INFER_MAP : ONNX_INFER_OPTIONAL, &v[i]),
                         ONNX_INFER_OK);
    ck_assert_int_eq(oi_value_push(v[2], a) | oi_value_push(v[2], b) | oi_value_push(v[4], v[2]) | oi_value_push(v[5], keys) |
                         oi_value_push(v[5], b), ONNX_INFER_OK);
    for (int i = 0; i < 6; i++) {
        FILE *f = fopen(path, "wb");
        oi_writer w = {f, write_file};
        onnx_infer_value *back = NULL;
        ck_assert_int_eq(oi_onnx_write_value(v[i], &w), ONNX_INFER_OK);
        fclose(f);
        ck_assert_int_eq(oi_onnx_read_value(NULL, path, v[i]->kind, &back), ONNX_INFER_OK);
        ck_assert_msg(equal(v[i], back), "value %d", i);
        oi_value_release(back);
        oi_value_release(v[i]);
    }
    oi_value_release(a);
    oi_value_release(b);
    oi_value_release(keys);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("import");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, make_arena, drop_arena);
    tcase_add_test(t, typed_and_raw_data_of_each_type);
    tcase_add_test(t, strings_sparse_and_packed);
    tcase_add_test(t, bad_tensors);
    tcase_add_test(t, ports_defaults_and_opsets);
    tcase_add_test(t, captures_through_two_levels);
    tcase_add_test(t, functions_are_inlined);
    tcase_add_test(t, functions_cannot_explode);
    tcase_add_test(t, all_faults_in_one_report);
    tcase_add_test(t, cycles_and_order);
    tcase_add_test(t, external_data_stay_in_the_folder);
    tcase_add_test(t, borrowed_bytes);
    tcase_add_test(t, through_a_reader);
    tcase_add_test(t, repeated_numbers_in_any_form);
    tcase_add_test(t, wrong_hints_do_no_harm);
    tcase_add_test(t, values_come_back_from_files);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
