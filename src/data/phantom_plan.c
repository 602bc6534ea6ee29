/* The plan of a phantom: which images there are, of which patient, in which split and class, under
 * which name, and what is planted on each. No pixel is made here.
 *
 * A clean plan gives every split the same class shares and its own patients, and nothing but the
 * opacities depends on the class: patient numbers, poses and exposures are drawn without looking at
 * it, names carry the patient ("IM-0115-0001.png", patients.c's rule kermany) and not the class.
 * Faults change the plan afterwards and leave the draws of everything else as they were, so a clean
 * and a faulty phantom of one seed are the same images where the fault does not touch them.
 * Read first: phantom.h. */
#include "data/phantom.h"
#include "data/streams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const eg_data_phantom_classes[2] = {"NORMAL", "PNEUMONIA"};

enum { MAX_IMAGES_OF_PATIENT = 4 };

static const double split_share[EG_SPLIT_ALL] = {0.60, 0.15, 0.25}; /* train, val, test */

typedef struct {
    eg_data_phantom_plan *plan;
    const eg_data_phantom_options *o;
    uint32_t *order;    /* (n_images) scratch for draws without repetition */
    uint32_t *n_images; /* (n_patients) */
} planner;

static double strength(const planner *p, eg_data_fault fault) {
    return p->o->faults.strength[fault];
}

/* A share of n as a count, at least 1 of what is planted at all, at most n. */
static size_t share_of(double share, size_t n) {
    size_t k = (size_t)(share * (double)n + 0.5);
    if (share > 0 && k == 0) k = 1;
    return k < n ? k : n;
}

static void mark(eg_data_phantom_image *image, eg_data_fault fault) {
    image->planted |= 1u << fault;
}

/* ---- how many of what ---- */

/* Images of each split (largest remainder, two or more each) and of each class in it. */
static void count_images(planner *p) {
    size_t n_split[EG_SPLIT_ALL], total = p->o->n_images;
    n_split[EG_SPLIT_VAL] = (size_t)(split_share[EG_SPLIT_VAL] * (double)total + 0.5);
    n_split[EG_SPLIT_TEST] = (size_t)(split_share[EG_SPLIT_TEST] * (double)total + 0.5);
    if (n_split[EG_SPLIT_VAL] < 2) n_split[EG_SPLIT_VAL] = 2;
    if (n_split[EG_SPLIT_TEST] < 2) n_split[EG_SPLIT_TEST] = 2;
    n_split[EG_SPLIT_TRAIN] = total - n_split[EG_SPLIT_VAL] - n_split[EG_SPLIT_TEST];
    double ratio = 1 + 8 * strength(p, EG_DATA_FAULT_IMBALANCE); /* PNEUMONIA to NORMAL */
    double ill_share = ratio / (1 + ratio), shift = 0.4 * strength(p, EG_DATA_FAULT_PRIOR_SHIFT);
    double kept = pow(10, -1.5 * strength(p, EG_DATA_FAULT_FEW_IMAGES));
    p->plan->n_images = 0;
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        double share = ill_share;
        /* away from the shares of train, towards whichever side has room */
        if (s == EG_SPLIT_TEST) share += ill_share > 0.5 ? -shift : shift;
        size_t n = n_split[s];
        if (s != EG_SPLIT_TEST) n = (size_t)(kept * (double)n + 0.5);
        size_t least = s == EG_SPLIT_TRAIN ? 4 : 2;
        if (n < least) n = least < n_split[s] ? least : n_split[s];
        size_t ill = (size_t)(share * (double)n + 0.5);
        if (ill < 1) ill = 1;
        if (ill > n - 1) ill = n - 1;
        p->plan->count[s][0] = n - ill;
        p->plan->count[s][1] = ill;
        p->plan->n_images += n;
    }
}

/* Patients of one to four images, each in one split and one class, until the counts are met. */
static void make_patients(planner *p) {
    eg_random r = eg_random_make(p->o->seed, 0, 0, EG_DATA_STREAM_PHANTOM_PATIENTS);
    eg_data_phantom_plan *plan = p->plan;
    size_t at = 0;
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        for (int label = 0; label < 2; label++) {
            for (size_t left = plan->count[s][label]; left > 0;) {
                size_t n = 1 + eg_random_below(&r, MAX_IMAGES_OF_PATIENT);
                if (n > left) n = left;
                left -= n;
                p->n_images[plan->n_patients] = (uint32_t)n;
                while (n-- > 0) {
                    eg_data_phantom_image *image = &plan->images[at++];
                    image->split = (eg_split)s;
                    image->label = image->true_label = label;
                    image->patient = plan->n_patients;
                }
                plan->n_patients++;
            }
        }
    }
}

/* Indices of the images of a split and class, shuffled, into p->order; their number. */
static size_t draw_images(planner *p, uint32_t stream, int split, int label) {
    size_t n = 0;
    for (size_t i = 0; i < p->plan->n_images; i++) {
        const eg_data_phantom_image *image = &p->plan->images[i];
        if ((int)image->split == split && image->true_label == label) p->order[n++] = (uint32_t)i;
    }
    eg_random r = eg_random_make(p->o->seed, (uint32_t)split, (uint32_t)label, stream);
    eg_random_shuffle(&r, p->order, n);
    return n;
}

/* ---- faults of the plan ---- */

/* Some test patients become further images of as many train patients of their class. */
static void leak_patients(planner *p) {
    double share = 0.4 * strength(p, EG_DATA_FAULT_PATIENT_LEAK);
    for (int label = 0; share > 0 && label < 2; label++) {
        size_t n_train = draw_images(p, EG_DATA_STREAM_PHANTOM_LEAK, EG_SPLIT_TRAIN, label);
        size_t wanted = share_of(share, p->plan->count[EG_SPLIT_TEST][label]), next = 0;
        /* test patients are contiguous in the plan, and in no order that means anything */
        for (size_t i = 0; i < p->plan->n_images && wanted > 0;) {
            eg_data_phantom_image *first = &p->plan->images[i];
            size_t n = p->n_images[first->patient];
            if (first->split != EG_SPLIT_TEST || first->true_label != label) {
                i++;
                continue;
            }
            /* a train patient comes again: other numbers of the visit, the same anatomy */
            uint32_t to = p->plan->images[p->order[next % n_train]].patient;
            next++;
            for (size_t k = 0; k < n; k++) {
                first[k].patient = to;
                mark(&first[k], EG_DATA_FAULT_PATIENT_LEAK);
            }
            p->n_images[to] += (uint32_t)n;
            i += n;
            wanted -= n < wanted ? n : wanted;
        }
    }
}

/* The same number of each class, so that only labels change, not the balance. */
static void flip_labels(planner *p) {
    double share = 0.4 * strength(p, EG_DATA_FAULT_LABEL_NOISE);
    for (int label = 0; share > 0 && label < 2; label++) {
        size_t n = draw_images(p, EG_DATA_STREAM_PHANTOM_LABELS, EG_SPLIT_TRAIN, label);
        size_t least = p->plan->count[EG_SPLIT_TRAIN][0] < p->plan->count[EG_SPLIT_TRAIN][1]
                           ? p->plan->count[EG_SPLIT_TRAIN][0]
                           : p->plan->count[EG_SPLIT_TRAIN][1];
        size_t flipped = share_of(share, least);
        for (size_t i = 0; i < flipped && i < n; i++) {
            p->plan->images[p->order[i]].label = 1 - label;
            mark(&p->plan->images[p->order[i]], EG_DATA_FAULT_LABEL_NOISE);
        }
    }
}

/* Test images that show a train image of their class under their own name: every other one a
 * little brighter. After sorting, since copy_of is an index. */
static eg_status copy_images(planner *p, eg_error *err) {
    double share = 0.2 * strength(p, EG_DATA_FAULT_DUPLICATES);
    if (share <= 0) return EG_OK;
    uint32_t *sources = eg_malloc(p->plan->n_images * sizeof *sources);
    if (!sources) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the plan of the phantom");
    for (int label = 0; label < 2; label++) {
        size_t n_train = draw_images(p, EG_DATA_STREAM_PHANTOM_COPIES, EG_SPLIT_TRAIN, label);
        memcpy(sources, p->order, n_train * sizeof *sources);
        size_t n_test = draw_images(p, EG_DATA_STREAM_PHANTOM_COPIES, EG_SPLIT_TEST, label);
        size_t n = share_of(share, n_test);
        for (size_t i = 0; i < n && i < n_train; i++) {
            eg_data_phantom_image *image = &p->plan->images[p->order[i]];
            /* class 1 begins with a near copy: a small set has one of each kind */
            image->copy = (i + (size_t)label) % 2 ? EG_DATA_COPY_NEAR : EG_DATA_COPY_EXACT;
            image->copy_of = sources[i];
            mark(image, EG_DATA_FAULT_DUPLICATES);
        }
    }
    eg_free(sources);
    return EG_OK;
}

/* ---- names ---- */

/* Patients are numbered in an order that knows neither class nor split. */
static eg_status name_images(planner *p, eg_error *err) {
    eg_data_phantom_plan *plan = p->plan;
    uint32_t *numbers = eg_malloc(2 * (size_t)plan->n_patients * sizeof *numbers);
    if (!numbers) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the plan of the phantom");
    uint32_t *seen = numbers + plan->n_patients;
    for (uint32_t i = 0; i < plan->n_patients; i++) {
        numbers[i] = i;
        seen[i] = 0;
    }
    eg_random r = eg_random_make(p->o->seed, 0, 0, EG_DATA_STREAM_PHANTOM_NUMBERS);
    eg_random_shuffle(&r, numbers, plan->n_patients);
    for (size_t i = 0; i < plan->n_images; i++) {
        eg_data_phantom_image *image = &plan->images[i];
        image->spec.anatomy = numbers[image->patient];
        image->spec.key = ++seen[image->patient];
        snprintf(image->file, sizeof image->file, "%s/%s/IM-%04u-%04u.%s",
                 eg_split_name(image->split), eg_data_phantom_classes[image->label],
                 numbers[image->patient] + 1, seen[image->patient], p->o->extension);
        image->patient = numbers[image->patient];
    }
    eg_free(numbers);
    return EG_OK;
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const eg_data_phantom_image *)a)->file,
                  ((const eg_data_phantom_image *)b)->file);
}

/* ---- what each picture shows ---- */

/* The kind of a patient's disease; both images of a patient show the same. */
static eg_data_opacity_kind draw_kind(const planner *p, const eg_data_phantom_image *image) {
    eg_random r = eg_random_make(p->o->seed, image->patient, 0, EG_DATA_STREAM_PHANTOM_KIND);
    double u = eg_random_uniform(&r), shift = strength(p, EG_DATA_FAULT_SUBTYPE_SHIFT);
    double diffuse = 0.2;
    if (image->split == EG_SPLIT_TEST)
        diffuse += 0.8 * shift;
    else
        diffuse *= 1 - sqrt(shift);
    if (u < diffuse) return EG_DATA_OPACITY_DIFFUSE;
    return eg_random_uniform(&r) < 0.5 ? EG_DATA_OPACITY_LOBAR : EG_DATA_OPACITY_PATCHY;
}

/* Letters: in train and val by class, in test by a coin. At full strength the letter is the class.
 */
static bool draw_marker(const planner *p, const eg_data_phantom_image *image) {
    double s = strength(p, EG_DATA_FAULT_MARKER);
    if (s <= 0) return false;
    eg_random r = eg_random_make(p->o->seed, image->spec.anatomy, image->spec.key,
                                 EG_DATA_STREAM_PHANTOM_MARKER);
    double tie = image->split == EG_SPLIT_TEST ? 0 : 0.5 * sqrt(s);
    return eg_random_uniform(&r) < (image->true_label ? 0.5 + tie : 0.5 - tie);
}

static void set_faults_of_pixels(const planner *p, eg_data_phantom_image *image) {
    eg_data_phantom_spec *spec = &image->spec;
    bool test = image->split == EG_SPLIT_TEST;
    double s = strength(p, EG_DATA_FAULT_FRAMING_SHIFT);
    if (s > 0 && !test && !image->true_label) {
        spec->zoom = 1 + 0.22 * s;
        spec->lift = 0.09 * s;
        mark(image, EG_DATA_FAULT_FRAMING_SHIFT);
    }
    spec->marker = draw_marker(p, image);
    if (spec->marker) mark(image, EG_DATA_FAULT_MARKER);
    spec->contrast = pow(10, -strength(p, EG_DATA_FAULT_HARD_SIGNAL));
    spec->grain = strength(p, EG_DATA_FAULT_RESOLUTION);
    if (spec->ill && spec->contrast < 1) mark(image, EG_DATA_FAULT_HARD_SIGNAL);
    if (spec->ill && spec->grain > 0) mark(image, EG_DATA_FAULT_RESOLUTION);
    if (!test) return;
    spec->exposure = 1 - 0.4 * strength(p, EG_DATA_FAULT_EXPOSURE_DRIFT);
    spec->blur = 0.012 * strength(p, EG_DATA_FAULT_BLUR_DRIFT);
    spec->noise = 1 + 3 * strength(p, EG_DATA_FAULT_NOISE_DRIFT);
    if (spec->exposure < 1) mark(image, EG_DATA_FAULT_EXPOSURE_DRIFT);
    if (spec->blur > 0) mark(image, EG_DATA_FAULT_BLUR_DRIFT);
    if (spec->noise > 1) mark(image, EG_DATA_FAULT_NOISE_DRIFT);
    if (spec->ill && strength(p, EG_DATA_FAULT_SUBTYPE_SHIFT) > 0)
        mark(image, EG_DATA_FAULT_SUBTYPE_SHIFT);
}

static void set_specs(planner *p) {
    for (size_t i = 0; i < p->plan->n_images; i++) {
        eg_data_phantom_image *image = &p->plan->images[i];
        eg_data_phantom_spec *spec = &image->spec;
        spec->seed = p->o->seed;
        spec->width = p->o->width;
        spec->height = p->o->height;
        spec->zoom = spec->exposure = spec->noise = 1;
        spec->ill = image->true_label == 1;
        spec->kind = draw_kind(p, image);
        set_faults_of_pixels(p, image);
    }
}

/* A copy is drawn as its source is, and has its faults. */
static void finish_images(planner *p) {
    for (size_t i = 0; i < p->plan->n_images; i++) {
        eg_data_phantom_image *image = &p->plan->images[i];
        if (image->copy != EG_DATA_COPY_NONE) {
            const eg_data_phantom_image *source = &p->plan->images[image->copy_of];
            image->spec = source->spec;
            image->planted = source->planted & ~(1u << EG_DATA_FAULT_LABEL_NOISE);
            mark(image, EG_DATA_FAULT_DUPLICATES);
        }
        eg_data_phantom_locate(&image->opacity, &image->spec);
    }
}

/* ---- counts of the finished plan ---- */

static void count_plan(planner *p) {
    eg_data_phantom_plan *plan = p->plan;
    memset(plan->count, 0, sizeof plan->count);
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        memset(p->n_images, 0, plan->n_patients * sizeof *p->n_images);
        for (size_t i = 0; i < plan->n_images; i++) {
            const eg_data_phantom_image *image = &plan->images[i];
            if ((int)image->split != s) continue;
            plan->count[s][image->label]++;
            plan->patients[s] += p->n_images[image->patient]++ == 0;
            for (int f = 0; f < EG_DATA_FAULT_COUNT; f++)
                plan->planted[f] += image->planted >> f & 1;
        }
    }
    /* what shows in no single image: the whole split has it */
    for (int s = 0; s < EG_SPLIT_ALL; s++) {
        size_t n = plan->count[s][0] + plan->count[s][1];
        if (strength(p, EG_DATA_FAULT_IMBALANCE) > 0) plan->planted[EG_DATA_FAULT_IMBALANCE] += n;
        if (strength(p, EG_DATA_FAULT_PRIOR_SHIFT) > 0 && s == EG_SPLIT_TEST)
            plan->planted[EG_DATA_FAULT_PRIOR_SHIFT] += n;
        if (strength(p, EG_DATA_FAULT_FEW_IMAGES) > 0 && s != EG_SPLIT_TEST)
            plan->planted[EG_DATA_FAULT_FEW_IMAGES] += n;
    }
}

void eg_data_phantom_plan_free(eg_data_phantom_plan *plan) {
    if (!plan) return;
    eg_free(plan->images);
    *plan = (eg_data_phantom_plan){0};
}

eg_status eg_data_phantom_plan_make(eg_data_phantom_plan *out, const eg_data_phantom_options *o,
                                    eg_error *err) {
    eg_data_phantom_plan plan = {0};
    planner p = {.plan = &plan, .o = o};
    count_images(&p);
    plan.images = eg_calloc(plan.n_images, sizeof *plan.images);
    p.order = eg_malloc(plan.n_images * sizeof *p.order);
    p.n_images =
        eg_calloc(plan.n_images, sizeof *p.n_images); /* patients: never more than images */
    eg_status status =
        plan.images && p.order && p.n_images
            ? EG_OK
            : eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the plan of %zu images", plan.n_images);
    if (status == EG_OK) {
        make_patients(&p);
        leak_patients(&p);
        flip_labels(&p);
        status = name_images(&p, err);
    }
    if (status == EG_OK) {
        qsort(plan.images, plan.n_images, sizeof *plan.images, compare_files);
        set_specs(&p);
        status = copy_images(&p, err);
    }
    if (status == EG_OK) {
        finish_images(&p);
        count_plan(&p);
    }
    eg_free(p.order);
    eg_free(p.n_images);
    if (status == EG_OK)
        *out = plan;
    else
        eg_data_phantom_plan_free(&plan);
    return status;
}
