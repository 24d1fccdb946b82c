/* A frame's memory for one plan; shared by frame.c (what surrounds the steps) and exec.c (the steps). */
#ifndef OI_RUNTIME_STATE_H
#define OI_RUNTIME_STATE_H

#include "runtime/frame.h"

typedef struct {
    oi_plan *plan;            /* a reference */
    oi_tensor *tensor;        /* by value id; dtype UNDEFINED: no tensor (yet). buf NULL: borrowed until its step's end */
    onnx_infer_value **value; /* by value id: sequences, optionals, maps; inputs are borrowed, others owned */
    size_t *charged;          /* by value id: bytes of it in run->heap_bytes */
    oi_frame ***child;        /* by step, by subgraph; made when first needed */
    oi_tensor *out_tensor;    /* by output: storage where the caller gave none */
    uint8_t *origin;          /* by output: whose value it is, in this run */
    oi_value_id *patch;       /* values that live in inputs and outputs */
    oi_value_id *heap;        /* values that live on the heap */
    uint32_t npatch, nheap;
    const void **in;          /* of the step that runs: */
    void **out;
    const oi_tensor **eval_in;
    const onnx_infer_value **eval_value;
    char *arena;
    uint64_t used;
} oi_state;

struct oi_frame {
    oi_program *program;
    const oi_engine *engine;
    oi_state **state; /* OI_FRAME_STATES, NULL where free */
    int64_t *key;
    oi_arena_memory *memory, own_memory;
    uint64_t clock;
};

enum { OI_FRAME_STATES = 4 };

/* All steps of the state's plan, in order. */
oi_status oi_exec_steps(oi_frame *f, oi_state *s, oi_run_state *run);
/* Gives back what a heap value holds. */
void oi_exec_drop(oi_state *s, oi_run_state *run, oi_value_id v);

#endif
