/* lib/optimizer/layout.c with a wrong rule among its own: planted.h. */
#include "planted.h"

#include "optimizer/layout.c"
