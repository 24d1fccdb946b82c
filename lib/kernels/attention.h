/* attention.h - softmax(scale Q K^T + masks) V by blocks that stay in the cache, on operands wherever they lie. */
#ifndef OI_KERNELS_ATTENTION_H
#define OI_KERNELS_ATTENTION_H

#include "base/stop.h"
#include "base/status.h"
#include "kernels/kernels.h"

/*
 * Y[o] = softmax(cap(scale Q[o] K[o]^T), masks) V[o] for each o of a grid of up to OI_ATTENTION_OUTER dims (batch,
 * heads, ...). Q is rows x size, K keys x size, V keys x value_size, Y rows x value_size. Each operand says how many
 * elements apart its rows, its columns and its members along each outer dim lie; 0 repeats.
 *
 *   prepare:  fill oi_attention_shape; OI_TRY(oi_attention_plan_init(&plan, kernels, &shape));
 *   run:      for each task < plan.pack_tasks on any thread: oi_attention_pack(&plan, &args, task);
 *             when all are done, for each task < plan.n_tasks: oi_attention_run(&plan, &args, task, thread_workspace);
 *             args.workspace: plan.workspace floats for all, thread_workspace: plan.thread_workspace floats for each
 *             thread, both 64-byte aligned; they need no clearing.
 */
enum { OI_ATTENTION_OUTER = 6, OI_ATTENTION_MASKS = 2 };

typedef struct oi_attention_view {
    size_t offset, row, col, outer[OI_ATTENTION_OUTER];
} oi_attention_view;

typedef enum oi_mask_kind {
    OI_MASK_NONE,
    OI_MASK_ADD,  /* float, added to the score */
    OI_MASK_KEEP, /* one byte: where false, the score becomes `fill` */
    OI_MASK_DROP  /* one byte: where true, the score becomes `fill` */
} oi_mask_kind;

typedef struct oi_attention_mask {
    oi_mask_kind kind;
    float fill;
    oi_attention_view at; /* rows x keys; col is 1, or 0 for OI_MASK_ADD */
} oi_attention_mask;

typedef struct oi_attention_shape {
    size_t nouter, outer[OI_ATTENTION_OUTER];
    size_t rows, keys, size, value_size; /* none is 0 */
    oi_attention_view q, k, v, y;        /* col of q, v and y is 1; of k, col or row is 1 */
    oi_attention_mask mask[OI_ATTENTION_MASKS]; /* applied in order, after scale and softcap */
    bool causal;        /* row i sees the keys up to i + ahead only */
    ptrdiff_t ahead;
    bool zero_rows;     /* rows whose scores are all -inf, or NaN, become 0 instead of NaN */
    float scale;
    float softcap;      /* > 0: scores become softcap tanh(score / softcap) */
} oi_attention_shape;

typedef struct oi_attention_plan {
    const oi_kernels *kern;
    oi_attention_shape shape;
    size_t pack_tasks, n_tasks;
    size_t workspace, thread_workspace; /* floats */
    /* The rest is the driver's own. */
    size_t units, group;            /* blocks of rows in all, and of a task */
    size_t block_rows, blocks;      /* of one member of the grid */
    size_t block_keys;
    size_t score_ld;
    size_t k_floats, v_floats;      /* of one packed K and V */
    bool direct;                    /* few rows: K and V are read where they lie */
    bool shared[OI_ATTENTION_OUTER]; /* outer dims along which K and V repeat */
} oi_attention_plan;

typedef struct oi_attention_args {
    const float *q, *k, *v;
    const void *mask[OI_ATTENTION_MASKS];
    float *y; /* overlaps nothing */
    float *workspace;
    oi_stop *stop; /* NULL: nobody stops it */
} oi_attention_args;

/* Fails only if sizes overflow. How the work is split depends on the shape and the kernels alone. */
oi_status oi_attention_plan_init(oi_attention_plan *plan, const oi_kernels *kern, const oi_attention_shape *shape);
void oi_attention_pack(const oi_attention_plan *plan, const oi_attention_args *args, size_t task);
void oi_attention_run(const oi_attention_plan *plan, const oi_attention_args *args, size_t task, float *thread_workspace);

#endif
