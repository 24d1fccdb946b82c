/* A frame: the memory in which one thread runs a program. */
#ifndef OI_RUNTIME_FRAME_H
#define OI_RUNTIME_FRAME_H

#include "runtime/program.h"

typedef struct oi_frame oi_frame;

/* Memory for the arenas of frames of which one runs at a time. All zero at first. */
typedef struct {
    char *data;
    size_t bytes, peak;
    size_t least; /* that is taken at once */
    bool given;   /* the caller's: stays as it is */
} oi_arena_memory;

void oi_arena_memory_trim(oi_arena_memory *m, const oi_alloc *a); /* gives back what is not the caller's */

/* Who has storage for outputs. ask() may set *value to one that the result is written into (borrowed until the run ends),
 * or leave it NULL: then one is made. It is asked before a run where type and shape (`desc`) are known, for no strings;
 * else, `computed`, when the result is there. */
typedef struct {
    oi_status (*ask)(void *user, uint32_t output, const oi_tensor *desc, bool computed, onnx_infer_value **value);
    void *user;
} oi_sink;

/* `memory` is borrowed; NULL: the frame has its own. */
oi_status oi_frame_create(oi_program *p, const oi_engine *engine, oi_arena_memory *memory, oi_frame **out);
void oi_frame_destroy(oi_frame *f); /* accepts NULL */

/* Runs with `nin` inputs (borrowed). out[i] NULL: what the sink (may be NULL) gives, or a new value; else the result is
 * written into that value. nout may be less than the program has. On failure values made by this call are gone and out[]
 * is as it was, but for the contents of the caller's values. */
oi_status oi_frame_run(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, const oi_sink *sink, size_t nout,
                       onnx_infer_value **out);

/* Turns in a row, as oi_eval_host.turns has it: in[0..t->nin-1] stand for t->in, captures follow. */
oi_status oi_frame_turns(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, const oi_turns *t, bool *ran);

/* Gives memory back, that which frames share apart. */
void oi_frame_trim(oi_frame *f);
/* Adds what the frame's own memory and that of the graphs inside take; shared memory is left out. */
void oi_frame_memory(const oi_frame *f, uint64_t *now, uint64_t *peak);
/* The most bytes in use at one step of a plan that the frame has run, in its arena and those of the graphs inside. */
uint64_t oi_frame_live(const oi_frame *f);

#endif
