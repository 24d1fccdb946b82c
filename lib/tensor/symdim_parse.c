/* From text to symbolic dimensions: what oi_dim_text writes, and the usual operators. */
#include "tensor/symdim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32, MAX_NAME = 120 };

typedef struct {
    oi_symtab *syms;
    const char *at;
    int depth;
    bool bad;
} parser;

static oi_dim parse_sum(parser *p);

static char peek(parser *p)
{
    p->at += strspn(p->at, " \t");
    return *p->at;
}

static bool take(parser *p, char c)
{
    if (peek(p) != c)
        return false;
    p->at++;
    return true;
}

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (s[n] == '_' || s[n] == '.' || s[n] == '?' || (s[n] >= '0' && s[n] <= '9') || (s[n] >= 'a' && s[n] <= 'z') ||
           (s[n] >= 'A' && s[n] <= 'Z') || (unsigned char)s[n] >= 0x80)
        n++;
    return n;
}

static oi_dim parse_call(parser *p, const char *name)
{
    static const struct { const char *name; oi_dim (*fn)(oi_symtab *s, oi_dim a, oi_dim b); } known[] = {
        {"min", oi_dim_min}, {"max", oi_dim_max}, {"broadcast", oi_dim_broadcast}, {"mod", oi_dim_mod},
        {"ceildiv", oi_dim_ceildiv}, {"floor", NULL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name))
            continue;
        oi_dim d = parse_sum(p);
        while (!p->bad && known[i].fn && take(p, ','))
            d = known[i].fn(p->syms, d, parse_sum(p));
        p->bad = p->bad || !take(p, ')');
        return d;
    }
    p->bad = true;
    return 0;
}

static oi_dim parse_factor(parser *p)
{
    char name[MAX_NAME], c = peek(p);
    if (++p->depth > MAX_DEPTH)
        p->bad = true;
    oi_dim d = 0;
    size_t n = name_length(p->at);
    if (p->bad) {
        return 0;
    } else if (take(p, '(')) {
        d = parse_sum(p);
        p->bad = p->bad || !take(p, ')');
    } else if (c >= '0' && c <= '9') {
        char *end;
        errno = 0;
        d = strtoll(p->at, &end, 10);
        p->bad = errno != 0 || name_length(p->at) != (size_t)(end - p->at);
        p->at = end;
    } else if (n && n < sizeof name) {
        memcpy(name, p->at, n);
        name[n] = 0;
        p->at += n;
        oi_symbol known;
        if (take(p, '('))
            d = parse_call(p, name);
        else if (name[0] == '?' && !oi_dim_find_symbol(p->syms, name, &known))
            d = oi_dim_fresh(p->syms);
        else
            d = oi_dim_symbol(p->syms, name);
    } else {
        p->bad = true;
    }
    p->depth--;
    return d;
}

static oi_dim parse_product(parser *p)
{
    oi_dim d = parse_factor(p);
    for (char c = peek(p); !p->bad && (c == '*' || c == '/' || c == '%'); c = peek(p)) {
        p->at++;
        oi_dim by = parse_factor(p);
        d = c == '*' ? oi_dim_mul(p->syms, d, by) : c == '/' ? oi_dim_floordiv(p->syms, d, by) : oi_dim_mod(p->syms, d, by);
    }
    return d;
}

static oi_dim parse_sum(parser *p)
{
    bool minus = take(p, '-');
    oi_dim d = parse_product(p);
    if (minus)
        d = oi_dim_sub(p->syms, 0, d);
    for (char c = peek(p); !p->bad && (c == '+' || c == '-'); c = peek(p)) {
        p->at++;
        oi_dim by = parse_product(p);
        d = c == '+' ? oi_dim_add(p->syms, d, by) : oi_dim_sub(p->syms, d, by);
    }
    return d;
}

bool oi_dim_parse(oi_symtab *s, const char *text, oi_dim *out)
{
    parser p = {.syms = s, .at = text};
    oi_symbol whole;
    if (oi_dim_find_symbol(s, text, &whole)) {
        *out = oi_dim_symbol(s, text);
        return true;
    }
    *out = parse_sum(&p);
    return !p.bad && peek(&p) == 0 && oi_symtab_status(s) == ONNX_INFER_OK;
}
