/* The messages of an ONNX file: nodes, attributes, initializers, and the packing into a file. Knows nothing of networks.
 * Packing goes through a collector that notes where the large pieces (weights) lie instead of copying them, so that the
 * memory needed is the network's own plus folded weights. Numbers are little endian, as raw_data wants them.
 * Read first: onnx_graph.h; the fields are explained in third_party/onnx/onnx.proto.                               */
#include "net/onnx_graph.h"
#include <stdio.h>
#include <string.h>

enum { MAX_ATTRIBUTES = 6 };

/* ---- the arena, failures ---- */

void eg_onnx_fail(eg_onnx *b, eg_status status, const char *format, ...) {
    if (b->status != EG_OK) return; /* the first failure is the cause */
    va_list args;
    va_start(args, format);
    vsnprintf(b->error.text, sizeof b->error.text, format, args);
    va_end(args);
    b->error.status = b->status = status;
    b->error.offset = -1;
}

void *eg_onnx_get(eg_onnx *b, size_t size) {
    if (b->status != EG_OK) return NULL;
    void *p = eg_arena_get(b->arena, size);
    if (!p) eg_onnx_fail(b, EG_ERR_NO_MEMORY, "out of memory");
    return p;
}

const char *eg_onnx_text(eg_onnx *b, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        eg_onnx_fail(b, EG_ERR_INTERNAL, "a name of %d bytes is too long", n);
    char *copy = eg_onnx_get(b, (size_t)n + 1);
    return copy ? memcpy(copy, text, (size_t)n + 1) : "";
}

/* A zeroed array of `n` items; NULL after a failure. */
static void *array(eg_onnx *b, size_t n, size_t size) {
    void *p = eg_onnx_get(b, n ? n * size : 1);
    return p ? memset(p, 0, n * size) : NULL;
}

static int64_t *int_array(eg_onnx *b, const int64_t *values, size_t n) {
    int64_t *copy = array(b, n, sizeof *copy);
    if (copy && n) memcpy(copy, values, n * sizeof *copy);
    return copy;
}

/* ---- nodes and attributes ---- */

EgOnnx__NodeProto *eg_onnx_add(eg_onnx *b, const char *op, const char *output,
                               const char *const *inputs, size_t n_inputs) {
    EgOnnx__NodeProto *node = array(b, 1, sizeof *node);
    char **names = array(b, n_inputs + 1, sizeof *names);
    EgOnnx__AttributeProto **attributes = array(b, MAX_ATTRIBUTES, sizeof *attributes);
    if (b->status == EG_OK && b->n_nodes == b->node_room)
        eg_onnx_fail(b, EG_ERR_INTERNAL, "more than %zu ONNX nodes", b->node_room);
    if (b->status != EG_OK) return NULL;
    eg_onnx__node_proto__init(node);
    for (size_t i = 0; i < n_inputs; i++) names[i] = (char *)inputs[i];
    names[n_inputs] = (char *)output;
    node->op_type = (char *)op;
    node->name = (char *)output;
    node->input = names;
    node->n_input = n_inputs;
    node->output = names + n_inputs;
    node->n_output = 1;
    node->attribute = attributes;
    return b->nodes[b->n_nodes++] = node;
}

/* A new attribute of `node`, without its value; NULL after a failure. The type must be set: readers do not infer it. */
static EgOnnx__AttributeProto *attribute(eg_onnx *b, EgOnnx__NodeProto *node, const char *name,
                                         EgOnnx__AttributeProto__AttributeType type) {
    EgOnnx__AttributeProto *a = node ? array(b, 1, sizeof *a) : NULL;
    if (!a) return NULL;
    if (node->n_attribute == MAX_ATTRIBUTES) {
        eg_onnx_fail(b, EG_ERR_INTERNAL, "%s: too many attributes", node->name);
        return NULL;
    }
    eg_onnx__attribute_proto__init(a);
    a->name = (char *)name;
    a->has_type = 1;
    a->type = type;
    return node->attribute[node->n_attribute++] = a;
}

void eg_onnx_int(eg_onnx *b, EgOnnx__NodeProto *node, const char *name, int64_t value) {
    EgOnnx__AttributeProto *a =
        attribute(b, node, name, EG_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a) return;
    a->has_i = 1;
    a->i = value;
}

void eg_onnx_ints(eg_onnx *b, EgOnnx__NodeProto *node, const char *name, const int64_t *values,
                  size_t n) {
    EgOnnx__AttributeProto *a =
        attribute(b, node, name, EG_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = a ? int_array(b, values, n) : NULL;
    if (!copy) return;
    a->ints = copy;
    a->n_ints = n;
}

void eg_onnx_real(eg_onnx *b, EgOnnx__NodeProto *node, const char *name, float value) {
    EgOnnx__AttributeProto *a =
        attribute(b, node, name, EG_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a) return;
    a->has_f = 1;
    a->f = value;
}

/* ---- initializers ---- */

/* Values go into raw_data, borrowed: protobuf-c then packs them as one piece. `data` may be NULL only after a failure. */
static void add_tensor(eg_onnx *b, const char *name, int type, const void *data, size_t item_bytes,
                       const int64_t *dims, size_t n_dims) {
    EgOnnx__TensorProto *t = array(b, 1, sizeof *t);
    int64_t *copy = int_array(b, dims, n_dims);
    if (b->status == EG_OK && b->n_tensors == b->tensor_room)
        eg_onnx_fail(b, EG_ERR_INTERNAL, "more than %zu ONNX tensors", b->tensor_room);
    if (b->status != EG_OK) return;
    size_t n_bytes = item_bytes; /* a scalar has no dimensions */
    for (size_t d = 0; d < n_dims; d++) n_bytes *= (size_t)dims[d];
    eg_onnx__tensor_proto__init(t);
    t->name = (char *)name;
    t->dims = copy;
    t->n_dims = n_dims;
    t->has_data_type = 1;
    t->data_type = type;
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){n_bytes, (uint8_t *)data};
    b->data_bytes += n_bytes;
    b->tensors[b->n_tensors++] = t;
}

const char *eg_onnx_floats(eg_onnx *b, const char *name, const float *data, const int64_t *dims,
                           size_t n_dims) {
    add_tensor(b, name, EG_ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, data, sizeof *data, dims, n_dims);
    return name;
}

const char *eg_onnx_shape(eg_onnx *b, const char *name, const int64_t *values, size_t n) {
    const int64_t dims[] = {(int64_t)n};
    add_tensor(b, name, EG_ONNX__TENSOR_PROTO__DATA_TYPE__INT64, int_array(b, values, n),
               sizeof *values, dims, 1);
    return name;
}

/* Linear, but asked for constants only: some hundred names against a handful of activations. */
static bool has_tensor(const eg_onnx *b, const char *name) {
    for (size_t i = 0; i < b->n_tensors; i++)
        if (strcmp(b->tensors[i]->name, name) == 0) return true;
    return false;
}

const char *eg_onnx_scalar(eg_onnx *b, const char *name, float value) {
    if (has_tensor(b, name)) return name;
    float *data = eg_onnx_get(b, sizeof *data);
    if (data) *data = value;
    return eg_onnx_floats(b, name, data, NULL, 0);
}

const char *eg_onnx_index(eg_onnx *b, const char *name, int64_t value) {
    if (!has_tensor(b, name))
        add_tensor(b, name, EG_ONNX__TENSOR_PROTO__DATA_TYPE__INT64, int_array(b, &value, 1),
                   sizeof value, NULL, 0);
    return name;
}

/* ---- inputs and outputs ---- */

/* A ValueInfoProto is a name and a TypeProto, that a tensor type, that a shape of dimensions, each with a number or a
 * parameter's name: "N" is what makes the batch size free. */
EgOnnx__ValueInfoProto *eg_onnx_value(eg_onnx *b, const char *name, int type, const int64_t *dims,
                                      size_t n_dims) {
    EgOnnx__ValueInfoProto *value = array(b, 1, sizeof *value);
    EgOnnx__TypeProto *outer = array(b, 1, sizeof *outer);
    EgOnnx__TypeProto__Tensor *tensor = array(b, 1, sizeof *tensor);
    EgOnnx__TensorShapeProto *shape = array(b, 1, sizeof *shape);
    EgOnnx__TensorShapeProto__Dimension **list = array(b, n_dims + 1, sizeof *list),
                                        *items = array(b, n_dims + 1, sizeof *items);
    if (b->status != EG_OK) return NULL;
    eg_onnx__value_info_proto__init(value);
    eg_onnx__type_proto__init(outer);
    eg_onnx__type_proto__tensor__init(tensor);
    eg_onnx__tensor_shape_proto__init(shape);
    for (size_t d = 0; d <= n_dims; d++) {
        list[d] = &items[d];
        eg_onnx__tensor_shape_proto__dimension__init(list[d]);
        if (d == 0) {
            list[d]->value_case = EG_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            list[d]->dim_param = (char *)"N";
        } else {
            list[d]->value_case = EG_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            list[d]->dim_value = dims[d - 1];
        }
    }
    shape->dim = list;
    shape->n_dim = n_dims + 1;
    tensor->has_elem_type = 1;
    tensor->elem_type = type;
    tensor->shape = shape;
    outer->value_case = EG_ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    outer->tensor_type = tensor;
    value->name = (char *)name;
    value->type = outer;
    return value;
}

/* ---- packing ---- */

/* Where a piece of the file lies: in `bytes` of the collector (data NULL), or somewhere that outlives it. */
typedef struct {
    const void *data;
    size_t size, offset;
} piece;

typedef struct {
    ProtobufCBuffer base; /* first: protobuf-c hands this to append() */
    eg_buffer bytes;      /* the small pieces, one behind the other */
    eg_buffer pieces;     /* piece */
} collector;

/* What protobuf-c packs from its own stack is a number or a length, some bytes long: longer pieces are contents. */
enum { BORROWED_BYTES = 4096 };

/* protobuf-c calls this for each number, length, text and block of bytes in the order of the file. */
static void append(ProtobufCBuffer *base, size_t size, const uint8_t *data) {
    collector *c = (collector *)base;
    size_t n = c->pieces.size / sizeof(piece);
    piece *last = n ? (piece *)(void *)c->pieces.data + (n - 1) : NULL;
    if (size >= BORROWED_BYTES) {
        eg_buffer_add(&c->pieces, &(piece){.data = data, .size = size}, sizeof(piece));
        return;
    }
    if (last && !last->data)
        last->size += size;
    else
        eg_buffer_add(&c->pieces, &(piece){.size = size, .offset = c->bytes.size}, sizeof(piece));
    eg_buffer_add(&c->bytes, data, size);
}

/* Only now do the small pieces stand still, so that their addresses can be taken. */
static eg_status write_pieces(const char *path, const collector *c, eg_error *err) {
    size_t n = c->pieces.size / sizeof(piece);
    const piece *pieces = (const piece *)(const void *)c->pieces.data;
    eg_part *parts = eg_calloc(n + 1, sizeof *parts);
    if (!parts || c->pieces.failed || c->bytes.failed) {
        eg_free(parts);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path);
    }
    for (size_t i = 0; i < n; i++)
        parts[i] = (eg_part){pieces[i].data ? pieces[i].data : c->bytes.data + pieces[i].offset,
                             pieces[i].size};
    eg_status status = eg_file_write_atomic(path, parts, n, err);
    eg_free(parts);
    return status;
}

eg_status eg_onnx_write(const char *path, const EgOnnx__ModelProto *model, size_t limit,
                        eg_error *err) {
    /* counted before packing: sub-messages have 32-bit lengths and would be wrong without a word above the limit */
    size_t size = eg_onnx__model_proto__get_packed_size(model);
    if (size > limit)
        return eg_fail(err, EG_ERR_LIMIT,
                       "%s: the model takes %zu bytes, and one ONNX file holds at most %zu "
                       "(protobuf's limit) - export it as safetensors or pth",
                       path, size, limit);
    collector c = {.base = {append}};
    eg_onnx__model_proto__pack_to_buffer(model, &c.base);
    eg_status status = write_pieces(path, &c, err);
    eg_buffer_free(&c.bytes);
    eg_buffer_free(&c.pieces);
    return status;
}
