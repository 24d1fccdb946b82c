/* Tensors out of memory in which their elements do not lie densely. */
#include "tensor/gather.h"

#include <string.h>

bool oi_strides_are_dense(const oi_tensor *t, const int64_t *stride)
{
    int64_t dense = (int64_t)oi_dtype_size(t->dtype);
    for (int32_t i = 0; i < t->rank; i++) {
        if (t->dim[i] == 0)
            return true;
    }
    for (int32_t i = t->rank; i-- > 0;) {
        if (t->dim[i] != 1 && stride[i] != dense)
            return false;
        dense *= t->dim[i];
    }
    return true;
}

static void copy_row(char *to, const char *from, int64_t n, int64_t stride, size_t size)
{
    if (stride == (int64_t)size) {
        memcpy(to, from, (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i++, from += stride, to += size) {
        switch (size) {
        case 1:
            *to = *from;
            break;
        case 2:
            memcpy(to, from, 2);
            break;
        case 4:
            memcpy(to, from, 4);
            break;
        case 8:
            memcpy(to, from, 8);
            break;
        default:
            memcpy(to, from, size);
        }
    }
}

void oi_tensor_gather(oi_tensor *t, const void *data, const int64_t *stride)
{
    size_t size = oi_dtype_size(t->dtype);
    int32_t last = t->rank - 1;
    int64_t at[OI_MAX_RANK] = {0}, n = t->rank ? t->dim[last] : 1, count = oi_tensor_count(t);
    const char *from = data;
    char *to = t->data;
    for (int64_t done = 0; done < count; done += n) {
        copy_row(to, from, n, t->rank ? stride[last] : (int64_t)size, size);
        to += (size_t)n * size;
        for (int32_t axis = last - 1; axis >= 0; axis--) {
            from += stride[axis];
            if (++at[axis] < t->dim[axis])
                break;
            from -= stride[axis] * t->dim[axis];
            at[axis] = 0;
        }
    }
}
