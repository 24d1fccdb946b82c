/* An ONNX model in memory: the imported graph and what the file says besides. The road from bytes to graph is
 * file.c (map) -> wire.c (scan) -> protobuf-c -> import_*.c (graph). */
#ifndef OI_ONNX_MODEL_FILE_H
#define OI_ONNX_MODEL_FILE_H

#include "onnx/file.h"
#include "ops/custom.h"

enum { OI_ONNX_MAX_IR = 14 };

typedef struct {
    char *name;
    oi_tensor tensor;
} oi_onnx_override;

typedef struct {
    char *location;
    oi_buffer *bytes;
} oi_onnx_memory_file;

typedef struct oi_onnx_options {
    const oi_alloc *alloc;      /* must outlive the model; NULL: the C library's */
    const oi_log *log;          /* NULL: silent; used while loading only */
    uint64_t max_nodes;         /* after inlining of functions; 0 here and below: the default of onnx_infer.h */
    uint64_t max_depth;         /* of graphs and functions in one another */
    uint64_t max_tensor_bytes;
    onnx_infer_progress_fn progress; /* may be NULL; done and total count nodes */
    void *progress_user;
    const oi_onnx_override *override; /* constants of the model's graph to be used instead of the file's */
    size_t noverride;
    const oi_onnx_memory_file *memory; /* files of external data */
    size_t nmemory;
    char *const *output;        /* values to be the outputs; only what they need is imported. NULL: the file's */
    size_t noutput;
    const oi_custom_ops *ops;   /* operators of the caller's own, looked at first; must outlive the model; may be NULL */
    bool keep_issues;           /* a model with issues is returned with them instead of failing (peek) */
} oi_onnx_options;

/* An input or output as the file declares it. */
typedef struct {
    const char *name;
    oi_fact fact;               /* dims of no number and no name are fresh symbols of the graph */
    const oi_tensor *initial;   /* of an input: the initializer that stands in where the user gives nothing; else NULL */
} oi_onnx_port;

typedef struct {
    const char *domain;         /* "" for ai.onnx */
    int64_t version;
} oi_onnx_opset;

typedef struct {
    const char *key, *value;
} oi_onnx_property;

/* Everything is in the graph's arena. */
typedef struct {
    oi_graph *graph;            /* stage IMPORTED; with issues only its inputs and outputs are sure to be whole */
    const oi_onnx_port *input, *output; /* as graph->input and graph->output */
    uint32_t ninput, noutput;
    int64_t ir_version;
    const oi_onnx_opset *opset; /* each domain once */
    uint32_t nopset;
    const oi_onnx_property *metadata;
    uint32_t nmetadata;
    const oi_onnx_property *property; /* "producer_name", ... as onnx_infer_model_property */
    uint32_t nproperty;
    const oi_error *issue;      /* everything invalid or unsupported that the import met */
    uint32_t nissue;
    const oi_bytes *source;     /* the model's bytes and those of files of external data that it names */
    uint32_t nsource;
    uint64_t in_place, copied;  /* bytes of constants used in the mapped file, and held on the heap */
} oi_onnx_model;

oi_status oi_onnx_load_file(const char *path, const oi_onnx_options *o, oi_onnx_model **out);
/* The same with what oi_source_file has opened, which is closed and cleared in any case. */
oi_status oi_onnx_load_opened(oi_bytes *bytes, oi_source *source, const oi_onnx_options *o, oi_onnx_model **out);
/* fn NULL: the bytes are copied; else borrowed until fn(user, p), when the last constant in them is gone. On failure
 * nothing was taken over and fn is not called. */
oi_status oi_onnx_load_memory(const void *p, size_t n, onnx_infer_free_fn fn, void *user, const oi_onnx_options *o,
                              oi_onnx_model **out);
/* The reader is used during the call, and what it maps for as long as constants in it live; never closed here. */
oi_status oi_onnx_load_reader(const onnx_infer_reader *r, const oi_onnx_options *o, oi_onnx_model **out);
/* XXH3-128 of the model's bytes and of the external data that it uses, as 32 hexadecimal digits and a NUL; reads all of it. */
void oi_onnx_hash(const oi_onnx_model *m, char text[33]);
void oi_onnx_free(oi_onnx_model *m); /* the graph too; accepts NULL */

#endif
