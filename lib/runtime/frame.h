/* A frame: the memory in which one thread runs a program. */
#ifndef OI_RUNTIME_FRAME_H
#define OI_RUNTIME_FRAME_H

#include "runtime/program.h"

typedef struct oi_frame oi_frame;

oi_status oi_frame_create(oi_program *p, const oi_engine *engine, oi_frame **out);
void oi_frame_destroy(oi_frame *f); /* accepts NULL */

/* Runs with `nin` inputs (borrowed). out[i] NULL: a new value; else the result is written into that value. nout may be
 * less than the graph has. On failure values made by this call are gone and out[] is as it was, but for the contents of
 * the caller's values. */
oi_status oi_frame_run(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, size_t nout, onnx_infer_value **out);

/* Turns in a row, as oi_eval_host.turns has it: in[0..t->nin-1] stand for t->in, captures follow. */
oi_status oi_frame_turns(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, const oi_turns *t, bool *ran);

void oi_frame_trim(oi_frame *f); /* gives memory back */
void oi_frame_memory(const oi_frame *f, uint64_t *now, uint64_t *peak);

#endif
