/* The pickle machine alone: every value it builds, every opcode byte, every cut and flip of real
 * pickles. */
#include "codec/pickle.h"

#include "unit/weights_samples.h"

typedef struct {
    eg_pickle *p;
    eg_pickle_value root;
    eg_status status;
    size_t end;
    eg_error err;
} run;

static run run_bytes(const void *bytes, size_t n) {
    run r = {.p = eg_codec_pickle_new()};
    eg_pickle_source source = {.data = bytes, .size = n, .where = "test"};
    r.status = eg_codec_pickle_read(r.p, &r.root, &r.end, &source, &r.err);
    return r;
}
#define RUN(text) run_bytes(text, sizeof(text) - 1)

static void scalars(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int64_t value;
    } integers[] = {
        {"\x80\2K\xff.", 5, 255},
        {"\x80\2M\xff\xff.", 6, 65535},
        {"\x80\2J\xff\xff\xff\xff.", 8, -1},
        {"\x80\2\x8a\0.", 5, 0},
        {"\x80\2\x8a\1\xff.", 6, -1},
        {"\x80\2\x8a\2\xff\0.", 7, 255},
        {"\x80\2\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", 13, INT64_MAX},
        {"\x80\2\x8a\x08\0\0\0\0\0\0\0\x80.", 13, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        run r = run_bytes(integers[i].bytes, integers[i].n);
        assert_int_equal(r.status, EG_OK);
        assert_int_equal(r.end, integers[i].n);
        assert_int_equal(r.root.kind, EG_PICKLE_INT);
        assert_true(r.root.as.integer == integers[i].value);
        eg_codec_pickle_free(r.p);
    }
    run r = RUN("\x80\2G\x3f\xf8\0\0\0\0\0\0.");
    assert_true(r.status == EG_OK && r.root.kind == EG_PICKLE_REAL && r.root.as.real == 1.5);
    eg_codec_pickle_free(r.p);
    r = RUN("\x80\2X\2\0\0\0\xc3\xa9.");
    assert_true(r.status == EG_OK && eg_codec_pickle_is_text(&r.root, "\xc3\xa9"));
    eg_codec_pickle_free(r.p);
    r = RUN("\x80\2\x88.");
    assert_true(r.status == EG_OK && r.root.kind == EG_PICKLE_BOOL && r.root.as.boolean);
    eg_codec_pickle_free(r.p);
}

static void containers(void **state) {
    (void)state;
    run r = RUN("\x80\2(K\1K\2K\3K\4t."); /* (1, 2, 3, 4) */
    assert_true(r.status == EG_OK && r.root.kind == EG_PICKLE_TUPLE && r.root.as.items->n == 4);
    for (int i = 0; i < 4; i++) assert_int_equal(r.root.as.items->v[i].as.integer, i + 1);
    eg_codec_pickle_free(r.p);
    r = RUN("\x80\2}q\0(K\1]K\7aK\2h\1u."); /* memo slot 1 was never written */
    assert_int_equal(r.status, EG_ERR_INPUT);
    eg_codec_pickle_free(r.p);
    r = RUN("\x80\2}(K\1]q\1K\7aK\2h\1u."); /* {1: x, 2: x} with x = [7] */
    assert_true(r.status == EG_OK && r.root.kind == EG_PICKLE_DICT && r.root.as.items->n == 4);
    assert_ptr_equal(r.root.as.items->v[1].as.items, r.root.as.items->v[3].as.items);
    assert_int_equal(r.root.as.items->depth, 2);
    eg_codec_pickle_free(r.p);
    r = RUN("\x80\2](K\1K\2eK\3a."); /* filled in two goes */
    assert_true(r.status == EG_OK && r.root.as.items->n == 3);
    eg_codec_pickle_free(r.p);
    r = RUN("\x80\2ccollections\nOrderedDict\n)R}b."); /* a state is dropped */
    assert_true(r.status == EG_OK && r.root.kind == EG_PICKLE_DICT && r.root.as.items->ordered);
    assert_string_equal(eg_codec_pickle_global_at(r.p, 0), "collections.OrderedDict");
    eg_codec_pickle_free(r.p);
}

/* Of torch's 34 opcodes, 31 may stand here: NEWOBJ and EMPTY_SET never, PROTO only at the
 * beginning. */
static void opcode_list(void **state) {
    (void)state;
    static const uint8_t known[] = "aeGhKJMQq"
                                   "Xb}])cj"
                                   "\x8ar(NR"
                                   "su.t"
                                   "U\x88\x89\x85\x86\x87";
    for (int op = 0; op < 256; op++) {
        uint8_t bytes[4] = {0x80, 2, 'N', (uint8_t)op};
        run r = run_bytes(bytes, sizeof bytes);
        bool refused = strstr(r.err.text, "this opcode is not allowed") != NULL;
        bool expected = op == 0 || memchr(known, op, sizeof known - 1) == NULL;
        if (refused != expected) fail_msg("opcode %02x: %s", op, r.err.text);
        eg_codec_pickle_free(r.p);
    }
}

/* data.pkl of a real archive, found by its first and last bytes; damaged at every place it must end
 * in peace. */
static void damaged(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load_bytes(SAMPLES "legacy_training.pth", &n);
    size_t begin = 21 + 116, end;
    run r = {.p = eg_codec_pickle_new()};
    eg_pickle_source source = {
        .data = data, .size = n, .start = begin, .where = "test", .legacy = true};
    assert_int_equal(eg_codec_pickle_read(r.p, &r.root, &end, &source, &r.err), EG_OK);
    eg_codec_pickle_free(r.p);
    source.size = end;
    for (size_t i = begin; i < end; i++) {
        source.size = i;
        r = (run){.p = eg_codec_pickle_new()};
        assert_int_not_equal(eg_codec_pickle_read(r.p, &r.root, &r.end, &source, &r.err), EG_OK);
        eg_codec_pickle_free(r.p);
    }
    source.size = end;
    for (size_t i = 8 * begin; i < 8 * end; i++) {
        data[i / 8] ^= (uint8_t)(1u << i % 8);
        r = (run){.p = eg_codec_pickle_new()};
        eg_status status = eg_codec_pickle_read(r.p, &r.root, &r.end, &source, &r.err);
        assert_true(status == EG_OK || r.err.text[0] != 0);
        eg_codec_pickle_free(r.p);
        data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    eg_free(data);
}

/* The table's own rule: a name matches as module and name, never by splitting elsewhere. */
static void global_table(void **state) {
    (void)state;
    assert_non_null(eg_codec_pickle_global_find("torch", 5, "FloatStorage", 12));
    assert_non_null(eg_codec_pickle_global_find("torch.nn.parameter", 18, "Parameter", 9));
    assert_null(eg_codec_pickle_global_find("torch.nn", 8, "parameter.Parameter", 19));
    assert_null(eg_codec_pickle_global_find("torch", 5, "FloatStorag", 11));
    assert_null(eg_codec_pickle_global_find("torch.FloatStorage", 18, "", 0));
    assert_null(eg_codec_pickle_global_find("", 0, "torch.FloatStorage", 18));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scalars), cmocka_unit_test(containers),
                                       cmocka_unit_test(opcode_list), cmocka_unit_test(damaged),
                                       cmocka_unit_test(global_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
