/* What the readers and writers of files of packed constants share: the layout. In the machine's own byte order: header, entries,
 * parts, then the bytes of parts and of constants. */
#ifndef OI_OPTIMIZER_PACK_LAYOUT_H
#define OI_OPTIMIZER_PACK_LAYOUT_H

#include "optimizer/pack_store.h"

enum { OI_PACK_IN_CONTENT = -1, OI_PACK_PART_ALIGN = 16 };

typedef struct {
    char magic[8];
    oi_hash key, tables; /* of the file; over entries and parts */
    uint64_t n, entry_bytes, nparts, size;
    oi_hash self;        /* of what is before it */
} oi_pack_header;

typedef struct {
    int64_t dtype, rank, dim[OI_MAX_RANK];
    uint64_t at, bytes;
    oi_hash content;
} oi_pack_entry;

typedef struct {
    oi_hash id;
    uint64_t at, bytes;
    oi_hash content;
} oi_pack_part;

/* The part that holds an oi_pack_key for each entry. */
#define OI_PACK_KEYS ((oi_hash){0, 0})

extern const char oi_pack_magic[8];

const oi_pack_entry *oi_pack_store_table(const oi_pack_store *s, const oi_pack_part **part);
/* The keys of the entries; NULL: they are damaged. */
const oi_pack_key *oi_pack_store_keys(const oi_pack_store *s);
/* The number of the constant whose bytes these are. `s` may be NULL. */
bool oi_pack_store_own(const oi_pack_store *s, const oi_tensor *t, uint32_t *index);

#endif
