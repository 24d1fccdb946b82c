/* A file that takes its place only when it is whole: written under a name of its own, synced, renamed. */
#ifndef OI_RUNTIME_NEW_FILE_H
#define OI_RUNTIME_NEW_FILE_H

#include "base/writer.h"

#include <stdio.h>

typedef struct {
    char *path, *temporary;
    FILE *file; /* NULL: not open */
    bool hasty; /* set after opening: not synced; what is read after a crash may be nothing */
} oi_new_file;

/* For PATH + ending. Writers of the same file do not meet: the last to finish wins. */
oi_status oi_new_file_open(oi_new_file *f, const char *path, const char *ending);
oi_writer oi_new_file_writer(oi_new_file *f);
/* `status` OK: puts the file in its place, else (and where that fails) nothing of it stays. Returns the first failure. To be
 * called after a failed or missing open too. */
oi_status oi_new_file_finish(oi_new_file *f, oi_status status);

#endif
