/* What the files of the exporter share. One exporter lives for one call, on one thread; its messages are in its arena. */
#ifndef OI_ONNX_EXPORT_PARTS_H
#define OI_ONNX_EXPORT_PARTS_H

#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/names.h"
#include "onnx/onnx.pb-c.h"
#include "ops/op.h"

typedef struct {
    const char *domain;
    int64_t version;
} oi_export_domain;

typedef struct {
    const oi_onnx_export *e;
    oi_arena *arena;
    oi_names used, nodes;         /* names of values and of nodes, over all graphs */
    oi_names shared;              /* large constants of subgraphs, by storage, to an index in `initializer` */
    uint32_t counter;             /* of names made up */
    OiOnnx__TensorProto **initializer; /* of the model's graph */
    uint32_t ninitializer, initializer_cap;
    oi_export_domain *domain;
    uint32_t ndomain, domain_cap;
    uint64_t data_at;             /* bytes written to the file of external data */
} oi_exporter;

/* export.c: `base` if it is free among `used`, else something like it. */
oi_status oi_export_name(oi_exporter *x, oi_names *used, const char *base, const char **out);

/* export_node.c */
/* Type and shape. `shape` false: element type alone. NULL in *out where nothing is known. */
oi_status oi_export_type(oi_exporter *x, const oi_symtab *syms, const oi_fact *f, bool shape, OiOnnx__TypeProto **out);
/* The node without inputs, outputs and graphs; room for `graphs` more attributes. Notes the versions that it needs. */
oi_status oi_export_node(oi_exporter *x, const oi_node *n, uint32_t graphs, OiOnnx__NodeProto **out);
oi_status oi_export_tensor(oi_exporter *x, const oi_tensor *t, const char *name, OiOnnx__TensorProto **out);
/* Raises the version of a domain to at least this. */
oi_status oi_export_need(oi_exporter *x, const char *domain, int64_t version);
/* The version from which on the standard knows the element type. */
int64_t oi_export_dtype_version(oi_dtype t);

#endif
