/* Symbolic dimensions: whole-number expressions over named sizes, interned in canonical form so that equality is
 * equality of integers.
 *
 * An oi_dim is a plain number, or a handle of an expression in an oi_symtab. Numbers may be negative (contents of shape
 * tensors are oi_dims too); dimensions are not. Expressions are kept as a linear form c0 + sum(ci * atom), atoms sorted;
 * atoms are symbols, products, floor divisions, min, max and broadcasts of expressions.
 *
 * Operations never fail by themselves: where a number overflows, an operand does not make sense (division by 0, sizes
 * that do not broadcast) or an expression grows beyond a bound they return a fresh unknown; when memory runs out the
 * table remembers it (oi_symtab_status). */
#ifndef OI_TENSOR_SYMDIM_H
#define OI_TENSOR_SYMDIM_H

#include "base/arena.h"
#include "base/blob.h"

typedef int64_t oi_dim;
typedef struct oi_symtab oi_symtab;
typedef uint32_t oi_symbol; /* index of a symbol in its table */

#define OI_DIM_LOWEST_NUMBER (-((int64_t)1 << 62)) /* everything below is a handle */

static inline bool oi_dim_is_number(oi_dim d)
{
    return d >= OI_DIM_LOWEST_NUMBER;
}

oi_symtab *oi_symtab_create(oi_arena *arena); /* lives in the arena; NULL without memory */
oi_status oi_symtab_status(const oi_symtab *s);
size_t oi_symtab_count(const oi_symtab *s);                    /* symbols */
const char *oi_symtab_name(const oi_symtab *s, oi_symbol sym); /* fresh ones have names such as "?7" */
bool oi_symtab_is_fresh(const oi_symtab *s, oi_symbol sym);

oi_dim oi_dim_symbol(oi_symtab *s, const char *name); /* the same name gives the same dimension */
oi_dim oi_dim_fresh(oi_symtab *s);                    /* an unknown of its own, known to be >= 0 */
bool oi_dim_find_symbol(const oi_symtab *s, const char *name, oi_symbol *out);

oi_dim oi_dim_add(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_sub(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_mul(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_floordiv(oi_symtab *s, oi_dim a, oi_dim b); /* towards minus infinity; by 0: unknown */
oi_dim oi_dim_ceildiv(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_mod(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_min(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_max(oi_symtab *s, oi_dim a, oi_dim b);
oi_dim oi_dim_broadcast(oi_symtab *s, oi_dim a, oi_dim b); /* 1 and x: x; equal: that; else a broadcast atom */

/* "3", "batch", "2*seq + 1"; cut at cap. */
const char *oi_dim_text(const oi_symtab *s, oi_dim d, char *buf, size_t cap);
/* The reverse: numbers, names, + - * / (floor) %, parentheses, min, max, broadcast, mod, ceildiv and floor; "?" is a fresh
 * unknown. False where the text is none of it. */
bool oi_dim_parse(oi_symtab *s, const char *text, oi_dim *out);
/* The value with symbol i = value[i] (negative: not bound). False where an unbound symbol remains, on division by zero,
 * overflow, or operands that do not broadcast. */
bool oi_dim_eval(const oi_symtab *s, oi_dim d, const int64_t *value, int64_t *out);
/* The same expression in table `to`, with bound symbols replaced by their values; unbound named symbols keep their name,
 * fresh ones become fresh ones of `to` (map[i], one for each symbol of s, remembers them; start with map[i] = -1). */
oi_dim oi_dim_translate(const oi_symtab *s, oi_dim d, const int64_t *value, oi_symtab *to, oi_dim *map);
/* Where d is c*symbol + k with the symbol unbound in value[]: binds it so that d equals `number`. 1 bound, 0 no single
 * unbound symbol, -1 impossible. */
int oi_dim_solve(const oi_symtab *s, oi_dim d, int64_t number, int64_t *value);
/* Known sign facts: true only when certain (every symbol is >= 0). */
bool oi_dim_is_nonnegative(const oi_symtab *s, oi_dim d);

/* The whole table as bytes. Reading replaces what a fresh table holds: dimensions mean the same as in the table written. False
 * without memory, and where the bytes make no sense; texts stay where the cursor's bytes are. */
void oi_symtab_write(const oi_symtab *s, oi_blob *b);
bool oi_symtab_read(oi_symtab *s, oi_cursor *c);
/* True for numbers and for what the table has. */
bool oi_symtab_has(const oi_symtab *s, oi_dim d);

#endif
