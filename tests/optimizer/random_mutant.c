/* Random graphs that are nearly one of the graphs that rules rewrite or leave: with other operators, operands, numbers, sizes, one
 * output more. So every rule is tried on what just fits it and what just does not. */
#include "random_mutant.h"

#include "cases.h"
#include "graph_run.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 128, LINE_BYTES = 1024, NAME_BYTES = 32, MAX_OPERANDS = 16, LARGEST_DIM = 100 };

typedef struct {
    uint64_t seed;
    char line[MAX_LINES][LINE_BYTES];
    int n, made; /* names that mutations have given */
} mutant;

static uint32_t draw(mutant *m, uint32_t below)
{
    return (uint32_t)(next_random(&m->seed) >> 33) % below;
}

static bool starts(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

static bool is_node(const char *line)
{
    return strstr(line, " = ") && strchr(line, '(') && !starts(line, "const ");
}

static void read_text(mutant *m, const char *text)
{
    m->n = 0;
    while (*text && m->n < MAX_LINES) {
        text += strspn(text, " \n");
        size_t length = strcspn(text, "\n");
        if (length)
            snprintf(m->line[m->n++], LINE_BYTES, "%.*s", (int)length, text);
        text += length;
    }
}

static char *write_text(const mutant *m)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    for (int i = 0; i < m->n; i++)
        fprintf(f, "%s\n", m->line[i]);
    fclose(f);
    return text;
}

/* One line of the kind; -1: there is none. */
static int some_line(mutant *m, bool (*fits)(const char *line))
{
    int at[MAX_LINES], n = 0;
    for (int i = 0; i < m->n; i++) {
        if (fits(m->line[i]))
            at[n++] = i;
    }
    return n ? at[draw(m, (uint32_t)n)] : -1;
}

/* What a line gives a value to: the first name of a node, an input or a constant. */
static bool name_of(const char *line, char *name)
{
    const char *p = is_node(line) ? line : starts(line, "input ") || starts(line, "const ") ? line + 6 : NULL;
    size_t n = p ? strcspn(p, " ,") : 0;
    if (!p || n >= NAME_BYTES)
        return false;
    snprintf(name, NAME_BYTES, "%.*s", (int)n, p);
    return true;
}

static bool has_name(const char *line)
{
    char name[NAME_BYTES];
    return name_of(line, name);
}

static void replace_part(char *line, size_t at, size_t length, const char *with)
{
    char rest[LINE_BYTES];
    snprintf(rest, sizeof rest, "%s", line + at + length);
    snprintf(line + at, LINE_BYTES - at, "%s%s", with, rest);
}

/* Where each operand of a node stands. */
static int operands(const char *line, size_t *at, size_t *length)
{
    const char *open = strchr(strstr(line, " = "), '('), *close = strchr(open, ')');
    int n = 0;
    for (const char *p = open + 1; close && p < close && n < MAX_OPERANDS;) {
        p += strspn(p, ", ");
        size_t word = strcspn(p, ",) ");
        if (word && p < close) {
            at[n] = (size_t)(p - line);
            length[n++] = word;
        }
        p += word ? word : 1;
    }
    return n;
}

/* --- mutations --------------------------------------------------------------------------------------------------- */

static void one_output_more(mutant *m)
{
    int i = some_line(m, is_node);
    char name[NAME_BYTES];
    if (i >= 0 && m->n < MAX_LINES && name_of(m->line[i], name))
        snprintf(m->line[m->n++], LINE_BYTES, "output %s", name);
}

static void another_operator(mutant *m)
{
    static const char *const groups[][14] = {
        {"Add", "Sub", "Mul", "Div", "Max", "Min"},
        {"Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Softplus", "Exp", "Identity", "HardSwish", "Erf", "Sqrt", "Reciprocal"},
        {"ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin"},
        {"MaxPool", "AveragePool"},
        {"Less", "Greater"},
    };
    int i = some_line(m, is_node);
    if (i < 0)
        return;
    char *op = strstr(m->line[i], " = ") + 3;
    const size_t length = strcspn(op, "(");
    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++) {
        uint32_t n = 0;
        bool member = false;
        for (; groups[k][n]; n++)
            member = member || (strlen(groups[k][n]) == length && strncmp(groups[k][n], op, length) == 0);
        if (member) {
            replace_part(m->line[i], (size_t)(op - m->line[i]), length, groups[k][draw(m, n)]);
            return;
        }
    }
}

static void operands_change_places(mutant *m)
{
    int i = some_line(m, is_node);
    size_t at[MAX_OPERANDS], length[MAX_OPERANDS];
    char first[NAME_BYTES], second[NAME_BYTES];
    if (i < 0 || operands(m->line[i], at, length) < 2)
        return;
    snprintf(first, sizeof first, "%.*s", (int)length[0], m->line[i] + at[0]);
    snprintf(second, sizeof second, "%.*s", (int)length[1], m->line[i] + at[1]);
    replace_part(m->line[i], at[1], length[1], first);
    replace_part(m->line[i], at[0], length[0], second);
}

static void another_operand(mutant *m)
{
    int i = some_line(m, is_node), from = some_line(m, has_name);
    size_t at[MAX_OPERANDS], length[MAX_OPERANDS];
    char name[NAME_BYTES];
    int n = i < 0 ? 0 : operands(m->line[i], at, length);
    if (!n || from < 0 || from >= i || !name_of(m->line[from], name))
        return;
    uint32_t k = draw(m, (uint32_t)n);
    replace_part(m->line[i], at[k], length[k], name);
}

static bool is_numbers(const char *line)
{
    return starts(line, "const ") && strstr(line, " = ");
}

static void another_number(mutant *m)
{
    static const char *const numbers[] = {"0", "1", "2", "3", "-1", "0.5", "6", "0.1", "-2"};
    int i = some_line(m, is_numbers);
    if (i < 0)
        return;
    char *p = strstr(m->line[i], " = ") + 3;
    for (uint32_t skip = draw(m, 3); skip > 0 && p[strcspn(p, " ")]; skip--)
        p += strcspn(p, " ") + 1;
    replace_part(m->line[i], (size_t)(p - m->line[i]), strcspn(p, " "), numbers[draw(m, sizeof numbers / sizeof *numbers)]);
}

static bool has_attributes(const char *line)
{
    return is_node(line) && strchr(line, '{');
}

static void another_attribute(mutant *m)
{
    int i = some_line(m, has_attributes);
    char *at[32], digit[2] = {0};
    uint32_t n = 0;
    if (i < 0)
        return;
    for (char *p = strchr(m->line[i], '{'); *p && *p != '}' && n < 32; p++) {
        if (isdigit((unsigned char)*p) && strchr("=[,-", p[-1]))
            at[n++] = p;
    }
    if (!n)
        return;
    digit[0] = (char)('0' + draw(m, 4));
    replace_part(m->line[i], (size_t)(at[draw(m, n)] - m->line[i]), 1, digit);
}

static void one_operator_more(mutant *m)
{
    static const char *const op[] = {"Relu", "Neg", "Identity", "Tanh", "Sigmoid", "Abs"};
    int i = some_line(m, is_node);
    size_t at[MAX_OPERANDS], length[MAX_OPERANDS];
    int n = i < 0 || m->n + 1 >= MAX_LINES ? 0 : operands(m->line[i], at, length);
    if (!n)
        return;
    uint32_t k = draw(m, (uint32_t)n);
    char name[NAME_BYTES], made[NAME_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)length[k], m->line[i] + at[k]);
    snprintf(made, sizeof made, "mut%d", m->made++);
    replace_part(m->line[i], at[k], length[k], made);
    memmove(m->line[i + 1], m->line[i], (size_t)(m->n - i) * LINE_BYTES);
    m->n++;
    snprintf(m->line[i], LINE_BYTES, "%s = %s(%s)", made, op[draw(m, sizeof op / sizeof *op)], name);
}

/* Numbers of the same size stand for the same axis, mostly. */
static void another_size(mutant *m)
{
    long sizes[64];
    uint32_t n = 0;
    for (int i = 0; i < m->n; i++) {
        if (!starts(m->line[i], "input ") && !starts(m->line[i], "const "))
            continue;
        for (char *p = strchr(m->line[i] + 6, ' '); p && *p && *p != '=' && n < 64;) {
            bool number = isdigit((unsigned char)*p) && strchr(" x", p[-1]);
            char *end = p + 1;
            long v = number ? strtol(p, &end, 10) : 0;
            if (number && v > 1)
                sizes[n++] = v;
            p = end;
        }
    }
    if (!n)
        return;
    const long from = sizes[draw(m, n)];
    char to[16];
    snprintf(to, sizeof to, "%u", 1 + draw(m, 9));
    for (int i = 0; i < m->n; i++) {
        for (char *p = m->line[i] + 1; *p;) {
            bool number = isdigit((unsigned char)*p) && strchr(" x", p[-1]);
            char *end = p + 1;
            long v = number ? strtol(p, &end, 10) : 0;
            if (number && v == from && *end != '.') {
                replace_part(m->line[i], (size_t)(p - m->line[i]), (size_t)(end - p), to);
                end = p + strlen(to);
            }
            p = end;
        }
    }
}

static bool is_random_const(const char *line)
{
    return starts(line, "const ") && strstr(line, " random");
}

static void constant_becomes_input(mutant *m)
{
    int i = some_line(m, is_random_const);
    if (i < 0)
        return;
    memcpy(m->line[i], "input", 5);
    *strstr(m->line[i], " random") = 0;
}

/* --- a graph ----------------------------------------------------------------------------------------------------- */

static bool is_small(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (isdigit((unsigned char)*p) && p > text && strchr(" x", p[-1])) {
            char *end;
            long v = strtol(p, &end, 10);
            if (v > LARGEST_DIM && (*end == 'x' || p[-1] == 'x'))
                return false;
            p = end - 1;
        }
    }
    return true;
}

static bool is_evaluated(const char *text)
{
    return !strstr(text, "Random") && !strstr(text, "Bernoulli") && !strstr(text, "Dropout");
}

static const case_table *const tables[] = {
#define CASES(name) &name##_cases,
#include "cases_list.h"
#undef CASES
};
enum { TABLES = sizeof tables / sizeof *tables };

char *unmutated_graph(size_t i)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t k = 0; k < tables[t]->nrewrite; k++) {
            mutant m = {0};
            read_text(&m, tables[t]->rewrite[k].graph);
            if (is_evaluated(tables[t]->rewrite[k].graph) && i-- == 0)
                return write_text(&m);
        }
    }
    return NULL;
}

static bool computes(const char *text, uint64_t seed)
{
    enum { MAX_OUTPUTS = 16, OPEN = 3 };
    oi_tensor out[MAX_OUTPUTS] = {0};
    oi_graph *g = graph_try_text(text);
    bool good = g && g->noutput <= MAX_OUTPUTS && !graph_compute(g, seed, OPEN, out);
    for (int i = 0; i < MAX_OUTPUTS; i++)
        oi_tensor_clear(&out[i]);
    oi_graph_destroy(g);
    return good;
}

static const char *some_case(mutant *m, uint64_t seed)
{
    for (;;) {
        const case_table *t = tables[draw(m, TABLES)];
        const char *text = draw(m, 4) ? t->rewrite[draw(m, (uint32_t)t->nrewrite)].graph : t->leave[draw(m, (uint32_t)t->nleave)].graph;
        if (is_small(text) && is_evaluated(text) && computes(text, seed))
            return text;
    }
}

char *make_mutant_graph(uint64_t seed)
{
    static void (*const mutations[])(mutant *) = {one_output_more, another_operator, another_operator, operands_change_places,
                                                  another_operand, another_number, another_attribute, one_operator_more, another_size,
                                                  another_size, constant_becomes_input};
    mutant *m = calloc(1, sizeof *m), *last = malloc(sizeof *last);
    m->seed = seed;
    read_text(m, some_case(m, seed));
    for (uint32_t k = draw(m, 4); k > 0; k--) {
        *last = *m;
        mutations[draw(m, sizeof mutations / sizeof *mutations)](m);
        char *text = write_text(m);
        if (!computes(text, seed)) { /* it was no graph any more, or not for these inputs */
            last->seed = m->seed;
            *m = *last;
        }
        free(text);
    }
    char *text = write_text(m);
    free(m);
    free(last);
    return text;
}
