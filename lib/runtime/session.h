/* onnx_infer_plan and onnx_infer_context: a model compiled for a machine, and one thread's state for running it. */
#ifndef OI_RUNTIME_SESSION_H
#define OI_RUNTIME_SESSION_H

#include "runtime/frame.h"
#include "runtime/model.h"

struct onnx_infer_plan {
    atomic_uint refs;
    onnx_infer_model *model;
    oi_engine engine;
    oi_graph *base; /* the model's graph decluttered for the options; NULL: the program works on the model's own */
    oi_fact *input; /* what runs may pass, by input: the model's declaration narrowed by the options */
    const oi_tensor **fixed;
    oi_program *program;
};

struct onnx_infer_context {
    onnx_infer_plan *plan;
    oi_frame *frame;
    oi_arg *arg;       /* by input of the model */
    int64_t *bound;    /* by symbol: values of the run that is checked */
    uint32_t *binder;  /* by symbol: the input that gave it */
    atomic_flag busy;
};

oi_status oi_session_plan(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_plan **out);
onnx_infer_plan *oi_session_retain(onnx_infer_plan *p);
void oi_session_release(onnx_infer_plan *p); /* accepts NULL */
/* Memory of the plan used last; E_DATA_DEPENDENT before there is one. */
oi_status oi_session_memory(const onnx_infer_plan *p, onnx_infer_memory *out);

/* Steps of the plan used last; their texts live as long as that plan is kept. */
size_t oi_session_step_count(const onnx_infer_plan *p);
oi_status oi_session_step(const onnx_infer_plan *p, size_t i, onnx_infer_event *out);

oi_status oi_session_context(onnx_infer_plan *p, onnx_infer_context **out);
void oi_session_context_free(onnx_infer_context *c); /* accepts NULL */
/* ONNX_INFER_E_BUSY while another thread runs the context. `ro` may be NULL. */
oi_status oi_session_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                         size_t no, onnx_infer_value **out);
oi_status oi_session_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const char *const *in_names,
                               const onnx_infer_value *const *in, size_t no, const char *const *out_names,
                               onnx_infer_value **out);

#endif
