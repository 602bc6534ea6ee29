/* Fuzz target: CSV tables. Every byte of every cell is read; what was read is written again with
 * eg_csv_add and must read back the same. */
#include "codec/codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Rows of `t`, names first, as text. */
static void write_table(eg_buffer *b, const eg_csv *t) {
    for (size_t i = 0; i < t->n_columns * (t->n_rows + 1); i++) {
        const char *cell = i < t->n_columns ? t->names[i] : t->cells[i - t->n_columns];
        /* a quoted empty field: one alone on a line would be no row */
        if (cell[0] == 0)
            eg_buffer_add(b, "\"\"", 2);
        else
            eg_csv_add(b, cell);
        eg_buffer_add(b, (i + 1) % t->n_columns == 0 ? "\n" : ",", 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eg_csv t, again;
    eg_error err = {0};
    eg_buffer b = {0};
    if (eg_csv_parse(&t, (const char *)data, size, &err) != EG_OK) {
        if (err.text[0] == 0) __builtin_trap(); /* a refusal without a reason */
        return 0;
    }
    write_table(&b, &t);
    if (eg_csv_column(&t, t.names[0]) > 0) __builtin_trap();
    if (b.failed || eg_csv_parse(&again, b.data, b.size, &err) != EG_OK) __builtin_trap();
    if (again.n_columns != t.n_columns || again.n_rows != t.n_rows) __builtin_trap();
    for (size_t i = 0; i < t.n_columns * t.n_rows; i++)
        if (strcmp(t.cells[i], again.cells[i]) != 0) __builtin_trap();
    eg_csv_free(&again);
    eg_csv_free(&t);
    eg_buffer_free(&b);
    return 0;
}
