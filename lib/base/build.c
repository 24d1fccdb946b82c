/* The build: the note that linkers leave in an object. */
#include "base/build.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#if defined(__linux__)
#include <link.h>

typedef struct {
    uintptr_t inside; /* an address of the library's own */
    char *text;
} search;

static void read_notes(const char *p, size_t n, char *text)
{
    enum { HEAD = sizeof(ElfW(Nhdr)), BUILD_ID = 3, DIGITS = 20 };
    while (n >= HEAD) {
        ElfW(Nhdr) note;
        memcpy(&note, p, HEAD);
        size_t name = ((size_t)note.n_namesz + 3) / 4 * 4, desc = ((size_t)note.n_descsz + 3) / 4 * 4;
        if (name > n - HEAD || desc > n - HEAD - name)
            return;
        if (note.n_type == BUILD_ID && note.n_namesz == 4 && !memcmp(p + HEAD, "GNU", 4)) {
            for (size_t i = 0; i < note.n_descsz && i < DIGITS; i++)
                snprintf(text + 2 * i, 3, "%02x", (unsigned char)p[HEAD + name + i]);
            return;
        }
        p += HEAD + name + desc;
        n -= HEAD + name + desc;
    }
}

static int look_at(struct dl_phdr_info *info, size_t size, void *user)
{
    const search *s = user;
    bool here = false;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        here = here || (h->p_type == PT_LOAD && s->inside - (info->dlpi_addr + h->p_vaddr) < h->p_memsz);
    }
    for (int i = 0; here && i < info->dlpi_phnum && !s->text[0]; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type == PT_NOTE)
            read_notes((const char *)(info->dlpi_addr + h->p_vaddr), h->p_memsz, s->text);
    }
    return here;
}
#endif

void oi_build_id(char text[41])
{
    memset(text, 0, 41);
#if defined(__linux__)
    search s = {(uintptr_t)&oi_build_id, text};
    dl_iterate_phdr(look_at, &s);
#endif
}
