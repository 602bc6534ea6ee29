/* All tensors of a network as one safetensors file under our names, so that engraft, safetensors.torch.load_file and
 * torchvision's load_state_dict read it. Crash safety and the order of the file are the codec's.               */
#include "net/graph.h"
#include <string.h>

eg_status eg_network_save(const eg_network *net, const char *path, const eg_text_pair *metadata,
                          size_t n_metadata, eg_error *err) {
    size_t n = (size_t)net->graph.n_tensors;
    eg_tensor *tensors = eg_calloc(n, sizeof *tensors);
    if (!tensors) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", path);
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
    eg_status status = eg_safetensors_write(path, tensors, n, metadata, n_metadata, err);
    eg_free(tensors);
    return status;
}
