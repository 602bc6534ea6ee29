/* Private to the net room: an ONNX model while it is put together. onnx_graph.c walks the network's graph, onnx_ops.c
 * turns one node into ONNX nodes, onnx_message.c makes the messages (protobuf-c structs of third_party/onnx/onnx.proto)
 * and writes the file. Everything is made in one arena; weights are borrowed from the network, and only folded ones are
 * copies. The first failure is kept in `status` and ends all later calls early, as in graph.c.
 * Our graph is NHWC, but its weights are in PyTorch's order, so the ONNX graph is plain NCHW.                       */
#ifndef EG_ONNX_GRAPH_H
#define EG_ONNX_GRAPH_H

#include "net/graph.h"
#include <onnx.pb-c.h>

enum { EG_ONNX_OPSET = 17, EG_ONNX_IR = 8 }; /* LayerNormalization needs opset 17, and that IR 8 */

typedef struct {
    const eg_network *net;
    const eg_graph *graph; /* as built: primitive ops */
    eg_arena *arena;
    eg_status status;
    eg_error error;

    /* the ONNX graph so far; room for the most that onnx_graph.c's bounds allow */
    EgOnnx__NodeProto **nodes;
    EgOnnx__TensorProto **tensors;
    size_t n_nodes, n_tensors, node_room, tensor_room;
    size_t data_bytes; /* of all tensors */

    /* one entry a node of `graph` */
    bool *needed;       /* the logits depend on it */
    int *readers;       /* how many needed nodes read it */
    int *norm;          /* conv: the batch norm folded into it, else -1 */
    const char **base;  /* unique name, in front of names of inner values */
    const char **value; /* ONNX name of its output */
    bool *flat;         /* its output is (N,C), not (N,C,H,W) */
} eg_onnx;

/* ---- messages (onnx_message.c) ---- */

/* What every message and name is made in; NULL after a failure. */
void *eg_onnx_get(eg_onnx *b, size_t size);
const char *eg_onnx_text(eg_onnx *b, const char *format, ...) EG_PRINTF(2, 3);
void eg_onnx_fail(eg_onnx *b, eg_status status, const char *format, ...) EG_PRINTF(3, 4);

/* A node of type `op` with one output, which also names it. Texts are borrowed: literals or from the arena. NULL after a
 * failure, which the attribute functions allow. */
EgOnnx__NodeProto *eg_onnx_add(eg_onnx *b, const char *op, const char *output,
                               const char *const *inputs, size_t n_inputs);
void eg_onnx_int(eg_onnx *b, EgOnnx__NodeProto *node, const char *name, int64_t value);
void eg_onnx_ints(eg_onnx *b, EgOnnx__NodeProto *node, const char *name, const int64_t *values,
                  size_t n);
void eg_onnx_real(eg_onnx *b, EgOnnx__NodeProto *node, const char *name, float value);

/* Initializers; each returns its name. `data` is borrowed and must outlive the builder (or come from its arena). */
const char *eg_onnx_floats(eg_onnx *b, const char *name, const float *data, const int64_t *dims,
                           size_t n_dims);
const char *eg_onnx_shape(eg_onnx *b, const char *name, const int64_t *values, size_t n);
/* Constants without dimensions, made once a name. */
const char *eg_onnx_scalar(eg_onnx *b, const char *name, float value);
const char *eg_onnx_index(eg_onnx *b, const char *name, int64_t value);

/* Graph input or output: the first dimension is "N", the others are given. */
EgOnnx__ValueInfoProto *eg_onnx_value(eg_onnx *b, const char *name, int type, const int64_t *dims,
                                      size_t n_dims);
/* The finished model to a file, crash-safe, without copying the weights. EG_ERR_LIMIT above `limit` bytes. */
eg_status eg_onnx_write(const char *path, const EgOnnx__ModelProto *model, size_t limit,
                        eg_error *err);

/* ---- ops (onnx_ops.c) ---- */

/* Emit node i of the graph; its inputs' values are there. An op that has no ONNX form yet is EG_ERR_UNSUPPORTED, naming
 * it. */
void eg_onnx_emit(eg_onnx *b, int i);
bool eg_onnx_knows(eg_op_kind kind); /* has it an ONNX form? */
void eg_onnx_reshape(eg_onnx *b, const char *out, const char *x, const int64_t *dims, size_t n);
void eg_onnx_transpose(eg_onnx *b, const char *out, const char *x, const int64_t *perm, size_t n);
void eg_onnx_slice(eg_onnx *b, const char *out, const char *x, int64_t axis, int64_t begin,
                   int64_t end);
/* Ops of transformers (onnx_attention.c), for the table of onnx_ops.c. */
void eg_onnx_emit_tokens(eg_onnx *b, int i, const eg_node *node);
void eg_onnx_emit_token(eg_onnx *b, int i, const eg_node *node);
void eg_onnx_emit_attention(eg_onnx *b, int i, const eg_node *node);
void eg_onnx_emit_canvas(eg_onnx *b, int i, const eg_node *node);
void eg_onnx_emit_patch_merge(eg_onnx *b, int i, const eg_node *node);
const eg_net_tensor *eg_onnx_tensor_of(const eg_onnx *b, const eg_node *node, int k);

/* ---- the model (onnx_graph.c) ---- */

/* The model in the builder's arena (tests look at it); release the arena with eg_onnx_free. */
eg_status eg_onnx_build(EgOnnx__ModelProto **out, eg_onnx *b, const eg_network *net,
                        const eg_onnx_options *o, const eg_text_pair *metadata, size_t n_metadata,
                        eg_error *err);
void eg_onnx_free(eg_onnx *b);

#endif
