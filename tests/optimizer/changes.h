/* What the optimizer's watch tells of changes: who made how many, and whether they may round. */
#ifndef TESTS_OPTIMIZER_CHANGES_H
#define TESTS_OPTIMIZER_CHANGES_H

#include "optimizer/optimizer.h"

enum { MAX_COUNTED = 512 };

/* How often rules and passes changed a graph: fill with zeros. */
typedef struct {
    struct {
        const char *pass;
        const oi_rule *rule; /* NULL: the pass itself */
        uint64_t changes;
    } at[MAX_COUNTED];
    size_t n;
} change_counts;

/* False where there is no room for another rule. */
bool changes_count(change_counts *c, const char *pass, const oi_rule *rule);
uint64_t changes_counted(const change_counts *c, const char *pass, const oi_rule *rule);
/* Whether the tables say that what the rule, or the pass itself, does to numbers may round. */
bool changes_round(const char *pass, const oi_rule *rule);

#endif
