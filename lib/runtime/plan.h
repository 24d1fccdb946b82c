/* A plan: a graph whose input shapes are known, turned into steps and places in memory. Immutable once built, shared by
 * threads, reference counted. */
#ifndef OI_RUNTIME_PLAN_H
#define OI_RUNTIME_PLAN_H

#include "runtime/engine.h"

typedef struct oi_plan oi_plan;
typedef struct oi_program oi_program; /* runtime/program.h */

typedef enum {
    OI_AT_HEAP,   /* made when its step runs: of unknown size, strings, sequences ... */
    OI_AT_CONST,  /* content of the graph */
    OI_AT_INPUT,  /* memory of the caller's input `index`, from `offset` on */
    OI_AT_OUTPUT, /* memory of the caller's output `index`, from `offset` on */
    OI_AT_ARENA,  /* at `offset` of the arena */
} oi_place;

typedef struct {
    oi_place place;
    uint32_t index;
    size_t offset;
    oi_tensor desc; /* type and shape where known (dtype not UNDEFINED); data of constants */
} oi_slot;

typedef struct {
    oi_step step;            /* step.run NULL: by the reference evaluator */
    const oi_value_id *drop; /* heap values that nobody needs after this step */
    uint32_t ndrop;
    oi_program **sub;        /* one for each subgraph */
    void *kernel;            /* of op->open */
    size_t workspace_at, thread_workspace_at, thread_stride; /* in the arena */
    uint64_t bytes;          /* of inputs and outputs, where known */
    size_t live;             /* bytes of the arena in use while it runs; only of steps with subgraphs */
    bool alone;              /* too little work to wake other threads for */
} oi_plan_step;

struct oi_plan {
    atomic_uint refs;
    const oi_engine *engine;
    oi_graph *graph; /* owned */
    oi_arena *arena; /* of the structures below */
    oi_slot *slot;   /* by value id */
    oi_plan_step *step;
    uint32_t nstep, max_in, max_out;
    bool loose;         /* takes nothing for granted that a file's hints may have said */
    size_t arena_bytes; /* that a run needs */
    size_t live_bytes;  /* of it, at most, in use at one step */
    size_t const_bytes; /* of constants made by the optimizer: packed, folded */
    bool has_id, kept;  /* its graph may be kept in a file; is in one */
    oi_hash id;
    /* kept by the program */
    int64_t *key;
    size_t nkey;
    uint64_t used;
};

/* Takes over the graph, also on failure. Fails with ONNX_INFER_E_LIMIT where the engine's limits are passed. `loose`: every
 * step is evaluated by reference and makes its outputs as they come; the graph is TYPED. `id` (NULL: none): of the graph among
 * all of the model. */
oi_status oi_plan_create(const oi_engine *engine, oi_graph *graph, bool loose, const oi_hash *id, oi_plan **out);
oi_plan *oi_plan_retain(oi_plan *p);
void oi_plan_release(oi_plan *p); /* accepts NULL */

#endif
