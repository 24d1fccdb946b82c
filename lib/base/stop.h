/* How long work hears that it is to end before it is done. */
#ifndef OI_BASE_STOP_H
#define OI_BASE_STOP_H

#include <stdbool.h>
#include <stddef.h>

/* Whoever hands out work embeds one in a struct of its own. Loops ask every few hundred microseconds; once the answer is
 * yes they return, and leave their outputs as they are. */
typedef struct oi_stop oi_stop;
struct oi_stop {
    bool (*asked)(oi_stop *s);
};

static inline bool oi_stopped(oi_stop *s) /* NULL: never */
{
    return s && s->asked(s);
}

#endif
