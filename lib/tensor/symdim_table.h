/* What the files of symbolic dimensions share: the table of records; see symdim.c. */
#ifndef OI_TENSOR_SYMDIM_TABLE_H
#define OI_TENSOR_SYMDIM_TABLE_H

#include "tensor/symdim.h"

typedef enum {
    REC_NAME,      /* length, text */
    REC_SYMBOL,    /* index */
    REC_FLOORDIV,  /* numerator, denominator (dims) */
    REC_MIN,       /* dims, ascending */
    REC_MAX,
    REC_BROADCAST,
    REC_MONOMIAL,  /* atoms' records, descending; never empty */
    REC_SUM,       /* constant, then coefficient and monomial of each term by rising monomial; at least one term */
} rec_kind;

typedef struct {
    const int64_t *word;
    uint32_t n, hash;
    rec_kind kind;
    uint32_t weight;
    uint32_t aux; /* REC_NAME: its symbol */
    bool nonnegative;
} record;

typedef struct {
    const char *name;
    bool fresh;
    oi_dim dim;
} symbol_entry;

enum {
    OI_SYM_MAX_TERMS = 24,    /* of a sum; larger ones become unknowns, which bounds the work of every operation */
    OI_SYM_MAX_DEGREE = 8,    /* of a monomial */
    OI_SYM_MAX_OPERANDS = 8,  /* of min, max, broadcast */
    OI_SYM_MAX_WEIGHT = 256,  /* size of an expression written out as a tree */
};
#define OI_SYM_NO_RECORD UINT32_MAX

struct oi_symtab {
    oi_arena *arena;
    record *rec;
    uint32_t nrec, rec_cap;
    uint32_t *slot; /* open addressing: record + 1, 0 empty */
    uint32_t nslot;
    symbol_entry *symbol;
    uint32_t nsymbol, symbol_cap;
    oi_status status;
};

static inline oi_dim dim_of(uint32_t rec)
{
    return OI_DIM_LOWEST_NUMBER - 1 - (int64_t)rec;
}

static inline uint32_t rec_of(oi_dim d)
{
    return (uint32_t)(OI_DIM_LOWEST_NUMBER - 1 - d);
}

static inline bool in_range(int64_t v)
{
    return v >= OI_DIM_LOWEST_NUMBER;
}

static inline int64_t floor_div(int64_t a, int64_t b) /* b > 0 */
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

/* The record with this content, made where it is new; OI_SYM_NO_RECORD (and the table's status) without memory. */
uint32_t oi_symtab_intern(oi_symtab *s, rec_kind kind, const int64_t *word, uint32_t n);

#endif
