/* Optional parts of the library in shared objects of their own, which are opened when they are first needed: what they need
 * of other libraries, a user who does without them does not. Each exports one function that answers one table. */
#ifndef OI_BASE_MODULE_H
#define OI_BASE_MODULE_H

#include "base/status.h"

/* The beginning of every table. */
typedef struct {
    uint32_t version; /* of the table; a module of another version is refused */
    uint32_t bytes;   /* of the table: a build with more fields is longer */
} oi_module_head;

/* What a module exports: its table, of static storage. */
#define OI_MODULE_ENTRY onnx_infer_module
typedef const oi_module_head *(*oi_module_entry)(void);

typedef struct {
    void *handle;
    const void *table;
} oi_module;

/* Opens libonnx_infer_<name>.so: from the folder in the environment variable ONNX_INFER_MODULES, from beside the library (or
 * the program that holds it), from the libraries of the tree where the program is in bin/, or where the system's linker finds it. The
 * table has `version` and at least `bytes` bytes. E_NOT_FOUND with each reason where there is none; static programs have
 * none. Opening again is cheap while somebody holds it. Any thread. */
oi_status oi_module_open(const char *name, uint32_t version, size_t bytes, oi_module *out);
void oi_module_close(oi_module *m); /* accepts what was not opened */

#endif
