/* Tables of symbolic dimensions as bytes: records in their order, so that every handle means the same in the copy. */
#include "base/blob.h"
#include "tensor/symdim_table.h"

void oi_symtab_write(const oi_symtab *s, oi_blob *b)
{
    oi_blob_u32(b, s->nrec);
    oi_blob_u32(b, s->nsymbol);
    for (uint32_t i = 0; i < s->nrec; i++) {
        oi_blob_u32(b, (uint32_t)s->rec[i].kind);
        oi_blob_u32(b, s->rec[i].aux);
        oi_blob_u32(b, s->rec[i].n);
        oi_blob_put(b, s->rec[i].word, s->rec[i].n * sizeof *s->rec[i].word, sizeof(int64_t));
    }
    for (uint32_t i = 0; i < s->nsymbol; i++) {
        oi_blob_text(b, s->symbol[i].name);
        oi_blob_u32(b, s->symbol[i].fresh);
        oi_blob_i64(b, s->symbol[i].dim);
    }
}

bool oi_symtab_has(const oi_symtab *s, oi_dim d)
{
    return oi_dim_is_number(d) || (OI_DIM_LOWEST_NUMBER - 1 - d < (int64_t)s->nrec && s->rec[rec_of(d)].kind == REC_SUM);
}

static bool all_dims(const oi_symtab *s, const int64_t *word, uint32_t n)
{
    bool good = n >= 1 && n <= OI_SYM_MAX_OPERANDS;
    for (uint32_t i = 0; good && i < n; i++)
        good = oi_symtab_has(s, word[i]);
    return good;
}

static bool is_record(const oi_symtab *s, int64_t word, rec_kind from, rec_kind to)
{
    return word >= 0 && word < s->nrec && s->rec[word].kind >= from && s->rec[word].kind <= to;
}

/* What the record refers to is there already and of the right kind. */
static bool makes_sense(const oi_symtab *s, rec_kind kind, const int64_t *word, uint32_t n, uint32_t aux, uint32_t nsymbol)
{
    switch (kind) {
    case REC_NAME:
        return n >= 1 && aux < nsymbol && word[0] >= 0 && word[0] <= (int64_t)(n - 1) * 8;
    case REC_SYMBOL:
        return n == 1 && word[0] >= 0 && word[0] < nsymbol;
    case REC_FLOORDIV:
        return n == 2 && all_dims(s, word, n);
    case REC_MIN:
    case REC_MAX:
    case REC_BROADCAST:
        return all_dims(s, word, n);
    case REC_MONOMIAL:
        for (uint32_t i = 0; i < n; i++) {
            if (!is_record(s, word[i], REC_SYMBOL, REC_BROADCAST))
                return false;
        }
        return n >= 1 && n <= OI_SYM_MAX_DEGREE;
    case REC_SUM:
        for (uint32_t i = 1; i + 1 < n; i += 2) {
            if (!oi_dim_is_number(word[i]) || !is_record(s, word[i + 1], REC_MONOMIAL, REC_MONOMIAL))
                return false;
        }
        return n >= 3 && n % 2 == 1 && n <= 1 + 2 * OI_SYM_MAX_TERMS && oi_dim_is_number(word[0]);
    }
    return false;
}

static bool read_record(oi_symtab *s, oi_cursor *c, uint32_t index, uint32_t nsymbol)
{
    uint32_t kind = oi_cursor_u32(c), aux = oi_cursor_u32(c), n = oi_cursor_count(c, sizeof(int64_t));
    const int64_t *word = oi_cursor_take(c, n * sizeof *word, sizeof *word);
    if (!word || kind > REC_SUM || !makes_sense(s, (rec_kind)kind, word, n, aux, nsymbol))
        return false;
    if (oi_symtab_intern(s, (rec_kind)kind, word, n) != index || s->rec[index].weight > OI_SYM_MAX_WEIGHT)
        return false;
    if (kind == REC_NAME)
        s->rec[index].aux = aux;
    return true;
}

bool oi_symtab_read(oi_symtab *s, oi_cursor *c)
{
    enum { RECORD = 3 * sizeof(uint32_t), SYMBOL = 16 };
    uint32_t nrec = oi_cursor_count(c, RECORD), nsymbol = oi_cursor_count(c, SYMBOL);
    for (uint32_t i = 0; i < nrec; i++) {
        if (!read_record(s, c, i, nsymbol))
            return false;
    }
    symbol_entry *list = oi_arena_array(s->arena, (size_t)nsymbol + 1, sizeof *list);
    if (!list || !nsymbol || s->nrec != nrec)
        return false;
    for (uint32_t i = 0; i < nsymbol; i++) {
        list[i].name = oi_cursor_text(c);
        list[i].fresh = oi_cursor_u32(c) != 0;
        list[i].dim = oi_cursor_i64(c);
        if (c->bad || !list[i].name || oi_dim_is_number(list[i].dim) || !oi_symtab_has(s, list[i].dim))
            return false;
    }
    s->symbol = list;
    s->nsymbol = nsymbol;
    s->symbol_cap = nsymbol;
    return true;
}
