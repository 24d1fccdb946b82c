/* What stands in the boxes of a picture, and how wide it is. */
#ifndef OI_TOOLS_SVG_LABEL_H
#define OI_TOOLS_SVG_LABEL_H

#include "graph/graph.h"

enum {
    LABEL_LINES = 8,
    LABEL_CAP = 160,   /* bytes of a line */
    LABEL_NAME = 36,   /* letters of a name; the middle of longer ones is left out */
    LABEL_DETAIL = 52, /* of a line of attributes or constants */
};

/* Kinds of text, by which styles and sizes go. */
typedef enum { LABEL_OP, LABEL_DETAILS, LABEL_NODE_NAME, LABEL_SHAPE, LABEL_KINDS } label_kind;

/* Families of operators, one colour each. */
typedef enum {
    FAMILY_PRODUCT, FAMILY_ELEMENTWISE, FAMILY_REDUCE, FAMILY_MOVE, FAMILY_QUANTISE, FAMILY_RECURRENT, FAMILY_CONTROL, FAMILY_OTHER, FAMILIES
} label_family;

typedef struct {
    char line[LABEL_LINES][LABEL_CAP];
    label_kind kind[LABEL_LINES];
    uint32_t n;
} label;

extern const char *const label_family_names[FAMILIES];

label_family label_family_of(const oi_node *n);
/* "ConvBlocked 3x3 + sum + relu" or the operators of a fused step; attributes; constants; its name. */
void label_node(const oi_graph *g, const oi_node *n, label *l);
/* Of a font as wide as any usual one. */
int32_t label_width(label_kind kind, const char *text);
int32_t label_height(label_kind kind); /* of a line */
/* At most `letters` letters: "/m/encoder/lay...Add_2". */
void label_shorten(const char *text, uint32_t letters, char *out, size_t cap);
/* "" where nothing is known of the value. */
const char *label_shape(const oi_graph *g, oi_value_id v, char *buf, size_t cap);

#endif
