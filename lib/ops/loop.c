/* Walking several dense tensors in step. */
#include "ops/loop.h"

#include <string.h>

static void cut(oi_loop *l)
{
    int64_t n = l->dim[l->rank - 1];
    l->rows = oi_dims_count(l->rank - 1, l->dim);
    l->pieces = 1;
    l->piece = n;
    l->rows_per_task = l->rows;
    if (n > OI_LOOP_TASK * 2) {
        l->pieces = (n + OI_LOOP_TASK - 1) / OI_LOOP_TASK;
        l->piece = (n / l->pieces + 15) / 16 * 16;
        l->pieces = (n + l->piece - 1) / l->piece;
        l->rows_per_task = 1;
    } else if (n > 0) {
        l->rows_per_task = (OI_LOOP_TASK + n - 1) / n;
    }
    int64_t groups = l->rows_per_task > 0 ? (l->rows + l->rows_per_task - 1) / l->rows_per_task : 1;
    while (groups * l->pieces > 1 << 30) { /* shapes nobody can hold; kept finite all the same */
        l->rows_per_task *= 2;
        l->piece *= 2;
        l->pieces = n > 0 ? (n + l->piece - 1) / l->piece : 1;
        if (l->pieces > 1)
            l->rows_per_task = 1;
        groups = (l->rows + l->rows_per_task - 1) / l->rows_per_task;
    }
    l->tasks = groups * l->pieces < 1 ? 1 : (uint32_t)(groups * l->pieces);
}

void oi_loop_init(oi_loop *l, int32_t nop, int32_t rank, const int64_t *dims, int64_t stride[][OI_MAX_RANK])
{
    memset(l, 0, sizeof *l);
    l->nop = nop;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] == 0) {
            l->rank = 1;
            l->dim[0] = 0;
            for (int32_t k = 0; k < nop; k++)
                l->stride[k][0] = 1;
            cut(l);
            return;
        }
        if (dims[i] == 1)
            continue;
        int32_t last = l->rank - 1;
        bool merge = last >= 0;
        for (int32_t k = 0; k < nop && merge; k++)
            merge = l->stride[k][last] == stride[k][i] * dims[i];
        if (merge) {
            l->dim[last] *= dims[i];
        } else {
            last = l->rank++;
            l->dim[last] = dims[i];
        }
        for (int32_t k = 0; k < nop; k++)
            l->stride[k][last] = stride[k][i];
    }
    if (!l->rank) {
        l->rank = 1;
        l->dim[0] = 1;
        for (int32_t k = 0; k < nop; k++)
            l->stride[k][0] = 1;
    }
    cut(l);
}

void oi_loop_broadcast(oi_loop *l, int32_t rank, const int64_t *dims, int32_t nop, const oi_tensor *const *t)
{
    int64_t stride[OI_LOOP_MAX][OI_MAX_RANK];
    for (int32_t k = 0; k < nop; k++) {
        if (t[k])
            oi_dims_broadcast_strides(t[k]->rank, t[k]->dim, rank, dims, stride[k]);
        else
            oi_dims_broadcast_strides(rank, dims, rank, dims, stride[k]);
    }
    oi_loop_init(l, nop, rank, dims, stride);
}

void oi_loop_all(const oi_loop *l, oi_loop_cursor *c)
{
    *c = (oi_loop_cursor){.loop = l, .row_end = l->dim[l->rank - 1] ? l->rows : 0, .n = l->dim[l->rank - 1]};
}

void oi_loop_task(const oi_loop *l, uint32_t task, oi_loop_cursor *c)
{
    oi_loop_all(l, c);
    int64_t end = c->row_end, n = c->n;
    c->row = (int64_t)task / l->pieces * l->rows_per_task;
    c->row_end = c->row + l->rows_per_task < end ? c->row + l->rows_per_task : end;
    c->col = (int64_t)task % l->pieces * l->piece;
    c->n = n - c->col < l->piece ? n - c->col : l->piece;
}

bool oi_loop_next(oi_loop_cursor *c, oi_loop_part *p)
{
    if (c->row >= c->row_end)
        return false;
    const oi_loop *l = c->loop;
    int32_t inner = l->rank - 1, outer = l->rank - 2;
    int64_t at = c->row, first = 0;
    p->n = c->n;
    p->rows = 1;
    if (outer >= 0) {
        first = at % l->dim[outer];
        at /= l->dim[outer];
        p->rows = l->dim[outer] - first;
        if (p->rows > c->row_end - c->row)
            p->rows = c->row_end - c->row;
    }
    for (int32_t k = 0; k < l->nop; k++) {
        p->step[k] = l->stride[k][inner];
        p->row_stride[k] = outer >= 0 ? l->stride[k][outer] : 0;
        p->off[k] = c->col * p->step[k] + first * p->row_stride[k];
    }
    for (int32_t i = outer - 1; i >= 0; i--) {
        int64_t index = at % l->dim[i];
        at /= l->dim[i];
        for (int32_t k = 0; k < l->nop; k++)
            p->off[k] += index * l->stride[k][i];
    }
    c->row += p->rows;
    return true;
}
