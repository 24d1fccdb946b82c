/* The module "text", over libunistring and PCRE2. */
#include "modules/text_module.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unistr.h>

enum {
    MATCH_LIMIT = 200000,      /* steps of the backtracking matcher; about 10 ms */
    DEPTH_LIMIT = 20000,
    HEAP_KIB = 16384,
    PATTERN_BYTES = 65536,
    SET_WORKSPACE = 1 << 20,   /* ints of the matcher that keeps a set of states */
    SET_BUDGET_LOG2 = 32,      /* text bytes x pattern bytes squared that it may be asked for */
};

static oi_text_status no_memory(char *why, size_t cap)
{
    snprintf(why, cap, "out of memory");
    return OI_TEXT_NO_MEMORY;
}

/* --- case ------------------------------------------------------------------------------------------------------------ */

static oi_text_status change_case(oi_text_case to, const char *language, const char *text, size_t n, char **out, size_t *out_n, char *why,
                                  size_t cap)
{
    uint8_t *(*const change[])(const uint8_t *, size_t, const char *, uninorm_t, uint8_t *, size_t *) = {u8_tolower, u8_toupper, u8_casefold};
    *out_n = 0;
    *out = NULL;
    if (u8_check((const uint8_t *)text, n)) {
        snprintf(why, cap, "it is not valid UTF-8");
        return OI_TEXT_BAD;
    }
    *out = (char *)change[to]((const uint8_t *)text, n, language, NULL, NULL, out_n);
    if (*out)
        return OI_TEXT_OK;
    return no_memory(why, cap);
}

static void free_text(char *text)
{
    free(text);
}

/* --- regular expressions ------------------------------------------------------------------------------------------------ */

/* Patterns of RE2 have no memory (no back references), so whether a whole text matches does not depend on the order of trying:
 * where backtracking takes too long, the matcher that follows all states at once gives the same answer. */
typedef struct {
    pcre2_code *code;
    size_t bytes;
} regex;

static void regex_free(void *p)
{
    regex *r = p;
    if (!r)
        return;
    pcre2_code_free(r->code);
    free(r);
}

static oi_text_status compile_error(int error, size_t at, char *why, size_t cap)
{
    PCRE2_UCHAR text[160] = {0};
    pcre2_get_error_message(error, text, sizeof text);
    snprintf(why, cap, "%s, at byte %zu of the pattern", (const char *)text, at);
    return error == PCRE2_ERROR_NOMEMORY ? OI_TEXT_NO_MEMORY : OI_TEXT_BAD;
}

static oi_text_status regex_compile(const char *pattern, size_t n, bool whole, void **out, char *why, size_t cap)
{
    const uint32_t options = PCRE2_UTF | (whole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0) | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE;
    int error;
    PCRE2_SIZE at = 0;
    *out = NULL;
    if (n > PATTERN_BYTES) {
        snprintf(why, cap, "the pattern has %zu bytes, at most %d are allowed", n, PATTERN_BYTES);
        return OI_TEXT_LIMIT;
    }
    regex *r = calloc(1, sizeof *r);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    oi_text_status status = OI_TEXT_OK;
    if (!r || !context) {
        status = no_memory(why, cap);
    } else {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        r->code = pcre2_compile((PCRE2_SPTR)pattern, n, options, &error, &at, context);
        if (!r->code)
            status = compile_error(error, at, why, cap);
        else
            pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &r->bytes);
    }
    pcre2_compile_context_free(context);
    if (status) {
        regex_free(r);
        return status;
    }
    *out = r;
    return OI_TEXT_OK;
}

static oi_text_status too_long(char *why, size_t cap)
{
    snprintf(why, cap, "matching it takes too long or too much memory");
    return OI_TEXT_LIMIT;
}

static oi_text_status match_set(const regex *r, const char *text, size_t n, pcre2_match_data *data, pcre2_match_context *context,
                                bool *matches, char *why, size_t cap)
{
    uint64_t square = (uint64_t)r->bytes * r->bytes;
    if (n && square > (UINT64_C(1) << SET_BUDGET_LOG2) / n)
        return too_long(why, cap);
    int *workspace = malloc(SET_WORKSPACE * sizeof *workspace);
    if (!workspace)
        return no_memory(why, cap);
    int rc = pcre2_dfa_match(r->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, data, context, workspace, SET_WORKSPACE);
    free(workspace);
    *matches = rc >= 0;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
        return OI_TEXT_OK;
    return too_long(why, cap);
}

/* A match context with the limits and room for a match. */
static bool make_ready(pcre2_match_context **context, pcre2_match_data **data)
{
    *context = pcre2_match_context_create(NULL);
    *data = pcre2_match_data_create(1, NULL);
    if (!*context || !*data)
        return false;
    pcre2_set_match_limit(*context, MATCH_LIMIT);
    pcre2_set_depth_limit(*context, DEPTH_LIMIT);
    pcre2_set_heap_limit(*context, HEAP_KIB);
    return true;
}

static oi_text_status regex_match(const void *regex_, const char *text, size_t n, bool *matches, char *why, size_t cap)
{
    const regex *r = regex_;
    pcre2_match_context *context;
    pcre2_match_data *data;
    oi_text_status status = OI_TEXT_OK;
    *matches = false;
    if (u8_check((const uint8_t *)text, n)) /* RE2: nothing matches a byte that is no part of a character */
        return OI_TEXT_OK;
    if (!make_ready(&context, &data)) {
        status = no_memory(why, cap);
    } else {
        int rc = pcre2_match(r->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, data, context);
        *matches = rc >= 0;
        if (rc == PCRE2_ERROR_NOMEMORY)
            status = no_memory(why, cap);
        else if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
            status = match_set(r, text, n, data, context, matches, why, cap);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return status;
}

static oi_text_status regex_find(const void *regex_, const char *text, size_t n, size_t from, bool *found, size_t *begin, size_t *end,
                                 char *why, size_t cap)
{
    const regex *r = regex_;
    pcre2_match_context *context;
    pcre2_match_data *data;
    oi_text_status status = OI_TEXT_OK;
    *found = false;
    if (from == 0 && u8_check((const uint8_t *)text, n)) {
        snprintf(why, cap, "it is not valid UTF-8");
        return OI_TEXT_BAD;
    }
    if (!make_ready(&context, &data)) {
        status = no_memory(why, cap);
    } else {
        int rc = pcre2_match(r->code, (PCRE2_SPTR)text, n, from, PCRE2_NO_UTF_CHECK, data, context);
        *found = rc >= 0;
        *begin = rc >= 0 ? pcre2_get_ovector_pointer(data)[0] : n;
        *end = rc >= 0 ? pcre2_get_ovector_pointer(data)[1] : n;
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
            status = rc == PCRE2_ERROR_NOMEMORY ? no_memory(why, cap) : too_long(why, cap);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return status;
}

static const oi_text_module table = {
    .head = {OI_TEXT_MODULE_VERSION, sizeof(oi_text_module)}, .change_case = change_case, .free_text = free_text,
    .regex_compile = regex_compile, .regex_free = regex_free, .regex_match = regex_match, .regex_find = regex_find,
};

__attribute__((visibility("default"))) const oi_module_head *OI_MODULE_ENTRY(void);
const oi_module_head *OI_MODULE_ENTRY(void)
{
    return &table.head;
}
