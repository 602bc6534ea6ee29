/* The pickle machine: 34 opcodes of protocol 2 (and INT of Python 2 in the tar container), a stack, a
 * memo, and limits on everything.
 *
 * Builds values only; what a global may build is decided in pickle_global.c, which storages exist
 * in torch_zip.c and torch_legacy.c. Opcodes that torch.save does not write are refused by name
 * even where they would be harmless: less to get wrong. Read pickle.h first. */
#include "codec/pickle.h"

#include "codec/utf8.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    eg_pickle_value value;
    uint32_t pickle; /* number of the pickle that wrote it; 0: none */
} memo_slot;

struct eg_pickle {
    eg_arena *arena;
    eg_pickle_value *stack; /* grows up to EG_PICKLE_MAX_STACK */
    size_t n_stack, stack_capacity;
    memo_slot
        *memo; /* never cleared: a file of a hundred thousand pickles would make that costly */
    size_t memo_capacity;
    uint32_t n_pickles; /* read so far, with the current one */
    const char **globals;
    size_t n_globals, globals_capacity;
    const eg_pickle_storage **storages;
    size_t n_storages, storages_capacity;
    /* of the pickle being read */
    const eg_pickle_source *source;
    eg_cursor in;
    size_t op_at; /* position of the current opcode */
    uint64_t n_ops, n_gets, n_puts;
};

eg_pickle *eg_codec_pickle_new(void) {
    eg_pickle *p = eg_calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    p->arena = eg_arena_new((size_t)16 << 10, EG_PICKLE_MAX_ARENA);
    if (p->arena != NULL) return p;
    eg_codec_pickle_free(p);
    return NULL;
}

void eg_codec_pickle_free(eg_pickle *p) {
    if (p == NULL) return;
    eg_free(p->stack);
    eg_free(p->memo);
    eg_free(p->globals);
    eg_free(p->storages);
    eg_arena_free(p->arena);
    eg_free(p);
}

size_t eg_codec_pickle_n_globals(const eg_pickle *p) {
    return p->n_globals;
}
const char *eg_codec_pickle_global_at(const eg_pickle *p, size_t i) {
    return p->globals[i];
}
size_t eg_codec_pickle_n_storages(const eg_pickle *p) {
    return p->n_storages;
}
const eg_pickle_storage *eg_codec_pickle_storage_at(const eg_pickle *p, size_t i) {
    return p->storages[i];
}

bool eg_codec_pickle_is_text(const eg_pickle_value *v, const char *text) {
    return v->kind == EG_PICKLE_TEXT && v->size == strlen(text) &&
           memcmp(v->as.text, text, v->size) == 0;
}

/* ---- refusals ---- */

/* "where: what at byte N: rule" */
static eg_status refuse(eg_pickle *p, eg_error *err, eg_status status, const char *what,
                        const char *rule) {
    if (status == EG_ERR_NO_MEMORY)
        return eg_fail(err, status, "%s: no memory, or more than %zu MiB of values",
                       p->source->where, EG_PICKLE_MAX_ARENA >> 20);
    return eg_fail_at(err, status, p->source->file_offset + (int64_t)p->op_at,
                      "%s: %s at byte %zu: %s", p->source->where, what, p->op_at, rule);
}

/* The opcode at fault is the current one: its name is part of the message. */
static eg_status refuse_op(eg_pickle *p, eg_error *err, const char *rule) {
    return refuse(p, err, EG_ERR_INPUT, eg_codec_pickle_opcode_name(p->source->data[p->op_at]),
                  rule);
}

static eg_status over_limit(eg_pickle *p, eg_error *err, const char *rule) {
    return refuse(p, err, EG_ERR_LIMIT, eg_codec_pickle_opcode_name(p->source->data[p->op_at]),
                  rule);
}

static eg_status cut_off(eg_pickle *p, eg_error *err) {
    return refuse_op(p, err, "the pickle is cut off");
}

/* ---- stack and memo ---- */

/* Doubling growth of a heap list. */
static bool grow(void **items, size_t *capacity, size_t wanted, size_t item_bytes) {
    if (wanted <= *capacity) return true;
    size_t n = *capacity == 0 ? 64 : *capacity;
    while (n < wanted) n *= 2;
    void *grown = eg_realloc(*items, *capacity * item_bytes, n * item_bytes);
    if (grown == NULL) return false;
    memset((char *)grown + *capacity * item_bytes, 0, (n - *capacity) * item_bytes);
    *items = grown;
    *capacity = n;
    return true;
}

static eg_status push(eg_pickle *p, eg_pickle_value v, eg_error *err) {
    if (p->n_stack == EG_PICKLE_MAX_STACK) return over_limit(p, err, "the stack is full");
    if (!grow((void **)&p->stack, &p->stack_capacity, p->n_stack + 1, sizeof v))
        return refuse(p, err, EG_ERR_NO_MEMORY, "", "");
    p->stack[p->n_stack++] = v;
    return EG_OK;
}

/* The value `depth` below the top, which no mark may separate from the top; NULL when there is
 * none. */
static eg_pickle_value *peek(eg_pickle *p, size_t depth) {
    if (depth >= p->n_stack) return NULL;
    for (size_t i = 0; i <= depth; i++)
        if (p->stack[p->n_stack - 1 - i].kind == EG_PICKLE_MARK) return NULL;
    return &p->stack[p->n_stack - 1 - depth];
}

/* Index of the first value above the last mark, or 0 when there is no mark (a mark is never at
 * index -1). */
static size_t above_mark(const eg_pickle *p) {
    size_t i = p->n_stack;
    while (i > 0 && p->stack[i - 1].kind != EG_PICKLE_MARK) i--;
    return i;
}

/* PUT: the value on top under a number. Pickles of torch number from 0 without gaps, but a hostile
 * one may ask for slot 2^32: the limit comes before the allocation. */
static eg_status memo_put(eg_pickle *p, uint32_t slot, eg_error *err) {
    const eg_pickle_value *top = peek(p, 0);
    if (top == NULL) return refuse_op(p, err, "there is no value to remember");
    if (slot >= EG_PICKLE_MAX_MEMO) return over_limit(p, err, "the memo is full");
    if (!grow((void **)&p->memo, &p->memo_capacity, (size_t)slot + 1, sizeof *p->memo))
        return refuse(p, err, EG_ERR_NO_MEMORY, "", "");
    p->memo[slot] = (memo_slot){*top, p->n_pickles};
    p->n_puts++;
    return EG_OK;
}

/* GET: values are shared, never copied, so a memo bomb costs its author more than us; the ratio is
 * a second line of defence and what the scanners look for. */
static eg_status memo_get(eg_pickle *p, uint32_t slot, eg_error *err) {
    if (slot >= p->memo_capacity || p->memo[slot].pickle != p->n_pickles)
        return refuse_op(p, err, "nothing was remembered under this number");
    if (++p->n_gets > 1000 && p->n_gets > EG_PICKLE_MAX_GET_RATIO * p->n_puts)
        return over_limit(p, err, "far more reads than writes of the memo: a memo bomb");
    return push(p, p->memo[slot].value, err);
}

/* ---- containers ---- */

/* A new container of everything from stack index `first` on, which it replaces. `first` == n_stack
 * makes an empty one. */
static eg_status push_items(eg_pickle *p, eg_pickle_kind kind, size_t first, eg_error *err) {
    eg_pickle_items *items = eg_arena_get(p->arena, sizeof *items);
    if (items == NULL) return refuse(p, err, EG_ERR_NO_MEMORY, "", "");
    *items = (eg_pickle_items){.depth = 1};
    for (size_t i = first; i < p->n_stack; i++) {
        const char *rule = "";
        eg_status status = eg_codec_pickle_append(p->arena, items, &p->stack[i], &rule);
        if (status != EG_OK) return refuse(p, err, status, "container", rule);
    }
    p->n_stack = first;
    return push(p, (eg_pickle_value){.kind = kind, .as.items = items}, err);
}

/* EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3. */
static eg_status make_tuple_of_top(eg_pickle *p, size_t n, eg_error *err) {
    if (n > 0 && peek(p, n - 1) == NULL) return refuse_op(p, err, "not enough values");
    return push_items(p, EG_PICKLE_TUPLE, p->n_stack - n, err);
}

/* TUPLE: everything above the last mark, and the mark goes too. */
static eg_status make_tuple_from_mark(eg_pickle *p, eg_error *err) {
    size_t first = above_mark(p);
    if (first == 0) return refuse_op(p, err, "there is no mark");
    EG_TRY(push_items(p, EG_PICKLE_TUPLE, first, err));
    p->stack[p->n_stack - 2] = p->stack[p->n_stack - 1]; /* over the mark */
    p->n_stack--;
    return EG_OK;
}

/* Move the values from `first` on into the container below them (and below the mark, if there was
 * one). */
static eg_status fill(eg_pickle *p, eg_pickle_kind kind, size_t first, size_t n_marks,
                      eg_error *err) {
    size_t at = first - n_marks; /* one above the container */
    if (at == 0 || p->stack[at - 1].kind != kind)
        return refuse_op(
            p, err, kind == EG_PICKLE_DICT ? "only a dict takes these" : "only a list takes these");
    if (kind == EG_PICKLE_DICT && (p->n_stack - first) % 2 != 0)
        return refuse_op(p, err, "a key without a value");
    eg_pickle_items *to = p->stack[at - 1].as.items;
    for (size_t i = first; i < p->n_stack; i++) {
        const eg_pickle_value *v = &p->stack[i];
        bool is_key = kind == EG_PICKLE_DICT && (i - first) % 2 == 0;
        if (is_key && v->kind != EG_PICKLE_TEXT && v->kind != EG_PICKLE_INT)
            return refuse_op(p, err, "keys of a dict are text or integers here");
        const char *rule = "";
        eg_status status = eg_codec_pickle_append(p->arena, to, v, &rule);
        if (status != EG_OK)
            return refuse(p, err, status, eg_codec_pickle_opcode_name(p->source->data[p->op_at]),
                          rule);
    }
    p->n_stack = at;
    return EG_OK;
}

/* APPENDS and SETITEMS. */
static eg_status fill_from_mark(eg_pickle *p, eg_pickle_kind kind, eg_error *err) {
    size_t first = above_mark(p);
    if (first == 0) return refuse_op(p, err, "there is no mark");
    return fill(p, kind, first, 1, err);
}

/* APPEND and SETITEM. */
static eg_status fill_from_top(eg_pickle *p, eg_pickle_kind kind, size_t n, eg_error *err) {
    if (peek(p, n) == NULL) return refuse_op(p, err, "not enough values");
    return fill(p, kind, p->n_stack - n, 0, err);
}

/* ---- scalars ---- */

static eg_status push_integer(eg_pickle *p, int64_t value, eg_error *err) {
    return push(p, (eg_pickle_value){.kind = EG_PICKLE_INT, .as.integer = value}, err);
}

static eg_status push_bool(eg_pickle *p, bool value, eg_error *err) {
    return push(p, (eg_pickle_value){.kind = EG_PICKLE_BOOL, .as.boolean = value}, err);
}

/* LONG1: little-endian two's complement of n bytes. */
static eg_status push_long(eg_pickle *p, eg_error *err) {
    uint8_t n;
    if (!eg_cursor_u8(&p->in, &n)) return cut_off(p, err);
    if (n > 8) return over_limit(p, err, "integers have at most 8 bytes here");
    const uint8_t *bytes = eg_cursor_take(&p->in, n);
    if (n > 0 && bytes == NULL) return cut_off(p, err);
    uint64_t value = n > 0 && (bytes[n - 1] & 0x80) ? ~(uint64_t)0 : 0;
    for (int i = n - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return push_integer(p, (int64_t)value, err);
}

/* BINFLOAT: the only big-endian number of the format. */
static eg_status push_real(eg_pickle *p, eg_error *err) {
    const uint8_t *bytes = eg_cursor_take(&p->in, 8);
    if (bytes == NULL) return cut_off(p, err);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    eg_pickle_value v = {.kind = EG_PICKLE_REAL};
    memcpy(&v.as.real, &bits, sizeof bits);
    return push(p, v, err);
}

/* Decimal digits with a sign, as Python 2 wrote integers of more than 32 bits: addresses. */
static bool parse_decimal(int64_t *out, const char *text, size_t n) {
    bool negative = n > 0 && text[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < n; i++)
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text[i] - '0', &value))
            return false;
    if (n == negative || (!negative && value == INT64_MIN)) return false;
    *out = negative ? value : -value; /* counted downwards, where there is one number more */
    return true;
}

/* SHORT_BINSTRING is Python 2's str, which in files of that time is ASCII; BINUNICODE is UTF-8.
 * Both become text, a view of the pickle: nothing is copied before a tensor gets its name. */
static eg_status push_text(eg_pickle *p, uint32_t n, eg_error *err) {
    if (n > EG_PICKLE_MAX_TEXT) return over_limit(p, err, "a text of more than 1 MiB");
    const uint8_t *bytes = eg_cursor_take(&p->in, n);
    if (bytes == NULL && n > 0) return cut_off(p, err);
    if (!eg_codec_utf8_valid(bytes, n)) return refuse_op(p, err, "the text is not UTF-8");
    return push(
        p, (eg_pickle_value){.kind = EG_PICKLE_TEXT, .size = n, .as.text = (const char *)bytes},
        err);
}

/* ---- globals, calls, storages ---- */

/* For `inspect`: which names of the table a file uses. `name` is the table's own string, so
 * pointers compare. */
static eg_status remember_global(eg_pickle *p, const char *name, eg_error *err) {
    for (size_t i = 0; i < p->n_globals; i++) /* at most the length of the table */
        if (p->globals[i] == name) return EG_OK;
    if (!grow((void **)&p->globals, &p->globals_capacity, p->n_globals + 1, sizeof *p->globals))
        return refuse(p, err, EG_ERR_NO_MEMORY, "", "");
    p->globals[p->n_globals++] = name;
    return EG_OK;
}

/* The rest of the line; its newline is passed over. NULL: cut off. */
static const char *take_line(eg_pickle *p, size_t *n) {
    const uint8_t *from = p->in.data + p->in.pos;
    const uint8_t *end = memchr(from, '\n', p->in.size - p->in.pos);
    if (end == NULL) return NULL;
    *n = (size_t)(end - from);
    eg_cursor_skip(&p->in, *n + 1);
    return (const char *)from;
}

/* INT: a line of decimal digits. */
static eg_status push_line_integer(eg_pickle *p, eg_error *err) {
    size_t n;
    int64_t value;
    const char *line = take_line(p, &n);
    if (line == NULL) return cut_off(p, err);
    if (!parse_decimal(&value, line, n)) return refuse_op(p, err, "not a decimal integer");
    return push_integer(p, value, err);
}

/* GLOBAL: two lines, module and name. The one place where a file asks for something by name, and
 * the one place where the answer is no unless the table says otherwise. */
static eg_status push_global(eg_pickle *p, eg_error *err) {
    size_t module_length, name_length;
    const char *module = take_line(p, &module_length);
    const char *name = module != NULL ? take_line(p, &name_length) : NULL;
    if (name == NULL) return cut_off(p, err);
    const eg_pickle_global *global =
        eg_codec_pickle_global_find(module, module_length, name, name_length);
    if (global == NULL) {
        char left[128], right[128], both[260];
        eg_codec_printable(left, sizeof left, module, module_length);
        eg_codec_printable(right, sizeof right, name, name_length);
        snprintf(both, sizeof both, "%s.%s", left, right);
        return eg_codec_pickle_refuse_global(err, p->source, both, p->op_at);
    }
    EG_TRY(remember_global(p, eg_codec_pickle_global_name(global), err));
    return push(p, eg_codec_pickle_global_value(global), err);
}

/* REDUCE: "call" the global below the top with the tuple on top. Nothing is called: the table says
 * what to build. */
static eg_status reduce(eg_pickle *p, eg_error *err) {
    const eg_pickle_value *args = peek(p, 0), *fn = peek(p, 1);
    if (fn == NULL || args->kind != EG_PICKLE_TUPLE || fn->kind != EG_PICKLE_GLOBAL)
        return refuse_op(p, err, "not a global and a tuple");
    const char *rule = "", *name = eg_codec_pickle_global_name(fn->as.global);
    eg_pickle_value made;
    eg_status status = eg_codec_pickle_call(p->arena, &made, fn, args->as.items, &rule);
    if (status != EG_OK) return refuse(p, err, status, name, rule);
    p->n_stack -= 2;
    return push(p, made, err);
}

/* OrderedDict carries `_metadata` (module versions) as its state: not needed, so its contents are
 * dropped. */
static eg_status build(eg_pickle *p, eg_error *err) {
    const eg_pickle_value *object = peek(p, 1);
    if (object == NULL || object->kind != EG_PICKLE_DICT || !object->as.items->ordered)
        return refuse_op(p, err, "only an OrderedDict has a state here");
    p->n_stack--;
    return EG_OK;
}

/* BINPERSID of the tar container: the text on top is the number of a tensor read before. */
static eg_status persistent_number(eg_pickle *p, eg_error *err) {
    const eg_pickle_value *id = peek(p, 0);
    int64_t number;
    eg_pickle_value found;
    if (id == NULL || id->kind != EG_PICKLE_TEXT || p->source->lookup == NULL ||
        !parse_decimal(&number, id->as.text, id->size))
        return refuse_op(p, err,
                         "the id is not a number - a whole model with its source? Save "
                         "model.state_dict() instead");
    if (!p->source->lookup(&found, p->source->context, number))
        return refuse_op(p, err, "no tensor of the file has this number");
    p->n_stack--;
    return push(p, found, err);
}

/* BINPERSID: the tuple on top names a storage outside of the pickle. Where its bytes are is for the
 * container's reader to find; here only its claim is kept. */
static eg_status persistent(eg_pickle *p, eg_error *err) {
    if (p->source->tar) return persistent_number(p, err);
    const eg_pickle_value *id = peek(p, 0);
    if (id == NULL || id->kind != EG_PICKLE_TUPLE)
        return refuse_op(p, err, "the id is not a tuple");
    eg_pickle_storage *storage;
    const char *rule = "";
    eg_status status =
        eg_codec_pickle_persistent(p->arena, &storage, id->as.items, p->source->legacy, &rule);
    if (status != EG_OK) return refuse(p, err, status, "storage", rule);
    storage->position = p->op_at;
    if (!grow((void **)&p->storages, &p->storages_capacity, p->n_storages + 1, sizeof *p->storages))
        return refuse(p, err, EG_ERR_NO_MEMORY, "", "");
    p->storages[p->n_storages++] = storage;
    p->n_stack--;
    return push(p, (eg_pickle_value){.kind = EG_PICKLE_STORAGE, .as.storage = storage}, err);
}

static eg_status new_items(eg_pickle *p, eg_pickle_kind kind, eg_error *err) {
    return push_items(p, kind, p->n_stack, err);
}

/* ---- the machine ---- */

/* An opcode with an argument of fixed size: 1, 2 or 4 bytes, little endian. */
static bool take_number(eg_pickle *p, size_t n_bytes, uint32_t *value) {
    const uint8_t *bytes = eg_cursor_take(&p->in, n_bytes);
    *value = 0;
    for (size_t i = 0; bytes != NULL && i < n_bytes; i++) *value |= (uint32_t)bytes[i] << 8 * i;
    return bytes != NULL;
}

/* Width of the number that follows the opcode; 0 where there is none, or where it is read
 * elsewhere. */
static size_t number_bytes(uint8_t op) {
    switch (op) {
    case 'K':
    case 'h':
    case 'q':
    case 'U':
        return 1; /* BININT1 BINGET BINPUT SHORT_BINSTRING */
    case 'M':
        return 2; /* BININT2 */
    case 'J':
    case 'j':
    case 'r':
    case 'X':
        return 4; /* BININT LONG_BINGET LONG_BINPUT BINUNICODE */
    default:
        return 0;
    }
}

/* One opcode. The cases are the allow-list: what is not named here does not exist. */
static eg_status step(eg_pickle *p, uint8_t op, eg_error *err) {
    uint32_t n = 0;
    if (number_bytes(op) > 0 && !take_number(p, number_bytes(op), &n)) return cut_off(p, err);
    switch (op) {
    case '(':
        return push(p, (eg_pickle_value){.kind = EG_PICKLE_MARK}, err);
    case 'N':
        return push(p, (eg_pickle_value){.kind = EG_PICKLE_NONE}, err);
    case 0x88:
        return push_bool(p, true, err);
    case 0x89:
        return push_bool(p, false, err);
    case 'K':
    case 'M':
        return push_integer(p, n, err);
    case 'J':
        return push_integer(p, (int32_t)n, err);
    case 0x8a:
        return push_long(p, err);
    case 'G':
        return push_real(p, err);
    case 'U':
    case 'X':
        return push_text(p, n, err);
    case 'q':
    case 'r':
        return memo_put(p, n, err);
    case 'h':
    case 'j':
        return memo_get(p, n, err);
    case '}':
        return new_items(p, EG_PICKLE_DICT, err);
    case ']':
        return new_items(p, EG_PICKLE_LIST, err);
    case ')':
        return make_tuple_of_top(p, 0, err);
    case 0x85:
        return make_tuple_of_top(p, 1, err);
    case 0x86:
        return make_tuple_of_top(p, 2, err);
    case 0x87:
        return make_tuple_of_top(p, 3, err);
    case 't':
        return make_tuple_from_mark(p, err);
    case 'a':
        return fill_from_top(p, EG_PICKLE_LIST, 1, err);
    case 'e':
        return fill_from_mark(p, EG_PICKLE_LIST, err);
    case 's':
        return fill_from_top(p, EG_PICKLE_DICT, 2, err);
    case 'u':
        return fill_from_mark(p, EG_PICKLE_DICT, err);
    case 'c':
        return push_global(p, err);
    case 'R':
        return reduce(p, err);
    case 'b':
        return build(p, err);
    case 'Q':
        return persistent(p, err);
    case 'I':
        if (p->source->tar) return push_line_integer(p, err);
        break;
    default:
        break;
    }
    return refuse_op(p, err,
                     "this opcode is not allowed: torch.save needs none of its kind for a state "
                     "dict; nothing was executed");
}

typedef struct {
    char name[260];
    size_t position;
} first_bad;

static bool keep_first_bad(void *context, const char *name, size_t position, bool allowed) {
    first_bad *bad = context;
    if (allowed) return true;
    snprintf(bad->name, sizeof bad->name, "%s", name);
    bad->position = position;
    return false;
}

/* PROTO 2 comes first. Another protocol is refused too, but a dangerous global in it is the better
 * news. */
static eg_status check_protocol(eg_pickle *p, eg_error *err) {
    const eg_pickle_source *s = p->source;
    size_t left = p->in.size - p->in.pos;
    const uint8_t *at = s->data + p->in.pos;
    if (left >= 2 && at[0] == 0x80 && at[1] == 2)
        return eg_cursor_skip(&p->in, 2) ? EG_OK : EG_ERR_INTERNAL;
    first_bad bad = {.name = ""};
    eg_codec_pickle_scan(s->data, s->size, p->in.pos, keep_first_bad, &bad);
    if (bad.name[0] != 0) return eg_codec_pickle_refuse_global(err, s, bad.name, bad.position);
    if (left >= 2 && at[0] == 0x80)
        return eg_fail_at(
            err, EG_ERR_INPUT, s->file_offset + (int64_t)p->in.pos,
            "%s: pickle protocol %d at byte %zu, only protocol 2 is read - save again "
            "with torch.save and its default protocol",
            s->where, at[1], p->in.pos);
    return eg_fail_at(err, EG_ERR_INPUT, s->file_offset + (int64_t)p->in.pos,
                      "%s: no pickle at byte %zu", s->where, p->in.pos);
}

/* Limits count over all pickles of one file (n_ops, arena), the memo and the stack start afresh
 * with each. A pickle that is not complete within its size limit is told from one that is cut off
 * by where the file ends. */
eg_status eg_codec_pickle_read(eg_pickle *p, eg_pickle_value *root, size_t *end,
                               const eg_pickle_source *source, eg_error *err) {
    p->source = source;
    p->n_stack = 0;
    p->n_pickles++;
    size_t limit = source->size;
    if (limit - source->start > EG_PICKLE_MAX_BYTES) limit = source->start + EG_PICKLE_MAX_BYTES;
    p->in = (eg_cursor){.data = source->data, .size = limit, .pos = source->start};
    p->op_at = source->start;
    EG_TRY(check_protocol(p, err));
    for (;;) {
        uint8_t op;
        p->op_at = p->in.pos;
        if (!eg_cursor_u8(&p->in, &op)) {
            if (limit == source->size)
                return eg_fail_at(err, EG_ERR_INPUT, source->file_offset + (int64_t)p->op_at,
                                  "%s: the pickle is cut off at byte %zu", source->where, p->op_at);
            return eg_fail(err, EG_ERR_LIMIT, "%s: a pickle of more than %zu MiB", source->where,
                           EG_PICKLE_MAX_BYTES >> 20);
        }
        if (++p->n_ops > EG_PICKLE_MAX_OPS)
            return over_limit(p, err, "more than a million opcodes");
        if (op == '.') break;
        EG_TRY(step(p, op, err));
    }
    if (p->n_stack != 1 || peek(p, 0) == NULL)
        return refuse_op(p, err, "the pickle does not end with exactly one value");
    *root = p->stack[0];
    *end = p->in.pos;
    return EG_OK;
}
