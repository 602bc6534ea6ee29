/* The option table against its own rules (unique names, defaults that it accepts itself) and the
 * setting of values: ranges, aliases, and the exact text that a user sees when one is refused. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const eg_option *find(const char *name) {
    size_t n;
    const eg_option *table = eg_option_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    fail_msg("no option %s", name);
    return NULL;
}

/* Is `name` the canonical name or an alias of `option`? */
static bool goes_by(const eg_option *option, const char *name) {
    char list[256], wanted[64];
    snprintf(list, sizeof list, ",%s,%s,", option->name, option->aliases ? option->aliases : "");
    snprintf(wanted, sizeof wanted, ",%s,", name);
    return strstr(list, wanted) != NULL;
}

static void test_no_name_means_two_options(void **state) {
    (void)state;
    size_t n;
    const eg_option *table = eg_option_table(&n);
    assert_true(n > 40);
    for (size_t i = 0; i < n; i++) {
        char names[256], *rest = names;
        snprintf(names, sizeof names, "%s%s%s", table[i].name, table[i].aliases ? "," : "",
                 table[i].aliases ? table[i].aliases : "");
        /* one name may mean two things in two commands (train --mode, bench --mode), never in one */
        for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
            assert_true(*name);
            assert_null(strchr(name, '_')); /* '_' is written '-' in the table */
            for (size_t k = 0; k < n; k++)
                if (k != i && table[k].commands & table[i].commands && goes_by(&table[k], name))
                    fail_msg("--%s means both --%s and --%s", name, table[i].name, table[k].name);
        }
        for (size_t k = 0; k < i; k++)
            if (table[i].letter && table[i].letter == table[k].letter)
                fail_msg("-%c is both --%s and --%s", table[i].letter, table[i].name,
                         table[k].name);
    }
}

static void test_every_row_is_whole(void **state) {
    (void)state;
    size_t n;
    const eg_option *table = eg_option_table(&n);
    for (size_t i = 0; i < n; i++) {
        const eg_option *o = &table[i];
        eg_options values;
        eg_error err = {0};
        eg_options_init(&values);
        assert_true(o->commands != 0);
        assert_true(o->help && *o->help);
        assert_int_equal(o->type == EG_OPTION_CHOICE, o->choices != NULL);
        if (o->type == EG_OPTION_INT || o->type == EG_OPTION_REAL) {
            assert_true(o->min < o->max);
            assert_non_null(o->fallback); /* a number always has a value */
        }
        if (o->fallback && eg_options_set(&values, o, o->fallback, &err) != EG_OK)
            fail_msg("the default of --%s is refused: %s", o->name, err.text);
    }
}

static void test_defaults(void **state) {
    (void)state;
    eg_options o;
    memset(&o, 0x5a, sizeof o);
    eg_options_init(&o);
    assert_string_equal(o.val_by, "patient");
    assert_true(o.val_share == 0.2);
    assert_string_equal(o.mode, "finetune");
    assert_string_equal(o.modes, "finetune,frozen");
    assert_string_equal(o.dtype, "auto");
    assert_true(o.dropout == -1);
    assert_int_equal(o.epochs, 5);
    assert_int_equal(o.batch_size, 16);
    assert_true(o.lr == 0 && o.momentum == 0.9 && o.weight_decay == 0.01);
    assert_string_equal(o.sched, "cosine");
    assert_string_equal(o.head, "lbfgs");
    assert_true(o.C == 0.01 && o.crop_min == -1 && o.flip == -1 && o.jitter == -1);
    assert_string_equal(o.lang, "en");
    assert_string_equal(o.split, "test");
    assert_null(o.model);
    assert_null(o.weights);
    assert_null(o.out);
    assert_false(o.json || o.quiet || o.skip_bad || o.overwrite);
}

static void test_find(void **state) {
    (void)state;
    assert_string_equal(eg_option_find("mode", EG_COMMAND_TRAIN)->choices,
                        "finetune|frozen|scratch|lp-ft");
    assert_string_equal(eg_option_find("mode", EG_COMMAND_BENCH)->choices, "train|predict");
    assert_ptr_equal(eg_option_find("batch_size", EG_COMMAND_TRAIN), find("batch-size"));
    assert_ptr_equal(eg_option_find("batch", EG_COMMAND_TRAIN), find("batch-size"));
    assert_ptr_equal(eg_option_find("lr0", EG_COMMAND_STUDY), find("lr"));
    assert_ptr_equal(eg_option_find("learning_rate", EG_COMMAND_STUDY), find("lr"));
    assert_ptr_equal(eg_option_find("pretrained", EG_COMMAND_FEATURES), find("weights"));
    assert_null(eg_option_find("epochs", EG_COMMAND_EVAL)); /* known, but not here */
    assert_null(eg_option_find("epoch", EG_COMMAND_TRAIN)); /* no abbreviations */
    assert_null(eg_option_find("", EG_COMMAND_TRAIN));
    assert_null(eg_option_find("c", EG_COMMAND_TRAIN)); /* case counts: C is another */
    assert_ptr_equal(eg_option_find("C", EG_COMMAND_TRAIN), find("C"));
}

static void refused(const char *name, const char *value, const char *text) {
    eg_options o, before;
    eg_error err = {0};
    eg_options_init(&o);
    before = o;
    assert_int_equal(eg_options_set(&o, find(name), value, &err), EG_ERR_USAGE);
    assert_string_equal(err.text, text);
    assert_memory_equal(&o, &before, sizeof o); /* nothing written on failure */
}

static void test_refused_values(void **state) {
    (void)state;
    refused("epochs", "0", "--epochs 0: expected a whole number from 1 to 100000");
    refused("epochs", "5x", "--epochs 5x: expected a whole number from 1 to 100000");
    refused("epochs", "2.5", "--epochs 2.5: expected a whole number from 1 to 100000");
    refused("epochs", "100001", "--epochs 100001: expected a whole number from 1 to 100000");
    refused("seed", "9007199254740993",
            "--seed 9007199254740993: expected a whole number from 0 to 9007199254740992");
    refused("epochs", "", "--epochs: expected a value");
    refused("epochs", NULL, "--epochs: expected a value");
    refused("val-share", "0.95", "--val-share 0.95: expected a number from 0.01 to 0.9");
    refused("val-share", "nan", "--val-share nan: expected a number from 0.01 to 0.9");
    refused("lr", "-1", "--lr -1: expected a number from 0 to 1e+30");
    refused("lr", "1e-3 ", "--lr 1e-3 : expected a number from 0 to 1e+30");
    refused("opt", "adam", "--opt adam: expected sgd, adamw or rmsprop");
    refused("mode", "Frozen", "--mode Frozen: expected finetune, frozen, scratch or lp-ft");
    refused("json", "maybe", "--json maybe: expected yes or no");
    refused("model", "", "--model: expected a value");
    refused("max-memory", "-1", "--max-memory -1: expected bytes, as 800M or 1.5G");
    refused("max-memory", "2 G", "--max-memory 2 G: expected bytes, as 800M or 1.5G");
    refused("max-memory", "lots", "--max-memory lots: expected bytes, as 800M or 1.5G");
    refused("max-memory", "1e9", "--max-memory 1e9: expected bytes, as 800M or 1.5G");
    refused("max-memory", "", "--max-memory: expected a value");
}

static void set(eg_options *o, const char *name, const char *value) {
    eg_error err = {0};
    if (eg_options_set(o, find(name), value, &err) != EG_OK) fail_msg("%s", err.text);
}

static void test_taken_values(void **state) {
    (void)state;
    eg_options o;
    eg_options_init(&o);
    set(&o, "epochs", "100000");
    assert_int_equal(o.epochs, 100000);
    set(&o, "seed", "9007199254740992");
    assert_true(o.seed == INT64_C(9007199254740992));
    set(&o, "max-memory", "1.5G");
    assert_true(o.max_memory == INT64_C(3) << 29);
    set(&o, "lr", "5e-4");
    assert_true(o.lr == 5e-4);
    set(&o, "json", NULL);
    assert_true(o.json);
    set(&o, "json", "off");
    assert_false(o.json);
    set(&o, "json", "yes");
    assert_true(o.json);
    char word[] = "sgd"; /* a choice is parsed at once: the caller's text may go away */
    set(&o, "opt", word);
    memset(word, 'x', 3);
    assert_string_equal(o.opt, "sgd");
    const char *path = "a b.pth"; /* a text is borrowed */
    set(&o, "weights", path);
    assert_ptr_equal(o.weights, path);
}

static void test_commands(void **state) {
    (void)state;
    assert_string_equal(eg_command_name(EG_COMMAND_TRAIN), "train");
    assert_string_equal(eg_command_arguments(EG_COMMAND_EVAL), "RUN DIR");
    assert_string_equal(eg_command_name(EG_COMMAND_COUNT), "");
    for (int c = 0; c < EG_COMMAND_COUNT; c++) assert_true(*eg_command_help((eg_command)c));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_name_means_two_options),
        cmocka_unit_test(test_every_row_is_whole),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_taken_values),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
