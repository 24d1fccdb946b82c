/* Reading symbolic dimensions: as text, as values, in another table, solved for a symbol. */
#include "base/checked.h"
#include "tensor/symdim_table.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    char *buf;
    size_t cap, used;
} text_out;

static void put(text_out *o, const char *text)
{
    size_t n = strlen(text), room = o->cap - o->used - 1;
    if (n > room)
        n = room;
    memcpy(o->buf + o->used, text, n);
    o->used += n;
    o->buf[o->used] = 0;
}

static void put_number(text_out *o, int64_t v)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)v);
    put(o, digits);
}

static void put_dim(const oi_symtab *s, text_out *o, oi_dim d);

static void put_atom(const oi_symtab *s, text_out *o, const record *r)
{
    static const char *const word[] = {[REC_MIN] = "min(", [REC_MAX] = "max(", [REC_BROADCAST] = "broadcast("};
    if (r->kind == REC_SYMBOL) {
        put(o, s->symbol[r->word[0]].name);
        return;
    }
    put(o, r->kind == REC_FLOORDIV ? "floor((" : word[r->kind]);
    for (uint32_t i = 0; i < r->n; i++) {
        if (i)
            put(o, r->kind == REC_FLOORDIV ? ")/(" : ", ");
        put_dim(s, o, r->word[i]);
    }
    put(o, r->kind == REC_FLOORDIV ? "))" : ")");
}

static void put_dim(const oi_symtab *s, text_out *o, oi_dim d)
{
    if (oi_dim_is_number(d)) {
        put_number(o, d);
        return;
    }
    const record *r = &s->rec[rec_of(d)];
    for (uint32_t i = 1; i < r->n; i += 2) {
        int64_t c = r->word[i];
        if (i > 1)
            put(o, c < 0 ? " - " : " + ");
        else if (c < 0)
            put(o, "-");
        if (c != 1 && c != -1) {
            put_number(o, c < 0 ? -c : c);
            put(o, "*");
        }
        const record *m = &s->rec[r->word[i + 1]];
        for (uint32_t k = m->n; k-- > 0;) {
            put_atom(s, o, &s->rec[m->word[k]]);
            if (k)
                put(o, "*");
        }
    }
    if (r->word[0]) {
        put(o, r->word[0] < 0 ? " - " : " + ");
        put_number(o, r->word[0] < 0 ? -r->word[0] : r->word[0]);
    }
}

const char *oi_dim_text(const oi_symtab *s, oi_dim d, char *buf, size_t cap)
{
    text_out o = {buf, cap, 0};
    if (!cap)
        return "";
    buf[0] = 0;
    put_dim(s, &o, d);
    return buf;
}

static bool eval_atom(const oi_symtab *s, const record *r, const int64_t *value, int64_t *out)
{
    int64_t v, all;
    if (r->kind == REC_SYMBOL) {
        *out = value ? value[r->word[0]] : -1;
        return *out >= 0;
    }
    if (!oi_dim_eval(s, r->word[0], value, &all))
        return false;
    for (uint32_t i = 1; i < r->n; i++) {
        if (!oi_dim_eval(s, r->word[i], value, &v))
            return false;
        switch (r->kind) {
        case REC_FLOORDIV:
            if (v == 0 || v == INT64_MIN || all == INT64_MIN)
                return false;
            all = v < 0 ? floor_div(-all, -v) : floor_div(all, v);
            break;
        case REC_MIN:
            all = v < all ? v : all;
            break;
        case REC_MAX:
            all = v > all ? v : all;
            break;
        default:
            if (all != v && all != 1 && v != 1)
                return false;
            all = all == 1 ? v : all;
        }
    }
    *out = all;
    return true;
}

static bool eval_monomial(const oi_symtab *s, const record *m, const int64_t *value, int64_t *out)
{
    int64_t v, product = 1;
    for (uint32_t i = 0; i < m->n; i++) {
        if (!eval_atom(s, &s->rec[m->word[i]], value, &v) || !oi_mul_i64(product, v, &product))
            return false;
    }
    *out = product;
    return true;
}

bool oi_dim_eval(const oi_symtab *s, oi_dim d, const int64_t *value, int64_t *out)
{
    if (oi_dim_is_number(d)) {
        *out = d;
        return true;
    }
    const record *r = &s->rec[rec_of(d)];
    int64_t total = r->word[0], v;
    for (uint32_t i = 1; i < r->n; i += 2) {
        if (!eval_monomial(s, &s->rec[r->word[i + 1]], value, &v) || !oi_mul_i64(v, r->word[i], &v) ||
            !oi_add_i64(total, v, &total))
            return false;
    }
    *out = total;
    return true;
}

static oi_dim translate_atom(const oi_symtab *s, const record *r, const int64_t *value, oi_symtab *to, oi_dim *map)
{
    if (r->kind == REC_SYMBOL) {
        oi_symbol sym = (oi_symbol)r->word[0];
        if (value && value[sym] >= 0)
            return value[sym];
        if (!s->symbol[sym].fresh)
            return oi_dim_symbol(to, s->symbol[sym].name);
        if (map[sym] == -1)
            map[sym] = oi_dim_fresh(to);
        return map[sym];
    }
    oi_dim all = oi_dim_translate(s, r->word[0], value, to, map);
    for (uint32_t i = 1; i < r->n; i++) {
        oi_dim d = oi_dim_translate(s, r->word[i], value, to, map);
        all = r->kind == REC_FLOORDIV ? oi_dim_floordiv(to, all, d)
              : r->kind == REC_MIN    ? oi_dim_min(to, all, d)
              : r->kind == REC_MAX    ? oi_dim_max(to, all, d)
                                      : oi_dim_broadcast(to, all, d);
    }
    return all;
}

oi_dim oi_dim_translate(const oi_symtab *s, oi_dim d, const int64_t *value, oi_symtab *to, oi_dim *map)
{
    if (oi_dim_is_number(d))
        return d;
    const record *r = &s->rec[rec_of(d)];
    oi_dim total = r->word[0];
    for (uint32_t i = 1; i < r->n; i += 2) {
        const record *m = &s->rec[r->word[i + 1]];
        oi_dim product = r->word[i];
        for (uint32_t k = 0; k < m->n; k++)
            product = oi_dim_mul(to, product, translate_atom(s, &s->rec[m->word[k]], value, to, map));
        total = oi_dim_add(to, total, product);
    }
    return total;
}

static bool has_open(const oi_symtab *s, const record *r, const int64_t *value)
{
    switch (r->kind) {
    case REC_SYMBOL:
        return value[r->word[0]] < 0;
    case REC_MONOMIAL:
        for (uint32_t i = 0; i < r->n; i++) {
            if (has_open(s, &s->rec[r->word[i]], value))
                return true;
        }
        return false;
    case REC_SUM:
        for (uint32_t i = 2; i < r->n; i += 2) {
            if (has_open(s, &s->rec[r->word[i]], value))
                return true;
        }
        return false;
    default:
        for (uint32_t i = 0; i < r->n; i++) {
            if (!oi_dim_is_number(r->word[i]) && has_open(s, &s->rec[rec_of(r->word[i])], value))
                return true;
        }
        return false;
    }
}

/* m as factor * symbol with the symbol open and the rest bound; false where it has another form. */
static bool as_open_symbol(const oi_symtab *s, const record *m, const int64_t *value, int64_t *factor, oi_symbol *sym)
{
    bool found = false;
    int64_t v;
    *factor = 1;
    for (uint32_t i = 0; i < m->n; i++) {
        const record *atom = &s->rec[m->word[i]];
        if (atom->kind == REC_SYMBOL && value[atom->word[0]] < 0) {
            if (found)
                return false;
            found = true;
            *sym = (oi_symbol)atom->word[0];
        } else if (!eval_atom(s, atom, value, &v) || !oi_mul_i64(*factor, v, factor)) {
            return false;
        }
    }
    return found;
}

int oi_dim_solve(const oi_symtab *s, oi_dim d, int64_t number, int64_t *value)
{
    if (oi_dim_is_number(d))
        return 0;
    const record *r = &s->rec[rec_of(d)];
    int64_t known = r->word[0], coef = 0, v;
    oi_symbol open = 0, sym = 0;
    bool found = false;
    for (uint32_t i = 1; i < r->n; i += 2) {
        const record *m = &s->rec[r->word[i + 1]];
        if (has_open(s, m, value)) {
            if (!as_open_symbol(s, m, value, &v, &sym) || (found && sym != open) || !oi_mul_i64(v, r->word[i], &v) ||
                !oi_add_i64(coef, v, &coef))
                return 0;
            open = sym;
            found = true;
        } else if (!eval_monomial(s, m, value, &v) || !oi_mul_i64(v, r->word[i], &v) || !oi_add_i64(known, v, &known)) {
            return 0;
        }
    }
    if (!found || coef == 0 || !oi_sub_i64(number, known, &v) || !in_range(v))
        return 0;
    if (v % coef || v / coef < 0)
        return -1;
    value[open] = v / coef;
    return 1;
}
