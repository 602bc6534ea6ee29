/* Lists the globals of any pickle, readable or not, for `inspect` and for messages.
 *
 * Knows the lengths of the opcodes of protocols 0 to 5 and nothing of what they do; builds no
 * value. STACK_GLOBAL takes its names from the stack, so the last two texts pushed stand in for it,
 * with the memo of texts followed (the method of the known pickle scanners). A hostile file may
 * fool that guess: the reader itself refuses STACK_GLOBAL. */
#include "codec/pickle.h"

#include "codec/utf8.h"

#include <stdio.h>
#include <string.h>

/* How an opcode's argument is laid out. */
typedef enum {
    UNKNOWN,
    NO_ARGUMENT,
    BYTES_1,
    BYTES_2,
    BYTES_4,
    BYTES_8,
    LINE, /* up to a newline */
    LINES_2,
    SIZED_1, /* length of 1 byte, then so many bytes */
    SIZED_4,
    SIZED_8
} argument;

static const struct {
    uint8_t opcode;
    argument argument;
    const char *name;
} opcodes[] = {
    {'(', NO_ARGUMENT, "MARK"},
    {'.', NO_ARGUMENT, "STOP"},
    {'0', NO_ARGUMENT, "POP"},
    {'1', NO_ARGUMENT, "POP_MARK"},
    {'2', NO_ARGUMENT, "DUP"},
    {'F', LINE, "FLOAT"},
    {'I', LINE, "INT"},
    {'J', BYTES_4, "BININT"},
    {'K', BYTES_1, "BININT1"},
    {'L', LINE, "LONG"},
    {'M', BYTES_2, "BININT2"},
    {'N', NO_ARGUMENT, "NONE"},
    {'P', LINE, "PERSID"},
    {'Q', NO_ARGUMENT, "BINPERSID"},
    {'R', NO_ARGUMENT, "REDUCE"},
    {'S', LINE, "STRING"},
    {'T', SIZED_4, "BINSTRING"},
    {'U', SIZED_1, "SHORT_BINSTRING"},
    {'V', LINE, "UNICODE"},
    {'X', SIZED_4, "BINUNICODE"},
    {'a', NO_ARGUMENT, "APPEND"},
    {'b', NO_ARGUMENT, "BUILD"},
    {'c', LINES_2, "GLOBAL"},
    {'d', NO_ARGUMENT, "DICT"},
    {'}', NO_ARGUMENT, "EMPTY_DICT"},
    {'e', NO_ARGUMENT, "APPENDS"},
    {'g', LINE, "GET"},
    {'h', BYTES_1, "BINGET"},
    {'i', LINES_2, "INST"},
    {'j', BYTES_4, "LONG_BINGET"},
    {'l', NO_ARGUMENT, "LIST"},
    {']', NO_ARGUMENT, "EMPTY_LIST"},
    {'o', NO_ARGUMENT, "OBJ"},
    {'p', LINE, "PUT"},
    {'q', BYTES_1, "BINPUT"},
    {'r', BYTES_4, "LONG_BINPUT"},
    {'s', NO_ARGUMENT, "SETITEM"},
    {'t', NO_ARGUMENT, "TUPLE"},
    {')', NO_ARGUMENT, "EMPTY_TUPLE"},
    {'u', NO_ARGUMENT, "SETITEMS"},
    {'G', BYTES_8, "BINFLOAT"},
    {'B', SIZED_4, "BINBYTES"},
    {'C', SIZED_1, "SHORT_BINBYTES"},
    {0x80, BYTES_1, "PROTO"},
    {0x81, NO_ARGUMENT, "NEWOBJ"},
    {0x82, BYTES_1, "EXT1"},
    {0x83, BYTES_2, "EXT2"},
    {0x84, BYTES_4, "EXT4"},
    {0x85, NO_ARGUMENT, "TUPLE1"},
    {0x86, NO_ARGUMENT, "TUPLE2"},
    {0x87, NO_ARGUMENT, "TUPLE3"},
    {0x88, NO_ARGUMENT, "NEWTRUE"},
    {0x89, NO_ARGUMENT, "NEWFALSE"},
    {0x8a, SIZED_1, "LONG1"},
    {0x8b, SIZED_4, "LONG4"},
    {0x8c, SIZED_1, "SHORT_BINUNICODE"},
    {0x8d, SIZED_8, "BINUNICODE8"},
    {0x8e, SIZED_8, "BINBYTES8"},
    {0x8f, NO_ARGUMENT, "EMPTY_SET"},
    {0x90, NO_ARGUMENT, "ADDITEMS"},
    {0x91, NO_ARGUMENT, "FROZENSET"},
    {0x92, NO_ARGUMENT, "NEWOBJ_EX"},
    {0x93, NO_ARGUMENT, "STACK_GLOBAL"},
    {0x94, NO_ARGUMENT, "MEMOIZE"},
    {0x95, BYTES_8, "FRAME"},
    {0x96, SIZED_8, "BYTEARRAY8"},
    {0x97, NO_ARGUMENT, "NEXT_BUFFER"},
    {0x98, NO_ARGUMENT, "READONLY_BUFFER"},
};

const char *eg_codec_pickle_opcode_name(uint8_t opcode) {
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++)
        if (opcodes[i].opcode == opcode) return opcodes[i].name;
    return "unknown opcode";
}

static argument argument_of(uint8_t opcode) {
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++)
        if (opcodes[i].opcode == opcode) return opcodes[i].argument;
    return UNKNOWN;
}

typedef struct {
    const uint8_t *bytes;
    size_t n;
} span;

enum { MEMO_TEXTS = 1024 }; /* enough for the names; more is only forgotten */

typedef struct {
    eg_cursor in;
    span texts[2];         /* the last two texts pushed, newest last */
    span memo[MEMO_TEXTS]; /* texts only */
    size_t n_memoized;     /* MEMOIZE numbers its slots */
    bool top_is_text;      /* texts[1] is what is on top of the stack */
    eg_pickle_scan_fn fn;
    void *context;
} scan;

/* A length of `length_bytes` bytes, then so many bytes. The comparison is with what is left, so a
 * length near 2^64 cannot wrap around. */
static bool take_sized(eg_cursor *in, size_t length_bytes, span *out) {
    const uint8_t *l = eg_cursor_take(in, length_bytes);
    if (l == NULL) return false;
    uint64_t n = 0;
    for (size_t i = 0; i < length_bytes; i++) n |= (uint64_t)l[i] << 8 * i;
    if (n > in->size - in->pos) return false;
    *out = (span){in->data + in->pos, (size_t)n};
    return eg_cursor_skip(in, (size_t)n);
}

/* Text protocols: an argument ends with a newline. */
static bool take_line(eg_cursor *in, span *out) {
    const uint8_t *from = in->data + in->pos;
    const uint8_t *end = in->pos < in->size ? memchr(from, '\n', in->size - in->pos) : NULL;
    if (end == NULL) return false;
    *out = (span){from, (size_t)(end - from)};
    return eg_cursor_skip(in, out->n + 1);
}

/* False: cut off, or an opcode that does not exist. */
static bool take_argument(eg_cursor *in, argument kind, span out[2]) {
    static const size_t fixed[] = {[BYTES_1] = 1, [BYTES_2] = 2, [BYTES_4] = 4, [BYTES_8] = 8};
    switch (kind) {
    case NO_ARGUMENT:
        return true;
    case BYTES_1:
    case BYTES_2:
    case BYTES_4:
    case BYTES_8:
        out[0] = (span){eg_cursor_take(in, fixed[kind]), fixed[kind]};
        return out[0].bytes != NULL;
    case LINE:
        return take_line(in, &out[0]);
    case LINES_2:
        return take_line(in, &out[0]) && take_line(in, &out[1]);
    case SIZED_1:
        return take_sized(in, 1, &out[0]);
    case SIZED_4:
        return take_sized(in, 4, &out[0]);
    case SIZED_8:
        return take_sized(in, 8, &out[0]);
    case UNKNOWN:
        break;
    }
    return false;
}

/* Hand a global to the caller, with the table's verdict on it. */
static bool report(scan *s, span module, span name, size_t position) {
    char left[128], right[128], both[260];
    eg_codec_printable(left, sizeof left, module.bytes, module.n);
    eg_codec_printable(right, sizeof right, name.bytes, name.n);
    snprintf(both, sizeof both, "%s.%s", left, right);
    bool allowed = eg_codec_pickle_global_find((const char *)module.bytes, module.n,
                                               (const char *)name.bytes, name.n) != NULL;
    return s->fn(s->context, both, position, allowed);
}

/* A text was pushed: it may become the name of a STACK_GLOBAL. */
static void see_text(scan *s, span text) {
    s->texts[0] = s->texts[1];
    s->texts[1] = text;
    s->top_is_text = true;
}

/* Slot number of GET and PUT in all their spellings. */
static size_t slot_of(uint8_t op, span a) {
    size_t slot = 0;
    for (size_t i = 0; i < a.n && slot < MEMO_TEXTS; i++)
        slot = op == 'g' || op == 'p' ? slot * 10 + (size_t)(a.bytes[i] - '0')
                                      : slot | (size_t)a.bytes[i] << 8 * i;
    return slot;
}

/* Follow texts through stack and memo, and report what names a global. False: stop. */
static bool follow(scan *s, uint8_t op, span a[2], size_t position) {
    bool put = op == 'p' || op == 'q' || op == 'r' || op == 0x94;
    if (put) {
        size_t slot = op == 0x94 ? s->n_memoized++ : slot_of(op, a[0]);
        if (slot < MEMO_TEXTS) s->memo[slot] = s->top_is_text ? s->texts[1] : (span){NULL, 0};
        return true;
    }
    if (op == 0x95 || op == 0x80) return true; /* FRAME, PROTO: the stack is as it was */
    s->top_is_text = false;
    if (op == 'S' && a[0].n >= 2) see_text(s, (span){a[0].bytes + 1, a[0].n - 2}); /* quotes */
    if (op == 'V' || op == 'T' || op == 'U' || op == 'X' || op == 0x8c || op == 0x8d)
        see_text(s, a[0]);
    if (op == 'g' || op == 'h' || op == 'j') {
        size_t slot = slot_of(op, a[0]);
        if (slot < MEMO_TEXTS && s->memo[slot].bytes != NULL) see_text(s, s->memo[slot]);
    }
    if (op == 'c' || op == 'i') return report(s, a[0], a[1], position);
    if (op == 0x93) return report(s, s->texts[0], s->texts[1], position);
    if (op == 0x82 || op == 0x83 || op == 0x84) {
        static const uint8_t module[] = "extension", name[] = "registry";
        return report(s, (span){module, sizeof module - 1}, (span){name, sizeof name - 1},
                      position);
    }
    return true;
}

/* Bounded like the machine itself: a million opcodes, each looked at once. */
size_t eg_codec_pickle_scan(const uint8_t *data, size_t size, size_t start, eg_pickle_scan_fn fn,
                            void *context) {
    static const uint8_t nothing[1];
    scan s = {.in = {.data = data, .size = size, .pos = start}, .fn = fn, .context = context};
    s.texts[0] = s.texts[1] = (span){nothing, 0};
    size_t position = start;
    for (size_t n = 0; n < EG_PICKLE_MAX_OPS; n++) {
        uint8_t op;
        span a[2] = {{nothing, 0}, {nothing, 0}};
        position = s.in.pos;
        if (!eg_cursor_u8(&s.in, &op) || !take_argument(&s.in, argument_of(op), a)) return position;
        if (!follow(&s, op, a, position) || op == '.') break;
    }
    return s.in.pos;
}

eg_status eg_codec_pickle_refuse_global(eg_error *err, const eg_pickle_source *source,
                                        const char *name, size_t position) {
    return eg_fail_at(err, EG_ERR_INPUT, source->file_offset + (int64_t)position,
                      "%s: global %s at byte %zu is not allowed: only tensors, numbers, text and "
                      "containers are read; nothing was executed",
                      source->where, name, position);
}
