/* Makes a graph's text that fails a test as small as it gets. */
#include "shrink.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_LINES = 400, SECONDS = 20, MAX_NAMES = 64, NAME_BYTES = 32 };

typedef struct {
    char *line[MAX_LINES];
    int n;
} text_lines;

typedef struct {
    bool (*fails)(void *user, const char *text);
    void *user;
} judge;

static bool still_fails(const judge *j, const char *text)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
        alarm(SECONDS);
        _exit(j->fails(j->user, text) ? 1 : 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void split(const char *text, text_lines *l)
{
    l->n = 0;
    for (const char *end; *text && l->n < MAX_LINES; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        l->line[l->n++] = strndup(text, (size_t)(end - text));
    }
}

static void free_lines(text_lines *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->line[i]);
}

/* The text without line `without` (-1: none), with whole words `from` as `to` (NULL: none). */
static char *join(const text_lines *l, int without, const char *from, const char *to)
{
    char *text = NULL;
    size_t size, length = from ? strlen(from) : 0;
    FILE *f = open_memstream(&text, &size);
    for (int i = 0; i < l->n; i++) {
        if (i == without)
            continue;
        for (const char *p = l->line[i]; *p;) {
            size_t word = 0;
            while (isalnum((unsigned char)p[word]) || p[word] == '_' || p[word] == '.')
                word++;
            if (word && from && word == length && strncmp(p, from, word) == 0)
                fputs(to, f);
            else
                fwrite(p, 1, word ? word : 1, f);
            p += word ? word : 1;
        }
        fputc('\n', f);
    }
    fclose(f);
    return text;
}

/* Takes over `tried` where it still fails. */
static bool keep(const judge *j, text_lines *l, char *tried)
{
    bool better = still_fails(j, tried);
    if (better) {
        free_lines(l);
        split(tried, l);
    }
    free(tried);
    return better;
}

static int names_in(const char *p, char name[][NAME_BYTES])
{
    int n = 0;
    while (*p && n < MAX_NAMES) {
        size_t word = 0;
        while (isalnum((unsigned char)p[word]) || p[word] == '_')
            word++;
        if (word && word < NAME_BYTES)
            snprintf(name[n++], NAME_BYTES, "%.*s", (int)word, p);
        p += word ? word : 1;
    }
    return n;
}

/* The line goes; what it makes becomes one of what it needs. */
static bool bypass(const judge *j, text_lines *l, int i)
{
    char made[MAX_NAMES][NAME_BYTES], needed[MAX_NAMES][NAME_BYTES], line[4096];
    const char *equals = strstr(l->line[i], " = "), *open = equals ? strchr(equals, '(') : NULL, *close = open ? strchr(open, ')') : NULL;
    if (!close || strncmp(l->line[i], "const ", 6) == 0)
        return false;
    snprintf(line, sizeof line, "%.*s", (int)(equals - l->line[i]), l->line[i]);
    int nmade = names_in(line, made);
    snprintf(line, sizeof line, "%.*s", (int)(close - open), open);
    int nneeded = names_in(line, needed);
    for (int k = 0; nmade && k < nneeded; k++) {
        if (keep(j, l, join(l, i, made[0], needed[k])))
            return true;
    }
    return false;
}

static bool smaller_lines(const judge *j, text_lines *l)
{
    bool any = false;
    for (int i = l->n; i-- > 0;) {
        if (i < l->n && (keep(j, l, join(l, i, NULL, NULL)) || bypass(j, l, i)))
            any = true;
    }
    return any;
}

/* An output nearer to the inputs. */
static bool earlier_output(const judge *j, text_lines *l)
{
    for (int i = 0; i < l->n; i++) {
        char made[MAX_NAMES][NAME_BYTES];
        if (strncmp(l->line[i], "output ", 7) != 0)
            continue;
        for (int k = 0; k < i; k++) {
            char *was = l->line[i], now[NAME_BYTES + 8];
            if (!strstr(l->line[k], " = ") || strncmp(l->line[k], "const ", 6) == 0 || !names_in(l->line[k], made))
                continue;
            snprintf(now, sizeof now, "output %s", made[0]);
            if (strcmp(now, was) == 0)
                break;
            l->line[i] = now;
            char *tried = join(l, -1, NULL, NULL);
            l->line[i] = was;
            if (keep(j, l, tried))
                return true;
        }
    }
    return false;
}

/* The number everywhere, in sizes "2x3x8" too. */
static char *with_number(const text_lines *l, long from, long to)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    for (int i = 0; i < l->n; i++) {
        for (const char *p = l->line[i]; *p;) {
            bool starts = isdigit((unsigned char)*p) && (p == l->line[i] || strchr(" x,[=-", p[-1]));
            char *end = (char *)p + 1;
            long v = starts ? strtol(p, &end, 10) : 0;
            if (starts && v == from && *end != '.')
                fprintf(f, "%ld", to);
            else
                fwrite(p, 1, (size_t)(end - p), f);
            p = end;
        }
        fputc('\n', f);
    }
    fclose(f);
    return text;
}

static bool smaller_numbers(const judge *j, text_lines *l)
{
    bool any = false;
    for (long n = 100; n > 1; n--) {
        for (long to = 1; to < n && to < 4; to++) {
            char *tried = with_number(l, n, to), *same = join(l, -1, NULL, NULL);
            bool differs = strcmp(tried, same) != 0;
            free(same);
            if (!differs) {
                free(tried);
                break;
            }
            if (keep(j, l, tried)) {
                any = true;
                break;
            }
        }
    }
    return any;
}

char *shrink(const char *text, bool (*fails)(void *user, const char *text), void *user)
{
    const judge j = {fails, user};
    text_lines l;
    split(text, &l);
    for (bool more = true; more;) {
        more = earlier_output(&j, &l);
        more = smaller_lines(&j, &l) || more;
        more = smaller_numbers(&j, &l) || more;
    }
    char *least = join(&l, -1, NULL, NULL);
    free_lines(&l);
    return least;
}
