/* Counting the optimizer's changes. */
#include "changes.h"

bool changes_count(change_counts *c, const char *pass, const oi_rule *rule)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->at[i].pass == pass && c->at[i].rule == rule) {
            c->at[i].changes++;
            return true;
        }
    }
    if (c->n == MAX_COUNTED)
        return false;
    c->at[c->n].pass = pass;
    c->at[c->n].rule = rule;
    c->at[c->n++].changes = 1;
    return true;
}

uint64_t changes_counted(const change_counts *c, const char *pass, const oi_rule *rule)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->at[i].pass == pass && c->at[i].rule == rule)
            return c->at[i].changes;
    }
    return 0;
}

bool changes_round(const char *pass, const oi_rule *rule)
{
    oi_pass_info info;
    if (rule)
        return rule->rounding == OI_ROUNDS;
    for (size_t i = 0; oi_optimize_pass(i, &info); i++) {
        if (info.name == pass && !info.rules)
            return info.rounding == OI_ROUNDS;
    }
    return false; /* its rules have been looked at one by one */
}
