/* Test-time augmentation by shifts: an image moved by 2 % of its side, then 4 %, in eight directions each, with the edge
 * repeated. No flips: in a chest radiograph left is not right. Works on what a network takes, so that it costs a pass of
 * the network and no decoding. Read first: recipe.h. */
#include "study/recipe.h"
#include <math.h>
#include <string.h>

enum { DIRECTIONS = 8 };
static const int STEP_X[DIRECTIONS] = {1, -1, 0, 0, 1, -1, 1, -1};
static const int STEP_Y[DIRECTIONS] = {0, 0, 1, -1, 1, -1, -1, 1};
static const double RING = 0.02; /* of the side */

static int clamp(int v, int most) {
    return v < 0 ? 0 : v > most ? most : v;
}

void eg_study_view(float *dst, const float *src, int side, int view) {
    size_t row = (size_t)side * 3;
    int ring = (view + DIRECTIONS - 1) / DIRECTIONS, way = (view - 1) % DIRECTIONS;
    int reach = (int)ceil(RING * ring * side);
    if (view <= 0 || side < 2) {
        memcpy(dst, src, (size_t)side * row * sizeof *dst);
        return;
    }
    int dx = STEP_X[way] * reach, dy = STEP_Y[way] * reach;
    for (int y = 0; y < side; y++) {
        const float *from = src + (size_t)clamp(y - dy, side - 1) * row;
        float *to = dst + (size_t)y * row;
        for (int x = 0; x < side; x++)
            memcpy(to + (size_t)x * 3, from + (size_t)clamp(x - dx, side - 1) * 3, 3 * sizeof *to);
    }
}
