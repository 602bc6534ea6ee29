/* The audit of a table of printed figures (`compare --published`): what the percentages can be, rows that repeat each
 * other, losses that do not go with their accuracies, and the order of fine-tuned and frozen rows. Says what each
 * finding would mean, in English and Chinese; it never says that anybody erred. The arithmetic: stats/audit.c. */
#include "study/compare.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 1000, MOST_N = 2000000 };

typedef enum { ROW_OTHER, ROW_FROZEN, ROW_FINETUNED } row_mode;

typedef struct {
    const char *name, *accuracy_text, *loss_text; /* cells; loss NULL: none */
    eg_printed accuracy;
    double share, loss, majority; /* NaN: not known */
    int64_t n;                    /* test images said of this row; 0: none */
    int64_t k, smallest_n;
    bool possible;   /* at n */
    row_mode mode;   /* by the words of its name */
    char *model_key; /* the name without them, letters and digits only */
} published_row;

typedef struct {
    eg_csv table;
    published_row *rows;
    size_t n_rows;
    eg_arena *arena;
    int64_t n, smallest_n; /* n: of the run beside it, else the one that all rows give; 0: none */
    json_t *repeats, *order, *batches, *text, *text_zh;
} audit;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for the audit");
}

static bool add_sentence(json_t *list, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static bool add_sentence(json_t *list, const char *format, va_list args) {
    char sentence[1500];
    vsnprintf(sentence, sizeof sentence, format, args);
    return eg_study_say(list, "%s", sentence);
}

/* One sentence in both languages; they take the same figures in the same order. */
static bool say(audit *a, const char *english, const char *chinese, ...)
    __attribute__((format(printf, 2, 4), format(printf, 3, 4)));
static bool say(audit *a, const char *english, const char *chinese, ...) {
    va_list args;
    va_start(args, chinese);
    bool ok = add_sentence(a->text, english, args);
    va_end(args);
    va_start(args, chinese);
    ok = ok && add_sentence(a->text_zh, chinese, args);
    va_end(args);
    return ok;
}

/* ---- reading ---- */

/* The first of `names` ("a|b") that is a column; -1: none. */
static int column_of(const eg_csv *table, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        int c = eg_csv_column(table, names[i]);
        if (c >= 0) return c;
    }
    return -1;
}

static const char *const NAME_COLUMNS[] = {"name", "model", "run", NULL};
static const char *const ACCURACY_COLUMNS[] = {"accuracy", "test_accuracy", "acc", "test_acc",
                                               NULL};
static const char *const LOSS_COLUMNS[] = {"loss", "test_loss", NULL};
static const char *const N_COLUMNS[] = {"n", "images", NULL};
static const char *const MAJORITY_COLUMNS[] = {"majority", NULL};
static const char *const MODE_COLUMNS[] = {"mode", NULL};

static const char *cell(const eg_csv *table, size_t row, int column) {
    return column < 0 ? "" : table->cells[row * table->n_columns + (size_t)column];
}

static eg_status fail_cell(size_t row, const char *column, const char *text, const char *expected,
                           eg_error *err) {
    return eg_fail(err, EG_ERR_INPUT, "row %zu: %s is '%.40s', expected %s", row + 1, column, text,
                   expected);
}

/* Which kind of training a name speaks of, and the rest of it: "ResNet-50 (frozen)" is frozen resnet50. */
static void take_name(published_row *r, char *key, const char *name, const char *mode) {
    static const struct {
        const char *word;
        row_mode mode;
    } WORDS[] = {{"featureextractor", ROW_FROZEN}, {"featureextraction", ROW_FROZEN},
                 {"linearprobe", ROW_FROZEN},      {"frozen", ROW_FROZEN},
                 {"freeze", ROW_FROZEN},           {"fixed", ROW_FROZEN},
                 {"特徵擷取器", ROW_FROZEN},       {"凍結", ROW_FROZEN},
                 {"finetuned", ROW_FINETUNED},     {"finetuning", ROW_FINETUNED},
                 {"finetune", ROW_FINETUNED},      {"微調", ROW_FINETUNED}};
    size_t n = 0;
    for (int part = 0; part < 2; part++) {
        for (const char *c = part ? mode : name; *c; c++) {
            unsigned char u = (unsigned char)*c;
            if (u >= 0x80 || isalnum(u)) key[n++] = (char)(u < 0x80 ? tolower(u) : u);
        }
    }
    key[n] = '\0';
    for (size_t w = 0; w < sizeof WORDS / sizeof *WORDS; w++) {
        char *at = strstr(key, WORDS[w].word);
        if (!at) continue;
        size_t length = strlen(WORDS[w].word);
        memmove(at, at + length, strlen(at + length) + 1);
        if (r->mode == ROW_OTHER) r->mode = WORDS[w].mode;
    }
    r->model_key = key;
}

static eg_status read_row(audit *a, size_t i, double majority, eg_error *err) {
    const eg_csv *t = &a->table;
    published_row *r = &a->rows[i];
    const char *loss = cell(t, i, column_of(t, LOSS_COLUMNS));
    const char *n = cell(t, i, column_of(t, N_COLUMNS));
    const char *larger = cell(t, i, column_of(t, MAJORITY_COLUMNS));
    const char *mode = cell(t, i, column_of(t, MODE_COLUMNS));
    *r = (published_row){.name = cell(t, i, column_of(t, NAME_COLUMNS)),
                         .accuracy_text = cell(t, i, column_of(t, ACCURACY_COLUMNS)),
                         .loss_text = *loss ? loss : NULL,
                         .loss = NAN,
                         .majority = majority,
                         .n = a->n};
    if (!eg_audit_parse(&r->accuracy, r->accuracy_text))
        return fail_cell(i, "accuracy", r->accuracy_text,
                         "a percentage as printed, 82.45 or 82.45%, or a share, 0.8245", err);
    r->share = (double)r->accuracy.value / 100 / pow(10, r->accuracy.decimals);
    if (*loss && (!eg_parse_real(&r->loss, loss) || r->loss < 0))
        return fail_cell(i, "loss", loss, "a number from 0, 0.5599", err);
    if (*n && (!eg_parse_int(&r->n, n) || r->n < 1 || r->n > 100000000))
        return fail_cell(i, "n", n, "the number of test images", err);
    eg_printed share;
    if (*larger) {
        if (!eg_audit_parse(&share, larger))
            return fail_cell(i, "majority", larger, "the larger class's share, 62.5% or 0.625",
                             err);
        r->majority = (double)share.value / 100 / pow(10, share.decimals);
    }
    char *key = eg_arena_get(a->arena, strlen(r->name) + strlen(mode) + 1);
    if (!key) return no_memory(err);
    take_name(r, key, r->name, mode);
    r->possible = r->n > 0 && eg_audit_possible(&r->k, r->accuracy, r->n);
    r->smallest_n = eg_audit_smallest_n(&r->accuracy, 1, 1, MOST_N);
    return EG_OK;
}

static eg_status read_rows(audit *a, double majority, eg_error *err) {
    const eg_csv *t = &a->table;
    if (column_of(t, ACCURACY_COLUMNS) < 0) {
        return eg_fail(
            err, EG_ERR_INPUT,
            "no column accuracy among its %zu (%.60s, ...) - expected name,accuracy,loss "
            "in the first line",
            t->n_columns, t->n_columns ? t->names[0] : "");
    }
    if (t->n_rows == 0 || t->n_rows > MAX_ROWS)
        return eg_fail(err, EG_ERR_INPUT, "%zu rows below the first line, expected 1 to %d",
                       t->n_rows, MAX_ROWS);
    a->rows = eg_calloc(t->n_rows, sizeof *a->rows);
    if (!a->rows) return no_memory(err);
    for (; a->n_rows < t->n_rows; a->n_rows++) EG_TRY(read_row(a, a->n_rows, majority, err));
    bool same = true;
    for (size_t i = 0; i < a->n_rows; i++) same = same && a->rows[i].n == a->rows[0].n;
    a->n = same ? a->rows[0].n : 0;
    return EG_OK;
}

/* ---- findings ---- */

/* Rows i < k with the same digits of accuracy and loss. Without losses accuracies alone: a weaker sign. */
static bool find_repeats(audit *a) {
    for (size_t k = 0; k < a->n_rows; k++) {
        for (size_t i = 0; i < k; i++) {
            const published_row *x = &a->rows[i], *y = &a->rows[k];
            bool losses = x->loss_text && y->loss_text;
            if (x->accuracy.value != y->accuracy.value ||
                x->accuracy.decimals != y->accuracy.decimals)
                continue;
            if (losses ? strcmp(x->loss_text, y->loss_text) != 0 : x->loss_text != y->loss_text)
                continue;
            if (json_array_append_new(a->repeats,
                                      json_pack("[I,I]", (json_int_t)i, (json_int_t)k)) != 0)
                return false;
            if (losses &&
                !say(
                    a,
                    "Rows %zu (%s) and %zu (%s) repeat each other to the digit: accuracy %s, loss "
                    "%s. Two trainings hardly agree so closely: one row is probably a copy of the "
                    "other, or both show the same run.",
                    "第 %zu 列（%s）與第 %zu 列（%s）的數字完全相同：準確率 %s、損失 "
                    "%s。兩次獨立訓練幾乎不可能如此一致，很可能其中一列是另一列的複本，或兩列其實是"
                    "同一次訓練。",
                    i + 1, x->name, k + 1, y->name, x->accuracy_text, x->loss_text))
                return false;
            if (!losses &&
                !say(
                    a,
                    "Rows %zu (%s) and %zu (%s) have the same accuracy, %s; without losses that "
                    "may be chance.",
                    "第 %zu 列（%s）與第 %zu 列（%s）的準確率相同（%s）；沒有損失可供比對，這也可能"
                    "是巧合。",
                    i + 1, x->name, k + 1, y->name, x->accuracy_text))
                return false;
        }
    }
    return true;
}

static bool all_possible_in_batches(const audit *a, int64_t batch) {
    for (size_t i = 0; i < a->n_rows; i++)
        if (!eg_audit_possible_batches(a->rows[i].accuracy, a->n, batch)) return false;
    return true;
}

/* Batch sizes under which a mean over batches gives every percentage on the n images. */
static bool find_batches(audit *a, char *list, size_t room) {
    static const int SIZES[] = {2,  4,  5,  8,  10, 12, 16, 20,  24,  25,  30, 32,
                                40, 48, 50, 60, 64, 80, 96, 100, 128, 200, 256};
    list[0] = '\0';
    for (size_t k = 0; k < sizeof SIZES / sizeof *SIZES; k++) {
        if (SIZES[k] >= a->n || !all_possible_in_batches(a, SIZES[k])) continue;
        if (json_array_append_new(a->batches, json_integer(SIZES[k])) != 0) return false;
        size_t used = strlen(list);
        snprintf(list + used, room - used, "%s%d", used ? ", " : "", SIZES[k]);
    }
    return true;
}

/* The percentages against the n that is known: which are no k / n, and the two counts around them. */
static bool say_counts(audit *a) {
    bool ok = true;
    size_t impossible = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        const published_row *r = &a->rows[i];
        if (r->n == 0 || r->possible) continue;
        double below = floor(r->share * (double)r->n), n = (double)r->n;
        impossible++;
        ok = ok && say(a,
                       "Row %zu (%s): %s is not k of %.0f images for any whole k: %.0f would be "
                       "%.3f %%, %.0f would be %.3f %%.",
                       "第 %zu 列（%s）：%s 不是 %.0f 張影像中任何整數張所能得到的比率：%.0f 張是 "
                       "%.3f%%，%.0f 張是 %.3f%%。",
                       i + 1, r->name, r->accuracy_text, n, below, 100 * below / n, below + 1,
                       100 * (below + 1) / n);
    }
    if (a->n == 0 || impossible == 0) return ok;
    char list[200];
    if (!find_batches(a, list, sizeof list)) return false;
    if (!list[0]) return ok;
    return ok &&
           say(a,
               "As means over batches, a smaller last batch counted like the others, all are "
               "possible on %.0f images with batches of %s.",
               "若是對每個批次的準確率取平均（較小的最後一批也同等計算），在 %.0f 張影像上，批"
               "次大小為 %s 時所有數字都可能出現。",
               (double)a->n, list);
}

static bool find_smallest_n(audit *a) {
    eg_printed *p = eg_arena_get(a->arena, a->n_rows * sizeof *p);
    if (!p) return false;
    for (size_t i = 0; i < a->n_rows; i++) p[i] = a->rows[i].accuracy;
    a->smallest_n = eg_audit_smallest_n(p, a->n_rows, 1, MOST_N);
    if (a->smallest_n < 2) return true;
    if (a->n >= a->smallest_n) return true;
    return say(
        a,
        "No test set of fewer than %.0f images yields all of these percentages as k / n "
        "(rounding half up or half to even). If the test set is smaller, they are probably "
        "means over batches rather than over images, or come from different test sets, or "
        "were rounded before they were added up.",
        "少於 %.0f 張影像的測試集，不可能同時得到這些百分比（以 k / n "
        "計，四捨五入或四捨六入五成雙皆已考慮）。若測試集比這更小，這些數字很可能是對批次取平均"
        "而非對影像取平均，或來自不同的測試集，或在加總之前已先四捨五入。",
        (double)a->smallest_n);
}

static bool say_loss(audit *a, size_t i) {
    const published_row *r = &a->rows[i];
    bool ok = true;
    double floor_of = eg_audit_loss_floor(r->share);
    if (r->loss < floor_of - 5e-5)
        ok = say(
            a,
            "Row %zu (%s): loss %s is below %.4f, the least that goes with accuracy %s, "
            "because every wrong image costs at least ln 2. The two are not of one model on "
            "one set, or the loss is not the mean cross-entropy.",
            "第 %zu 列（%s）：損失 %s 低於 %.4f，而準確率 %s 至少要有這麼大的損失（每張判錯的影像"
            "至少付出 ln 2）。兩者不是同一個模型在同一份資料上的結果，或損失不是平均交叉熵。",
            i + 1, r->name, r->loss_text, floor_of, r->accuracy_text);
    if (r->loss > log(2))
        ok =
            ok && say(a,
                      "Row %zu (%s): loss %s is above ln 2 = 0.693, what answering one half for "
                      "every image of two classes costs: its probabilities are worse than a "
                      "coin's, however many answers are right.",
                      "第 %zu 列（%s）：損失 %s 高於 ln 2 = 0.693，也就是兩類問題中每張都回答二分之"
                      "一的損失：不論答對多少，它給的機率比擲硬幣還差。",
                      i + 1, r->name, r->loss_text);
    return ok;
}

static bool say_majority(audit *a, size_t i) {
    const published_row *r = &a->rows[i];
    if (!(r->share < r->majority)) return true;
    return say(a,
               "Row %zu (%s): accuracy %s is below %.1f %%, what answering with the larger class "
               "always scores.",
               "第 %zu 列（%s）：準確率 %s 低於 %.1f%%，也就是永遠回答較多的那一類所得的準確率。",
               i + 1, r->name, r->accuracy_text, 100 * r->majority);
}

/* Frozen and fine-tuned rows of one model, by what their names say. The interval is of two independent samples of the
 * n that is known, else of the smallest that is possible: what the printed figures alone can bear. */
static bool find_order(audit *a) {
    for (size_t i = 0; i < a->n_rows; i++) {
        for (size_t k = 0; k < a->n_rows; k++) {
            const published_row *f = &a->rows[i], *t = &a->rows[k];
            if (f->mode != ROW_FROZEN || t->mode != ROW_FINETUNED ||
                strcmp(f->model_key, t->model_key) != 0)
                continue;
            bool frozen_above = f->share > t->share;
            size_t above = frozen_above ? i : k, below = frozen_above ? k : i;
            double d = NAN, ci[2] = {NAN, NAN};
            int64_t n = a->n ? a->n : a->smallest_n;
            const published_row *high = &a->rows[above], *low = &a->rows[below];
            if (n > 0)
                eg_difference_independent(&d, ci, llround(high->share * (double)n), n,
                                          llround(low->share * (double)n), n, 0.95);
            json_t *json = json_pack(
                "{s:I, s:I, s:o, s:o, s:I}", "above", (json_int_t)above, "below", (json_int_t)below,
                "difference", eg_json_real(high->share - low->share), "ci",
                isnan(ci[0]) ? json_null()
                             : json_pack("[o,o]", eg_json_real(ci[0]), eg_json_real(ci[1])),
                "n", (json_int_t)n);
            if (json_array_append_new(a->order, json) != 0) return false;
            if (frozen_above &&
                !say(a,
                     "Row %zu (%s, %s) is above row %zu (%s, %s): frozen is ahead of fine-tuned by "
                     "%.2f points, whatever a text beside the table says.",
                     "第 %zu 列（%s，%s）高於第 %zu 列（%s，%s）：凍結的特徵擷取器比微調高 %.2f "
                     "個百分點，無論表格旁的文字怎麼說。",
                     above + 1, high->name, high->accuracy_text, below + 1, low->name,
                     low->accuracy_text, 100 * (high->share - low->share)))
                return false;
            if (frozen_above && !isnan(ci[0]) &&
                !say(a,
                     ci[0] > 0
                         ? "On %.0f images the 95 %% interval of such a difference is %.1f to "
                           "%.1f points: more than chance."
                         : "On %.0f images the 95 %% interval of such a difference is %.1f to "
                           "%.1f points: chance alone can do that.",
                     ci[0] > 0 ? "在 %.0f 張影像上，這個差異的 95%% 信賴區間是 %.1f 到 %.1f "
                                 "個百分點，超出機率可解釋的範圍。"
                               : "在 %.0f 張影像上，這個差異的 95%% 信賴區間是 %.1f 到 %.1f "
                                 "個百分點，單憑機率就可能出現。",
                     (double)n, 100 * ci[0], 100 * ci[1]))
                return false;
        }
    }
    return true;
}

static bool find_all(audit *a) {
    bool ok = find_repeats(a) && find_smallest_n(a) && say_counts(a);
    for (size_t i = 0; ok && i < a->n_rows; i++) ok = say_majority(a, i) && say_loss(a, i);
    ok = ok && find_order(a);
    if (ok && json_array_size(a->text) == 0)
        ok = say(a, "Nothing in these figures contradicts the others%s.",
                 "這些數字之間沒有互相矛盾之處%s。", "");
    return ok;
}

/* ---- the document ---- */

static json_t *whole(int64_t n) {
    return n > 0 ? json_integer((json_int_t)n) : json_null();
}

static json_t *known(bool is_known, bool value) {
    return is_known ? json_boolean(value) : json_null();
}

static json_t *row_json(const published_row *r) {
    double floor_of = eg_audit_loss_floor(r->share);
    bool loss = !isnan(r->loss);
    return json_pack(
        "{s:s, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", r->name,
        "accuracy", eg_json_real(r->share), "printed", r->accuracy_text, "decimals",
        r->accuracy.decimals, "loss", eg_json_real(r->loss), "n", whole(r->n), "possible",
        known(r->n > 0, r->possible), "k", r->possible ? json_integer(r->k) : json_null(),
        "smallest_n", whole(r->smallest_n), "majority", eg_json_real(r->majority), "below_majority",
        known(!isnan(r->majority), r->share < r->majority), "loss_floor", eg_json_real(floor_of),
        "loss_possible", known(loss, r->loss >= floor_of - 5e-5), "above_coin",
        known(loss, r->loss > log(2)));
}

static json_t *document(const audit *a, const char *path) {
    json_t *rows = json_array();
    bool ok = rows != NULL;
    for (size_t i = 0; ok && i < a->n_rows; i++)
        ok = json_array_append_new(rows, row_json(&a->rows[i])) == 0;
    const char *name = strrchr(path, '/');
    json_t *json = ok ? json_pack("{s:s, s:s, s:o, s:O, s:o, s:O, s:O, s:O, s:O, s:O}", "schema",
                                  "engraft.published/1", "file", name ? name + 1 : path, "n",
                                  whole(a->n), "repeats", a->repeats, "smallest_n",
                                  whole(a->smallest_n), "batch_sizes", a->batches, "rows", rows,
                                  "order", a->order, "text", a->text, "text_zh_tw", a->text_zh)
                      : NULL;
    json_decref(rows);
    return json;
}

eg_status eg_study_audit_published(json_t **out, const char *csv_path, int64_t n_test,
                                   double majority, eg_error *err) {
    audit a = {.n = n_test,
               .repeats = json_array(),
               .order = json_array(),
               .batches = json_array(),
               .text = json_array(),
               .text_zh = json_array(),
               .arena = eg_arena_new(4096, 0)};
    bool ok = a.repeats && a.order && a.batches && a.text && a.text_zh && a.arena;
    eg_status status = ok ? eg_csv_read(&a.table, csv_path, err) : no_memory(err);
    if (status == EG_OK) {
        status = read_rows(&a, majority, err);
        if (status == EG_ERR_INPUT) status = eg_error_in(err, status, csv_path);
        if (status == EG_OK) {
            json_t *json = find_all(&a) ? document(&a, csv_path) : NULL;
            status = json ? EG_OK : no_memory(err);
            if (json) *out = json;
        }
        eg_csv_free(&a.table);
    }
    eg_free(a.rows);
    eg_arena_free(a.arena);
    json_decref(a.repeats);
    json_decref(a.order);
    json_decref(a.batches);
    json_decref(a.text);
    json_decref(a.text_zh);
    return status;
}
