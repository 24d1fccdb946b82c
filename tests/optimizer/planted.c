/* lib/optimizer/optimizer.c with a wrong rule among its own: planted.h. */
#include "planted.h"

#include "optimizer/optimizer.c"
