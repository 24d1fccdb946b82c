/* The table of the module "text": Unicode case and regular expressions. */
#ifndef OI_MODULES_TEXT_MODULE_H
#define OI_MODULES_TEXT_MODULE_H

#include "base/module.h"

enum { OI_TEXT_MODULE_VERSION = 1 };

typedef enum { OI_TEXT_LOWER, OI_TEXT_UPPER, OI_TEXT_FOLD } oi_text_case;
typedef enum { OI_TEXT_OK, OI_TEXT_NO_MEMORY, OI_TEXT_BAD, OI_TEXT_LIMIT } oi_text_status;

/* Functions write a reason to why (cap bytes) unless they return OI_TEXT_OK. Any thread. */
typedef struct {
    oi_module_head head;
    /* UTF-8 text in another case by Unicode's full mapping, as `language` (ISO 639, two letters; "" for none) has it. *out is
     * freed by free_text. OI_TEXT_BAD: the text is no UTF-8. */
    oi_text_status (*change_case)(oi_text_case to, const char *language, const char *text, size_t n, char **out, size_t *out_n, char *why,
                                  size_t cap);
    void (*free_text)(char *text);
    /* A pattern in RE2's syntax, for whole texts or (not `whole`) for parts of them. OI_TEXT_BAD: it is wrong. One compiled
     * pattern serves many threads. */
    oi_text_status (*regex_compile)(const char *pattern, size_t n, bool whole, void **out, char *why, size_t cap);
    void (*regex_free)(void *regex); /* accepts NULL */
    /* Whether the whole text matches. OI_TEXT_LIMIT: that takes more time or memory than is allowed. */
    oi_text_status (*regex_match)(const void *regex, const char *text, size_t n, bool *matches, char *why, size_t cap);
    /* The first match at or behind `from` (of parts): its bytes, or *found false. OI_TEXT_BAD: the text is no UTF-8. */
    oi_text_status (*regex_find)(const void *regex, const char *text, size_t n, size_t from, bool *found, size_t *begin, size_t *end,
                                 char *why, size_t cap);
} oi_text_module;

#endif
