/* The freeze proof: every trunk tensor of the saved network (parameters, running statistics,
 * counters) is compared bit for bit with the tensor of the input weights file it came from. Both
 * are read from disk again, so that the proof is about the files and not about what the program
 * believes it did. */
#include "study/run.h"
#include <string.h>

typedef struct {
    json_int_t checked, identical, parameters, statistics, counters;
    json_t *differing; /* names */
    char first[256];
} freeze_count;

/* Bit for bit, in the file's own type when it is f32; other types are widened exactly (f16, bf16 to
 * f32). */
static eg_status same_floats(bool *same, const eg_tensor *saved, const eg_tensor *given,
                             eg_error *err) {
    size_t n = eg_tensor_count(saved);
    *same = false;
    if (eg_tensor_count(given) != n) return EG_OK;
    if (saved->dtype == given->dtype) {
        *same = saved->n_bytes == given->n_bytes &&
                memcmp(saved->data, given->data, saved->n_bytes) == 0;
        return EG_OK;
    }
    float *wide = eg_malloc((n + 1) * sizeof *wide);
    if (!wide) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the freeze proof");
    *same = saved->dtype == EG_DTYPE_F32 && eg_tensor_to_f32(wide, given) &&
            memcmp(saved->data, wide, n * sizeof *wide) == 0;
    eg_free(wide);
    return EG_OK;
}

/* A counter (num_batches_tracked) is an int64 scalar; old files and other libraries do not carry
 * it. */
static eg_status compare_one(freeze_count *count, const eg_network *net,
                             const eg_net_tensor *tensor, const eg_state_dict *saved_sd,
                             const eg_state_dict *given_sd, eg_error *err) {
    const eg_tensor *saved = eg_state_dict_find(saved_sd, tensor->name);
    const eg_tensor *given = eg_network_bound(net, given_sd, tensor->name);
    bool same = false;
    /* nothing to compare with: files may lack counters and auxiliary branches */
    if (!given && (tensor->role == EG_TENSOR_COUNTER || tensor->is_aux)) return EG_OK;
    if (!saved || !given)
        return eg_fail(err, EG_ERR_INTERNAL, "freeze proof: %s is missing in %s", tensor->name,
                       saved ? "the weights file" : "the saved network");
    EG_TRY(same_floats(&same, saved, given, err));
    count->checked++;
    count->identical += same;
    count->parameters += tensor->role == EG_TENSOR_PARAMETER;
    count->statistics += tensor->role == EG_TENSOR_BUFFER;
    count->counters += tensor->role == EG_TENSOR_COUNTER;
    if (same) return EG_OK;
    if (!count->first[0]) {
        strncpy(count->first, tensor->name, sizeof count->first - 1);
        count->first[sizeof count->first - 1] = '\0';
    }
    if (json_array_append_new(count->differing, json_string(tensor->name)) != 0)
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the freeze proof");
    return EG_OK;
}

static eg_status compare_all(freeze_count *count, eg_network *net, const eg_state_dict *saved,
                             const eg_state_dict *given, eg_error *err) {
    size_t n;
    const eg_net_tensor *tensors = eg_network_tensors(net, &n);
    count->differing = json_array();
    if (!count->differing)
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the freeze proof");
    for (size_t i = 0; i < n; i++) {
        if (!tensors[i].is_head) EG_TRY(compare_one(count, net, &tensors[i], saved, given, err));
    }
    if (count->checked == 0)
        return eg_fail(err, EG_ERR_INTERNAL, "freeze proof: no trunk tensor was found");
    return EG_OK;
}

static eg_status prove(json_t **out, freeze_count *count, const eg_settings *s, bool strict,
                       eg_error *err) {
    if (strict && count->identical != count->checked)
        return eg_fail(err, EG_ERR_INTERNAL,
                       "freeze proof: %s changed in training although the trunk was frozen (%lld "
                       "of %lld tensors "
                       "identical)",
                       count->first, (long long)count->identical, (long long)count->checked);
    *out =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:O, s:s, s:s}", "checked", count->checked,
                  "identical", count->identical, "parameters", count->parameters,
                  "running_statistics", count->statistics, "counters", count->counters, "differing",
                  count->differing, "weights_sha256", s->weights_sha256, "bn", s->o.bn);
    return *out ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the freeze proof");
}

eg_status eg_study_freeze_prove(json_t **out, const char *checkpoint, const char *weights,
                                const eg_settings *s, int n_classes, bool strict, eg_error *err) {
    eg_network *net = NULL;
    eg_state_dict *saved = NULL, *given = NULL;
    freeze_count count = {0};
    char hash[65];
    /* the file must still be the one that training started from */
    EG_TRY(eg_sha256_file(hash, weights, err));
    if (strcmp(hash, s->weights_sha256) != 0)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: changed while training ran (sha256 %.12s..., was %.12s...)", weights,
                       hash, s->weights_sha256);
    eg_status status = eg_weights_read(&saved, checkpoint, err);
    if (status == EG_OK) status = eg_weights_read(&given, weights, err);
    if (status == EG_OK)
        status = eg_network_new(&net, s->arch->name, n_classes, s->preprocess.crop, err);
    if (status == EG_OK) status = compare_all(&count, net, saved, given, err);
    if (status == EG_OK) status = prove(out, &count, s, strict, err);
    json_decref(count.differing);
    eg_network_free(net);
    eg_state_dict_free(saved);
    eg_state_dict_free(given);
    return status;
}
