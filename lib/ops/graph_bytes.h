/* Graphs as bytes, for files that this build reads again: everything that a graph holds, its facts too, so that nothing has to be
 * inferred anew. Large constants are not among the bytes: whoever writes says where they are found. */
#ifndef OI_OPS_GRAPH_BYTES_H
#define OI_OPS_GRAPH_BYTES_H

#include "base/blob.h"
#include "ops/op.h"

/* A constant that is kept elsewhere: by number, and from which byte on. `place` is the caller's own, but not OI_CONST_INLINE. */
typedef struct {
    uint32_t place, index;
    uint64_t at;
} oi_const_ref;

enum { OI_CONST_INLINE = 0 };

/* Where the content of constants that are not small is kept. */
typedef struct {
    oi_status (*put)(void *user, const oi_tensor *t, oi_const_ref *ref);
    void *user;
} oi_const_writer;

typedef struct {
    /* `t` is described; gives it data, and a reference to what keeps it. */
    oi_status (*get)(void *user, const oi_const_ref *ref, oi_tensor *t);
    void *user;
} oi_const_reader;

/* Pieces, for what belongs to a graph. Facts are of its symbols. */
oi_status oi_tensor_write(oi_blob *b, const oi_tensor *t, const oi_const_writer *w);
/* *t holds nothing before, and on failure. Small contents stay in `buf`, which holds the cursor's bytes. */
oi_status oi_tensor_read(oi_cursor *c, const oi_alloc *a, oi_buffer *buf, const oi_const_reader *r, oi_tensor *t);
/* All but konst. */
void oi_fact_write(oi_blob *b, const oi_fact *f);
oi_status oi_fact_read(oi_cursor *c, oi_arena *arena, const oi_symtab *syms, oi_fact *f);

/* Appends the graph. UNSUPPORTED_OP for graphs that cannot be kept so (operators of the caller's own). */
oi_status oi_graph_write(const oi_graph *g, oi_blob *b, const oi_const_writer *w);
/* The graph that begins at the cursor; `buf` holds the cursor's bytes, and the graph a reference to it. Whatever the bytes are,
 * nothing beyond them is read and the result is a graph as oi_graph_verify asks for, with nodes in order; CACHE_STALE where they
 * make no graph. What attributes and facts say is not compared with what the operators would infer. */
oi_status oi_graph_read(oi_cursor *c, const oi_alloc *a, const oi_log *log, oi_buffer *buf, const oi_const_reader *r, oi_graph **out);

#endif
