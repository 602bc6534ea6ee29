/* --dtype: what auto is with and without native bf16, what a network without a bf16 form gets, and that the answer given
 * before anything runs is what plans then run in. */
#include "study/run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* transformers compute in float throughout */
#define FLOAT_ONLY "vit_b_16"

/* The kernels' cap decides what counts as native; lifted again by a cap above every set. Convolutions are not made here. */
static void cap(const char *isa) {
    assert_int_equal(eg_net_isa_limit(isa, NULL), EG_OK);
}

static eg_dtype_choice choose(const char *word, const char *model, int side) {
    eg_dtype_choice choice;
    eg_error err = {0};
    if (eg_study_dtype_for(&choice, word, eg_arch_find(model), side, true, &err) != EG_OK)
        fail_msg("%s", err.text);
    return choice;
}

/* Asked of an outline before; asked of the plan itself after. First, for a cap stays with the convolutions. */
static void plans_agree(void **state) {
    (void)state;
    static const char *const NETS[] = {"resnet18", "mobilenet_v2", "efficientnet_b0",
                                       "shufflenet_v2_x0_5", "small_cnn"};
    for (size_t i = 0; i < sizeof NETS / sizeof *NETS; i++) {
        eg_dtype_choice choice = choose("bf16", NETS[i], 64);
        eg_network *net = NULL;
        eg_error err = {0};
        bool both = true;
        assert_int_equal(eg_network_new(&net, NETS[i], 2, 64, &err), EG_OK);
        for (int train = 0; train < 2; train++) {
            eg_plan *plan = NULL;
            eg_plan_options o = {.mode = train ? EG_PLAN_TRAIN : EG_PLAN_PREDICT,
                                 .batch = 3,
                                 .stochastic = true,
                                 .dropout = -1,
                                 .bf16 = true};
            if (eg_plan_new(&plan, net, &o, &err) != EG_OK) fail_msg("%s", err.text);
            bool asked = !eg_plan_is_bf16(plan);
            assert_int_equal(eg_plan_takes_bf16(&asked, net, &o, &err), EG_OK);
            assert_int_equal(asked, eg_plan_is_bf16(plan));
            both = both && eg_plan_is_bf16(plan);
            eg_plan_free(plan);
        }
        assert_int_equal(choice.bf16, both);
        eg_network_free(net);
    }
    assert_true(choose("bf16", "resnet18", 64).bf16);
}

static void with_native_bf16(void **state) {
    (void)state;
    if (!eg_net_bf16_native()) skip(); /* this processor has none */
    static const char *const WORDS[] = {NULL, "", "auto", "bf16"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        eg_dtype_choice choice = choose(WORDS[i], "resnet18", 0);
        assert_true(choice.bf16);
        assert_string_equal(choice.note, "");
        choice = choose(WORDS[i], FLOAT_ONLY, 0); /* what cannot be stays, and that is said */
        assert_false(choice.bf16);
        assert_non_null(strstr(choice.note, FLOAT_ONLY ": computed in f32"));
    }
    eg_dtype_choice choice = choose("f32", "resnet18", 0);
    assert_false(choice.bf16);
    assert_string_equal(choice.note, "");
}

static void without_native_bf16(void **state) {
    (void)state;
    cap("avx2");
    eg_dtype_choice choice = choose("auto", "resnet18", 0);
    assert_false(choice.bf16);
    assert_string_equal(choice.note, ""); /* nothing was asked for that is not given */
    choice = choose("auto", FLOAT_ONLY, 0);
    assert_string_equal(choice.note, "");
    choice = choose("bf16", "resnet18", 0); /* asked for by name: works, slowly */
    assert_true(choice.bf16);
    assert_non_null(strstr(choice.note, "slow"));
    choice = choose("bf16", FLOAT_ONLY, 0);
    assert_false(choice.bf16);
    assert_non_null(strstr(choice.note, "computed in f32"));
    cap("avx512bf16");
}

/* auto of a run's user is the run's own format, whatever the processor */
static void of_a_run(void **state) {
    (void)state;
    static const struct {
        const char *run, *word;
        bool bf16;
    } CASES[] = {
        {"f32", "auto", false}, {"f32", NULL, false},   {"f32", "bf16", true},
        {"bf16", "auto", true}, {"bf16", "f32", false}, {"bf16", "bf16", true},
    };
    eg_opened_run run = {0};
    eg_error err = {0};
    assert_int_equal(eg_network_new(&run.net, "mobilenet_v2", 2, 32, &err), EG_OK);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        eg_dtype_choice choice;
        run.dtype = CASES[i].run;
        assert_int_equal(eg_study_dtype_of_run(&choice, &run, CASES[i].word, NULL, &err), EG_OK);
        assert_int_equal(choice.bf16, CASES[i].bf16);
    }
    eg_network_free(run.net);
}

static void unknown_word(void **state) {
    (void)state;
    eg_dtype_choice choice;
    eg_error err = {0};
    assert_int_equal(eg_study_dtype_for(&choice, "fp16", eg_arch_find("resnet18"), 0, true, &err),
                     EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "--dtype fp16: expected auto, f32 or bf16"));
}

static void no_memory(void **state) {
    (void)state;
    eg_network *net = NULL;
    eg_dtype_choice choice;
    eg_error err = {0};
    assert_int_equal(eg_network_outline(&net, eg_arch_find("resnet18"), 2, 0, &err), EG_OK);
    uint64_t before = eg_memory_stats_get().n_allocations;
    assert_int_equal(eg_study_dtype_choose(&choice, "bf16", net, true, &err), EG_OK);
    uint64_t n = eg_memory_stats_get().n_allocations - before;
    assert_true(n > 0);
    for (uint64_t k = 1; k <= n; k++) {
        eg_memory_fail_at(k);
        assert_int_equal(eg_study_dtype_choose(&choice, "bf16", net, true, &err), EG_ERR_NO_MEMORY);
        eg_memory_fail_at(0);
    }
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_agree), cmocka_unit_test(with_native_bf16),
        cmocka_unit_test(of_a_run),    cmocka_unit_test(unknown_word),
        cmocka_unit_test(no_memory),   cmocka_unit_test(without_native_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
