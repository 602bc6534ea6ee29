/* A closed pickle reader: what torch.save writes, and nothing else. Private to the codec room.
 *
 * Nothing is ever executed: a pickle's "call this global" is looked up in a fixed table
 * (pickle_global.c) whose entries build a value of the kinds below. There is no flag to allow
 * more. */
#ifndef EG_CODEC_PICKLE_H
#define EG_CODEC_PICKLE_H

#include "codec/codec.h"

/* Limits: about 30 times what real files need (formats.md 1.5). */
#define EG_PICKLE_MAX_BYTES     ((size_t)64 << 20)
#define EG_PICKLE_MAX_OPS       1000000
#define EG_PICKLE_MAX_STACK     10000
#define EG_PICKLE_MAX_MEMO      100000
#define EG_PICKLE_MAX_DEPTH     64
#define EG_PICKLE_MAX_TEXT      ((size_t)1 << 20)
#define EG_PICKLE_MAX_ARENA     ((size_t)256 << 20)
#define EG_PICKLE_MAX_GET_RATIO 50 /* memo reads per memo write, once there are 1,000 reads */

typedef enum {
    EG_PICKLE_MARK, /* only on the stack, never inside a value */
    EG_PICKLE_NONE,
    EG_PICKLE_BOOL,
    EG_PICKLE_INT,
    EG_PICKLE_REAL,
    EG_PICKLE_TEXT,  /* UTF-8 */
    EG_PICKLE_TUPLE, /* torch.Size too */
    EG_PICKLE_LIST,
    EG_PICKLE_DICT,   /* OrderedDict too */
    EG_PICKLE_GLOBAL, /* a name of the table, not yet used */
    EG_PICKLE_STORAGE,
    EG_PICKLE_TENSOR,
    EG_PICKLE_OTHER /* harmless and of no use here: bytes, devices */
} eg_pickle_kind;

typedef struct eg_pickle_items eg_pickle_items;
typedef struct eg_pickle_global eg_pickle_global;

/* Raw numbers outside of the pickle, named by it. A legacy storage may be a window into another
 * one. */
typedef struct {
    const char *key; /* not NUL-terminated */
    size_t key_length;
    eg_dtype dtype;
    int64_t root_numel; /* elements stored under `key` */
    int64_t start;      /* first element of the window; 0 without one */
    int64_t numel;      /* elements of the window */
    size_t position;    /* in the pickle, for messages */
} eg_pickle_storage;

typedef struct {
    const eg_pickle_storage *storage;
    int n_dims;
    int64_t dims[EG_MAX_DIMS], strides[EG_MAX_DIMS]; /* elements; all >= 0 */
    int64_t offset;                                  /* elements from the start of the window */
} eg_pickle_tensor;

typedef struct {
    eg_pickle_kind kind;
    uint32_t size; /* TEXT: bytes */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *text;       /* view of the pickle, not NUL-terminated */
        eg_pickle_items *items; /* TUPLE, LIST, DICT */
        const eg_pickle_global *global;
        const eg_pickle_storage *storage;
        const eg_pickle_tensor *tensor; /* its last element lies inside its storage */
    } as;
} eg_pickle_value;

/* A container may change only until it becomes part of another one (a pickler always fills it
 * first), so values form no cycle and `depth` is final. They may share parts: walking all paths of
 * a hostile one needs a budget. */
struct eg_pickle_items {
    eg_pickle_value *v; /* DICT: key, value, key, value ... */
    size_t n, capacity; /* values in v; twice the pairs of a DICT */
    int depth;          /* 1 + deepest part */
    bool ordered;       /* made by collections.OrderedDict */
    bool frozen;        /* part of another container */
};

/* One or several pickles read with one set of limits; owns all values. */
typedef struct eg_pickle eg_pickle;

typedef struct {
    const uint8_t *data; /* borrowed as long as the values */
    size_t size;
    size_t start;        /* where the pickle begins in `data`; messages count from data[0] */
    int64_t file_offset; /* of data[0], for eg_error.offset */
    const char *where;   /* begins every message: "data.pkl", "pickle" */
    bool legacy;         /* persistent ids have the six parts of the legacy container */
    bool tar;            /* persistent ids are numbers as text; INT of Python 2 is read */
    /* tar only: what the number names; false: nothing. NULL where no id may stand. */
    bool (*lookup)(eg_pickle_value *out, void *context, int64_t number);
    void *context;
} eg_pickle_source;

eg_pickle *eg_codec_pickle_new(void); /* NULL: no memory */
void eg_codec_pickle_free(eg_pickle *p);
/* Read one pickle up to its STOP; *end is the position behind it. EG_ERR_INPUT, EG_ERR_LIMIT,
 * EG_ERR_NO_MEMORY. */
eg_status eg_codec_pickle_read(eg_pickle *p, eg_pickle_value *root, size_t *end,
                               const eg_pickle_source *source, eg_error *err);
/* Names of the globals met so far, "module.name", each once. */
size_t eg_codec_pickle_n_globals(const eg_pickle *p);
const char *eg_codec_pickle_global_at(const eg_pickle *p, size_t i);
/* Storages met so far, one for each mention. */
size_t eg_codec_pickle_n_storages(const eg_pickle *p);
const eg_pickle_storage *eg_codec_pickle_storage_at(const eg_pickle *p, size_t i);
/* True when `v` is text equal to `text`. */
bool eg_codec_pickle_is_text(const eg_pickle_value *v, const char *text);

/* ---- pickle_global.c: the table of globals and what each builds ---- */

/* NULL: not in the table. */
const eg_pickle_global *eg_codec_pickle_global_find(const char *module, size_t module_length,
                                                    const char *name, size_t name_length);
const char *eg_codec_pickle_global_name(const eg_pickle_global *global);
/* The value that naming the global pushes (a dtype is a value already). */
eg_pickle_value eg_codec_pickle_global_value(const eg_pickle_global *global);
/* "Call" `fn` with the tuple `args`. `position` is where the REDUCE is. On refusal *rule says
 * why. */
eg_status eg_codec_pickle_call(eg_arena *arena, eg_pickle_value *out, const eg_pickle_value *fn,
                               const eg_pickle_items *args, const char **rule);
/* True when `v` is the name of a class of storages, or of one of tensors (torch.FloatTensor, of the tar
 * container); *out is the type of its elements. */
bool eg_codec_pickle_storage_class(eg_dtype *out, const eg_pickle_value *v);
bool eg_codec_pickle_tensor_class(eg_dtype *out, const eg_pickle_value *v);
/* All counts are at least 0 and the last element lies inside the storage. */
bool eg_codec_pickle_tensor_fits(const eg_pickle_tensor *t);
/* Turn the tuple of a persistent id into a storage. */
eg_status eg_codec_pickle_persistent(eg_arena *arena, eg_pickle_storage **out,
                                     const eg_pickle_items *id, bool legacy, const char **rule);
/* Put `v` behind the other values; EG_ERR_INPUT when the container is in use already or too
 * deep. */
eg_status eg_codec_pickle_append(eg_arena *arena, eg_pickle_items *to, const eg_pickle_value *v,
                                 const char **rule);

/* ---- pickle_scan.c: names in a pickle that need not be readable ---- */

/* Name of an opcode, "?" when there is none. */
const char *eg_codec_pickle_opcode_name(uint8_t opcode);
/* Called for each global; `allowed`: it is in the table. False stops the scan. */
typedef bool (*eg_pickle_scan_fn)(void *context, const char *name, size_t position, bool allowed);
/* Walk one pickle (protocols 0 to 5) from `start` without building anything; ends at STOP or at the
 * first byte that makes no sense. Returns the position behind the last opcode understood. */
size_t eg_codec_pickle_scan(const uint8_t *data, size_t size, size_t start, eg_pickle_scan_fn fn,
                            void *context);
/* The message for a global that is not allowed, with EG_ERR_INPUT. */
eg_status eg_codec_pickle_refuse_global(eg_error *err, const eg_pickle_source *source,
                                        const char *name, size_t position);

#endif
