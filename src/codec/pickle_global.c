/* The closed table of pickle globals, and what "calling" each of them builds.
 *
 * The table is the whole security rule of the .pth readers: a name that is not here cannot be used,
 * whatever a file says. Nothing of numpy, nothing of Python's builtins. Tensors are checked here so
 * that whoever gets one may trust that every element lies inside its storage. Read pickle.h
 * first. */
#include "codec/pickle.h"

#include <string.h>

typedef enum {
    MAKE_ORDERED_DICT,
    MAKE_STORAGE_CLASS, /* usable in a persistent id only */
    MAKE_TENSOR_CLASS,  /* said of a tensor by the tar container; not callable */
    MAKE_SIZE,
    MAKE_OTHER,            /* torch.device(...) */
    MAKE_VALUE,            /* a dtype: a value, not callable */
    MAKE_TENSOR_V1,        /* (storage, offset, size, stride) */
    MAKE_TENSOR_V2,        /* the same, requires_grad, backward hooks[, metadata] */
    MAKE_PARAMETER,        /* (tensor, requires_grad, hooks) */
    MAKE_PARAMETER_STATE,  /* the same and a state that is dropped */
    MAKE_PARAMETER_DIRECT, /* (tensor[, requires_grad]) */
    MAKE_BYTES             /* _codecs.encode(text, "latin1") */
} maker;

struct eg_pickle_global {
    const char *name; /* module.name */
    maker make;
    eg_dtype dtype; /* of a class of storages or tensors */
};

#define DTYPE(name)                                                                                \
    { "torch." name, MAKE_VALUE, EG_DTYPE_COUNT }
/* of the CPU and of the GPU; what was on a GPU is read like the rest */
#define TENSORS(name, dtype)                                                                       \
    {"torch." name, MAKE_TENSOR_CLASS, dtype}, {                                                   \
        "torch.cuda." name, MAKE_TENSOR_CLASS, dtype                                               \
    }
static const eg_pickle_global table[] = {
    {"collections.OrderedDict", MAKE_ORDERED_DICT, EG_DTYPE_COUNT},
    {"torch._utils._rebuild_tensor_v2", MAKE_TENSOR_V2, EG_DTYPE_COUNT},
    {"torch._utils._rebuild_tensor", MAKE_TENSOR_V1, EG_DTYPE_COUNT},
    {"torch._utils._rebuild_parameter", MAKE_PARAMETER, EG_DTYPE_COUNT},
    {"torch._utils._rebuild_parameter_with_state", MAKE_PARAMETER_STATE, EG_DTYPE_COUNT},
    {"torch.nn.parameter.Parameter", MAKE_PARAMETER_DIRECT, EG_DTYPE_COUNT},
    {"torch.FloatStorage", MAKE_STORAGE_CLASS, EG_DTYPE_F32},
    {"torch.DoubleStorage", MAKE_STORAGE_CLASS, EG_DTYPE_F64},
    {"torch.HalfStorage", MAKE_STORAGE_CLASS, EG_DTYPE_F16},
    {"torch.BFloat16Storage", MAKE_STORAGE_CLASS, EG_DTYPE_BF16},
    {"torch.LongStorage", MAKE_STORAGE_CLASS, EG_DTYPE_I64},
    {"torch.IntStorage", MAKE_STORAGE_CLASS, EG_DTYPE_I32},
    {"torch.ShortStorage", MAKE_STORAGE_CLASS, EG_DTYPE_I16},
    {"torch.CharStorage", MAKE_STORAGE_CLASS, EG_DTYPE_I8},
    {"torch.ByteStorage", MAKE_STORAGE_CLASS, EG_DTYPE_U8},
    {"torch.BoolStorage", MAKE_STORAGE_CLASS, EG_DTYPE_BOOL},
    {"torch.storage.UntypedStorage", MAKE_STORAGE_CLASS, EG_DTYPE_U8},
    {"torch.Size", MAKE_SIZE, EG_DTYPE_COUNT},
    {"torch.device", MAKE_OTHER, EG_DTYPE_COUNT},
    {"_codecs.encode", MAKE_BYTES, EG_DTYPE_COUNT},
    DTYPE("float32"),
    DTYPE("float64"),
    DTYPE("float16"),
    DTYPE("bfloat16"),
    DTYPE("int64"),
    DTYPE("int32"),
    DTYPE("int16"),
    DTYPE("int8"),
    DTYPE("uint8"),
    DTYPE("bool"),
    TENSORS("FloatTensor", EG_DTYPE_F32),
    TENSORS("DoubleTensor", EG_DTYPE_F64),
    TENSORS("HalfTensor", EG_DTYPE_F16),
    TENSORS("LongTensor", EG_DTYPE_I64),
    TENSORS("IntTensor", EG_DTYPE_I32),
    TENSORS("ShortTensor", EG_DTYPE_I16),
    TENSORS("CharTensor", EG_DTYPE_I8),
    TENSORS("ByteTensor", EG_DTYPE_U8),
};

/* A linear search: the table is short, and a file names each global once and then uses its memo. */
const eg_pickle_global *eg_codec_pickle_global_find(const char *module, size_t module_length,
                                                    const char *name, size_t name_length) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *full = table[i].name;
        if (strlen(full) != module_length + 1 + name_length) continue;
        /* the module of a table entry is what stands before its last point */
        if (memcmp(full, module, module_length) == 0 && full[module_length] == '.' &&
            memcmp(full + module_length + 1, name, name_length) == 0 &&
            memchr(name, '.', name_length) == NULL)
            return &table[i];
    }
    return NULL;
}

const char *eg_codec_pickle_global_name(const eg_pickle_global *global) {
    return global->name;
}

/* A dtype is complete as it is; it becomes a value that nothing can call. */
eg_pickle_value eg_codec_pickle_global_value(const eg_pickle_global *global) {
    if (global->make == MAKE_VALUE) return (eg_pickle_value){.kind = EG_PICKLE_OTHER};
    return (eg_pickle_value){.kind = EG_PICKLE_GLOBAL, .as.global = global};
}

/* Refuse with a reason; the machine adds where. */
static eg_status no(const char **rule, const char *text) {
    *rule = text;
    return EG_ERR_INPUT;
}

/* Freezing the part is what makes cycles impossible: a container in a container can no longer
 * change, so nothing that holds it can get into it. Growth leaves the old array to the arena: at
 * most as much again as the values take. */
eg_status eg_codec_pickle_append(eg_arena *arena, eg_pickle_items *to, const eg_pickle_value *v,
                                 const char **rule) {
    if (to->frozen) return no(rule, "a container was changed after it became part of another one");
    if (v->kind == EG_PICKLE_TUPLE || v->kind == EG_PICKLE_LIST || v->kind == EG_PICKLE_DICT) {
        eg_pickle_items *part = v->as.items;
        if (part == to) return no(rule, "a container may not hold itself");
        if (part->depth >= EG_PICKLE_MAX_DEPTH) {
            *rule = "containers are nested more than 64 deep";
            return EG_ERR_LIMIT;
        }
        part->frozen = true;
        if (to->depth < part->depth + 1) to->depth = part->depth + 1;
    }
    if (to->n == to->capacity) {
        size_t capacity = to->capacity == 0 ? 4 : 2 * to->capacity;
        eg_pickle_value *grown = eg_arena_get(arena, capacity * sizeof *grown);
        if (grown == NULL) return EG_ERR_NO_MEMORY;
        if (to->n > 0) memcpy(grown, to->v, to->n * sizeof *grown);
        to->v = grown;
        to->capacity = capacity;
    }
    to->v[to->n++] = *v;
    return EG_OK;
}

/* A name of the table that stands for a class of kind `make`. */
static bool is_class(eg_dtype *out, const eg_pickle_value *v, maker make) {
    if (v->kind != EG_PICKLE_GLOBAL || v->as.global->make != make) return false;
    *out = v->as.global->dtype;
    return true;
}

bool eg_codec_pickle_storage_class(eg_dtype *out, const eg_pickle_value *v) {
    return is_class(out, v, MAKE_STORAGE_CLASS);
}

bool eg_codec_pickle_tensor_class(eg_dtype *out, const eg_pickle_value *v) {
    return is_class(out, v, MAKE_TENSOR_CLASS);
}

/* ---- tensors ---- */

/* A size, stride or offset: an integer that is not negative. */
static bool take_count(int64_t *out, const eg_pickle_value *v) {
    if (v->kind != EG_PICKLE_INT || v->as.integer < 0) return false;
    *out = v->as.integer;
    return true;
}

/* Size and stride are tuples (torch.Size is one here), of at most EG_MAX_DIMS. */
static bool take_counts(int64_t *out, const eg_pickle_value *v, size_t *n) {
    if (v->kind != EG_PICKLE_TUPLE || v->as.items->n > EG_MAX_DIMS) return false;
    *n = v->as.items->n;
    for (size_t i = 0; i < *n; i++)
        if (!take_count(&out[i], &v->as.items->v[i])) return false;
    return true;
}

/* The number of elements must be a number too, also when a side of 0 makes it 0. */
bool eg_codec_pickle_tensor_fits(const eg_pickle_tensor *t) {
    int64_t last = t->offset, count = 1;
    bool empty = false;
    if (t->offset < 0) return false;
    for (int i = 0; i < t->n_dims; i++) {
        int64_t reach;
        if (t->dims[i] < 0 || t->strides[i] < 0) return false;
        if (t->dims[i] == 0) {
            empty = true;
            continue;
        }
        if (__builtin_mul_overflow(count, t->dims[i], &count) ||
            __builtin_mul_overflow(t->dims[i] - 1, t->strides[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    if (count > INT64_MAX / 8) return false;
    return empty ? t->offset <= t->storage->numel : last < t->storage->numel;
}

/* The four arguments that every version has: storage, offset, size, stride. */
static eg_status make_tensor(eg_arena *arena, eg_pickle_value *out, const eg_pickle_items *args,
                             const char **rule) {
    eg_pickle_tensor *t = eg_arena_get(arena, sizeof *t);
    if (t == NULL) return EG_ERR_NO_MEMORY;
    memset(t, 0, sizeof *t);
    size_t n_dims, n_strides;
    if (args->v[0].kind != EG_PICKLE_STORAGE)
        return no(rule, "the first argument is not a storage");
    t->storage = args->v[0].as.storage;
    if (!take_count(&t->offset, &args->v[1])) return no(rule, "the offset is not a count");
    if (!take_counts(t->dims, &args->v[2], &n_dims) ||
        !take_counts(t->strides, &args->v[3], &n_strides))
        return no(rule, "size or stride is not a tuple of at most 8 counts");
    if (n_dims != n_strides) return no(rule, "size and stride have different lengths");
    t->n_dims = (int)n_dims;
    if (!eg_codec_pickle_tensor_fits(t))
        return no(rule, "the tensor does not fit into its storage");
    *out = (eg_pickle_value){.kind = EG_PICKLE_TENSOR, .as.tensor = t};
    return EG_OK;
}

static bool is_empty_dict(const eg_pickle_value *v) {
    return v->kind == EG_PICKLE_NONE || (v->kind == EG_PICKLE_DICT && v->as.items->n == 0);
}

/* What torch writes since 0.4. The last arguments are of no use here, but may not hide anything
 * either. */
static eg_status make_tensor_v2(eg_arena *arena, eg_pickle_value *out, const eg_pickle_items *args,
                                const char **rule) {
    if (args->n != 6 && args->n != 7) return no(rule, "takes 6 or 7 arguments");
    if (args->v[4].kind != EG_PICKLE_BOOL) return no(rule, "requires_grad is not True or False");
    if (!is_empty_dict(&args->v[5])) return no(rule, "backward hooks are not read");
    /* metadata can say "negated" or "conjugated", which would change the numbers */
    if (args->n == 7 && !is_empty_dict(&args->v[6])) return no(rule, "tensor metadata is not read");
    return make_tensor(arena, out, args, rule);
}

/* nn.Parameter is its tensor; requires_grad is for the training recipe to decide, not for the
 * file. */
static eg_status make_parameter(eg_pickle_value *out, const eg_pickle_items *args, size_t min,
                                size_t max, const char **rule) {
    if (args->n < min || args->n > max) return no(rule, "wrong number of arguments");
    if (args->v[0].kind != EG_PICKLE_TENSOR) return no(rule, "the first argument is not a tensor");
    if (args->n > 1 && args->v[1].kind != EG_PICKLE_BOOL)
        return no(rule, "requires_grad is not True or False");
    if (args->n > 2 && !is_empty_dict(&args->v[2])) return no(rule, "backward hooks are not read");
    *out = args->v[0];
    return EG_OK;
}

/* ---- containers and the rest ---- */

/* Python 3 calls OrderedDict() and fills it; Python 2 passed a list of pairs. */
static eg_status make_ordered_dict(eg_arena *arena, eg_pickle_value *out,
                                   const eg_pickle_items *args, const char **rule) {
    eg_pickle_items *dict = eg_arena_get(arena, sizeof *dict);
    if (dict == NULL) return EG_ERR_NO_MEMORY;
    *dict = (eg_pickle_items){.depth = 1, .ordered = true};
    if (args->n > 1 || (args->n == 1 && args->v[0].kind != EG_PICKLE_LIST))
        return no(rule, "takes nothing or one list of pairs");
    const eg_pickle_items *pairs = args->n == 1 ? args->v[0].as.items : NULL;
    for (size_t i = 0; pairs != NULL && i < pairs->n; i++) {
        const eg_pickle_value *pair = &pairs->v[i];
        bool is_pair = (pair->kind == EG_PICKLE_LIST || pair->kind == EG_PICKLE_TUPLE) &&
                       pair->as.items->n == 2;
        if (!is_pair || (pair->as.items->v[0].kind != EG_PICKLE_TEXT &&
                         pair->as.items->v[0].kind != EG_PICKLE_INT))
            return no(rule, "an item is not a pair of a key and a value");
        for (int k = 0; k < 2; k++) {
            eg_status status = eg_codec_pickle_append(arena, dict, &pair->as.items->v[k], rule);
            if (status != EG_OK) return status;
        }
    }
    *out = (eg_pickle_value){.kind = EG_PICKLE_DICT, .as.items = dict};
    return EG_OK;
}

/* torch.Size is a tuple of integers. */
static eg_status make_size(eg_pickle_value *out, const eg_pickle_items *args, const char **rule) {
    if (args->n != 1 || (args->v[0].kind != EG_PICKLE_TUPLE && args->v[0].kind != EG_PICKLE_LIST))
        return no(rule, "takes one tuple");
    const eg_pickle_items *sizes = args->v[0].as.items;
    for (size_t i = 0; i < sizes->n; i++)
        if (sizes->v[i].kind != EG_PICKLE_INT) return no(rule, "a size is not an integer");
    *out = (eg_pickle_value){.kind = EG_PICKLE_TUPLE, .as.items = args->v[0].as.items};
    return EG_OK;
}

/* torch.device("cuda", 0): where the tensor was. It is on the CPU now. */
static eg_status make_device(eg_pickle_value *out, const eg_pickle_items *args, const char **rule) {
    bool good = (args->n == 1 || args->n == 2) && args->v[0].kind == EG_PICKLE_TEXT &&
                (args->n == 1 || args->v[1].kind == EG_PICKLE_INT);
    if (!good) return no(rule, "takes a name and perhaps a number");
    *out = (eg_pickle_value){.kind = EG_PICKLE_OTHER};
    return EG_OK;
}

/* Protocol 2 spells bytes as _codecs.encode(text, 'latin1'). No other codec: Python has some that
 * run code. */
static eg_status make_bytes(eg_pickle_value *out, const eg_pickle_items *args, const char **rule) {
    if (args->n != 2 || args->v[0].kind != EG_PICKLE_TEXT ||
        !(eg_codec_pickle_is_text(&args->v[1], "latin1") ||
          eg_codec_pickle_is_text(&args->v[1], "ascii")))
        return no(rule, "only text in latin1 or ascii");
    *out = (eg_pickle_value){.kind = EG_PICKLE_OTHER};
    return EG_OK;
}

/* No default branch: the compiler asks for a line here when the table gets a new kind. */
eg_status eg_codec_pickle_call(eg_arena *arena, eg_pickle_value *out, const eg_pickle_value *fn,
                               const eg_pickle_items *args, const char **rule) {
    switch (fn->as.global->make) {
    case MAKE_ORDERED_DICT:
        return make_ordered_dict(arena, out, args, rule);
    case MAKE_SIZE:
        return make_size(out, args, rule);
    case MAKE_OTHER:
        return make_device(out, args, rule);
    case MAKE_BYTES:
        return make_bytes(out, args, rule);
    case MAKE_TENSOR_V1:
        if (args->n != 4) return no(rule, "takes 4 arguments");
        return make_tensor(arena, out, args, rule);
    case MAKE_TENSOR_V2:
        return make_tensor_v2(arena, out, args, rule);
    case MAKE_PARAMETER:
        return make_parameter(out, args, 3, 3, rule);
    case MAKE_PARAMETER_STATE:
        return make_parameter(out, args, 4, 4, rule);
    case MAKE_PARAMETER_DIRECT:
        return make_parameter(out, args, 1, 2, rule);
    case MAKE_STORAGE_CLASS:
    case MAKE_TENSOR_CLASS:
    case MAKE_VALUE:
        break;
    }
    return no(rule, "it is not called in a state dict");
}

/* ('storage', class, key, location, numel) and in the legacy container a sixth part, None or (view
 * key, offset, size): a storage that is a window into another one. `key` becomes part of a member's
 * name, so it is kept short. */
eg_status eg_codec_pickle_persistent(eg_arena *arena, eg_pickle_storage **out,
                                     const eg_pickle_items *id, bool legacy, const char **rule) {
    if (id->n > 0 && eg_codec_pickle_is_text(&id->v[0], "module"))
        return no(rule,
                  "a whole model was pickled with its source - save model.state_dict() instead");
    if (id->n != (legacy ? 6u : 5u) || !eg_codec_pickle_is_text(&id->v[0], "storage"))
        return no(rule, "the persistent id is not ('storage', class, key, location, size)");
    const eg_pickle_value *v = id->v;
    if (v[1].kind != EG_PICKLE_GLOBAL || v[1].as.global->make != MAKE_STORAGE_CLASS)
        return no(rule, "its class is not a storage class");
    if (v[2].kind != EG_PICKLE_TEXT || v[2].size == 0 || v[2].size > 64)
        return no(rule, "its key is not a short text");
    if (v[3].kind != EG_PICKLE_TEXT) return no(rule, "its location is not text");
    eg_pickle_storage *s = eg_arena_get(arena, sizeof *s);
    if (s == NULL) return EG_ERR_NO_MEMORY;
    *s = (eg_pickle_storage){
        .key = v[2].as.text, .key_length = v[2].size, .dtype = v[1].as.global->dtype};
    if (!take_count(&s->root_numel, &v[4]) || s->root_numel > INT64_MAX / 8)
        return no(rule, "its size is not a count");
    s->numel = s->root_numel;
    if (legacy && v[5].kind != EG_PICKLE_NONE) {
        const eg_pickle_items *window = v[5].kind == EG_PICKLE_TUPLE ? v[5].as.items : NULL;
        if (window == NULL || window->n != 3 || window->v[0].kind != EG_PICKLE_TEXT ||
            !take_count(&s->start, &window->v[1]) || !take_count(&s->numel, &window->v[2]) ||
            s->start > s->root_numel || s->numel > s->root_numel - s->start)
            return no(rule, "its view lies outside of the storage");
    }
    *out = s;
    return EG_OK;
}
