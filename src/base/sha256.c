/* SHA-256 of memory and of files, over OpenSSL. Hex is lower case.
 *
 * A digest that could not be computed (OpenSSL out of memory) is the empty string: it equals no
 * expected value, so a check fails closed. */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `digest` as 64 lower-case digits and a NUL. */
static void put_hex(char out[65], const unsigned char digest[32]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = 0;
}

void eg_sha256_hex(char out[65], const void *data, size_t n) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    out[0] = 0;
    if (EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL) == 1) put_hex(out, digest);
}

/* read() and not mmap: a file cut short by someone else is then an error and not a SIGBUS. */
static eg_status digest_fd(unsigned char *digest, int fd, const char *path, EVP_MD_CTX *context,
                           char *block, size_t block_bytes, eg_error *err) {
    if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        return eg_fail(err, EG_ERR_INTERNAL, "%s: SHA-256 is not available in OpenSSL", path);
    }
    for (;;) {
        ssize_t n = read(fd, block, block_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            char reason[128];
            return eg_fail(err, EG_ERR_IO, "%s: cannot read: %s", path,
                           strerror_r(errno, reason, sizeof reason));
        }
        if (n == 0) break;
        if (EVP_DigestUpdate(context, block, (size_t)n) != 1) {
            return eg_fail(err, EG_ERR_INTERNAL, "%s: SHA-256 failed", path);
        }
    }
    if (EVP_DigestFinal_ex(context, digest, NULL) != 1) {
        return eg_fail(err, EG_ERR_INTERNAL, "%s: SHA-256 failed", path);
    }
    return EG_OK;
}

/* O_NONBLOCK: a named pipe in place of a file must not hang the program, and has no bytes to hash. */
eg_status eg_sha256_file(char out[65], const char *path, eg_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        char reason[128];
        return eg_fail(err, missing ? EG_ERR_NOT_FOUND : EG_ERR_IO, "%s: cannot open: %s", path,
                       strerror_r(errno, reason, sizeof reason));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return eg_fail(err, EG_ERR_INPUT, "%s: is not a regular file", path);
    }
    size_t block_bytes = (size_t)1 << 20;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *block = eg_malloc(block_bytes);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    eg_status status;
    if (block == NULL || context == NULL) {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for hashing", path);
    } else {
        status = digest_fd(digest, fd, path, context, block, block_bytes, err);
    }
    if (status == EG_OK) put_hex(out, digest);
    EVP_MD_CTX_free(context);
    eg_free(block);
    close(fd);
    return status;
}
