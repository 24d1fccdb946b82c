/* Options of loading, planning and running. */
#ifndef OI_RUNTIME_OPTIONS_H
#define OI_RUNTIME_OPTIONS_H

#include "onnx/model_file.h"
#include "ops/custom.h"
#include "runtime/engine.h"

typedef struct {
    char *name;
    int64_t value;
} oi_symbol_option;

typedef struct {
    char *input;
    int32_t rank;
    int64_t dim[OI_MAX_RANK];
} oi_shape_option;

typedef struct {
    char *symbol;
    int64_t min, opt, max;
} oi_range_option;

struct onnx_infer_options {
    oi_alloc alloc; /* of what is made with the options; they themselves use the C library's */
    oi_log log;
    oi_limits limits;
    onnx_infer_progress_fn progress;
    void *progress_user;
    int32_t level, threads; /* threads 0: the default */
    uint64_t stop_after;    /* changes of the optimizer, to bisect; 0: no bound. Set by the tool only */
    bool exact;             /* only changes that keep every bit of the results. Set by the tool only */
    oi_cpu_isa isa;         /* OI_ISA_COUNT: no cap */
    oi_symbol_option *symbol;
    size_t nsymbol;
    oi_shape_option *shape;
    size_t nshape;
    oi_custom_ops *ops;
    oi_op_library *library; /* whose operators are being added now */
    oi_range_option *range;
    size_t nrange;
    oi_onnx_override *override;
    size_t noverride;
    oi_onnx_memory_file *memory;
    size_t nmemory;
    char **output;          /* NULL: the file's own */
    size_t noutput;
    char *cache_dir;        /* NULL: none */
    bool keep_packs;        /* what is packed is going to be saved */
    oi_pool *pool;          /* NULL: one of `threads` threads is made */
    const onnx_infer_cancel *cancel;
};

struct onnx_infer_run_options {
    const onnx_infer_cancel *cancel;
    uint64_t deadline_ns;
    onnx_infer_profile *profile;
    uint64_t seed;
};

void oi_options_init(onnx_infer_options *o); /* the defaults; holds nothing */
/* o, or the defaults in *defaults where it is NULL. */
const onnx_infer_options *oi_options_or(const onnx_infer_options *o, onnx_infer_options *defaults);
void oi_options_clear(onnx_infer_options *o);
oi_status oi_options_set_symbol(onnx_infer_options *o, const char *symbol, int64_t value);
oi_status oi_options_set_input_shape(onnx_infer_options *o, const char *input, int32_t rank, const int64_t *dims);
oi_status oi_options_set_range(onnx_infer_options *o, const char *symbol, int64_t min, int64_t opt, int64_t max);
/* Shares the tensor. */
oi_status oi_options_set_initializer(onnx_infer_options *o, const char *name, const oi_tensor *t);
/* Retains the buffer. */
oi_status oi_options_add_external(onnx_infer_options *o, const char *location, oi_buffer *bytes);
oi_status oi_options_set_outputs(onnx_infer_options *o, size_t n, const char *const *names);
/* The log of the process, which options begin with. Any thread. */
void oi_options_set_process_log(const oi_log *log);
oi_status oi_options_set_limit(onnx_infer_options *o, const char *what, uint64_t max);

#endif
