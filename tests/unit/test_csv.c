/* CSV tables: what RFC 4180 and spreadsheets write, the errors with their lines, damage, failing
 * memory; and that what eg_csv_add writes is read back. */
#include "codec/codec.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/hostile.h"

/* Every cell into the digest. */
static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    eg_csv t;
    EG_TRY(eg_csv_parse(&t, data, size, err));
    eg_buffer all = {0};
    for (size_t i = 0; i < t.n_columns; i++) eg_buffer_printf(&all, "%s|", t.names[i]);
    for (size_t i = 0; i < t.n_columns * t.n_rows; i++) eg_buffer_printf(&all, "%s|", t.cells[i]);
    eg_csv_free(&t);
    eg_status status = all.failed ? eg_fail(err, EG_ERR_NO_MEMORY, "test") : EG_OK;
    eg_sha256_hex(digest, all.data ? all.data : "", all.size);
    eg_buffer_free(&all);
    return status;
}

/* The whole table as one text: names and cells in brackets, a slash behind each row. */
static const char *table_text(const char *text, size_t size) {
    static char shown[512];
    eg_csv t;
    eg_error err = {0};
    if (eg_csv_parse(&t, text, size, &err) != EG_OK) fail_msg("%s", err.text);
    size_t n = 0;
    for (size_t row = 0; row <= t.n_rows; row++) {
        for (size_t i = 0; i < t.n_columns; i++)
            n += (size_t)snprintf(shown + n, sizeof shown - n, "[%s]",
                                  row == 0 ? t.names[i] : t.cells[(row - 1) * t.n_columns + i]);
        n += (size_t)snprintf(shown + n, sizeof shown - n, "/");
    }
    eg_csv_free(&t);
    assert_null(t.arena);
    return shown;
}

static void tables(void **state) {
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"path,label\na.png,0\nb.png,1\n", "[path][label]/[a.png][0]/[b.png][1]/"},
        {"path,label\r\na.png,0\r\nb.png,1", "[path][label]/[a.png][0]/[b.png][1]/"},
        {"path,label\ra.png,0\r", "[path][label]/[a.png][0]/"},
        {"\xEF\xBB\xBFpath\tlabel\nd, e.png\t0\n", "[path][label]/[d, e.png][0]/"},
        {"path;label\n\"a;1.png\";0\n", "[path][label]/[a;1.png][0]/"},
        {"\"a,b\";c\nd;e\n", "[a,b][c]/[d][e]/"},
        {"a,b\n\"say \"\"no\"\"\",\"two\r\nlines\"\n", "[a][b]/[say \"no\"][two\r\nlines]/"},
        {"a,b\n,\n\"\",x\n", "[a][b]/[][]/[][x]/"},
        {"\n\na\n1\n\n\r\n2\n\n", "[a]/[1]/[2]/"},
        {"a,b\n5\" tube,x\n", "[a][b]/[5\" tube][x]/"},
        {"a,b,\n1,2,\n", "[a][b][]/[1][2][]/"},
        {"only", "[only]/"},
        {"M\xC3\xBCller,x\n\xE8\x82\xBA,y\n", "[M\xC3\xBCller][x]/[\xE8\x82\xBA][y]/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(table_text(cases[i].text, strlen(cases[i].text)), cases[i].expected);
}

static void refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size; /* 0: strlen */
        const char *expected;
    } cases[] = {
        {"", 0, "the table is empty"},
        {"\xEF\xBB\xBF\n\n", 0, "the table is empty"},
        {"a,b\n1,2\n\n1\n", 0, "line 4: 1 fields, expected 2"},
        {"a,b\n1,2\n1,2,3\n", 0, "line 3: 3 fields, expected 2"},
        {"a,b\n\"x\ny\",2\n1,2,3\n", 0, "line 4: 3 fields"},
        {"a,b\n1,\"2\n3,4\n", 0, "line 2: a quoted field begins here and never ends"},
        {"a,b\n\"x\"y,2\n", 0, "line 2: text behind a closing quote"},
        {"a,b\n1,\xFF\n", 0, "line 2: not UTF-8"},
        {"a,b\nM\xFCller,1\n", 0, "line 2: not UTF-8"},
        {"a,b\n1,2\0\n", 9, "line 2: a NUL byte"},
        {"\xFF\xFE"
         "a\0,\0",
         6, "UTF-16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_csv t = {.n_rows = 77};
        eg_error err = {0};
        size_t size = cases[i].size > 0 ? cases[i].size : strlen(cases[i].text);
        assert_int_equal(eg_csv_parse(&t, cases[i].text, size, &err), EG_ERR_INPUT);
        assert_int_equal(t.n_rows, 77); /* nothing written on failure */
        if (strstr(err.text, cases[i].expected) == NULL)
            fail_msg("'%s' has no '%s'", err.text, cases[i].expected);
    }
}

static void columns(void **state) {
    (void)state;
    eg_csv t;
    const char text[] = "Path, label ,split,Label\n";
    assert_int_equal(eg_csv_parse(&t, text, sizeof text - 1, NULL), EG_OK);
    assert_int_equal(t.n_rows, 0);
    assert_int_equal(eg_csv_column(&t, "path"), 0);
    assert_int_equal(eg_csv_column(&t, "LABEL"), 1); /* the first of two */
    assert_int_equal(eg_csv_column(&t, "spli"), -1);
    assert_int_equal(eg_csv_column(&t, "splits"), -1);
    eg_csv_free(&t);
    eg_csv_free(NULL);
}

static void written_is_read(void **state) {
    (void)state;
    static const char *const fields[] = {"\xEF\xBB\xBFmark", "plain", "a,b",     "a;b", "t\tt",
                                         "say \"no\"",       "",      "two\nlf", "\"",  " x ",
                                         "cr\rlf\r\n"};
    enum { N = sizeof fields / sizeof *fields };
    const char *path = "test_csv.csv";
    eg_buffer b = {0};
    for (int row = 0; row < 2; row++) { /* the same as names and as cells */
        for (int i = 0; i < N; i++) {
            if (i > 0) eg_buffer_add(&b, ",", 1);
            eg_csv_add(&b, fields[i]);
        }
        eg_buffer_add(&b, "\n", 1);
    }
    assert_false(b.failed);
    assert_int_equal(eg_file_write_atomic(path, &(eg_part){b.data, b.size}, 1, NULL), EG_OK);
    eg_buffer_free(&b);
    eg_csv t;
    eg_error err = {0};
    if (eg_csv_read(&t, path, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(t.n_columns, N);
    assert_int_equal(t.n_rows, 1);
    for (int i = 0; i < N; i++) {
        assert_string_equal(t.names[i], fields[i]);
        assert_string_equal(t.cells[i], fields[i]);
    }
    eg_csv_free(&t);
    assert_int_equal(eg_file_write_atomic(path, &(eg_part){"a,b\n1\n", 6}, 1, NULL), EG_OK);
    assert_int_equal(eg_csv_read(&t, path, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "test_csv.csv: line 2: 1 fields"));
    assert_int_equal(eg_file_write_atomic(path, &(eg_part){"", 0}, 1, NULL), EG_OK);
    assert_int_equal(eg_csv_read(&t, path, &err), EG_ERR_INPUT);
    unlink(path);
    assert_int_equal(eg_csv_read(&t, path, &err), EG_ERR_NOT_FOUND);
}

/* 40 million commas are below the limit of bytes and above that of cells. */
static void commas_cost_no_memory(void **state) {
    (void)state;
    size_t n = (size_t)40 << 20, before = eg_memory_stats_get().bytes_peak;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, ',', n);
    eg_csv t;
    eg_error err = {0};
    assert_int_equal(eg_csv_parse(&t, text, n, &err), EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "cells"));
    assert_true(eg_memory_stats_get().bytes_peak - before < (size_t)1 << 20);
    free(text);
}

/* A cut or changed table may still be a table; what must hold is a clean end either way. */
static void damage_is_clean(void **state) {
    (void)state;
    static const char text[] = "\xEF\xBB\xBFpath,label,patient\r\n"
                               "\"a \"\"b\"\", c.png\",normal,17\r\n"
                               "\xE8\x82\xBA.png,\"two\nlines\",\r\n";
    char digest[65];
    for (size_t n = 0; n < sizeof text; n++) {
        eg_status status = hostile_decode(decode, digest, text, n);
        assert_true(status == EG_OK || status == EG_ERR_INPUT);
    }
    assert_true(hostile_mutations(decode, text, sizeof text - 1, false) > 0);
    assert_true(hostile_allocations(decode, text, sizeof text - 1) > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),          cmocka_unit_test(refused),
        cmocka_unit_test(columns),         cmocka_unit_test(written_is_read),
        cmocka_unit_test(damage_is_clean), cmocka_unit_test(commas_cost_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
