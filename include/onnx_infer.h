/* onnx_infer: run ONNX models. The only header of the library; C99 and C++11 and up.
 *
 *   model    an immutable graph with its weights, loaded from a file, from memory or through a reader
 *   plan     a model compiled for a machine (CPU, threads, options); immutable, shared by threads
 *   context  one thread's state for running a plan: its arena and its bindings
 *   value    what goes in and comes out: a tensor, a sequence, an optional or a map
 *
 * Conventions, unless a function says otherwise:
 *   errors     a function returning onnx_infer_status returns ONNX_INFER_OK or one of ONNX_INFER_E_*; an unknown
 *              number is a failure too. On failure outputs are set to NULL or left alone, nothing given to the
 *              call is consumed, and onnx_infer_last_error() says what happened. Successes never touch that record.
 *   ownership  *_create, *_load_* and *_retain give a reference that *_free or *_release gives back; both accept
 *              NULL. Returned `const` pointers are borrowed from the handle that they came from.
 *   threads    models, plans, ports and retain/release may be used from any thread at once. Options, run options,
 *              contexts, profiles and the writing of values belong to one thread at a time.
 *   NULL       where a function does not allow it: ONNX_INFER_E_INVALID_ARGUMENT; from functions without a status NULL,
 *              0, -1 or nothing done.
 *   Errors:    the statuses that a function can return, without their ONNX_INFER_E_, but for ONNX_INFER_E_INTERNAL.
 *   strings    UTF-8, NUL-terminated, in and out.
 *   shapes     dims are counts of elements, outermost first; tensors are dense and row-major.
 */
#ifndef ONNX_INFER_H
#define ONNX_INFER_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(ONNX_INFER_BUILD)
#define ONNX_INFER_API __declspec(dllexport)
#elif defined(__GNUC__) && __GNUC__ >= 4
#define ONNX_INFER_API __attribute__((visibility("default")))
#else
#define ONNX_INFER_API
#endif

#ifdef __cplusplus
#define ONNX_INFER_NOEXCEPT noexcept
extern "C" {
#else
#define ONNX_INFER_NOEXCEPT
#endif

#define ONNX_INFER_VERSION_MAJOR 0
#define ONNX_INFER_VERSION_MINOR 1
#define ONNX_INFER_VERSION_PATCH 0

/* --- status and types ------------------------------------------------------------------------------------------ */

typedef int32_t onnx_infer_status;
#define ONNX_INFER_OK 0
#define ONNX_INFER_E_INVALID_ARGUMENT 1     /* a NULL, an index out of range, a malformed option */
#define ONNX_INFER_E_OUT_OF_MEMORY 2        /* the allocator said no */
#define ONNX_INFER_E_IO 3                   /* a file could not be opened, mapped, read or written */
#define ONNX_INFER_E_PARSE 4                /* the bytes are no ONNX model, or are cut off */
#define ONNX_INFER_E_INVALID_MODEL 5        /* the model contradicts itself or the standard */
#define ONNX_INFER_E_UNSUPPORTED_OP 6       /* an operator that this build does not have */
#define ONNX_INFER_E_UNSUPPORTED_TYPE 7     /* an element type that an operator does not take */
#define ONNX_INFER_E_UNSUPPORTED_VERSION 8  /* an IR or opset version beyond this build */
#define ONNX_INFER_E_SHAPE_MISMATCH 9       /* a rank or dimension other than declared or needed */
#define ONNX_INFER_E_TYPE_MISMATCH 10       /* an element type or kind other than declared or needed */
#define ONNX_INFER_E_NOT_FOUND 11           /* no such name, key, symbol or index */
#define ONNX_INFER_E_CANCELLED 12           /* stopped by onnx_infer_cancel_fire or a progress callback */
#define ONNX_INFER_E_DEADLINE 13            /* the deadline passed */
#define ONNX_INFER_E_BACKEND_UNAVAILABLE 14 /* the backend asked for is not on this machine */
#define ONNX_INFER_E_BACKEND 15             /* the backend failed */
#define ONNX_INFER_E_BUSY 16                /* the handle is in use by a run */
#define ONNX_INFER_E_LIMIT 17               /* a limit of the options or of this build would be passed */
#define ONNX_INFER_E_BUFFER_TOO_SMALL 18    /* memory given by the caller does not hold the result */
#define ONNX_INFER_E_CACHE_STALE 19         /* a saved plan is not for this model, build or machine */
#define ONNX_INFER_E_DATA_DEPENDENT 20      /* the answer depends on the values of tensors */
#define ONNX_INFER_E_INTERNAL 21            /* a defect of this library */

/* Element types, with the numbers of onnx.TensorProto.DataType. */
typedef int32_t onnx_infer_dtype;
#define ONNX_INFER_UNDEFINED 0
#define ONNX_INFER_FLOAT 1
#define ONNX_INFER_UINT8 2
#define ONNX_INFER_INT8 3
#define ONNX_INFER_UINT16 4
#define ONNX_INFER_INT16 5
#define ONNX_INFER_INT32 6
#define ONNX_INFER_INT64 7
#define ONNX_INFER_STRING 8
#define ONNX_INFER_BOOL 9
#define ONNX_INFER_FLOAT16 10
#define ONNX_INFER_DOUBLE 11
#define ONNX_INFER_UINT32 12
#define ONNX_INFER_UINT64 13
#define ONNX_INFER_COMPLEX64 14
#define ONNX_INFER_COMPLEX128 15
#define ONNX_INFER_BFLOAT16 16
#define ONNX_INFER_FLOAT8E4M3FN 17
#define ONNX_INFER_FLOAT8E4M3FNUZ 18
#define ONNX_INFER_FLOAT8E5M2 19
#define ONNX_INFER_FLOAT8E5M2FNUZ 20
#define ONNX_INFER_UINT4 21
#define ONNX_INFER_INT4 22
#define ONNX_INFER_FLOAT4E2M1 23
#define ONNX_INFER_FLOAT8E8M0 24
#define ONNX_INFER_UINT2 25
#define ONNX_INFER_INT2 26
#define ONNX_INFER_FLOAT6E2M3 27
#define ONNX_INFER_FLOAT6E3M2 28

typedef int32_t onnx_infer_kind;
#define ONNX_INFER_TENSOR 0
#define ONNX_INFER_SEQUENCE 1
#define ONNX_INFER_OPTIONAL 2
#define ONNX_INFER_MAP 3

typedef int32_t onnx_infer_log_level;
#define ONNX_INFER_LOG_ERROR 0
#define ONNX_INFER_LOG_WARNING 1
#define ONNX_INFER_LOG_INFO 2
#define ONNX_INFER_LOG_DEBUG 3

typedef struct onnx_infer_model onnx_infer_model;
typedef struct onnx_infer_plan onnx_infer_plan;
typedef struct onnx_infer_context onnx_infer_context;
typedef struct onnx_infer_value onnx_infer_value;
typedef struct onnx_infer_options onnx_infer_options;
typedef struct onnx_infer_run_options onnx_infer_run_options;
typedef struct onnx_infer_port onnx_infer_port;
typedef struct onnx_infer_error onnx_infer_error;
typedef struct onnx_infer_cancel onnx_infer_cancel;
typedef struct onnx_infer_profile onnx_infer_profile;
typedef struct onnx_infer_pool onnx_infer_pool;
typedef struct onnx_infer_op_context onnx_infer_op_context;

/* Called once when the library no longer needs `data`. */
typedef void (*onnx_infer_free_fn)(void *user, void *data);
typedef void (*onnx_infer_log_fn)(void *user, onnx_infer_log_level level, const char *message);
/* Reports how far a load or plan has come; a return other than 0 stops it with ONNX_INFER_E_CANCELLED. */
typedef int (*onnx_infer_progress_fn)(void *user, size_t done, size_t total);
/* Asks where output `output` of a run is to go, once its type and shape are known: memory of at least `bytes`, aligned as
 * the element type asks (`align` is what is fastest), that nobody else uses until the run ends. NULL ends the run with
 * ONNX_INFER_E_BUFFER_TOO_SMALL. `dims` are valid during the call. Called once in a run, by the thread that runs; it must
 * not use the context. */
typedef void *(*onnx_infer_output_fn)(void *user, size_t output, onnx_infer_dtype dtype, int32_t rank, const int64_t *dims,
                                      size_t bytes, size_t align);
/* Says how an asynchronous run ended; `error` is NULL after ONNX_INFER_OK and else lives as long as the call. Called by
 * a thread of the library, when the context is free again: it may bind and start the next run, not free the context. */
typedef void (*onnx_infer_done_fn)(void *user, onnx_infer_status status, const onnx_infer_error *error);

/* Structs that cross the interface begin with their size: set struct_size = sizeof. Fields are only ever appended. */

/* Where the library's memory comes from. `align` is a power of two; `free` gets the size and alignment that `alloc`
 * got. Both may be called from any thread and must not call the library. */
typedef struct onnx_infer_allocator {
    size_t struct_size;
    void *user;
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*free)(void *user, void *p, size_t size, size_t align);
} onnx_infer_allocator;

/* A source of a model's bytes (an encrypted file, an asset, an archive). `size` returns the length or a negative
 * number on failure. `read_at` copies `n` bytes from `offset` and returns how many it copied, negative on failure.
 * `map` may be NULL, or return NULL for bytes that it cannot expose; what it returns stays valid until `close`.
 * `open_external` may be NULL; it opens a file of external tensor data by the location that the model names and
 * returns 0, or another number if there is none. `close` may be NULL. Called from the loading thread; bytes that
 * `map` exposes are read from any thread while the model lives. */
typedef struct onnx_infer_reader onnx_infer_reader;
struct onnx_infer_reader {
    size_t struct_size;
    void *user;
    int64_t (*size)(void *user);
    int64_t (*read_at)(void *user, uint64_t offset, void *dst, size_t n);
    const void *(*map)(void *user, uint64_t offset, size_t n);
    int (*open_external)(void *user, const char *location, onnx_infer_reader *out);
    void (*close)(void *user);
};

/* Threads of the application. `parallel_for` calls body(arg, 0 .. n-1), each once, in any order, on any threads or on the
 * caller's alone, and returns when all calls have returned; n is at most `threads`. It is called by one run at a time (runs
 * that meet do their work themselves), never from inside `body`, and must not call the library. */
typedef struct onnx_infer_executor {
    size_t struct_size;
    void *user;
    int32_t threads; /* that may work at once, the caller's among them: 1 to 4096 */
    void (*parallel_for)(void *user, size_t n, void (*body)(void *arg, size_t i), void *arg);
} onnx_infer_executor;

/* A sink of bytes: `write` takes all of them, in order, and returns 0; another number ends the call that writes with
 * ONNX_INFER_E_IO. Called from the thread of that call. */
typedef struct onnx_infer_writer {
    size_t struct_size;
    void *user;
    int (*write)(void *user, const void *p, size_t n);
} onnx_infer_writer;

/* Bytes of memory. */
typedef struct onnx_infer_memory {
    size_t struct_size;
    uint64_t weights;    /* constants held by the model on the heap */
    uint64_t mapped;     /* constants used in place in mapped files */
    uint64_t packed;     /* constants rearranged for kernels by the plan */
    uint64_t arena_now;  /* held by the context's arena; 0 when asked of a plan */
    uint64_t arena_peak; /* what the arena needs */
    uint64_t heap_peak;  /* most held at once in a run by values whose size depends on data; 0 when asked of a plan */
} onnx_infer_memory;

/* One step. Strings are borrowed from the plan. */
typedef struct onnx_infer_event {
    size_t struct_size;
    const char *node;   /* the node's name in the model, or one made from its output */
    const char *op;     /* operator type */
    const char *kernel; /* the variant, e.g. "conv1x1 14x2 avx512"; "reference" for a plain evaluator */
    uint64_t start_ns;  /* since the run began; 0 where no run took place */
    uint64_t dur_ns;
    uint64_t flops;     /* multiplications and additions; 0 when not counted */
    uint64_t bytes;     /* of inputs and outputs */
    int32_t tasks;      /* parts that threads can take */
    int32_t thread;     /* that gave the step to the others: 0, the run's own */
} onnx_infer_event;

/* An operator of the caller's own. The strings are copied; `user` and the functions must outlive everything loaded with the
 * definition. Functions return ONNX_INFER_OK, or a status after onnx_infer_op_fail or a failed call of this library; they
 * may be called from any thread, also at the same time, and must not use the handles that they work for.
 *   infer    may be NULL: nothing is known of the outputs before a run. Else sets the outputs' types from the inputs'; it
 *            is called whenever shapes are specialised.
 *   create   may be NULL: compute gets `user` as its kernel. Else makes what compute needs beside its inputs, once for a node
 *            and a set of input shapes; content of constant inputs is there. The kernel is read by many threads at once.
 *   compute  makes the outputs.
 *   destroy  may be NULL; gets each kernel that create made, when its plan goes. */
#define ONNX_INFER_OP_NONDETERMINISTIC 1 /* the same inputs may give other outputs: never computed ahead, never merged */
#define ONNX_INFER_OP_OVERRIDE 2         /* replaces an operator of this build; refused without it */
typedef struct onnx_infer_op_def {
    size_t struct_size;
    const char *domain; /* NULL and "": ai.onnx */
    const char *name;
    int32_t since, until; /* versions of the domain that the model imports, both included; until 0: and all later ones */
    uint64_t flags;       /* ONNX_INFER_OP_* */
    void *user;
    onnx_infer_status (*infer)(void *user, onnx_infer_op_context *x);
    onnx_infer_status (*create)(void *user, onnx_infer_op_context *x, void **kernel);
    onnx_infer_status (*compute)(void *kernel, onnx_infer_op_context *x);
    void (*destroy)(void *kernel);
    int32_t min_inputs, max_inputs; /* max 0: any number; inputs from min on may be left out */
    int32_t min_outputs, max_outputs;
} onnx_infer_op_def;
/* What a library of operators exports under the name onnx_infer_register_ops: it adds them with onnx_infer_options_add_op. */
typedef onnx_infer_status (*onnx_infer_register_ops_fn)(onnx_infer_options *o);

/* --- version and capability: static answers, any thread -------------------------------------------------------- */

ONNX_INFER_API const char *onnx_infer_version(void) ONNX_INFER_NOEXCEPT;     /* "0.1.0" */
ONNX_INFER_API uint32_t onnx_infer_version_number(void) ONNX_INFER_NOEXCEPT; /* major << 16 | minor << 8 | patch */
/* Newest version of the file format that loads. */
ONNX_INFER_API int32_t onnx_infer_max_ir_version(void) ONNX_INFER_NOEXCEPT;
/* Newest opset known of a domain ("" or "ai.onnx", "ai.onnx.ml", ...); 0 for an unknown domain. */
ONNX_INFER_API int32_t onnx_infer_max_opset(const char *domain) ONNX_INFER_NOEXCEPT;
/* Operators of this build, sorted by domain and name: how many, and the i-th; NULL past the end. */
ONNX_INFER_API size_t onnx_infer_op_count(void) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_op_name(size_t i) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_op_domain(size_t i) ONNX_INFER_NOEXCEPT;
/* 1: the operator is in this build in the form of this opset version of its domain, for the element types that the standard
 * allows, on the backend (NULL: on any). onnx_infer_model_peek_file says it of all nodes of a model. */
ONNX_INFER_API int32_t onnx_infer_op_supported(const char *domain, const char *op, int32_t opset,
                                               const char *backend) ONNX_INFER_NOEXCEPT;
/* Backends of this build; NULL past the end. */
ONNX_INFER_API size_t onnx_infer_backend_count(void) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_backend_name(size_t i) ONNX_INFER_NOEXCEPT;
/* OK where the backend can be used on this machine; the record says why it cannot. Errors: INVALID_ARGUMENT, BACKEND_UNAVAILABLE. */
ONNX_INFER_API onnx_infer_status onnx_infer_backend_probe(const char *name) ONNX_INFER_NOEXCEPT;
/* What this build was made for and by, for reports. */
ONNX_INFER_API const char *onnx_infer_build_info(void) ONNX_INFER_NOEXCEPT;
/* Who hears of options made from now on, and of loads without any, until they say otherwise (onnx_infer_options_set_log);
 * fn NULL: nobody. Where nothing is set and the environment has ONNX_INFER_LOG ("error", "warning", "info", "debug"),
 * messages go to standard error. Any thread. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_set_log(onnx_infer_log_fn fn, void *user, onnx_infer_log_level level) ONNX_INFER_NOEXCEPT;
/* CPUs that this process may use: its affinity and its container's quota. At least 1. */
ONNX_INFER_API int32_t onnx_infer_default_threads(void) ONNX_INFER_NOEXCEPT;
/* The best instruction set of this CPU that this build has kernels for: "generic", "sse2", "avx2", "avx512", "neon". */
ONNX_INFER_API const char *onnx_infer_cpu_isa(void) ONNX_INFER_NOEXCEPT;

/* --- errors: a record for each thread, valid until that thread's next failing call ----------------------------- */

ONNX_INFER_API const char *onnx_infer_status_name(onnx_infer_status status) ONNX_INFER_NOEXCEPT; /* "E_PARSE" */
ONNX_INFER_API const onnx_infer_error *onnx_infer_last_error(void) ONNX_INFER_NOEXCEPT;          /* never NULL */
/* A copy that outlives the thread's next failure; NULL without memory. */
ONNX_INFER_API onnx_infer_error *onnx_infer_error_clone(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API void onnx_infer_error_free(onnx_infer_error *e) ONNX_INFER_NOEXCEPT; /* of a clone */
ONNX_INFER_API onnx_infer_status onnx_infer_error_code(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_error_message(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
/* Where it happened: "" or -1 where it does not apply. */
ONNX_INFER_API const char *onnx_infer_error_node(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_error_op(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_error_tensor(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_error_symbol(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int32_t onnx_infer_error_axis(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int64_t onnx_infer_error_got(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int64_t onnx_infer_error_expected(const onnx_infer_error *e) ONNX_INFER_NOEXCEPT;

/* --- options of loading and planning: read at the call that takes them; NULL stands for the defaults ----------- */

/* All at their defaults. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_create(onnx_infer_options **out) ONNX_INFER_NOEXCEPT;
/* What was made with them stays as it is. */
ONNX_INFER_API void onnx_infer_options_free(onnx_infer_options *o) ONNX_INFER_NOEXCEPT;
/* Fixes a dimension that the model names, e.g. "batch". A symbol that the model lacks is no error.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_symbol(onnx_infer_options *o, const char *symbol,
                                                               int64_t value) ONNX_INFER_NOEXCEPT;
/* Fixes an input's shape: `rank` counts in dims. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_input_shape(onnx_infer_options *o, const char *input, int32_t rank,
                                                                    const int64_t *dims) ONNX_INFER_NOEXCEPT;
/* Optimisation: 0 none (the operators' reference evaluators run the graph as it was loaded), 1 decluttered but still
 * by reference evaluators, 2 lowered to kernels (the default). Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_level(onnx_infer_options *o, int32_t level) ONNX_INFER_NOEXCEPT;
/* "cpu" is the only backend of this version; any other name: ONNX_INFER_E_BACKEND_UNAVAILABLE.
 * Errors: INVALID_ARGUMENT, BACKEND_UNAVAILABLE. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_backend(onnx_infer_options *o, const char *name) ONNX_INFER_NOEXCEPT;
/* Caps the instruction set ("generic", "sse2", "avx2", "avx512", "neon"), for the same bits on several machines.
 * ONNX_INFER_E_NOT_FOUND: no such name. Errors: INVALID_ARGUMENT, NOT_FOUND, BACKEND_UNAVAILABLE. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_cpu_isa(onnx_infer_options *o, const char *isa) ONNX_INFER_NOEXCEPT;
/* Threads of a run, the caller's among them; 0: onnx_infer_default_threads(). Results do not depend on it.
 * Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_threads(onnx_infer_options *o, int32_t n) ONNX_INFER_NOEXCEPT;
/* Runs take their threads from this pool instead of having their own; set_threads no longer counts. Retained by the
 * options and by what is made with them; NULL: an own pool again. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_pool(onnx_infer_options *o, onnx_infer_pool *p) ONNX_INFER_NOEXCEPT;
/* 1 (the default): the same inputs give the same bits on this machine, for any number of threads and in every run. 2: also
 * on other machines, given the same instruction set (set_cpu_isa) and build: nothing depends on the sizes of caches.
 * Another level: ONNX_INFER_E_INVALID_ARGUMENT. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_deterministic(onnx_infer_options *o, int32_t level) ONNX_INFER_NOEXCEPT;
/* The values of a dimension that the model names: min <= opt <= max, else ONNX_INFER_E_INVALID_ARGUMENT. Runs outside of
 * the range fail with ONNX_INFER_E_SHAPE_MISMATCH. Where the options give each open symbol of the inputs a value or a
 * range, plan_create prepares the largest and the usual (opt) shapes, and onnx_infer_plan_memory says what the largest
 * need. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_symbol_range(onnx_infer_options *o, const char *symbol, int64_t min,
                                                                     int64_t opt, int64_t max) ONNX_INFER_NOEXCEPT;
/* Ends a load or plan that takes these options, from another thread, with ONNX_INFER_E_CANCELLED. The handle must outlive
 * the calls that it may end; NULL: none. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_cancel(onnx_infer_options *o, onnx_infer_cancel *c) ONNX_INFER_NOEXCEPT;
/* The struct is copied; its functions and `user` must outlive every object made with these options.
 * Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_allocator(onnx_infer_options *o,
                                                                  const onnx_infer_allocator *a) ONNX_INFER_NOEXCEPT;
/* What a file may ask for: "nodes" (default 1,000,000), "depth" of nested graphs (64), "tensor_bytes" of one tensor
 * (64 GiB), "total_bytes" of one run (the machine's memory), "plans" kept by input shapes (16). Errors: INVALID_ARGUMENT,
 * NOT_FOUND for another name. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_limit(onnx_infer_options *o, const char *what, uint64_t max) ONNX_INFER_NOEXCEPT;
/* Called from the thread that loads or plans; fn NULL: nobody. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_progress(onnx_infer_options *o, onnx_infer_progress_fn fn,
                                                                 void *user) ONNX_INFER_NOEXCEPT;
/* Messages of loading, planning and running, of `level` and graver; may be called from any thread; fn NULL:
 * nobody. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_log(onnx_infer_options *o, onnx_infer_log_fn fn, void *user,
                                                            onnx_infer_log_level level) ONNX_INFER_NOEXCEPT;

/* A folder in which plans of level 2 keep what planning makes, for later processes: a file for each model (by the XXH3-128 of its
 * bytes), CPU and build of the library, written whole or not at all: packed weights and, unless operators, constants or external
 * data of the caller's take part, finished graphs, one for each set of input shapes. A model that is loaded from a path with the
 * same folder is then not read again, only hashed; and not even that while the system's notes on its file (device, inode, size,
 * times of content and inode) are those of when it was hashed, a minute or more after it had last changed. A cache file that is
 * out of date or damaged is made anew, and neither that nor a folder that cannot be written fails a plan: the log says so.
 * Models of less than 1 KiB get no file. Whoever can write to the folder is trusted. NULL, the default: none.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_cache_dir(onnx_infer_options *o, const char *dir) ONNX_INFER_NOEXCEPT;
/* Replaces a constant of the model's graph, or the default of an input, by name; type and shape stay. The tensor's memory
 * is shared and must not change while a model lives that was loaded so; a name that the model does not have fails the load
 * with NOT_FOUND. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, TYPE_MISMATCH. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_initializer(onnx_infer_options *o, const char *name,
                                                                    const onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
/* A file of external data in memory, by the location that the model names; looked at before files and readers. fn NULL: the n
 * bytes are copied; else they are borrowed until fn(user, p), when the last user is gone. A location twice is refused.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_add_external(onnx_infer_options *o, const char *location, const void *p, size_t n,
                                                                 onnx_infer_free_fn fn, void *user) ONNX_INFER_NOEXCEPT;
/* Makes these values of the model's graph, inner ones too, its outputs, in this order, and loads only what they need: of
 * operators that are not in this build elsewhere nothing is said. n 0: the model's own again. A name that is no value of the
 * graph fails the load with NOT_FOUND. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set_outputs(onnx_infer_options *o, size_t n,
                                                                const char *const *names) ONNX_INFER_NOEXCEPT;
/* The setters by text, for configuration files: "level", "threads", "deterministic", "backend", "cpu_isa", "cache_dir",
 * "op_library" (a path), "limit.NAME", "symbol.NAME". NOT_FOUND: no such key.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, NOT_FOUND, BACKEND_UNAVAILABLE, BACKEND, IO. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_set(onnx_infer_options *o, const char *key, const char *value) ONNX_INFER_NOEXCEPT;
/* An operator of the caller's own, looked at before those of this build and before functions of the model. An operator may
 * have several definitions for versions that do not overlap. Refused where they do, where the definition is not whole, or
 * replaces an operator of this build without ONNX_INFER_OP_OVERRIDE. Counts for models loaded with the options.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_add_op(onnx_infer_options *o,
                                                           const onnx_infer_op_def *def) ONNX_INFER_NOEXCEPT;
/* Loads a shared library and calls the function onnx_infer_register_ops that it exports (onnx_infer_register_ops_fn): all
 * of its operators are added, or none. It is unloaded when the options and everything loaded with them are gone. IO where
 * it cannot be loaded, NOT_FOUND where it has no such function, BACKEND where that returned a status without a record.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, NOT_FOUND, BACKEND. */
ONNX_INFER_API onnx_infer_status onnx_infer_options_add_op_library(onnx_infer_options *o, const char *path) ONNX_INFER_NOEXCEPT;

/* --- pools: threads that plans share. Any thread. A pool starts its threads at the first run that can use them; they
 * sleep between runs. In the child of a fork new ones start when needed. --------------------------------------------- */

/* `threads` (1 to 4096; 0: onnx_infer_default_threads()) counts the thread that runs. Within a run an idle thread looks
 * for work for spin_ns nanoseconds before it sleeps; 0: it sleeps at once. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_pool_create(int32_t threads, uint64_t spin_ns, onnx_infer_pool **out) ONNX_INFER_NOEXCEPT;
/* The struct is copied; its function and `user` must outlive the pool and every plan that uses it.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_pool_create_external(const onnx_infer_executor *e,
                                                                 onnx_infer_pool **out) ONNX_INFER_NOEXCEPT;
/* Another reference to it, which is returned; and one given back: with the last the pool goes. */
ONNX_INFER_API onnx_infer_pool *onnx_infer_pool_retain(onnx_infer_pool *p) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API void onnx_infer_pool_release(onnx_infer_pool *p) ONNX_INFER_NOEXCEPT;

/* --- model ----------------------------------------------------------------------------------------------------- */

/* Loads and checks a model. The file is mapped and its weights are used in place: it must not change while the model
 * lives. External data is looked for beside the file and never outside its folder.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, PARSE, INVALID_MODEL, UNSUPPORTED_OP, UNSUPPORTED_TYPE,
 * UNSUPPORTED_VERSION, SHAPE_MISMATCH, TYPE_MISMATCH, NOT_FOUND, CANCELLED, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_load_file(const char *path, const onnx_infer_options *o,
                                                            onnx_infer_model **out) ONNX_INFER_NOEXCEPT;
/* fn NULL: the bytes are copied. Else they are borrowed until fn(user, p) is called, when the last user is gone.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, PARSE, INVALID_MODEL, UNSUPPORTED_OP, UNSUPPORTED_TYPE,
 * UNSUPPORTED_VERSION, SHAPE_MISMATCH, TYPE_MISMATCH, NOT_FOUND, CANCELLED, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_load_memory(const void *p, size_t n, onnx_infer_free_fn fn, void *user,
                                                              const onnx_infer_options *o,
                                                              onnx_infer_model **out) ONNX_INFER_NOEXCEPT;
/* The struct is copied; `close` is called when the model is gone. On failure the reader stays the caller's, unclosed.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, PARSE, INVALID_MODEL, UNSUPPORTED_OP, UNSUPPORTED_TYPE,
 * UNSUPPORTED_VERSION, SHAPE_MISMATCH, TYPE_MISMATCH, NOT_FOUND, CANCELLED, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_load_reader(const onnx_infer_reader *r, const onnx_infer_options *o,
                                                              onnx_infer_model **out) ONNX_INFER_NOEXCEPT;
/* Reads the graph although operators or types in it are unsupported: ports, metadata and onnx_infer_model_issue
 * answer; a plan of a model with issues fails. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, PARSE, NOT_FOUND, CANCELLED,
 * LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_peek_file(const char *path, const onnx_infer_options *o,
                                                            onnx_infer_model **out) ONNX_INFER_NOEXCEPT;
/* A model of its own in which the sizes that the options fix by onnx_infer_options_set_symbol and _set_input_shape are fixed in
 * inputs, outputs and between; it shares the constants of m, which it retains.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, NOT_FOUND, SHAPE_MISMATCH, INVALID_MODEL. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_specialize(onnx_infer_model *m, const onnx_infer_options *o,
                                                             onnx_infer_model **out) ONNX_INFER_NOEXCEPT;
/* Writes the model as ONNX: functions inlined, operators in their form of opset 21 or of a newer one that it has, sizes that
 * the options (may be NULL) fix by onnx_infer_options_set_symbol and _set_input_shape fixed; unless their level is 0 also simplified:
 * constants and shape arithmetic folded, patterns replaced by the operators that they stand for. It does not depend on the
 * machine. A node that no opset can express is written with the domain "onnx_infer", which this library alone reads.
 * data and location (both may be NULL): tensors of 1 KiB and more are written to `data`, in the model named as `location`, the
 * name of a file in the model's folder. Without them 2 GiB of weights are LIMIT.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, LIMIT, NOT_FOUND, SHAPE_MISMATCH, INVALID_MODEL. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_save_onnx(const onnx_infer_model *m, const onnx_infer_options *o,
                                                            const onnx_infer_writer *w, const onnx_infer_writer *data,
                                                            const char *location) ONNX_INFER_NOEXCEPT;
/* The same to a file, put in its place when it is whole; weights of 2 GiB and more go to PATH.data beside it.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, NOT_FOUND, SHAPE_MISMATCH, INVALID_MODEL. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_save_onnx_file(const onnx_infer_model *m, const onnx_infer_options *o,
                                                                 const char *path) ONNX_INFER_NOEXCEPT;
/* Another reference to it, which is returned; and one given back: with the last the model goes. */
ONNX_INFER_API onnx_infer_model *onnx_infer_model_retain(onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API void onnx_infer_model_release(onnx_infer_model *m) ONNX_INFER_NOEXCEPT;

/* Inputs in the model's order (those with an initializer are optional), and outputs. */
ONNX_INFER_API size_t onnx_infer_model_input_count(const onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API size_t onnx_infer_model_output_count(const onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const onnx_infer_port *onnx_infer_model_input(const onnx_infer_model *m, size_t i) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const onnx_infer_port *onnx_infer_model_output(const onnx_infer_model *m, size_t i) ONNX_INFER_NOEXCEPT;
/* -1: no such name. */
ONNX_INFER_API int64_t onnx_infer_model_input_index(const onnx_infer_model *m, const char *name) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int64_t onnx_infer_model_output_index(const onnx_infer_model *m, const char *name) ONNX_INFER_NOEXCEPT;
/* Names of the dimensions that inputs leave open. */
ONNX_INFER_API size_t onnx_infer_model_symbol_count(const onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_model_symbol(const onnx_infer_model *m, size_t i) ONNX_INFER_NOEXCEPT;
/* "producer_name", "producer_version", "graph_name", "doc", "domain", "version", "ir_version"; "xxh128": the XXH3-128 of
 * the model's bytes and the external data that it names, in hexadecimal, which reads them all when it is first asked for;
 * NULL for another key. */
ONNX_INFER_API const char *onnx_infer_model_property(const onnx_infer_model *m, const char *key) ONNX_INFER_NOEXCEPT;
/* How many domains the model imports. */
ONNX_INFER_API size_t onnx_infer_model_opset_count(const onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
/* The i-th domain ("" is ai.onnx) and its opset; borrowed from the model; domain and version may be NULL.
 * Errors: INVALID_ARGUMENT, NOT_FOUND. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_opset(const onnx_infer_model *m, size_t i, const char **domain,
                                                        int64_t *version) ONNX_INFER_NOEXCEPT;
/* How many pairs of metadata_props. */
ONNX_INFER_API size_t onnx_infer_model_metadata_count(const onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
/* The i-th pair of metadata_props; borrowed from the model; key and value may be NULL.
 * Errors: INVALID_ARGUMENT, NOT_FOUND. */
ONNX_INFER_API onnx_infer_status onnx_infer_model_metadata(const onnx_infer_model *m, size_t i, const char **key,
                                                           const char **value) ONNX_INFER_NOEXCEPT;
/* Everything invalid or unsupported, one record each. A model loaded without peek has none. */
ONNX_INFER_API size_t onnx_infer_model_issue_count(const onnx_infer_model *m) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const onnx_infer_error *onnx_infer_model_issue(const onnx_infer_model *m, size_t i) ONNX_INFER_NOEXCEPT;

/* An input or output of a model, borrowed from it. */
ONNX_INFER_API const char *onnx_infer_port_name(const onnx_infer_port *p) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_kind onnx_infer_port_kind(const onnx_infer_port *p) ONNX_INFER_NOEXCEPT;
/* Of a tensor; of a sequence or optional, that of its innermost elements; of a map, that of its keys. */
ONNX_INFER_API onnx_infer_dtype onnx_infer_port_dtype(const onnx_infer_port *p) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int32_t onnx_infer_port_rank(const onnx_infer_port *p) ONNX_INFER_NOEXCEPT;              /* -1: unknown */
ONNX_INFER_API int64_t onnx_infer_port_dim(const onnx_infer_port *p, int32_t axis) ONNX_INFER_NOEXCEPT; /* -1: not fixed */
/* "3", "batch", "2*seq + 1", "?"; NULL for an axis out of range. */
ONNX_INFER_API const char *onnx_infer_port_dim_expr(const onnx_infer_port *p, int32_t axis) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int32_t onnx_infer_port_is_optional(const onnx_infer_port *p) ONNX_INFER_NOEXCEPT; /* 1: has a default */

/* --- plan ------------------------------------------------------------------------------------------------------ */

/* Optimises the model for this machine. Where the options leave no input dimension open everything is prepared here;
 * else each new set of input shapes is planned at its first run and kept (limit "plans", least recently used goes).
 * Retains the model. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, INVALID_MODEL, UNSUPPORTED_OP, UNSUPPORTED_TYPE,
 * UNSUPPORTED_VERSION, SHAPE_MISMATCH, TYPE_MISMATCH, NOT_FOUND, CANCELLED, LIMIT, and those of operators of your own. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_create(onnx_infer_model *m, const onnx_infer_options *o,
                                                        onnx_infer_plan **out) ONNX_INFER_NOEXCEPT;
/* Writes a plan as it is for its options: its model, decluttered, and all that is packed for this machine. To be loaded by
 * the same version of the library on a machine with the same instruction set; LIMIT from 2 GiB of weights on.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_save(const onnx_infer_plan *p, const onnx_infer_writer *w) ONNX_INFER_NOEXCEPT;
/* Makes the plan again without optimising the model and packing its weights. The reader is used during the call only and not
 * closed; the options are those of onnx_infer_plan_create, sizes that were fixed stay so. CACHE_STALE: it was saved by another
 * version or for another instruction set, or is damaged. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, CACHE_STALE, SHAPE_MISMATCH,
 * NOT_FOUND, UNSUPPORTED_OP, LIMIT, CANCELLED. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_load(const onnx_infer_reader *r, const onnx_infer_options *o,
                                                      onnx_infer_plan **out) ONNX_INFER_NOEXCEPT;
/* Another reference to it, which is returned; and one given back: with the last the plan goes. */
ONNX_INFER_API onnx_infer_plan *onnx_infer_plan_retain(onnx_infer_plan *p) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API void onnx_infer_plan_release(onnx_infer_plan *p) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const onnx_infer_model *onnx_infer_plan_model(const onnx_infer_plan *p) ONNX_INFER_NOEXCEPT;
/* What the most recently used shapes need; ONNX_INFER_E_DATA_DEPENDENT where inputs are open and no run took place.
 * Errors: INVALID_ARGUMENT, DATA_DEPENDENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_memory(const onnx_infer_plan *p, onnx_infer_memory *out) ONNX_INFER_NOEXCEPT;
/* The steps of the most recently used shapes; 0 where there are none yet. */
ONNX_INFER_API size_t onnx_infer_plan_step_count(const onnx_infer_plan *p) ONNX_INFER_NOEXCEPT;
/* The i-th of them. Errors: INVALID_ARGUMENT, NOT_FOUND. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_step(const onnx_infer_plan *p, size_t i, onnx_infer_event *out) ONNX_INFER_NOEXCEPT;

/* The shape of output `output` for inputs of these shapes, without running: dims[i] has ranks[i] entries; ranks[i] -1
 * stands for an input that is not given; n may be less than the inputs where the rest is optional. Writes *rank and
 * up to `cap` dims. ONNX_INFER_E_BUFFER_TOO_SMALL where the rank is more than cap (*rank is set);
 * ONNX_INFER_E_DATA_DEPENDENT where the shape follows from the inputs' content: then *rank is the rank, or -1, and dims
 * that are not known are -1. Shapes that inputs cannot have: ONNX_INFER_E_SHAPE_MISMATCH.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, SHAPE_MISMATCH, NOT_FOUND, LIMIT, BUFFER_TOO_SMALL, DATA_DEPENDENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_output_shape(const onnx_infer_plan *p, size_t n, const int32_t *ranks,
                                                              const int64_t *const *dims, size_t output, int32_t *rank,
                                                              int64_t *out_dims, int32_t cap) ONNX_INFER_NOEXCEPT;
/* onnx_infer_run in a context that the plan keeps: any number of threads at once. As many contexts as threads ran at
 * once are kept, up to onnx_infer_default_threads().
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, INVALID_MODEL, SHAPE_MISMATCH, TYPE_MISMATCH, CANCELLED, DEADLINE, LIMIT,
 * and those of operators of your own. */
ONNX_INFER_API onnx_infer_status onnx_infer_plan_run(onnx_infer_plan *p, const onnx_infer_run_options *ro, size_t ni,
                                                     const onnx_infer_value *const *in, size_t no,
                                                     onnx_infer_value **out) ONNX_INFER_NOEXCEPT;

/* --- context --------------------------------------------------------------------------------------------------- */

/* Retains the plan. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_context_create(onnx_infer_plan *p, onnx_infer_context **out) ONNX_INFER_NOEXCEPT;
/* Its bindings and state go with it; values that it gave out stay. */
ONNX_INFER_API void onnx_infer_context_free(onnx_infer_context *c) ONNX_INFER_NOEXCEPT;
/* Load, plan and create in one call, for programs that run one model. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO,
 * PARSE, INVALID_MODEL, UNSUPPORTED_OP, UNSUPPORTED_TYPE, UNSUPPORTED_VERSION, SHAPE_MISMATCH, TYPE_MISMATCH, NOT_FOUND,
 * CANCELLED, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_context_open(const char *path, const onnx_infer_options *o,
                                                         onnx_infer_context **out) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const onnx_infer_plan *onnx_infer_context_plan(const onnx_infer_context *c) ONNX_INFER_NOEXCEPT;
/* A context of the same plan with the same bound inputs, state links, and a copy of the state. Bound outputs, memory set as
 * arena and outputs of past runs stay with the original. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_context_clone(const onnx_infer_context *c, onnx_infer_context **out) ONNX_INFER_NOEXCEPT;
/* Every function on a context that a run is using returns ONNX_INFER_E_BUSY.
 * Runs with inputs and outputs in the model's order. in[i] may be NULL for an optional input. Where out[i] is NULL a
 * value is made that the caller releases; else the result is written into that value, whose type and shape must be
 * the result's. ni and no may be less than the model's counts where the rest is optional or not wanted.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, INVALID_MODEL, SHAPE_MISMATCH, TYPE_MISMATCH, CANCELLED, DEADLINE, BUSY,
 * LIMIT, and those of operators of your own. */
ONNX_INFER_API onnx_infer_status onnx_infer_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                                const onnx_infer_value *const *in, size_t no,
                                                onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* The same by name, in any order. Only what the named outputs need is computed: the first sets of outputs asked of a plan, up
 * to 8, get programs of their own, which share the weights; other sets are computed with all outputs.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, INVALID_MODEL, SHAPE_MISMATCH, TYPE_MISMATCH, CANCELLED, DEADLINE, BUSY,
 * LIMIT, NOT_FOUND, and those of operators of your own. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni,
                                                      const char *const *in_names, const onnx_infer_value *const *in,
                                                      size_t no, const char *const *out_names,
                                                      onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* What the context's plan and arena hold. Errors: INVALID_ARGUMENT, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_context_memory(const onnx_infer_context *c, onnx_infer_memory *out) ONNX_INFER_NOEXCEPT;
/* Gives the arena, and outputs that the context holds, back; the next run takes memory again. State stays.
 * Errors: INVALID_ARGUMENT, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_context_trim(onnx_infer_context *c) ONNX_INFER_NOEXCEPT;
/* Uses this memory, which stays the caller's and must outlive the context or the next such call, as arena; runs that need
 * more fail with ONNX_INFER_E_LIMIT. onnx_infer_memory.arena_peak says how much a plan needs; 64 bytes more make up for any
 * alignment. Values whose size depends on data, and graphs inside of nodes, still take memory from the allocator. NULL:
 * an own arena again. Errors: INVALID_ARGUMENT, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_context_set_arena(onnx_infer_context *c, void *mem, size_t bytes) ONNX_INFER_NOEXCEPT;

/* --- bound runs: inputs and outputs stay with the context. Once a bound run has been made with given shapes, the next
 * ones with these shapes allocate nothing and, on one thread, take no lock; steps whose kernel is "reference" and values
 * whose size depends on data apart. Indices out of range: ONNX_INFER_E_NOT_FOUND. -------------------------------------- */

/* The value (retained; NULL: none) is what the next bound runs read; its content may change between them.
 * Errors: INVALID_ARGUMENT, TYPE_MISMATCH, NOT_FOUND, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_bind_input(onnx_infer_context *c, size_t i, onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
/* The tensor (retained) that bound runs write; it must be of the result's type and shape when they do. NULL: the context
 * makes a value and uses it again while the shape stays. Takes the place of a function.
 * Errors: INVALID_ARGUMENT, TYPE_MISMATCH, NOT_FOUND, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_bind_output(onnx_infer_context *c, size_t i, onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
/* Bound runs ask this function where the tensor is to go (not one of strings); NULL: nobody. Takes the place of a tensor.
 * Errors: INVALID_ARGUMENT, NOT_FOUND, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_bind_output_fn(onnx_infer_context *c, size_t i, onnx_infer_output_fn fn,
                                                           void *user) ONNX_INFER_NOEXCEPT;
/* What a bound run gives as `output` is `input` of the next, without a copy (caches of keys and values, states of recurrent
 * nets). The first run takes the value bound to the input, which is only read, or zeros where the input's shape is
 * fixed or follows from the other inputs. A run that fails leaves the state as it was. An output feeds one input; `input` or `output` already linked:
 * ONNX_INFER_E_INVALID_ARGUMENT; differing types: ONNX_INFER_E_TYPE_MISMATCH.
 * Errors: INVALID_ARGUMENT, TYPE_MISMATCH, NOT_FOUND, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_bind_state(onnx_infer_context *c, size_t output, size_t input) ONNX_INFER_NOEXCEPT;
/* Forgets inputs, outputs, links and state. Errors: INVALID_ARGUMENT, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_unbind_all(onnx_infer_context *c) ONNX_INFER_NOEXCEPT;
/* The next bound run starts from the first state again; links stay. Errors: INVALID_ARGUMENT, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_reset_state(onnx_infer_context *c) ONNX_INFER_NOEXCEPT;
/* Runs on what is bound and computes all outputs. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, INVALID_MODEL,
 * SHAPE_MISMATCH, TYPE_MISMATCH, CANCELLED, DEADLINE, BUSY, LIMIT, BUFFER_TOO_SMALL, and those of operators of your
 * own. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_bound(onnx_infer_context *c, const onnx_infer_run_options *ro) ONNX_INFER_NOEXCEPT;
/* The same on a thread of the context, which starts at the first call and sleeps between runs. Returns at once; `ro` is
 * copied, what it refers to must outlive the run. fn may be NULL. Freeing the context waits for the run. OUT_OF_MEMORY:
 * the system gives no thread.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, BUSY. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_async(onnx_infer_context *c, const onnx_infer_run_options *ro,
                                                      onnx_infer_done_fn fn, void *user) ONNX_INFER_NOEXCEPT;
/* Waits until the last asynchronous run and its callback are done, and returns how that run ended, with its record as
 * this thread's; ONNX_INFER_OK where there was none. ONNX_INFER_E_BUSY after timeout_ns (0: looks only; UINT64_MAX: no
 * end). Any thread; from the callback it does not wait.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, INVALID_MODEL, SHAPE_MISMATCH, TYPE_MISMATCH, CANCELLED, DEADLINE, BUSY,
 * LIMIT, BUFFER_TOO_SMALL, and those of operators of your own. */
ONNX_INFER_API onnx_infer_status onnx_infer_wait(onnx_infer_context *c, uint64_t timeout_ns) ONNX_INFER_NOEXCEPT;
/* Output i of the last successful bound run, borrowed until the next bound run, trim or unbinding; NULL before one, during
 * one, and for outputs bound to a function. */
ONNX_INFER_API const onnx_infer_value *onnx_infer_output(const onnx_infer_context *c, size_t i) ONNX_INFER_NOEXCEPT;

/* --- run options ------------------------------------------------------------------------------------------------ */

/* How a run is done. Objects set here must outlive the run. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_options_create(onnx_infer_run_options **out) ONNX_INFER_NOEXCEPT;
/* Not while a run uses it. */
ONNX_INFER_API void onnx_infer_run_options_free(onnx_infer_run_options *ro) ONNX_INFER_NOEXCEPT;
/* c NULL: none. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_options_set_cancel(onnx_infer_run_options *ro, onnx_infer_cancel *c) ONNX_INFER_NOEXCEPT;
/* Nanoseconds from the start of each run; 0: none. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_options_set_deadline(onnx_infer_run_options *ro, uint64_t ns) ONNX_INFER_NOEXCEPT;
/* p NULL: none. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_options_set_profile(onnx_infer_run_options *ro, onnx_infer_profile *p) ONNX_INFER_NOEXCEPT;
/* For random operators that carry no seed; the same seed gives the same run. Default 0. Errors: INVALID_ARGUMENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_run_options_set_seed(onnx_infer_run_options *ro, uint64_t seed) ONNX_INFER_NOEXCEPT;

/* Not fired. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_cancel_create(onnx_infer_cancel **out) ONNX_INFER_NOEXCEPT;
/* Not while a run uses it. */
ONNX_INFER_API void onnx_infer_cancel_free(onnx_infer_cancel *c) ONNX_INFER_NOEXCEPT;
/* Any thread, also a signal handler: runs that use it end soon with ONNX_INFER_E_CANCELLED, until it is reset. */
ONNX_INFER_API void onnx_infer_cancel_fire(onnx_infer_cancel *c) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API void onnx_infer_cancel_reset(onnx_infer_cancel *c) ONNX_INFER_NOEXCEPT;

/* The steps of the last run that it was set for. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_profile_create(onnx_infer_profile **out) ONNX_INFER_NOEXCEPT;
/* Not while a run uses it. */
ONNX_INFER_API void onnx_infer_profile_free(onnx_infer_profile *p) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API size_t onnx_infer_profile_count(const onnx_infer_profile *p) ONNX_INFER_NOEXCEPT;
/* Errors: INVALID_ARGUMENT, NOT_FOUND. */
ONNX_INFER_API onnx_infer_status onnx_infer_profile_get(const onnx_infer_profile *p, size_t i, onnx_infer_event *out) ONNX_INFER_NOEXCEPT;
/* Writes it as a trace that browsers and Perfetto show (trace events in JSON): an event a step, with its kernel, operations and
 * bytes. Errors: INVALID_ARGUMENT, IO. */
ONNX_INFER_API onnx_infer_status onnx_infer_profile_json(const onnx_infer_profile *p, const onnx_infer_writer *w) ONNX_INFER_NOEXCEPT;

/* --- values: one writer or many readers ------------------------------------------------------------------------ */

/* Owned and zeroed; strings start empty. Sub-byte types are packed two or four to a byte, first element lowest.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED_TYPE, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_create(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims,
                                                          onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* Uses the caller's memory without copying, for inputs and outputs; it must be aligned as the element type asks.
 * fn NULL: the memory outlives the value; else fn(user, data) is called when the value is gone. Not for strings.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED_TYPE, LIMIT, BUFFER_TOO_SMALL. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_wrap(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, void *data,
                                                        size_t bytes, onnx_infer_free_fn fn, void *user,
                                                        onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* The same for elements at any distance: `rank` byte strides, of any sign, from `data`, the address of element 0. Dense memory is
 * used as it is; of any other the elements are copied now, and fn is called before this returns. Not for strings and
 * types of less than a byte. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED_TYPE, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_wrap_strided(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims,
                                                                const int64_t *byte_strides, void *data,
                                                                onnx_infer_free_fn fn, void *user,
                                                                onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* From a DLManagedTensorVersioned of DLPack 1.x in the memory of the CPU, which is taken over: its deleter is called when the
 * value is gone; at once where the elements are not dense or not aligned and are copied. Memory that it says is read-only
 * gives no onnx_infer_tensor_mutable_data. On failure it stays the caller's.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED_TYPE, UNSUPPORTED_VERSION, BACKEND_UNAVAILABLE, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_from_dlpack(void *managed, onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* To a DLManagedTensorVersioned that shares the tensor's memory and holds a reference to the value until its deleter is
 * called, which the receiver does. Not for strings. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, TYPE_MISMATCH, UNSUPPORTED_TYPE. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_to_dlpack(onnx_infer_value *v, void **out) ONNX_INFER_NOEXCEPT;
/* Copies the elements into a tensor of the same shape, converted where its type is another one: as ONNX's Cast does, out of
 * range saturating for the 8-bit floats. Strings become strings only.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, TYPE_MISMATCH, SHAPE_MISMATCH, UNSUPPORTED_TYPE. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_copy(const onnx_infer_value *src, onnx_infer_value *dst) ONNX_INFER_NOEXCEPT;
/* Another reference to it, which is returned; and one given back: with the last the value goes. */
ONNX_INFER_API onnx_infer_value *onnx_infer_value_retain(onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API void onnx_infer_value_release(onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_kind onnx_infer_value_kind(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
/* Of tensors; of other kinds: ONNX_INFER_UNDEFINED, -1, NULL or 0. */
ONNX_INFER_API onnx_infer_dtype onnx_infer_tensor_dtype(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API int32_t onnx_infer_tensor_rank(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const int64_t *onnx_infer_tensor_dims(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API size_t onnx_infer_tensor_count(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT; /* elements */
ONNX_INFER_API size_t onnx_infer_tensor_bytes(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const void *onnx_infer_tensor_data(const onnx_infer_value *v) ONNX_INFER_NOEXCEPT; /* NULL for strings */
/* NULL for strings, and for memory that came in as read-only. */
ONNX_INFER_API void *onnx_infer_tensor_mutable_data(onnx_infer_value *v) ONNX_INFER_NOEXCEPT;
/* Elements of a string tensor: copied in; borrowed out until the element is set again.
 * `n` is the length in bytes, and may be NULL where it is asked. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_tensor_set_string(onnx_infer_value *v, size_t i, const char *s, size_t n) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_tensor_string(const onnx_infer_value *v, size_t i, size_t *n) ONNX_INFER_NOEXCEPT;
/* A sequence holds any number of items, an optional none or one. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
ONNX_INFER_API onnx_infer_status onnx_infer_sequence_create(onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_status onnx_infer_optional_create(onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* push retains the item; item borrows. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, TYPE_MISMATCH. */
ONNX_INFER_API onnx_infer_status onnx_infer_value_push(onnx_infer_value *container, onnx_infer_value *item) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API size_t onnx_infer_value_count(const onnx_infer_value *container) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_value *onnx_infer_value_item(const onnx_infer_value *container, size_t i) ONNX_INFER_NOEXCEPT;
/* From the elements of a rank-1 tensor of strings or integers to those of a tensor or sequence as long; retains both.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, SHAPE_MISMATCH, TYPE_MISMATCH. */
ONNX_INFER_API onnx_infer_status onnx_infer_map_create(onnx_infer_value *keys, onnx_infer_value *values,
                                                       onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_value *onnx_infer_map_keys(const onnx_infer_value *map) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_value *onnx_infer_map_values(const onnx_infer_value *map) ONNX_INFER_NOEXCEPT;

/* --- inside the functions of an onnx_infer_op_def: only there, with the context that they got -------------------- */

/* Counts of the node; an input or output may be left out all the same. What these functions give is borrowed until the
 * function of the operator returns. */
ONNX_INFER_API size_t onnx_infer_op_input_count(const onnx_infer_op_context *x) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API size_t onnx_infer_op_output_count(const onnx_infer_op_context *x) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API const char *onnx_infer_op_node_name(const onnx_infer_op_context *x) ONNX_INFER_NOEXCEPT;
/* 1: somebody uses the output. */
ONNX_INFER_API int32_t onnx_infer_op_output_wanted(const onnx_infer_op_context *x, size_t i) ONNX_INFER_NOEXCEPT;
/* Input i: in compute its content; in infer and create NULL unless it is constant. NULL where it is left out. Not to be
 * retained, written or released. */
ONNX_INFER_API const onnx_infer_value *onnx_infer_op_input(onnx_infer_op_context *x, size_t i) ONNX_INFER_NOEXCEPT;
/* What is known of input i: UNDEFINED and rank -1 where nothing is. Each pointer may be NULL. NOT_FOUND: left out.
 * Errors: INVALID_ARGUMENT, NOT_FOUND. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_input_type(onnx_infer_op_context *x, size_t i, onnx_infer_kind *kind,
                                                          onnx_infer_dtype *dtype, int32_t *rank) ONNX_INFER_NOEXCEPT;
/* Size of an axis: *size is the number or -1, *expr (may be NULL) its text: "3", "batch", "2*seq + 1", "?" where nothing is known.
 * NOT_FOUND: left out, or no such axis. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, NOT_FOUND. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_input_dim(onnx_infer_op_context *x, size_t i, int32_t axis, int64_t *size,
                                                         const char **expr) ONNX_INFER_NOEXCEPT;
/* In infer: the type of output i. rank -1: unknown. An axis is dims[axis] where that is not negative; else the expression
 * exprs[axis] over the names that onnx_infer_op_input_dim gives (+ - * / as floor division, parentheses, min, max), unknown
 * where exprs or the element is NULL. Outputs that are not set stay unknown. `rank` counts in dims and exprs, each may be NULL.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, NOT_FOUND, UNSUPPORTED_TYPE, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_set_output_type(onnx_infer_op_context *x, size_t i, onnx_infer_dtype dtype,
                                                               int32_t rank, const int64_t *dims,
                                                               const char *const *exprs) ONNX_INFER_NOEXCEPT;
/* In compute: storage of output i, uninitialised (strings: empty), to be written by onnx_infer_tensor_mutable_data or
 * onnx_infer_tensor_set_string. Type and shape must be what infer said as far as it did; else the status
 * is to be returned from compute. `rank` counts in dims.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, NOT_FOUND, LIMIT. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_output(onnx_infer_op_context *x, size_t i, onnx_infer_dtype dtype, int32_t rank,
                                                      const int64_t *dims, onnx_infer_value **out) ONNX_INFER_NOEXCEPT;
/* Attributes of the node. NOT_FOUND: it has none of that name; TYPE_MISMATCH: it is of another type; the results are left alone
 * then. Strings are NUL-terminated behind their n bytes; of a string n may be NULL.
 * Errors: INVALID_ARGUMENT, NOT_FOUND, TYPE_MISMATCH. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_int(const onnx_infer_op_context *x, const char *name, int64_t *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_float(const onnx_infer_op_context *x, const char *name, float *v) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_string(const onnx_infer_op_context *x, const char *name, const char **v,
                                                           size_t *n) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_ints(const onnx_infer_op_context *x, const char *name, const int64_t **v,
                                                         size_t *n) ONNX_INFER_NOEXCEPT;
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_floats(const onnx_infer_op_context *x, const char *name, const float **v,
                                                           size_t *n) ONNX_INFER_NOEXCEPT;
/* v and len have *n elements each; len may be NULL. Errors: INVALID_ARGUMENT, NOT_FOUND, TYPE_MISMATCH. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_strings(const onnx_infer_op_context *x, const char *name,
                                                            const char *const **v, const uint32_t **len,
                                                            size_t *n) ONNX_INFER_NOEXCEPT;
/* Not to be retained, written or released. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, NOT_FOUND, TYPE_MISMATCH. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_attr_tensor(onnx_infer_op_context *x, const char *name,
                                                           const onnx_infer_value **v) ONNX_INFER_NOEXCEPT;
/* Zeroed memory, aligned for any type; NULL without memory. */
ONNX_INFER_API void *onnx_infer_op_scratch(onnx_infer_op_context *x, size_t bytes) ONNX_INFER_NOEXCEPT;
/* body(arg, 0 .. n-1) on the threads of the plan, each once, in no order; returns when all are done. Outside of compute on the
 * calling thread alone. A run that is cancelled does not do all of them; it fails when compute returns. */
ONNX_INFER_API void onnx_infer_op_parallel_for(onnx_infer_op_context *x, size_t n, void (*body)(void *arg, size_t i),
                                               void *arg) ONNX_INFER_NOEXCEPT;
/* Writes the error record, and returns `status` for the function to return: one of ONNX_INFER_E_*; any other number becomes
 * BACKEND. `message` may be NULL. With ONNX_INFER_OK nothing happens.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, PARSE, INVALID_MODEL, UNSUPPORTED_OP, UNSUPPORTED_TYPE, UNSUPPORTED_VERSION,
 * SHAPE_MISMATCH, TYPE_MISMATCH, NOT_FOUND, CANCELLED, DEADLINE, BACKEND_UNAVAILABLE, BACKEND, BUSY, LIMIT, BUFFER_TOO_SMALL,
 * CACHE_STALE, DATA_DEPENDENT. */
ONNX_INFER_API onnx_infer_status onnx_infer_op_fail(onnx_infer_op_context *x, onnx_infer_status status,
                                                    const char *message) ONNX_INFER_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
