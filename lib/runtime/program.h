/* A program: a graph that can be run with inputs of any shapes it allows, through plans made for each set of shapes and
 * kept while they are in use. Bodies of If, Loop and Scan are programs too. Used by many threads at once. */
#ifndef OI_RUNTIME_PROGRAM_H
#define OI_RUNTIME_PROGRAM_H

#include "runtime/plan.h"

/* An input of one run: a tensor, a value of another kind, or neither: then the program's own content is used. */
typedef struct {
    const oi_tensor *tensor;
    const onnx_infer_value *value;
} oi_arg;

/* `graph` (TYPED or DECLUTTERED), `original` (the same before passes touched it) and `engine` are borrowed. fixed[i] (may
 * be NULL, as may each) is the content of input i where a run gives none; the tensors must live as long as the program.
 * want[i] false: the program has no output i (NULL: it has all); copied. */
oi_status oi_program_create(const oi_engine *engine, const oi_graph *graph, const oi_graph *original,
                            const oi_tensor *const *fixed, const bool *want, oi_program **out);
void oi_program_destroy(oi_program *p); /* accepts NULL; nobody may be using it */
/* Before it is used: what tells this program from all others of the model, so that its graphs are found in files and kept there
 * (runtime/graph_cache.h). Without it they are not. */
void oi_program_identify(oi_program *p, oi_hash id);
/* Visits every plan of the program and of its plans' subprograms that has an id. Nobody may be planning. */
oi_status oi_program_each(const oi_program *p, oi_status (*visit)(void *user, oi_plan *plan), void *user);
const oi_graph *oi_program_graph(const oi_program *p);

/* The longest key of a set of inputs, in int64_t. */
size_t oi_program_key_cap(const oi_program *p);
/* What distinguishes plans: kinds, types and shapes of the n inputs given (the rest: none given). */
size_t oi_program_key(const oi_program *p, size_t n, const oi_arg *arg, int64_t *key);
/* The plan for a key, made where it is new; check(user), called in between, ends that with its status (NULL: nothing does).
 * A reference for the caller. */
oi_status oi_program_plan(oi_program *p, const int64_t *key, size_t nkey, oi_status (*check)(void *user), void *user,
                          oi_plan **out);
/* From now on plans are loose: what a file's hints said of shapes turned out wrong. Plans made before are forgotten. */
void oi_program_distrust(oi_program *p);
/* The plan used last, with a reference, or NULL. */
oi_plan *oi_program_last_plan(oi_program *p);

#endif
