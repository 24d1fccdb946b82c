/* What must hold of any graph: it computes the same before and after the passes, each alone and all together. */
#ifndef TESTS_OPTIMIZER_DIFFERENTIAL_H
#define TESTS_OPTIMIZER_DIFFERENTIAL_H

#include "changes.h"
#include "graph_text.h"

/* Evaluates the graph on inputs drawn from `seed`, as it is and
 *   after each change on the way through all passes,
 *   after each rule or pass alone,
 *   after only those that keep every bit (OI_EXACT), which has to,
 *   lowered for each instruction set, and through a plan.
 * A rule or pass that is OI_EXACT must not change a bit; others may change what the graph is sensitive to, and 2e-4 of it at least.
 * tame: what is NaN or infinite stays so too; else only OI_EXACT has to keep that, as what others make of numbers beside one that is
 * not finite is another matter.
 * True where all of it holds; else `why` says what does not. counts: may be NULL. */
bool differential_holds(const char *text, uint64_t seed, bool tame, change_counts *counts, char *why, size_t cap);

/* Prints the rules and passes that no change is counted of; returns how many. */
int counts_report_missing(const change_counts *counts);

#endif
