/* What hash a model's file had: a note in the cache folder, found by what the system says of the file. While the file is as it was
 * (device, inode, size, times of its content and of its inode), its bytes need not be read again to know their hash.
 *
 * The time of the inode cannot be set by programs, so whatever writes to a file, or puts another in its place, is noticed. Writes
 * that follow each other so quickly that both have one time are why a file that was younger than a minute when it was read gets
 * no note. */
#ifndef OI_RUNTIME_SEEN_FILE_H
#define OI_RUNTIME_SEEN_FILE_H

#include "onnx/file.h"

/* The file as it is now. False: it has no identity, or is too small for a note to be worth it. To be asked before it is read. */
typedef struct {
    oi_hash identity;
    bool settled; /* old enough to be noted */
} oi_seen;

bool oi_seen_identify(const oi_source *source, oi_seen *s);
/* The noted hash; false: there is none, or a damaged one. */
bool oi_seen_find(const oi_alloc *a, const char *dir, const oi_seen *s, oi_hash *content);
/* Notes it, where the file was settled. A failure is none. */
void oi_seen_note(const oi_alloc *a, const char *dir, const oi_seen *s, oi_hash content);

#endif
