/* Numbers as text and back, whatever the process's locale. */
#ifndef OI_OPS_NUMBER_TEXT_H
#define OI_OPS_NUMBER_TEXT_H

#include "tensor/tensor.h"

enum { OI_NUMBER_TEXT_MAX = 48 };

/* Element i of data as the shortest text that gives it back: "0.1", "1e-05", "inf", "-3", "True". Returns its length. */
size_t oi_number_text(oi_dtype dtype, const void *data, size_t i, char buf[OI_NUMBER_TEXT_MAX]);
/* Decimal or scientific notation, infinities and NaN in any case, blanks around it; false where it is none. */
bool oi_number_parse(const oi_string *text, double *out);
/* A whole number that int64 or uint64 holds (then as its bits). */
bool oi_number_parse_int(const oi_string *text, int64_t *out);

#endif
