/* What the operators of ai.onnx.ml share: transforms of scores, tables of keys, rows of numbers, class labels. */
#ifndef OI_OPS_ML_COMMON_H
#define OI_OPS_ML_COMMON_H

#include "ops/op.h"

#define OI_ML_DOMAIN "ai.onnx.ml"

/* Attribute post_transform, by its index in the list of words. */
#define OI_POST_WORDS "NONE|SOFTMAX|LOGISTIC|SOFTMAX_ZERO|PROBIT"
enum { OI_POST_NONE, OI_POST_SOFTMAX, OI_POST_LOGISTIC, OI_POST_SOFTMAX_ZERO, OI_POST_PROBIT };

void oi_ml_post(int64_t transform, double *score, size_t n); /* in place; n may be 0 */
double oi_ml_logistic(double v);
double oi_ml_probit(double v);

/* The scores of a classifier that has one score for two classes. */
typedef enum {
    OI_SECOND_NONE,       /* the one score alone */
    OI_SECOND_COMPLEMENT, /* 1 - s, s, of the logistic of s where that is asked for; no other transform (PROBIT: one score) */
    OI_SECOND_NEGATED,    /* -s, s, transformed (PROBIT: the one score alone) */
} oi_second;

/* Writes the transformed scores of a row to out and returns how many there are (n, or 2 where one became two). `score`
 * has room for two and is overwritten. */
size_t oi_ml_write_scores(int64_t transform, oi_second second, double *score, size_t n, float *out);

/* Float, double, int64 and int32 tensors of rank 1 (one row) or 2, as most of these operators take them. */
oi_status oi_ml_infer_rows(const oi_infer *x, oi_dim *rows, oi_dim *cols); /* unknown rank: fresh dims */
oi_status oi_ml_rows(const oi_eval *e, int64_t *rows, int64_t *cols);

extern const oi_dtype oi_ml_numbers[4]; /* float, double, int64, int32 */

/* --- keys --- */

/* A table from strings, integers or floats to the place of each in a list. Memory is the evaluation's. */
typedef struct oi_key_table oi_key_table;

typedef struct {
    const char *text; /* NULL: the key is `bits` */
    size_t n;
    uint64_t bits;
} oi_key;

oi_key oi_key_text(const char *text, size_t n); /* NULL text is "" */
oi_key oi_key_int(int64_t v);
oi_key oi_key_float(double v); /* all NaNs are one key, and so are both zeros */
/* Element i of a tensor of strings, integers or floats. */
oi_key oi_key_of(const oi_tensor *t, size_t i);

/* An empty table for at most n keys. */
oi_status oi_key_table_create(oi_eval *e, size_t n, oi_key_table **out);
/* Adds a key; one that is there already keeps its place unless `replace`. The text is not copied. */
void oi_key_table_add(oi_key_table *t, oi_key key, size_t place, bool replace);
/* False where the key is not in the table. */
bool oi_key_table_find(const oi_key_table *t, oi_key key, size_t *place);
/* The two common lists. */
oi_status oi_key_table_of_strings(oi_eval *e, const oi_strings *s, oi_key_table **out);
oi_status oi_key_table_of_ints(oi_eval *e, const oi_ints *v, oi_key_table **out);

/* --- class labels --- */

/* An import hook's work for a classifier: attribute `ints` holds the labels as integers, or attribute `strings` as text. In
 * the second case the operator answers places in the list, and a Gather behind it makes labels of them: attribute `strings`
 * goes, `ints` becomes 0..n-1, and the node is added here (im->done is set). Both or neither is an error, unless
 * `may_lack`. */
oi_status oi_ml_import_labels(oi_import *im, const char *strings, const char *ints, bool may_lack);

#endif
