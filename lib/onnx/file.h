/* Where the bytes of models come from: mapped files, the caller's memory, the caller's reader; external data files. */
#ifndef OI_ONNX_FILE_H
#define OI_ONNX_FILE_H

#include "kernels/hash.h"
#include "tensor/tensor.h"

/* Bytes that stay readable, OI_ALIGN bytes past their end too, while buf is held. */
typedef struct {
    const uint8_t *data;
    size_t size;
    oi_buffer *buf;
    bool mapped; /* from a file: its pages can be dropped and come back */
} oi_bytes;

/* Opened in this way: a file in a folder, or a reader. Everything of it is closed by oi_source_close. */
typedef struct {
    const oi_alloc *alloc;
    int file;                         /* descriptor of the model's file, where it has one */
    bool has_file;
    char *path;                       /* of that file; NULL: none */
    int folder;                       /* descriptor of the model's folder, once it is needed; -1: none */
    const onnx_infer_reader *reader;  /* borrowed; NULL: none */
    struct oi_external *external;     /* files opened so far */
    const struct oi_onnx_options *options; /* their files in memory come first; NULL: none */
} oi_source;

/* Maps the file. `source` is ready for oi_source_external afterwards; also to be closed after a failure. */
oi_status oi_source_file(const oi_alloc *a, const char *path, oi_source *source, oi_bytes *out);
/* The hash (oi_hash_join) of all bytes, which oi_source_file and the others gave, by the pool's threads (may be NULL). */
oi_status oi_source_hash(const oi_source *source, const oi_bytes *bytes, oi_pool *pool, oi_hash *out);
/* A file without anything around it: mapped, or read where it has at most `small` bytes. */
oi_status oi_bytes_file(const oi_alloc *a, const char *path, size_t small, oi_bytes *out);
/* fn NULL: the bytes are copied; else borrowed until fn(user, p), which is called at once on failure only if they were
 * taken over (never: on failure nothing is taken). There is no external data. */
oi_status oi_source_memory(const oi_alloc *a, const void *p, size_t n, onnx_infer_free_fn fn, void *user, oi_source *source,
                           oi_bytes *out);
/* Reads all of it, or uses what `map` exposes. The reader is not closed. */
oi_status oi_source_reader(const oi_alloc *a, const onnx_infer_reader *r, oi_source *source, oi_bytes *out);
/* The file of external data that the model names: inside the model's folder only (no absolute path, no "..", no symbolic
 * link that leads out of it), or from the reader's open_external. Borrowed from the source; opened once. */
oi_status oi_source_external(oi_source *source, const char *location, const oi_bytes **out);
/* The files opened so far, one by one: start with *at NULL; NULL in *bytes after the last. */
void oi_source_next(const oi_source *source, const struct oi_external **at, const oi_bytes **bytes);
void oi_source_close(oi_source *source); /* buffers live on where tensors hold them */
void oi_bytes_clear(oi_bytes *b);

#endif
