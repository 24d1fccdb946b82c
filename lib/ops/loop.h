/* Walking several dense tensors in step: a broadcast shape collapsed to few axes, and cut into tasks. What elementwise
 * operators and reductions are made of. */
#ifndef OI_OPS_LOOP_H
#define OI_OPS_LOOP_H

#include "tensor/tensor.h"

enum {
    OI_LOOP_MAX = 4,      /* operands */
    OI_LOOP_TASK = 8192,  /* elements of a task, about */
};

/* Axes of size 1 are gone, neighbours that every operand walks evenly are one. rank >= 1; an empty shape is {0}. */
typedef struct {
    int32_t rank, nop;
    int64_t dim[OI_MAX_RANK];
    int64_t stride[OI_LOOP_MAX][OI_MAX_RANK]; /* elements from one index to the next */
    int64_t rows;          /* product of dim but the last */
    int64_t rows_per_task; /* one where pieces > 1 */
    int64_t piece, pieces; /* of a row: their length, and how many */
    uint32_t tasks;
} oi_loop;

/* A block of `rows` rows of `n` elements: operand k starts at element off[k] and advances by row_stride[k] a row and by
 * step[k] an element. */
typedef struct {
    int64_t rows, n;
    int64_t off[OI_LOOP_MAX], row_stride[OI_LOOP_MAX], step[OI_LOOP_MAX];
} oi_loop_part;

typedef struct {
    const oi_loop *loop;
    int64_t row, row_end, col, n;
} oi_loop_cursor;

/* `stride` holds for each operand the element strides of the (uncollapsed) shape. */
void oi_loop_init(oi_loop *l, int32_t nop, int32_t rank, const int64_t *dims, int64_t stride[][OI_MAX_RANK]);
/* Operands t[0..nop-1], each broadcast to `dims`; a NULL operand is dense. */
void oi_loop_broadcast(oi_loop *l, int32_t rank, const int64_t *dims, int32_t nop, const oi_tensor *const *t);
/* The whole loop, or one task of l->tasks (which do not depend on the number of threads). */
void oi_loop_all(const oi_loop *l, oi_loop_cursor *c);
void oi_loop_task(const oi_loop *l, uint32_t task, oi_loop_cursor *c);
/* The next part of the cursor's range, in row-major order; false at the end. */
bool oi_loop_next(oi_loop_cursor *c, oi_loop_part *p);

/* The part `task` of `n` elements cut into pieces of OI_LOOP_TASK; oi_loop_flat_tasks says how many there are. */
static inline uint32_t oi_loop_flat_tasks(int64_t n)
{
    int64_t tasks = (n + OI_LOOP_TASK - 1) / OI_LOOP_TASK;
    return tasks < 1 ? 1 : tasks > 1 << 30 ? 1 << 30 : (uint32_t)tasks;
}
static inline void oi_loop_flat(int64_t n, uint32_t tasks, uint32_t task, int64_t *first, int64_t *count)
{
    int64_t each = n / tasks / 16 * 16; /* whole cache lines of any type */
    if (each * (int64_t)tasks < n)
        each += 16;
    *first = each * task < n ? each * task : n;
    *count = n - *first < each ? n - *first : each;
}

/* The sizes before, of, and behind an axis. */
static inline void oi_loop_axis(int32_t rank, const int64_t *dims, int32_t axis, int64_t *outer, int64_t *n, int64_t *inner)
{
    *outer = oi_dims_count(axis, dims);
    *n = axis < rank ? dims[axis] : 1;
    *inner = axis < rank ? oi_dims_count(rank - axis - 1, dims + axis + 1) : 1;
}

#endif
