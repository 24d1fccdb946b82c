/* lib/optimizer/fuse_epilogue.c with a wrong rule among its own: planted.h. */
#include "planted.h"

#include "optimizer/fuse_epilogue.c"
