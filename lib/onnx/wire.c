/* The wire scan: rebuilds a protobuf message without its payloads (see wire.h). */
#include "onnx/wire.h"

#include "base/checked.h"
#include "onnx/onnx.pb-c.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
enum { FIELD_PAYLOAD = 100000, MAX_PIECES = 64, LENGTH_BYTES = 5 };

typedef struct {
    const oi_alloc *alloc;
    const uint8_t *start;
    const oi_wire_limits *limits;
    uint8_t *out;
    size_t used, cap;
    uint64_t nodes, messages;
} scan;

bool oi_wire_varint(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    const uint8_t *p = *at;
    uint64_t r = 0;
    for (unsigned shift = 0; p < end && shift < 70; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1)
            return false;
        r |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *at = p;
            *v = r;
            return true;
        }
    }
    return false;
}

static oi_status reserve(scan *s, size_t more)
{
    size_t need;
    if (!oi_add_size(s->used, more, &need) || need > INT32_MAX)
        return oi_fail(ONNX_INFER_E_LIMIT, "the model without its weights is larger than 2 GiB");
    if (need <= s->cap)
        return ONNX_INFER_OK;
    size_t cap = s->cap ? s->cap * 2 : 4096;
    if (cap < need)
        cap = need;
    uint8_t *out = oi_realloc_mem(s->alloc, s->out, cap);
    if (!out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->out = out;
    s->cap = cap;
    return ONNX_INFER_OK;
}

static oi_status put(scan *s, const void *p, size_t n)
{
    OI_TRY(reserve(s, n));
    memcpy(s->out + s->used, p, n);
    s->used += n;
    return ONNX_INFER_OK;
}

static oi_status put_varint(scan *s, uint64_t v)
{
    uint8_t b[10];
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        b[n++] = (uint8_t)(v | 0x80);
    b[n++] = (uint8_t)v;
    return put(s, b, n);
}

/* A length whose value is known later: a varint of five bytes, whatever the number. */
static oi_status put_length_hole(scan *s, size_t *at)
{
    OI_TRY(reserve(s, LENGTH_BYTES));
    *at = s->used;
    s->used += LENGTH_BYTES;
    return ONNX_INFER_OK;
}

static void fill_length_hole(scan *s, size_t at)
{
    size_t n = s->used - at - LENGTH_BYTES;
    for (int i = 0; i < LENGTH_BYTES - 1; i++, n >>= 7)
        s->out[at + i] = (uint8_t)(n | 0x80);
    s->out[at + LENGTH_BYTES - 1] = (uint8_t)(n & 0x7f);
}

static oi_status bad(const scan *s, const uint8_t *at, const ProtobufCMessageDescriptor *d, const char *what)
{
    return oi_fail(ONNX_INFER_E_PARSE, "byte %llu, in %s: %s; the file is cut off, damaged or no ONNX model",
                   (unsigned long long)(at - s->start), d->short_name, what);
}

/* Whether a field of the file has a form that its declaration allows. */
static bool form_fits(const ProtobufCFieldDescriptor *f, unsigned wire)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return wire == WIRE_BYTES;
    case PROTOBUF_C_TYPE_FLOAT:
        return wire == WIRE_FIXED32 || (wire == WIRE_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED);
    case PROTOBUF_C_TYPE_DOUBLE:
        return wire == WIRE_FIXED64 || (wire == WIRE_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED);
    default: /* the messages of ONNX have no other fixed types */
        return wire == WIRE_VARINT || (wire == WIRE_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED);
    }
}

static bool is_payload(uint32_t id)
{
    return id == 4 || id == 5 || id == 7 || id == 9 || id == 10 || id == 11;
}

/* Moves *at behind a number; says what is wrong with it, or NULL. */
static const char *skip_number(unsigned wire, const uint8_t **at, const uint8_t *end)
{
    uint64_t v;
    const size_t n = wire == WIRE_FIXED64 ? 8 : 4;
    if (wire == WIRE_VARINT)
        return oi_wire_varint(at, end, &v) ? NULL : "bad number";
    if ((size_t)(end - *at) < n)
        return "a number runs past the end";
    *at += n;
    return NULL;
}

/* Numbers of a repeated field, one after the other with a tag each, become one packed field: protobuf-c makes a record of each
 * field that it meets. `body`: the first number behind its tag, which begins at `field_start`; *at: behind it. */
static oi_status pack_run(scan *s, const uint8_t *field_start, const uint8_t *body, const uint8_t **at, const uint8_t *end, uint64_t tag,
                          const ProtobufCMessageDescriptor *d)
{
    const unsigned wire = tag & 7;
    const size_t tag_bytes = (size_t)(body - field_start);
    size_t hole;
    OI_TRY(put_varint(s, (tag & ~(uint64_t)7) | WIRE_BYTES));
    OI_TRY(put_length_hole(s, &hole));
    OI_TRY(put(s, body, (size_t)(*at - body)));
    while ((size_t)(end - *at) > tag_bytes && !memcmp(*at, field_start, tag_bytes)) {
        const uint8_t *number = *at + tag_bytes, *after = number;
        const char *wrong = skip_number(wire, &after, end);
        if (wrong)
            return bad(s, *at, d, wrong);
        OI_TRY(put(s, number, (size_t)(after - number)));
        *at = after;
    }
    fill_length_hole(s, hole);
    return ONNX_INFER_OK;
}

static oi_status scan_message(scan *s, const uint8_t *at, const uint8_t *end, const ProtobufCMessageDescriptor *d, uint32_t depth)
{
    bool tensor = d == &oi_onnx__tensor_proto__descriptor;
    uint64_t seen = 0, piece[MAX_PIECES][3];
    size_t npiece = 0;
    OI_FAIL_IF(depth > s->limits->max_depth, ONNX_INFER_E_LIMIT, "messages are nested more than %u deep", s->limits->max_depth);
    OI_FAIL_IF(++s->messages > s->limits->max_messages, ONNX_INFER_E_LIMIT, "the file has more than %llu messages",
               (unsigned long long)s->limits->max_messages);
    if (d == &oi_onnx__node_proto__descriptor)
        OI_FAIL_IF(++s->nodes > s->limits->max_nodes, ONNX_INFER_E_LIMIT,
                   "the model has more than %llu nodes; raise limit \"nodes\" if that is meant",
                   (unsigned long long)s->limits->max_nodes);
    while (at < end) {
        const uint8_t *field_start = at;
        uint64_t tag, n = 0;
        if (!oi_wire_varint(&at, end, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
            return bad(s, field_start, d, "bad field number");
        uint32_t id = (uint32_t)(tag >> 3);
        unsigned wire = tag & 7;
        const uint8_t *body = at;
        const char *wrong;
        switch (wire) {
        case WIRE_VARINT:
        case WIRE_FIXED64:
        case WIRE_FIXED32:
            wrong = skip_number(wire, &at, end);
            if (wrong)
                return bad(s, field_start, d, wrong);
            break;
        case WIRE_BYTES:
            if (!oi_wire_varint(&at, end, &n))
                return bad(s, field_start, d, "bad length");
            if (n > (uint64_t)(end - at))
                return bad(s, field_start, d, "a field runs past the end");
            body = at;
            at += n;
            break;
        default:
            return bad(s, field_start, d, "unknown kind of field");
        }
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, id);
        if (!f || (tensor && id == FIELD_PAYLOAD))
            continue;
        if (!form_fits(f, wire))
            return bad(s, field_start, d, "a field has the form of another");
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            if (f->label != PROTOBUF_C_LABEL_REPEATED) {
                uint64_t bit = (uint64_t)1 << ((f - d->fields) & 63);
                if (seen & bit)
                    return bad(s, field_start, d, "a field that can be there once is there twice");
                seen |= bit;
            }
            size_t hole;
            OI_TRY(put_varint(s, tag));
            OI_TRY(put_length_hole(s, &hole));
            OI_TRY(scan_message(s, body, at, f->descriptor, depth + 1));
            fill_length_hole(s, hole);
        } else if (tensor && wire == WIRE_BYTES && is_payload(id)) {
            if (npiece == MAX_PIECES)
                return bad(s, field_start, d, "the data are in too many pieces");
            piece[npiece][0] = id;
            piece[npiece][1] = (uint64_t)(body - s->start);
            piece[npiece++][2] = n;
        } else if (f->label == PROTOBUF_C_LABEL_REPEATED && wire != WIRE_BYTES) {
            OI_TRY(pack_run(s, field_start, body, &at, end, tag, d));
        } else {
            OI_TRY(put(s, field_start, (size_t)(at - field_start)));
        }
    }
    if (npiece) {
        size_t hole;
        OI_TRY(put_varint(s, (uint64_t)FIELD_PAYLOAD << 3 | WIRE_BYTES));
        OI_TRY(put_length_hole(s, &hole));
        for (size_t i = 0; i < npiece; i++)
            for (int k = 0; k < 3; k++)
                OI_TRY(put_varint(s, piece[i][k]));
        fill_length_hole(s, hole);
    }
    return ONNX_INFER_OK;
}

oi_status oi_wire_scan(const oi_alloc *a, const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root,
                       const oi_wire_limits *limits, oi_wire_skeleton *out)
{
    scan s = {.alloc = a, .start = data, .limits = limits};
    memset(out, 0, sizeof *out);
    oi_status status = scan_message(&s, data, data + size, root, 0);
    if (status) {
        oi_free_mem(a, s.out);
        return status;
    }
    out->data = s.out;
    out->size = s.used;
    return ONNX_INFER_OK;
}
