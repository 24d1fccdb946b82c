/* Writes little ONNX models from C; see the header. */
#include "support/little_model.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(little_bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n);
        b->at = realloc(b->at, b->cap);
        if (!b->at)
            abort();
    }
    if (n)
        memcpy(b->at + b->n, p, n);
    b->n += n;
}

static void put_varint(little_bytes *b, uint64_t v)
{
    do {
        uint8_t byte = (uint8_t)((v & 0x7F) | (v > 0x7F ? 0x80 : 0));
        put(b, &byte, 1);
        v >>= 7;
    } while (v);
}

static void put_int(little_bytes *b, int field, int64_t v)
{
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, (uint64_t)v);
}

static void put_bytes(little_bytes *b, int field, const void *p, size_t n)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    put(b, p, n);
}

static void put_float(little_bytes *b, int field, float f)
{
    put_varint(b, (uint64_t)field << 3 | 5);
    put(b, &f, sizeof f);
}

static void put_text(little_bytes *b, int field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

static void put_message(little_bytes *b, int field, little_bytes *m)
{
    put_bytes(b, field, m->at, m->n);
    little_free(m);
}

void little_free(little_bytes *b)
{
    free(b->at);
    memset(b, 0, sizeof *b);
}

static void refuse(const char *line)
{
    fprintf(stderr, "little_model: cannot read '%s'\n", line);
    abort();
}

static int type_number(const char *name)
{
    return !strcmp(name, "float") ? 1 : !strcmp(name, "int64") ? 7 : !strcmp(name, "bool") ? 9 : 0;
}

static little_bytes value_info(const char *name, const char *type, char *dims)
{
    little_bytes shape = {0}, tensor = {0}, wrapped = {0}, info = {0};
    char *rest;
    int any = !strcmp(dims, "any");
    for (char *d = strtok_r(dims, "x", &rest); d && !any && strcmp(d, "scalar"); d = strtok_r(NULL, "x", &rest)) {
        little_bytes dim = {0};
        if (*d >= '0' && *d <= '9')
            put_int(&dim, 1, atoll(d));
        else if (*d != '?')
            put_text(&dim, 2, d);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, type_number(type));
    if (any)
        little_free(&shape);
    else
        put_message(&tensor, 2, &shape);
    put_message(&wrapped, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &wrapped);
    return info;
}

static little_bytes constant(char *line)
{
    little_bytes t = {0}, raw = {0};
    char *rest, *word, *d, *name = strtok_r(line, " ", &rest), *type = strtok_r(NULL, " ", &rest);
    char *dims = strtok_r(NULL, " ", &rest), *rest_dims;
    for (d = strtok_r(dims, "x", &rest_dims); d && strcmp(d, "scalar"); d = strtok_r(NULL, "x", &rest_dims))
        put_int(&t, 1, atoll(d));
    put_int(&t, 2, type_number(type));
    put_text(&t, 8, name);
    while ((word = strtok_r(NULL, " ", &rest))) {
        float f = strtof(word, NULL);
        int64_t i = atoll(word);
        uint8_t b = i != 0;
        if (!strcmp(type, "float"))
            put(&raw, &f, sizeof f);
        else if (!strcmp(type, "int64"))
            put(&raw, &i, sizeof i);
        else
            put(&raw, &b, 1);
    }
    put_message(&t, 9, &raw);
    return t;
}

/* "w float 100 FILE": a tensor whose data are all of a file beside the model. */
static little_bytes hole(char *line)
{
    little_bytes t = {0}, entry = {0};
    char name[100], type[20], dims[100], file[100], *rest;
    if (sscanf(line, "%99s %19s %99s %99s", name, type, dims, file) != 4)
        refuse(line);
    for (char *d = strtok_r(dims, "x", &rest); d && strcmp(d, "scalar"); d = strtok_r(NULL, "x", &rest))
        put_int(&t, 1, atoll(d));
    put_int(&t, 2, type_number(type));
    put_text(&t, 8, name);
    put_text(&entry, 1, "location");
    put_text(&entry, 2, file);
    put_message(&t, 13, &entry);
    put_int(&t, 14, 1);
    return t;
}

static void put_names(little_bytes *b, int field, char *list)
{
    char *rest;
    for (char *s = strtok_r(list, ", ", &rest); s; s = strtok_r(NULL, ", ", &rest))
        put_text(b, field, strcmp(s, "_") ? s : "");
}

static little_bytes node(char *line, const little_bytes *sub)
{
    little_bytes n = {0};
    char *equals = strstr(line, " = "), *open = strchr(line, '('), *close = strchr(line, ')'), *rest;
    if (!equals || !open || !close)
        refuse(line);
    *equals = *open = *close = 0;
    put_names(&n, 1, open + 1);
    put_names(&n, 2, line);
    char *op = equals + 3, *of = strstr(op, "::");
    if (of) {
        *of = 0;
        put_text(&n, 7, op);
        op = of + 2;
    }
    put_text(&n, 4, op);
    for (char *a = strtok_r(close + 1, " ", &rest); a; a = strtok_r(NULL, " ", &rest)) {
        little_bytes attr = {0};
        char *value = strchr(a, '=');
        if (!value)
            refuse(a);
        *value++ = 0;
        put_text(&attr, 1, a);
        if (*value == '@') {
            const little_bytes *g = &sub[atoi(value + 1)];
            put_bytes(&attr, 6, g->at, g->n);
            put_int(&attr, 20, 5);
        } else if (*value == '\'') {
            put_bytes(&attr, 4, value + 1, strcspn(value + 1, "'"));
            put_int(&attr, 20, 3);
        } else if (*value == '[' && value[1] == '\'') {
            for (char *at = value + 1; *at == '\''; at += *at == ',') {
                size_t n_text = strcspn(at + 1, "'");
                put_bytes(&attr, 9, at + 1, n_text);
                at += n_text + 2;
            }
            put_int(&attr, 20, 8);
        } else if (*value == '[') {
            bool floats = strchr(value, '.');
            for (char *at = value + 1; *at && *at != ']'; at += *at == ',') {
                float f = strtof(at, floats ? &at : NULL);
                if (floats)
                    put_float(&attr, 7, f);
                else
                    put_int(&attr, 8, strtoll(at, &at, 10));
            }
            put_int(&attr, 20, floats ? 6 : 7);
        } else if (*value == '<') {
            char *end = strchr(value, '>');
            if (!end)
                refuse(value);
            *end = 0;
            for (char *c = value; *c; c++)
                *c = *c == ';' ? ' ' : *c;
            little_bytes t = constant(value + 1);
            put_message(&attr, 5, &t);
            put_int(&attr, 20, 4);
        } else if (strchr(value, '.')) {
            put_float(&attr, 2, strtof(value, NULL));
            put_int(&attr, 20, 1);
        } else {
            put_int(&attr, 3, atoll(value));
            put_int(&attr, 20, 2);
        }
        put_message(&n, 5, &attr);
    }
    return n;
}

little_bytes little_graph(const char *text, const little_bytes *sub)
{
    little_bytes g = {0};
    char *copy = strdup(text), *rest;
    put_text(&g, 2, "little");
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[100], type[20], dims[100];
        int field = !strncmp(line, "in ", 3) ? 11 : !strncmp(line, "out ", 4) ? 12 : !strncmp(line, "info ", 5) ? 13 : 0;
        little_bytes m;
        if (!strncmp(line, "const ", 6)) {
            m = constant(line + 6);
            field = 5;
        } else if (!strncmp(line, "hole ", 5)) {
            m = hole(line + 5);
            field = 5;
        } else if (field) {
            if (sscanf(line, "%*s %99s %19s %99s", name, type, dims) != 3)
                refuse(line);
            m = value_info(name, type, dims);
        } else {
            m = node(line, sub);
            field = 1;
        }
        put_message(&g, field, &m);
    }
    free(copy);
    return g;
}

little_bytes little_model(const little_bytes *graph)
{
    return little_model_with(graph, NULL, 0);
}

little_bytes little_model_with(const little_bytes *graph, const char *domain, int64_t version)
{
    little_bytes m = {0}, opset = {0}, other = {0};
    put_int(&m, 1, 8);
    put_bytes(&m, 7, graph->at, graph->n);
    put_text(&opset, 1, "");
    put_int(&opset, 2, 17);
    put_message(&m, 8, &opset);
    if (domain) {
        put_text(&other, 1, domain);
        put_int(&other, 2, version);
        put_message(&m, 8, &other);
    }
    return m;
}
