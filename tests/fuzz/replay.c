/* Standalone driver: gives every file of the folders (or files) named to LLVMFuzzerTestOneInput, so
 * that the corpus is replayed by any compiler in every test run. It proves only that no input
 * crashes; run it under sanitizers. Exit 0: all were replayed; 1: a path could not be read, or
 * there was nothing to replay. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_replayed;

/* In a heap block of the exact size, so that AddressSanitizer sees a read behind the end. */
static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        perror(path);
        if (file != NULL) fclose(file);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    int failed = data == NULL || fread(data, 1, size, file) != size;
    fclose(file);
    if (failed) {
        fprintf(stderr, "%s: cannot be read\n", path);
    } else {
        LLVMFuzzerTestOneInput(data, size);
        n_replayed++;
    }
    free(data);
    return failed;
}

static int replay(const char *path) {
    DIR *dir = opendir(path);
    if (dir == NULL) return replay_file(path);
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char inner[4096];
        int n = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        failed |= n < 0 || (size_t)n >= sizeof inner || replay(inner);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= replay(argv[i]);
    printf("%d inputs replayed\n", n_replayed);
    return failed || n_replayed == 0;
}
