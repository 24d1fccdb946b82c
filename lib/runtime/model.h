/* onnx_infer_model: a loaded file, its graph with inferred facts, its ports and what is wrong with it. */
#ifndef OI_RUNTIME_MODEL_H
#define OI_RUNTIME_MODEL_H

#include "base/writer.h"
#include "onnx/model_file.h"
#include "optimizer/pack_store.h"
#include "runtime/options.h"

#include <pthread.h>

struct onnx_infer_port {
    const char *name;
    const oi_fact *fact;
    const char *dim_text[OI_MAX_RANK];
    int64_t dim[OI_MAX_RANK]; /* -1: not fixed */
    bool optional;
};

struct onnx_infer_model {
    atomic_uint refs;
    oi_alloc alloc;
    oi_log log;
    onnx_infer_reader reader; /* struct_size 0: none */
    onnx_infer_model *base; /* of a specialised one: what it was made from, whose memory it uses */
    pthread_mutex_t lock;   /* of what follows, up to the pool */
    char hash[33];          /* "" until it is asked for */
    bool has_content;
    oi_hash content;        /* of all bytes, by chunks; once it is known */
    oi_pool *pool;          /* made for loading; the first plan takes it. NULL: none */
    bool graphs;            /* loaded in a way that lets its graphs be kept in files; of `loaded_as` */
    oi_hash loaded_as;      /* what options of loading say, as far as they change the graph */
    bool looked;            /* in a cache folder; the first plan that looks in the same place takes what was found */
    oi_pack_store *store;   /* NULL: nothing */
    oi_hash store_dir, store_key; /* of the text of the folder; of the file */
    oi_custom_ops *ops; /* that nodes of the graph point to */
    oi_onnx_model *file;
    oi_arena *arena; /* of ports and symbols */
    onnx_infer_port *input, *output;
    const char **symbol;
    size_t nsymbol;
    oi_error *issue;
    size_t nissue, issue_cap;
    uint64_t weights, mapped; /* bytes of constants */
};

typedef struct { /* one of the three */
    const char *path;
    const onnx_infer_reader *reader;
    const void *data;
    size_t bytes;
    onnx_infer_free_fn free_fn;
    void *user;
} oi_model_source;

/* `o` may be NULL. With `peek` a model with faults is returned with the list of them. */
oi_status oi_model_load(const oi_model_source *from, const onnx_infer_options *o, bool peek, onnx_infer_model **out);
/* Without a file yet; also what oi_model_load and oi_model_specialize begin with. */
oi_status oi_model_create(const onnx_infer_options *o, onnx_infer_model **out);
/* Ports and symbols from the file and its graph. */
oi_status oi_model_describe(onnx_infer_model *m);
/* A model of its own for what the options fix; retains m. */
oi_status oi_model_specialize(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_model **out);
/* XXH3-128 of all bytes that the model was loaded from. Any thread. */
const char *oi_model_hash(onnx_infer_model *m);
onnx_infer_model *oi_model_retain(onnx_infer_model *m);
void oi_model_release(onnx_infer_model *m); /* accepts NULL */
/* What the options fix: sizes of symbols in `bound` (which holds -1, or what is fixed already), shapes of inputs in `input`
 * (which holds the model's declarations). */
oi_status oi_model_apply_options(const onnx_infer_model *m, const onnx_infer_options *o, oi_fact *input, int64_t *bound);
/* Writes the graph at level 0 as it was loaded, else decluttered, for what the options (may be NULL) fix. `data` may be NULL. */
oi_status oi_model_save(const onnx_infer_model *m, const onnx_infer_options *o, const oi_writer *w, const oi_writer *data,
                        const char *location);
/* The same to a file, which is put in its place when it is whole, with PATH.data beside it for 2 GiB of weights or more. */
oi_status oi_model_save_file(const onnx_infer_model *m, const onnx_infer_options *o, const char *path);
/* The index of a port; -1 where there is none. */
int64_t oi_model_find_port(const onnx_infer_port *port, size_t n, const char *name);

#endif
