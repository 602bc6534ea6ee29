/* eg_version: versions, processor, kernels in use; and the machine part of config.json and
 * study.json. */
#include "study/run.h"
#include <stdio.h> /* before jpeglib.h, which uses FILE */
#include <string.h>

#include <jpeglib.h>
#include <openssl/crypto.h>
#include <png.h>
#include <tiffio.h>
#if ENGRAFT_WEBP
#    include <webp/decode.h>
#endif
#include <zlib.h>

#define TEXT_OF(x)  #x
#define VALUE_OF(x) TEXT_OF(x)

/* "model name" of /proc/cpuinfo, or "unknown". */
static void cpu_name(char *out, size_t size) {
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon += strspn(colon, ": \t");
        snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (file) fclose(file);
}

/* The net room's list of kernels and instruction sets, with processor and threads beside it. */
json_t *eg_study_machine_json(bool kernels) {
    char cpu[256];
    json_t *json = eg_net_backend_json(kernels);
    cpu_name(cpu, sizeof cpu);
    if (json && json_object_set_new(json, "cpu", json_string(cpu)) == 0 &&
        json_object_set_new(json, "threads", json_integer(eg_pool_threads())) == 0)
        return json;
    json_decref(json);
    return NULL;
}

/* "4.5.0" of "LIBTIFF, Version 4.5.0" and what follows on other lines. */
static void tiff_version(char *out, size_t size) {
    const char *text = TIFFGetVersion(), *number = strstr(text, "Version ");
    if (number) text = number + strlen("Version ");
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static void webp_version(char *out, size_t size) {
#if ENGRAFT_WEBP
    int number = WebPGetDecoderVersion(); /* 0x010204 is 1.2.4 */
    snprintf(out, size, "%d.%d.%d", number >> 16, number >> 8 & 255, number & 255);
#else
    snprintf(out, size, "not used");
#endif
}

static json_t *libraries_json(const json_t *machine) {
    const char *compute = json_string_value(json_object_get(machine, "compute"));
    char jpeg[32], tiff[32], webp[32];
    /* the version number as libjpeg-turbo packs it: 2001005 is 2.1.5 */
    int number = LIBJPEG_TURBO_VERSION_NUMBER;
    snprintf(jpeg, sizeof jpeg, "turbo %d.%d.%d", number / 1000000, number / 1000 % 1000,
             number % 1000);
    tiff_version(tiff, sizeof tiff);
    webp_version(webp, sizeof webp);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "oneDNN",
                     compute ? compute : "not used", "libjpeg", jpeg, "libpng",
                     PNG_LIBPNG_VER_STRING, "libtiff", tiff, "libwebp", webp, "zlib", zlibVersion(),
                     "jansson", jansson_version_str(), "openssl", OpenSSL_version(OPENSSL_VERSION));
}

#if defined(__clang__)
#    define COMPILER "clang " VALUE_OF(__clang_major__) "." VALUE_OF(__clang_minor__)
#else
#    define COMPILER "gcc " VALUE_OF(__GNUC__) "." VALUE_OF(__GNUC_MINOR__)
#endif

eg_status eg_version(eg_doc **out, const eg_options *o, eg_error *err) {
    json_t *machine = eg_study_machine_json(o->kernels);
    json_t *json = json_pack("{s:s, s:s, s:o}", "engraft", ENGRAFT_VERSION, "compiler", COMPILER,
                             "libraries", machine ? libraries_json(machine) : NULL);
    if (json && json_object_update_missing(json, machine) != 0) {
        json_decref(json);
        json = NULL;
    }
    json_decref(machine);
    eg_doc *doc = eg_doc_new(json, "version");
    if (!doc) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    *out = doc;
    return EG_OK;
}

eg_status eg_isa_limit(const char *isa, eg_error *err) {
    return eg_net_isa_limit(isa, err);
}
