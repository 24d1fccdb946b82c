/* Numbers as text and back. */
#include "ops/number_text.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* printf and strtod use the locale's point. */
static char point(void)
{
    const struct lconv *l = localeconv();
    return l && l->decimal_point && l->decimal_point[0] ? l->decimal_point[0] : '.';
}

static bool gives_back(oi_dtype dtype, const char *text, double v)
{
    double back = strtod(text, NULL);
    uint64_t a = 0, b = 0;
    oi_elem_set_double(dtype, &a, 0, back);
    oi_elem_set_double(dtype, &b, 0, v);
    return a == b;
}

static size_t real_text(oi_dtype dtype, double v, char *buf)
{
    if (isnan(v) || isinf(v))
        return (size_t)snprintf(buf, OI_NUMBER_TEXT_MAX, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
    char e[OI_NUMBER_TEXT_MAX];
    int digits = 0;
    do
        snprintf(e, sizeof e, "%.*e", digits, v);
    while (!gives_back(dtype, e, v) && ++digits < 17);
    int exponent = atoi(strchr(e, 'e') + 1);
    if (exponent >= -4 && exponent < 16)
        snprintf(buf, OI_NUMBER_TEXT_MAX, "%.*f", digits - exponent > 1 ? digits - exponent : 1, v);
    else
        snprintf(buf, OI_NUMBER_TEXT_MAX, "%s", e);
    char *p = strchr(buf, point());
    if (p)
        *p = '.';
    return strlen(buf);
}

size_t oi_number_text(oi_dtype dtype, const void *data, size_t i, char buf[OI_NUMBER_TEXT_MAX])
{
    if (oi_dtype_is_float(dtype))
        return real_text(dtype, oi_elem_get_double(dtype, data, i), buf);
    int64_t v = oi_elem_get_int(dtype, data, i);
    if (dtype == ONNX_INFER_BOOL)
        return (size_t)snprintf(buf, OI_NUMBER_TEXT_MAX, "%s", v ? "True" : "False");
    if (dtype == ONNX_INFER_UINT64)
        return (size_t)snprintf(buf, OI_NUMBER_TEXT_MAX, "%llu", (unsigned long long)v);
    return (size_t)snprintf(buf, OI_NUMBER_TEXT_MAX, "%lld", (long long)v);
}

/* The text without blanks around it, copied to be NUL-terminated; NULL where it cannot be a number. */
static const char *trimmed(const oi_string *s, char *buf, size_t cap)
{
    size_t first = 0, end = s->n;
    while (first < end && isspace((unsigned char)s->text[first]))
        first++;
    while (end > first && isspace((unsigned char)s->text[end - 1]))
        end--;
    if (first == end || end - first >= cap)
        return NULL;
    memcpy(buf, s->text + first, end - first);
    buf[end - first] = 0;
    return strlen(buf) == end - first ? buf : NULL;
}

bool oi_number_parse(const oi_string *text, double *out)
{
    char buf[512];
    const char *s = trimmed(text, buf, sizeof buf);
    if (!s)
        return false;
    const char *word = s + (*s == '+' || *s == '-');
    if (!strcasecmp(word, "inf") || !strcasecmp(word, "infinity")) {
        *out = *s == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (!strcasecmp(word, "nan")) {
        *out = NAN;
        return true;
    }
    if (!strcasecmp(s, "true") || !strcasecmp(s, "false")) {
        *out = tolower((unsigned char)*s) == 't';
        return true;
    }
    for (const char *c = s; *c; c++) {
        if (!strchr("0123456789+-.eE", *c))
            return false;
    }
    char *p = strchr(buf, '.'), *end;
    if (p)
        *p = point();
    *out = strtod(buf, &end);
    return end != buf && !*end;
}

bool oi_number_parse_int(const oi_string *text, int64_t *out)
{
    char buf[64], *end;
    const char *s = trimmed(text, buf, sizeof buf);
    if (!s)
        return false;
    errno = 0;
    *out = strtoll(s, &end, 10);
    if (errno == ERANGE && *s != '-') {
        errno = 0;
        *out = (int64_t)strtoull(s, &end, 10);
    }
    return end != s && !*end && errno == 0;
}
