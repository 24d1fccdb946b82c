/* Open addressing with a seed that a file cannot know, so that names chosen to collide do not. */
#include "onnx/names.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static size_t place(const oi_names *n, const char *name)
{
    size_t i = (size_t)XXH3_64bits_withSeed(name, strlen(name), (uintptr_t)n->slot) & (n->cap - 1);
    while (n->slot[i].name && strcmp(n->slot[i].name, name))
        i = (i + 1) & (n->cap - 1);
    return i;
}

uint32_t *oi_names_find(const oi_names *n, const char *name)
{
    if (!n->used)
        return NULL;
    oi_name_slot *s = &n->slot[place(n, name)];
    return s->name ? &s->value : NULL;
}

oi_status oi_names_put(oi_names *n, const char *name, uint32_t value, bool *added)
{
    if (n->used * 2 >= n->cap) {
        oi_names old = *n;
        n->cap = old.cap ? old.cap * 2 : 16;
        n->slot = oi_alloc_array(n->alloc, n->cap, sizeof *n->slot);
        if (!n->slot) {
            *n = old;
            return ONNX_INFER_E_OUT_OF_MEMORY;
        }
        for (size_t i = 0; i < old.cap; i++)
            if (old.slot[i].name)
                n->slot[place(n, old.slot[i].name)] = old.slot[i];
        oi_free_mem(n->alloc, old.slot);
    }
    oi_name_slot *s = &n->slot[place(n, name)];
    *added = !s->name;
    if (*added) {
        *s = (oi_name_slot){name, value};
        n->used++;
    }
    return ONNX_INFER_OK;
}

void oi_names_clear(oi_names *n)
{
    oi_free_mem(n->alloc, n->slot);
    *n = (oi_names){.alloc = n->alloc};
}
