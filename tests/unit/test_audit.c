/* What printed percentages can be: every k of every small n against a decimal rounding, both conventions; the published
 * table that it was made for; how texts are read. */
#include "stats_close.h"

#include "stats/stats.h"

/* k / n in percent with d decimals, rounded half up or half to even, by whole numbers another way than audit.c's. */
static int64_t rounded(int64_t k, int64_t n, int64_t scale, bool even) {
    int64_t whole = 100 * scale * k / n, rest = 100 * scale * k % n;
    if (2 * rest > n || (2 * rest == n && (!even || whole % 2 == 1))) whole++;
    return whole;
}

static void test_every_count(void **unused) {
    (void)unused;
    for (int decimals = 0; decimals <= 2; decimals++) {
        int64_t scale = decimals == 0 ? 1 : decimals == 1 ? 10 : 100;
        for (int64_t n = 1; n <= 45; n++) {
            static bool seen[10001];
            memset(seen, 0, sizeof seen);
            for (int64_t k = 0; k <= n; k++)
                seen[rounded(k, n, scale, false)] = seen[rounded(k, n, scale, true)] = true;
            for (int64_t v = 0; v <= 100 * scale; v++) {
                int64_t k = -1;
                bool possible = eg_audit_possible(&k, (eg_printed){v, decimals}, n);
                assert_int_equal(possible, seen[v]);
                if (!possible) continue;
                assert_true(rounded(k, n, scale, false) == v || rounded(k, n, scale, true) == v);
                if (k > 0)
                    assert_true(rounded(k - 1, n, scale, false) != v &&
                                rounded(k - 1, n, scale, true) != v);
            }
        }
    }
}

static void test_published(void **unused) {
    (void)unused;
    eg_printed p[3];
    int64_t k;
    assert_true(eg_audit_parse(&p[0], "82.45") && eg_audit_parse(&p[1], "88.04%") &&
                eg_audit_parse(&p[2], "0.8505"));
    assert_int_equal(eg_audit_smallest_n(p, 3, 1, 100000), 1037);
    assert_int_equal(eg_audit_smallest_n(p, 3, 1, 1036), 0);
    assert_int_equal(eg_audit_smallest_n(p, 3, 1038, 2000), 1271);
    /* 624 test images: none of 82.45 and 88.04 is possible, 85.05 neither */
    for (int i = 0; i < 3; i++) assert_false(eg_audit_possible(&k, p[i], 624));
    eg_printed real;
    assert_true(eg_audit_parse(&real, "85.10") && eg_audit_possible(&k, real, 624));
    assert_int_equal(k, 531);
}

/* Every pair of counts of batches, in doubles, a little slack at the edges of rounding; one batch is the whole set. */
static void test_batches(void **unused) {
    (void)unused;
    for (int64_t n = 5; n <= 23; n += 3) {
        for (int64_t batch = 1; batch <= 8; batch++) {
            int64_t batches = (n + batch - 1) / batch, last = n - batch * (batches - 1);
            for (int64_t v = 0; v <= 1000; v += 7) {
                bool sure = false, maybe = false;
                for (int64_t k = 0; k <= last; k++)
                    for (int64_t full = 0; full <= batch * (batches - 1); full++) {
                        double mean = ((double)full / (double)batch + (double)k / (double)last) /
                                      (double)batches;
                        double off = fabs(1000 * mean - (double)v);
                        sure = sure || off < 0.5 - 1e-9;
                        maybe = maybe || off < 0.5 + 1e-9;
                    }
                bool possible = eg_audit_possible_batches((eg_printed){v, 1}, n, batch);
                assert_true(possible ? maybe : !sure);
                int64_t k;
                if (batch >= n)
                    assert_int_equal(possible, eg_audit_possible(&k, (eg_printed){v, 1}, n));
            }
        }
    }
    assert_false(eg_audit_possible_batches((eg_printed){50, 0}, 10, 0));
}

static void test_parse(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        int64_t value;
        int decimals;
    } good[] = {{"82.45", 8245, 2},   {"82.50", 8250, 2},   {"88", 88, 0},      {"0.8245", 8245, 2},
                {"0.9", 90, 0},       {"1.0", 100, 0},      {"1.000", 1000, 1}, {"0.5%", 5, 1},
                {" 62.5 % ", 625, 1}, {"100.00", 10000, 2}, {"1", 1, 0},        {"0.00", 0, 0}};
    static const char *const bad[] = {"",        "-",    "82,45", "nan",           "101",
                                      "100.01%", "-1.0", "1.2.3", "12 3",          "0x10",
                                      ".",       "%",    "1e1",   "1234567890123", "0.12345678901"};
    eg_printed p;
    for (size_t i = 0; i < LENGTH(good); i++) {
        assert_true(eg_audit_parse(&p, good[i].text));
        assert_int_equal(p.value, good[i].value);
        assert_int_equal(p.decimals, good[i].decimals);
    }
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (eg_audit_parse(&p, bad[i])) fail_msg("'%s' was taken for a share", bad[i]);
}

static void test_loss_floor(void **unused) {
    (void)unused;
    assert_close(eg_audit_loss_floor(0.8), 0.2 * log(2), 1e-15);
    assert_true(eg_audit_loss_floor(1) == 0 && isnan(eg_audit_loss_floor(1.1)));
    /* no probabilities of that accuracy go below it */
    for (uint32_t r = 0; r < 50; r++) {
        eg_random random = eg_random_make(9, r, 0, 0);
        double prob[60];
        int32_t label[20];
        for (int i = 0; i < 20; i++) {
            double a = eg_random_uniform(&random), b = eg_random_uniform(&random) * (1 - a);
            prob[3 * i] = a, prob[3 * i + 1] = b, prob[3 * i + 2] = 1 - a - b;
            label[i] = (int32_t)eg_random_below(&random, 3);
        }
        eg_metrics m;
        assert_int_equal(eg_metrics_compute(&m, prob, label, 20, 3, NAN, NULL), EG_OK);
        assert_true(m.loss >= eg_audit_loss_floor(m.accuracy));
        eg_metrics_free(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_count),
                                       cmocka_unit_test(test_published),
                                       cmocka_unit_test(test_batches), cmocka_unit_test(test_parse),
                                       cmocka_unit_test(test_loss_floor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
