/* All tensors of a network as one file under our names: safetensors, which engraft, safetensors.torch.load_file and
 * torchvision's load_state_dict read, or a .pth for torch.load. Crash safety and the order of the file are the codec's.
 * ONNX: onnx_graph.c.                                                                                          */
#include "net/graph.h"
#include <string.h>

/* The tensors as the codec takes them, borrowed; eg_free. NULL: no memory. */
static eg_tensor *list_tensors(const eg_network *net, const char *path, eg_error *err) {
    size_t n = (size_t)net->graph.n_tensors;
    eg_tensor *tensors = eg_calloc(n, sizeof *tensors);
    if (!tensors) {
        eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const eg_net_tensor *t = &net->graph.tensors[i];
        bool counter = t->role == EG_TENSOR_COUNTER;
        tensors[i] =
            (eg_tensor){.name = t->name,
                        .dtype = counter ? EG_DTYPE_I64 : EG_DTYPE_F32,
                        .n_dims = t->n_dims,
                        .data = counter ? (const void *)t->counter : t->data,
                        .n_bytes = t->count * (counter ? sizeof *t->counter : sizeof *t->data)};
        memcpy(tensors[i].dims, t->dims, sizeof t->dims);
    }
    return tensors;
}

eg_status eg_network_save(const eg_network *net, const char *path, const eg_text_pair *metadata,
                          size_t n_metadata, eg_error *err) {
    eg_tensor *tensors = list_tensors(net, path, err);
    if (!tensors) return EG_ERR_NO_MEMORY;
    eg_status status = eg_safetensors_write(path, tensors, (size_t)net->graph.n_tensors, metadata,
                                            n_metadata, err);
    eg_free(tensors);
    return status;
}

eg_status eg_network_save_torch(const eg_network *net, const char *path, eg_error *err) {
    eg_tensor *tensors = list_tensors(net, path, err);
    if (!tensors) return EG_ERR_NO_MEMORY;
    eg_status status = eg_torch_zip_write(path, tensors, (size_t)net->graph.n_tensors, err);
    eg_free(tensors);
    return status;
}
