/* onnx_infer_plan and onnx_infer_context: a model compiled for a machine, and one thread's state for running it. */
#ifndef OI_RUNTIME_SESSION_H
#define OI_RUNTIME_SESSION_H

#include "runtime/frame.h"
#include "runtime/graph_cache.h"
#include "runtime/model.h"

#include <pthread.h>

typedef struct {
    oi_symbol symbol;
    int64_t min, opt, max;
} oi_symbol_range;

/* A program that computes some of the outputs. */
typedef struct {
    bool *want; /* by output */
    oi_program *program;
} oi_cut;

enum { OI_CUTS = 8 };

struct onnx_infer_plan {
    atomic_uint refs;
    onnx_infer_model *model;
    oi_engine engine;
    oi_graph *base; /* the model's graph decluttered for the options; NULL: the program works on the model's own */
    oi_fact *input; /* what runs may pass, by input: the model's declaration narrowed by the options */
    const oi_tensor **fixed;
    oi_program *program;
    oi_symbol_range *range;
    size_t nrange;
    atomic_uint_fast64_t changes; /* that the optimizer has made */
    size_t ahead_bytes; /* of arena that the largest shapes of the ranges need; 0: not known */

    char *cache_path;   /* runtime/plan_file.h; NULL: no cache */
    oi_hash cache_key;
    size_t cache_made;  /* constants that had been packed when the file was written last */
    oi_graph_cache graphs; /* what engine.graphs points to */
    oi_hash base_id;
    bool base_made;     /* since the file was written last */
    bool mended;        /* the file, which was damaged, has been written again */

    pthread_mutex_t lock; /* of what follows */
    bool has_lock;
    oi_cut cut[OI_CUTS]; /* stay as long as the plan */
    size_t ncut;
    onnx_infer_context **idle; /* of onnx_infer_plan_run; they hold no reference to the plan */
    size_t nidle, idle_cap;
};

/* The inputs of a run, by their place in the model, and the sizes that they give to symbols: runtime/inputs.h. */
typedef struct {
    const onnx_infer_plan *plan;
    oi_arg *arg;    /* by input */
    int64_t *bound; /* by symbol */
    size_t nsymbol;
} oi_inputs;

typedef struct {
    onnx_infer_value *given; /* bound by the caller */
    onnx_infer_value *zero;  /* first state where none is bound; made when needed */
    uint32_t from;           /* the output that feeds it; OI_NONE: none */
} oi_bound_input;

typedef struct {
    onnx_infer_value *given;
    onnx_infer_output_fn fn;
    void *user;
    onnx_infer_value face;       /* what the function gave, in this run */
    onnx_infer_value *now, *next; /* own: the last result; of a state also what the next run writes */
    uint32_t feeds;              /* the input that it feeds; OI_NONE: none */
} oi_bound_output;

typedef struct oi_async oi_async;

struct onnx_infer_context {
    onnx_infer_plan *plan;
    bool inner;              /* belongs to the plan */
    atomic_bool busy;        /* whoever sets it may use what follows */
    oi_inputs inputs;
    oi_arena_memory memory;  /* of the frames */
    oi_frame *frame, *cut[OI_CUTS];
    uint64_t heap_peak;
    oi_bound_input *input;
    oi_bound_output *output;
    bool has_output;         /* of a bound run */
    const onnx_infer_value **in; /* by input and output: of the run that is set up */
    onnx_infer_value **out;
    bool *named;             /* inputs, then outputs */
    oi_async *async;         /* runtime/async.c */
};

/* --- plans ---------------------------------------------------------------------------------------------------------- */

/* The instruction set that plans with these options aim at. */
oi_cpu_isa oi_session_isa(const onnx_infer_options *o);
/* The same with packed constants of an earlier plan of the model; takes the store over, also on failure. */
oi_status oi_session_plan_with(onnx_infer_model *m, const onnx_infer_options *o, oi_pack_store *store, onnx_infer_plan **out);
oi_status oi_session_plan(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_plan **out);
onnx_infer_plan *oi_session_retain(onnx_infer_plan *p);
void oi_session_release(onnx_infer_plan *p); /* accepts NULL */
/* Memory of the plan used last; E_DATA_DEPENDENT before there is one. */
oi_status oi_session_memory(const onnx_infer_plan *p, onnx_infer_memory *out);
/* Steps of the plan used last; their texts live as long as that plan is kept. */
size_t oi_session_step_count(const onnx_infer_plan *p);
oi_status oi_session_step(const onnx_infer_plan *p, size_t i, onnx_infer_event *out);
/* The index of the program for these outputs, made where it is new; OI_CUTS where there are enough already. Any thread. */
oi_status oi_session_cut(onnx_infer_plan *p, const bool *want, size_t *index);
/* What onnx_infer_plan_output_shape says. */
oi_status oi_session_output_shape(const onnx_infer_plan *p, size_t n, const int32_t *ranks, const int64_t *const *dims,
                                  size_t output, int32_t *rank, int64_t *out_dims, int32_t cap);
/* Runs in a context of the plan's. Any thread. */
oi_status oi_session_run(onnx_infer_plan *p, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                         size_t no, onnx_infer_value **out);

/* --- contexts -------------------------------------------------------------------------------------------------------- */

/* `inner`: without a reference to the plan, which owns it. */
oi_status oi_context_create(onnx_infer_plan *p, bool inner, onnx_infer_context **out);
void oi_context_free(onnx_infer_context *c); /* accepts NULL; waits for an asynchronous run */
/* ONNX_INFER_E_BUSY while a run uses the context; else it is the caller's until oi_context_give. */
oi_status oi_context_take(onnx_infer_context *c);
void oi_context_give(onnx_infer_context *c);

/* The functions below need the context to be taken. `ro` and `sink` may be NULL. */
oi_status oi_context_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                         const oi_sink *sink, size_t no, onnx_infer_value **out);
oi_status oi_context_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const char *const *in_names,
                               const onnx_infer_value *const *in, size_t no, const char *const *out_names,
                               onnx_infer_value **out);
void oi_context_trim(onnx_infer_context *c);
oi_status oi_context_set_arena(onnx_infer_context *c, void *mem, size_t bytes);
oi_status oi_context_memory(const onnx_infer_context *c, onnx_infer_memory *out);

oi_status oi_context_bind_input(onnx_infer_context *c, size_t i, onnx_infer_value *v);
/* v, or fn, or neither. */
oi_status oi_context_bind_output(onnx_infer_context *c, size_t i, onnx_infer_value *v, onnx_infer_output_fn fn, void *user);
oi_status oi_context_bind_state(onnx_infer_context *c, size_t output, size_t input);
void oi_context_unbind_all(onnx_infer_context *c);
void oi_context_reset_state(onnx_infer_context *c);
/* Gives `to`, a fresh context of the same plan, the inputs, links and state of `from`. */
void oi_context_copy_bindings(const onnx_infer_context *from, onnx_infer_context *to);
oi_status oi_context_run_bound(onnx_infer_context *c, const onnx_infer_run_options *ro);
/* Output i of the last bound run; NULL: none. */
const onnx_infer_value *oi_context_output(const onnx_infer_context *c, size_t i);

/* --- asynchronous runs ----------------------------------------------------------------------------------------------- */

/* These take the context by themselves. */
oi_status oi_async_run(onnx_infer_context *c, const onnx_infer_run_options *ro, onnx_infer_done_fn fn, void *user);
oi_status oi_async_wait(onnx_infer_context *c, uint64_t timeout_ns);
oi_status oi_async_create(onnx_infer_context *c, oi_async **out);
void oi_async_destroy(oi_async *x, const oi_alloc *a); /* accepts NULL; waits */

#endif
