/* Element types: their sizes, names and families, and conversions of single elements. */
#ifndef OI_TENSOR_DTYPE_H
#define OI_TENSOR_DTYPE_H

#include "base/status.h"

typedef onnx_infer_dtype oi_dtype; /* ONNX_INFER_FLOAT ... */

enum { OI_DTYPE_COUNT = 29 };

enum { /* families, as bits */
    OI_DTYPE_IS_FLOAT = 1,    /* any real floating type, the 8- and 4-bit ones included */
    OI_DTYPE_IS_INT = 2,      /* signed or unsigned, not bool */
    OI_DTYPE_IS_SIGNED = 4,   /* of integers */
    OI_DTYPE_IS_COMPLEX = 8,
    OI_DTYPE_IS_PACKED = 16,  /* several elements to a byte */
};

typedef struct {
    const char *name;   /* "float32": numpy's spelling */
    uint8_t bits;       /* of one element; strings: 8 * sizeof(oi_string) */
    uint8_t family;     /* OI_DTYPE_IS_* */
} oi_dtype_info;

bool oi_dtype_valid(oi_dtype t); /* one of the standard's, not undefined */
const oi_dtype_info *oi_dtype_get(oi_dtype t); /* of an invalid type: name "undefined", 0 bits */
static inline const char *oi_dtype_name(oi_dtype t) { return oi_dtype_get(t)->name; }
static inline size_t oi_dtype_size(oi_dtype t) { return (oi_dtype_get(t)->bits + 7u) / 8u; } /* of one element alone */
size_t oi_dtype_align(oi_dtype t); /* of the address of an element; at least 1 */
static inline bool oi_dtype_is_float(oi_dtype t) { return oi_dtype_get(t)->family & OI_DTYPE_IS_FLOAT; }
static inline bool oi_dtype_is_int(oi_dtype t) { return oi_dtype_get(t)->family & OI_DTYPE_IS_INT; }
static inline bool oi_dtype_is_signed(oi_dtype t) { return oi_dtype_get(t)->family & OI_DTYPE_IS_SIGNED; }
static inline bool oi_dtype_is_complex(oi_dtype t) { return oi_dtype_get(t)->family & OI_DTYPE_IS_COMPLEX; }
static inline bool oi_dtype_is_packed(oi_dtype t) { return oi_dtype_get(t)->family & OI_DTYPE_IS_PACKED; }

/* Bytes of `count` elements stored densely; false where that overflows or the type is invalid. */
bool oi_dtype_bytes(oi_dtype t, size_t count, size_t *bytes);

/* 16-bit floats; to-nearest-even, NaN stays NaN. */
float oi_half_to_float(uint16_t h);
uint16_t oi_half_from_float(float f);
uint16_t oi_half_from_double(double d); /* rounded once */
float oi_bfloat16_to_float(uint16_t h);
uint16_t oi_bfloat16_from_float(float f);
/* 8-, 6- and 4-bit floats by type (FLOAT8E4M3FN, ..., FLOAT8E8M0, FLOAT6E2M3, FLOAT4E2M1); to-nearest-even (E8M0: up);
 * `saturate` as Cast's attribute: infinities and what is out of range become the largest number, else infinity or NaN.
 * Those of 6 and 4 bits always saturate. */
float oi_float8_to_float(oi_dtype t, uint8_t bits);
uint8_t oi_float8_from_float(oi_dtype t, float f, bool saturate);
/* Cast's attribute round_mode. The sign is dropped; infinities and NaN become NaN. */
typedef enum { OI_E8M0_UP, OI_E8M0_DOWN, OI_E8M0_NEAREST } oi_e8m0_rounding;
uint8_t oi_float8e8m0_from_float(float f, oi_e8m0_rounding mode, bool saturate);

/* The bits of element i of dense storage of a packed type: a stream of bits, the lowest of a byte first, where an element
 * of 6 bits may lie in two bytes. */
uint32_t oi_packed_get(oi_dtype t, const void *data, size_t i);
void oi_packed_set(oi_dtype t, void *data, size_t i, uint32_t v);

/* Element i of dense storage of type t, as the widest of its family. Not for strings. Packed types included.
 * For plain loops over any type; hot loops use templates. */
double oi_elem_get_double(oi_dtype t, const void *data, size_t i);
int64_t oi_elem_get_int(oi_dtype t, const void *data, size_t i); /* uint64 wraps; floats towards zero */
void oi_elem_set_double(oi_dtype t, void *data, size_t i, double v); /* converts as Cast does */
void oi_elem_set_int(oi_dtype t, void *data, size_t i, int64_t v);   /* wraps */

/* Writes an element of `size` bytes, at most 16, n times. */
void oi_elem_fill(void *dst, size_t n, size_t size, const void *element);

#endif
