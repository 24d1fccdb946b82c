/* Symbolic dimensions: polynomials over atoms, hash-consed. Every object - name, atom, monomial, sum - is a record of
 * 64-bit words in one table; two equal records have the same number, so comparing handles compares expressions. */
#include "base/checked.h"
#include "tensor/symdim_table.h"

#include <string.h>

enum {
    MAX_TERMS = OI_SYM_MAX_TERMS,
    MAX_DEGREE = OI_SYM_MAX_DEGREE,
    MAX_OPERANDS = OI_SYM_MAX_OPERANDS,
    MAX_WEIGHT = OI_SYM_MAX_WEIGHT,
};

typedef struct {
    int64_t coef;
    uint32_t mono;
} term;

typedef struct {
    int64_t c0;
    uint32_t n;
    bool bad; /* overflowed or outgrew a bound */
    term t[MAX_TERMS];
} sum;

#define NO_RECORD OI_SYM_NO_RECORD
#define FALLBACK_SYMBOL 0 /* stands in when memory runs out */

/* --- records ----------------------------------------------------------------------------------------------------- */

static uint32_t hash_words(rec_kind kind, const int64_t *word, uint32_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ (uint64_t)kind;
    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ (uint64_t)word[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (uint32_t)h;
}

static uint32_t weight_of_dim(const oi_symtab *s, oi_dim d)
{
    return oi_dim_is_number(d) ? 1 : s->rec[rec_of(d)].weight;
}

bool oi_dim_is_nonnegative(const oi_symtab *s, oi_dim d)
{
    return oi_dim_is_number(d) ? d >= 0 : s->rec[rec_of(d)].nonnegative;
}

static void describe(const oi_symtab *s, record *r)
{
    bool all = true, any = false;
    r->weight = 1;
    switch (r->kind) {
    case REC_NAME:
    case REC_SYMBOL:
        r->nonnegative = true;
        return;
    case REC_MONOMIAL:
        for (uint32_t i = 0; i < r->n; i++) {
            r->weight += s->rec[r->word[i]].weight;
            all = all && s->rec[r->word[i]].nonnegative;
        }
        r->nonnegative = all;
        return;
    case REC_SUM:
        all = r->word[0] >= 0;
        for (uint32_t i = 1; i < r->n; i += 2) {
            r->weight += s->rec[r->word[i + 1]].weight;
            all = all && r->word[i] > 0 && s->rec[r->word[i + 1]].nonnegative;
        }
        r->nonnegative = all;
        return;
    default:
        for (uint32_t i = 0; i < r->n; i++) {
            r->weight += weight_of_dim(s, r->word[i]);
            all = all && oi_dim_is_nonnegative(s, r->word[i]);
            any = any || oi_dim_is_nonnegative(s, r->word[i]);
        }
        r->nonnegative = r->kind == REC_MAX ? any : all;
    }
}

static bool grow_slots(oi_symtab *s)
{
    uint32_t want = s->nslot ? s->nslot * 2 : 64;
    uint32_t *slot = oi_arena_array(s->arena, want, sizeof *slot);
    if (!slot)
        return false;
    for (uint32_t i = 0; i < s->nrec; i++) {
        uint32_t at = s->rec[i].hash & (want - 1);
        while (slot[at])
            at = (at + 1) & (want - 1);
        slot[at] = i + 1;
    }
    s->slot = slot;
    s->nslot = want;
    return true;
}

/* Its number, or NO_RECORD. */
static uint32_t lookup(const oi_symtab *s, rec_kind kind, const int64_t *word, uint32_t n, uint32_t hash)
{
    if (!s->nslot)
        return NO_RECORD;
    for (uint32_t at = hash & (s->nslot - 1); s->slot[at]; at = (at + 1) & (s->nslot - 1)) {
        const record *r = &s->rec[s->slot[at] - 1];
        if (r->hash == hash && r->kind == kind && r->n == n && memcmp(r->word, word, n * sizeof *word) == 0)
            return s->slot[at] - 1;
    }
    return NO_RECORD;
}

uint32_t oi_symtab_intern(oi_symtab *s, rec_kind kind, const int64_t *word, uint32_t n)
{
    uint32_t hash = hash_words(kind, word, n), found = lookup(s, kind, word, n, hash);
    if (found != NO_RECORD)
        return found;
    record r = {.n = n, .hash = hash, .kind = kind};
    r.word = oi_arena_copy(s->arena, word, n * sizeof *word);
    bool ok = r.word && s->nrec < UINT32_MAX / 4 && (s->nrec * 2 < s->nslot || grow_slots(s)) &&
              oi_arena_grow(s->arena, &s->rec, &s->rec_cap, s->nrec + 1, sizeof *s->rec) == ONNX_INFER_OK;
    if (!ok) {
        s->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return NO_RECORD;
    }
    describe(s, &r);
    uint32_t at = hash & (s->nslot - 1);
    while (s->slot[at])
        at = (at + 1) & (s->nslot - 1);
    s->slot[at] = s->nrec + 1;
    s->rec[s->nrec] = r;
    return s->nrec++;
}

/* --- symbols ----------------------------------------------------------------------------------------------------- */

static oi_dim add_symbol(oi_symtab *s, const char *name)
{
    uint32_t index = s->nsymbol;
    if (oi_arena_grow(s->arena, &s->symbol, &s->symbol_cap, index + 1, sizeof *s->symbol) != ONNX_INFER_OK)
        goto fail;
    int64_t word = index;
    uint32_t atom = oi_symtab_intern(s, REC_SYMBOL, &word, 1);
    if (atom == NO_RECORD)
        goto fail;
    word = atom;
    uint32_t mono = oi_symtab_intern(s, REC_MONOMIAL, &word, 1);
    if (mono == NO_RECORD)
        goto fail;
    uint32_t rec = oi_symtab_intern(s, REC_SUM, (int64_t[]){0, 1, mono}, 3);
    symbol_entry e = {.fresh = !name, .dim = dim_of(rec)};
    e.name = name ? oi_arena_text(s->arena, name) : oi_arena_format(s->arena, "?%u", index);
    if (rec == NO_RECORD || !e.name)
        goto fail;
    s->symbol[s->nsymbol++] = e;
    return e.dim;
fail:
    s->status = ONNX_INFER_E_OUT_OF_MEMORY;
    return s->nsymbol ? s->symbol[FALLBACK_SYMBOL].dim : 0;
}

oi_symtab *oi_symtab_create(oi_arena *arena)
{
    oi_symtab *s = oi_arena_mem(arena, sizeof *s);
    if (!s)
        return NULL;
    s->arena = arena;
    add_symbol(s, NULL);
    return s->status ? NULL : s;
}

oi_status oi_symtab_status(const oi_symtab *s)
{
    return s->status;
}

size_t oi_symtab_count(const oi_symtab *s)
{
    return s->nsymbol;
}

const char *oi_symtab_name(const oi_symtab *s, oi_symbol sym)
{
    return s->symbol[sym].name;
}

bool oi_symtab_is_fresh(const oi_symtab *s, oi_symbol sym)
{
    return s->symbol[sym].fresh;
}

/* The name as words, in the arena; NULL without memory. */
static int64_t *name_words(oi_arena *arena, const char *name, uint32_t *n)
{
    size_t len = strlen(name), words = 1 + (len + 7) / 8;
    int64_t *w = words < UINT32_MAX ? oi_arena_array(arena, words, sizeof *w) : NULL;
    if (!w)
        return NULL;
    w[0] = (int64_t)len;
    memcpy(w + 1, name, len);
    *n = (uint32_t)words;
    return w;
}

oi_dim oi_dim_symbol(oi_symtab *s, const char *name)
{
    oi_symbol known;
    if (oi_dim_find_symbol(s, name, &known))
        return s->symbol[known].dim;
    uint32_t n, rec = NO_RECORD;
    int64_t *w = name_words(s->arena, name, &n);
    if (w)
        rec = oi_symtab_intern(s, REC_NAME, w, n);
    if (rec == NO_RECORD) {
        s->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return s->symbol[FALLBACK_SYMBOL].dim;
    }
    uint32_t before = s->nsymbol;
    oi_dim d = add_symbol(s, name);
    s->rec[rec].aux = s->nsymbol > before ? before : FALLBACK_SYMBOL;
    return d;
}

oi_dim oi_dim_fresh(oi_symtab *s)
{
    return add_symbol(s, NULL);
}

bool oi_dim_find_symbol(const oi_symtab *s, const char *name, oi_symbol *out)
{
    int64_t local[17] = {0};
    size_t len = strlen(name);
    if (len > 8 * 16) {
        for (uint32_t i = 0; i < s->nsymbol; i++) {
            if (!s->symbol[i].fresh && strcmp(s->symbol[i].name, name) == 0) {
                *out = i;
                return true;
            }
        }
        return false;
    }
    local[0] = (int64_t)len;
    memcpy(local + 1, name, len);
    uint32_t n = (uint32_t)(1 + (len + 7) / 8);
    uint32_t rec = lookup(s, REC_NAME, local, n, hash_words(REC_NAME, local, n));
    if (rec == NO_RECORD)
        return false;
    *out = s->rec[rec].aux;
    return true;
}

/* --- sums -------------------------------------------------------------------------------------------------------- */

static sum load(const oi_symtab *s, oi_dim d)
{
    sum x = {0};
    if (oi_dim_is_number(d)) {
        x.c0 = d;
        return x;
    }
    const record *r = &s->rec[rec_of(d)];
    x.c0 = r->word[0];
    x.n = (r->n - 1) / 2;
    for (uint32_t i = 0; i < x.n; i++)
        x.t[i] = (term){r->word[1 + 2 * i], (uint32_t)r->word[2 + 2 * i]};
    return x;
}

static void sum_add_number(sum *x, int64_t v)
{
    if (!oi_add_i64(x->c0, v, &x->c0) || !in_range(x->c0))
        x->bad = true;
}

static void sum_add_term(sum *x, int64_t coef, uint32_t mono)
{
    if (coef == 0 || mono == NO_RECORD) {
        x->bad = x->bad || mono == NO_RECORD;
        return;
    }
    uint32_t i = 0;
    while (i < x->n && x->t[i].mono < mono)
        i++;
    if (i < x->n && x->t[i].mono == mono) {
        if (!oi_add_i64(x->t[i].coef, coef, &x->t[i].coef) || !in_range(x->t[i].coef))
            x->bad = true;
        else if (x->t[i].coef == 0)
            memmove(&x->t[i], &x->t[i + 1], (--x->n - i) * sizeof *x->t);
        return;
    }
    if (x->n == MAX_TERMS) {
        x->bad = true;
        return;
    }
    memmove(&x->t[i + 1], &x->t[i], (x->n++ - i) * sizeof *x->t);
    x->t[i] = (term){coef, mono};
}

static void sum_add_scaled(sum *x, const sum *y, int64_t k)
{
    int64_t v;
    x->bad = x->bad || y->bad;
    if (oi_mul_i64(y->c0, k, &v))
        sum_add_number(x, v);
    else
        x->bad = true;
    for (uint32_t i = 0; i < y->n && !x->bad; i++) {
        if (oi_mul_i64(y->t[i].coef, k, &v) && in_range(v))
            sum_add_term(x, v, y->t[i].mono);
        else
            x->bad = true;
    }
}

static oi_dim store(oi_symtab *s, const sum *x)
{
    if (x->bad)
        return oi_dim_fresh(s);
    if (x->n == 0)
        return x->c0;
    int64_t word[1 + 2 * MAX_TERMS];
    uint32_t weight = 1;
    word[0] = x->c0;
    for (uint32_t i = 0; i < x->n; i++) {
        word[1 + 2 * i] = x->t[i].coef;
        word[2 + 2 * i] = x->t[i].mono;
        weight += s->rec[x->t[i].mono].weight;
    }
    if (weight > MAX_WEIGHT)
        return oi_dim_fresh(s);
    uint32_t rec = oi_symtab_intern(s, REC_SUM, word, 1 + 2 * x->n);
    return rec == NO_RECORD ? s->symbol[FALLBACK_SYMBOL].dim : dim_of(rec);
}

/* A sum that is one atom of this kind and these operands. */
static oi_dim store_atom(oi_symtab *s, rec_kind kind, const oi_dim *operand, uint32_t n)
{
    uint32_t weight = 1;
    for (uint32_t i = 0; i < n; i++)
        weight += weight_of_dim(s, operand[i]);
    if (weight > MAX_WEIGHT)
        return oi_dim_fresh(s);
    int64_t atom = oi_symtab_intern(s, kind, operand, n);
    uint32_t mono = atom == NO_RECORD ? NO_RECORD : oi_symtab_intern(s, REC_MONOMIAL, &atom, 1);
    sum x = {0};
    sum_add_term(&x, 1, mono);
    return store(s, &x);
}

/* The atom that d consists of, if it is one of this kind. */
static const record *as_atom(const oi_symtab *s, oi_dim d, rec_kind kind)
{
    if (oi_dim_is_number(d))
        return NULL;
    const record *r = &s->rec[rec_of(d)];
    if (r->n != 3 || r->word[0] != 0 || r->word[1] != 1 || s->rec[r->word[2]].n != 1)
        return NULL;
    const record *atom = &s->rec[s->rec[r->word[2]].word[0]];
    return atom->kind == kind ? atom : NULL;
}

/* --- monomials --------------------------------------------------------------------------------------------------- */

static uint32_t mono_mul(oi_symtab *s, uint32_t a, uint32_t b)
{
    const record *x = &s->rec[a], *y = &s->rec[b];
    int64_t atom[2 * MAX_DEGREE];
    uint32_t n = 0, i = 0, j = 0;
    if (x->n + y->n > MAX_DEGREE)
        return NO_RECORD;
    while (i < x->n || j < y->n) {
        bool left = j == y->n || (i < x->n && x->word[i] >= y->word[j]);
        atom[n++] = left ? x->word[i++] : y->word[j++];
    }
    return oi_symtab_intern(s, REC_MONOMIAL, atom, n);
}

/* a / b as a list of atoms; false where b does not divide a. */
static bool mono_quotient(const oi_symtab *s, uint32_t a, const int64_t *b, uint32_t nb, int64_t *atom, uint32_t *n)
{
    const record *x = &s->rec[a];
    uint32_t j = 0;
    *n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (j < nb && x->word[i] == b[j])
            j++;
        else
            atom[(*n)++] = x->word[i];
    }
    return j == nb;
}

/* Graded, then lexicographic: an order that multiplication keeps. NO_RECORD stands for 1. */
static int mono_compare(const oi_symtab *s, uint32_t a, uint32_t b)
{
    uint32_t na = a == NO_RECORD ? 0 : s->rec[a].n, nb = b == NO_RECORD ? 0 : s->rec[b].n;
    if (na != nb)
        return na < nb ? -1 : 1;
    for (uint32_t i = 0; i < na; i++) {
        if (s->rec[a].word[i] != s->rec[b].word[i])
            return s->rec[a].word[i] < s->rec[b].word[i] ? -1 : 1;
    }
    return 0;
}

/* --- arithmetic -------------------------------------------------------------------------------------------------- */

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a < 0 ? -a : a;
}

static oi_dim add_scaled(oi_symtab *s, oi_dim a, oi_dim b, int64_t k)
{
    sum x = load(s, a), y = load(s, b);
    sum_add_scaled(&x, &y, k);
    return store(s, &x);
}

oi_dim oi_dim_add(oi_symtab *s, oi_dim a, oi_dim b)
{
    return add_scaled(s, a, b, 1);
}

oi_dim oi_dim_sub(oi_symtab *s, oi_dim a, oi_dim b)
{
    return add_scaled(s, a, b, -1);
}

static sum multiply(oi_symtab *s, const sum *a, const sum *b)
{
    sum x = {0};
    sum_add_scaled(&x, a, b->c0);
    for (uint32_t j = 0; j < b->n && !x.bad; j++) {
        int64_t v;
        for (uint32_t i = 0; i < a->n && !x.bad; i++) {
            if (oi_mul_i64(a->t[i].coef, b->t[j].coef, &v) && in_range(v))
                sum_add_term(&x, v, mono_mul(s, a->t[i].mono, b->t[j].mono));
            else
                x.bad = true;
        }
        if (oi_mul_i64(a->c0, b->t[j].coef, &v) && in_range(v))
            sum_add_term(&x, v, b->t[j].mono);
        else
            x.bad = true;
    }
    x.bad = x.bad || a->bad || b->bad;
    return x;
}

oi_dim oi_dim_mul(oi_symtab *s, oi_dim a, oi_dim b)
{
    if (a == 0 || b == 0)
        return 0;
    sum x = load(s, a), y = load(s, b), product = multiply(s, &x, &y);
    return store(s, &product);
}

static oi_dim divide_by_number(oi_symtab *s, oi_dim a, int64_t b)
{
    sum x = load(s, a), q = {0}, r = {0};
    if (b < 0) {
        sum negated = {0};
        sum_add_scaled(&negated, &x, -1);
        x = negated;
        b = -b;
    }
    if (x.bad)
        return oi_dim_fresh(s);
    int64_t g = b;
    q.c0 = floor_div(x.c0, b);
    r.c0 = x.c0 - q.c0 * b;
    for (uint32_t i = 0; i < x.n; i++) {
        int64_t whole = floor_div(x.t[i].coef, b), rest = x.t[i].coef - whole * b;
        sum_add_term(&q, whole, x.t[i].mono);
        sum_add_term(&r, rest, x.t[i].mono);
        g = gcd(g, rest);
    }
    if (r.n == 0)
        return store(s, &q);
    for (uint32_t i = 0; i < r.n; i++)
        r.t[i].coef /= g;
    r.c0 /= g;
    b /= g;
    /* floor((floor(y / d) + c) / b) = floor((y + c d) / (b d)) */
    int64_t offset = r.c0, scaled, divisor;
    r.c0 = 0;
    oi_dim rest = store(s, &r);
    const record *inner = as_atom(s, rest, REC_FLOORDIV);
    if (inner && oi_dim_is_number(inner->word[1]) && inner->word[1] > 0 && oi_mul_i64(offset, inner->word[1], &scaled) &&
        oi_mul_i64(b, inner->word[1], &divisor) && in_range(scaled) && divisor < -OI_DIM_LOWEST_NUMBER)
        return oi_dim_add(s, store(s, &q), divide_by_number(s, oi_dim_add(s, inner->word[0], scaled), divisor));
    oi_dim operand[2] = {oi_dim_add(s, rest, offset), b};
    return oi_dim_add(s, store(s, &q), store_atom(s, REC_FLOORDIV, operand, 2));
}

/* Atoms that divide every term of x, out of those in list; none where it has a constant. */
static uint32_t common_atoms(const oi_symtab *s, const sum *x, int64_t *list, uint32_t n)
{
    if (x->c0)
        return 0;
    for (uint32_t i = 0; i < x->n; i++) {
        const record *m = &s->rec[x->t[i].mono];
        uint32_t kept = 0, j = 0;
        for (uint32_t k = 0; k < n; k++) {
            while (j < m->n && m->word[j] > list[k])
                j++;
            if (j < m->n && m->word[j] == list[k]) {
                list[kept++] = list[k];
                j++;
            }
        }
        n = kept;
    }
    return n;
}

static sum strip(oi_symtab *s, const sum *x, const int64_t *atoms, uint32_t n)
{
    sum y = {.c0 = n ? 0 : x->c0};
    for (uint32_t i = 0; i < x->n; i++) {
        int64_t rest[MAX_DEGREE];
        uint32_t nrest;
        mono_quotient(s, x->t[i].mono, atoms, n, rest, &nrest);
        if (nrest)
            sum_add_term(&y, x->t[i].coef, oi_symtab_intern(s, REC_MONOMIAL, rest, nrest));
        else
            sum_add_number(&y, x->t[i].coef);
    }
    return y;
}

static term leading(const oi_symtab *s, const sum *x)
{
    term best = {x->c0, NO_RECORD};
    for (uint32_t i = 0; i < x->n; i++) {
        if (mono_compare(s, x->t[i].mono, best.mono) > 0)
            best = x->t[i];
    }
    return best;
}

/* x / y where it comes out exactly as a polynomial. */
static bool exact_quotient(oi_symtab *s, sum x, const sum *y, sum *q)
{
    const term lead = leading(s, y);
    *q = (sum){0};
    for (int step = 0; step < MAX_TERMS && (x.n || x.c0); step++) {
        term t = leading(s, &x);
        int64_t rest[MAX_DEGREE];
        uint32_t n = 0;
        if (t.coef % lead.coef || (t.mono == NO_RECORD && lead.mono != NO_RECORD))
            return false;
        if (t.mono != NO_RECORD && !mono_quotient(s, t.mono, lead.mono == NO_RECORD ? NULL : s->rec[lead.mono].word,
                                                  lead.mono == NO_RECORD ? 0 : s->rec[lead.mono].n, rest, &n))
            return false;
        sum part = {0};
        if (n)
            sum_add_term(&part, t.coef / lead.coef, oi_symtab_intern(s, REC_MONOMIAL, rest, n));
        else
            part.c0 = t.coef / lead.coef;
        sum product = multiply(s, &part, y);
        sum_add_scaled(q, &part, 1);
        sum_add_scaled(&x, &product, -1);
        if (x.bad || q->bad)
            return false;
    }
    return x.n == 0 && x.c0 == 0;
}

oi_dim oi_dim_floordiv(oi_symtab *s, oi_dim a, oi_dim b)
{
    if (b == 0)
        return oi_dim_fresh(s);
    if (a == 0)
        return 0;
    if (a == b)
        return 1;
    if (oi_dim_is_number(b))
        return divide_by_number(s, a, b);
    sum x = load(s, a), y = load(s, b), q;
    int64_t atoms[MAX_DEGREE];
    uint32_t n = s->rec[y.t[0].mono].n;
    memcpy(atoms, s->rec[y.t[0].mono].word, n * sizeof *atoms);
    n = common_atoms(s, &x, atoms, common_atoms(s, &y, atoms, n));
    if (n) {
        x = strip(s, &x, atoms, n);
        y = strip(s, &y, atoms, n);
        return oi_dim_floordiv(s, store(s, &x), store(s, &y));
    }
    if (exact_quotient(s, x, &y, &q))
        return store(s, &q);
    return store_atom(s, REC_FLOORDIV, (oi_dim[]){a, b}, 2);
}

oi_dim oi_dim_ceildiv(oi_symtab *s, oi_dim a, oi_dim b)
{
    if (oi_dim_is_number(b) && b < 0)
        return oi_dim_ceildiv(s, oi_dim_sub(s, 0, a), -b);
    return oi_dim_floordiv(s, oi_dim_add(s, a, oi_dim_sub(s, b, 1)), b);
}

oi_dim oi_dim_mod(oi_symtab *s, oi_dim a, oi_dim b)
{
    return oi_dim_sub(s, a, oi_dim_mul(s, b, oi_dim_floordiv(s, a, b)));
}

/* Appends d, or the operands of the atom of this kind that it is, without repeats; false where there are too many. */
static bool gather(const oi_symtab *s, rec_kind kind, oi_dim d, oi_dim *list, uint32_t *n)
{
    const record *atom = as_atom(s, d, kind);
    const oi_dim *from = atom ? atom->word : &d;
    for (uint32_t i = 0, count = atom ? atom->n : 1; i < count; i++) {
        uint32_t at = 0;
        while (at < *n && list[at] < from[i])
            at++;
        if (at < *n && list[at] == from[i])
            continue;
        if (*n == MAX_OPERANDS)
            return false;
        memmove(&list[at + 1], &list[at], ((*n)++ - at) * sizeof *list);
        list[at] = from[i];
    }
    return true;
}

static oi_dim extreme(oi_symtab *s, rec_kind kind, oi_dim a, oi_dim b)
{
    oi_dim list[MAX_OPERANDS];
    uint32_t n = 0;
    if (!gather(s, kind, a, list, &n) || !gather(s, kind, b, list, &n))
        return oi_dim_fresh(s);
    /* Drop what another operand is known to beat. */
    for (uint32_t i = 0; i < n;) {
        bool beaten = false;
        for (uint32_t j = 0; j < n && !beaten; j++) {
            if (i == j)
                continue;
            sum more = load(s, list[kind == REC_MAX ? j : i]), less = load(s, list[kind == REC_MAX ? i : j]);
            sum_add_scaled(&more, &less, -1);
            beaten = !more.bad && more.c0 >= 0;
            for (uint32_t k = 0; k < more.n && beaten; k++)
                beaten = more.t[k].coef > 0 && s->rec[more.t[k].mono].nonnegative;
        }
        if (beaten)
            memmove(&list[i], &list[i + 1], (--n - i) * sizeof *list);
        else
            i++;
    }
    return n == 1 ? list[0] : store_atom(s, kind, list, n);
}

oi_dim oi_dim_min(oi_symtab *s, oi_dim a, oi_dim b)
{
    return extreme(s, REC_MIN, a, b);
}

oi_dim oi_dim_max(oi_symtab *s, oi_dim a, oi_dim b)
{
    return extreme(s, REC_MAX, a, b);
}

oi_dim oi_dim_broadcast(oi_symtab *s, oi_dim a, oi_dim b)
{
    if (a == b || b == 1)
        return a;
    if (a == 1)
        return b;
    if (oi_dim_is_number(a) && oi_dim_is_number(b))
        return oi_dim_fresh(s);
    if (oi_dim_is_number(a) || oi_dim_is_number(b)) /* the other is 1 or the same */
        return oi_dim_is_number(a) ? a : b;
    oi_dim list[MAX_OPERANDS];
    uint32_t n = 0;
    if (!gather(s, REC_BROADCAST, a, list, &n) || !gather(s, REC_BROADCAST, b, list, &n))
        return oi_dim_fresh(s);
    return n == 1 ? list[0] : store_atom(s, REC_BROADCAST, list, n);
}
