/* eg_fetch_file against a local server that breaks off, stalls, lies and redirects
 * (tests/http/weights_server, Python's standard library), and against the same behind TLS with a
 * certificate that is made here. What is looked at: the bytes on the disk, the status, the message,
 * and in the server's log whether the rest was really asked for by Range. Skipped without python3,
 * the TLS tests also without the openssl program. No network is used. */
#include "fetch/fetch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "temp_tree.h"
#include <sys/resource.h>
#include <sys/wait.h>

enum { N_BYTES = 300000 };
static uint8_t data[N_BYTES];
static char sha256[65];
static int port, tls_port; /* 0: cannot be tested here */
static pid_t server, tls_server;

/* Start a server with its log in `log_name`; with `tls`, by the certificate that make_certificate
 * left. *port stays 0 when it does not come up. */
static pid_t serve(int *at, const char *log_name, bool tls) {
    char *folder = eg_strdup(tree_path("served")),
         *file = eg_format("%s/%s.port", tree_root, log_name),
         *log = eg_format("%s/%s", tree_root, log_name),
         *cert = eg_format("%s/cert.pem", tree_root), *key = eg_format("%s/key.pem", tree_root);
    pid_t pid = fork();
    if (pid == 0) {
        execl(TEST_SOURCE_DIR "/tests/http/weights_server", "weights_server", folder, file, log,
              tls ? "--tls" : NULL, cert, key, (char *)NULL);
        _exit(127);
    }
    for (int tries = 0; tries < 300 && *at == 0; tries++) {
        usleep(50000);
        FILE *f = fopen(file, "r");
        if (f && fscanf(f, "%d", at) != 1) *at = 0;
        if (f) fclose(f);
    }
    eg_free(folder);
    eg_free(file);
    eg_free(log);
    eg_free(cert);
    eg_free(key);
    return pid;
}

/* A key and a certificate for 127.0.0.1, signed by itself, valid from now on. */
static bool make_certificate(const char *key, const char *cert) {
    char command[2400];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
             "/CN=engraft-test -addext subjectAltName=IP:127.0.0.1 -keyout '%s/%s' -out '%s/%s' "
             ">/dev/null 2>&1",
             tree_root, key, tree_root, cert);
    return system(command) == 0;
}

static int start(void **state) {
    (void)state;
    if (system("python3 -c 'import http.server' >/dev/null 2>&1") != 0) return 0; /* port 0: skip */
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "no_proxy",
                                          "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"};
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++) unsetenv(proxies[i]);
    tree_begin();
    eg_random r = eg_random_make(7, 0, 0, 0);
    for (size_t i = 0; i < N_BYTES; i++) data[i] = (uint8_t)eg_random_u32(&r);
    eg_sha256_hex(sha256, data, N_BYTES);
    tree_write("served/w.pth", data, N_BYTES);
    tree_folder("cache");
    server = serve(&port, "log", false);
    if (port == 0) return -1;
    if (!make_certificate("key.pem", "cert.pem") || !make_certificate("key2.pem", "other.pem")) {
        print_message("no openssl program: TLS is not tested\n");
        return 0;
    }
    tls_server = serve(&tls_port, "tls_log", true);
    return tls_port > 0 ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    const pid_t servers[] = {server, tls_server};
    for (size_t i = 0; i < 2; i++) {
        if (servers[i] <= 0) continue;
        kill(servers[i], SIGKILL);
        waitpid(servers[i], NULL, 0);
    }
    if (server > 0) tree_end();
    return 0;
}

/* ---- what the tests ask ---- */

typedef struct {
    char url[640], target[600], part[620], notes[2048];
    eg_fetch_request r;
    eg_fetch_result result;
    eg_error err;
    const char *label;
    volatile sig_atomic_t stop;
    uint64_t stop_at; /* progress at or above: stop; 0: never */
    int n_progress;
} job;

static void on_event(void *context, const eg_progress *p) {
    job *j = context;
    size_t used = strlen(j->notes);
    if (p->kind == EG_PROGRESS_NOTE)
        snprintf(j->notes + used, sizeof j->notes - used, "%s\n", p->text);
    if (p->kind != EG_PROGRESS_FETCH) return;
    j->n_progress++;
    assert_true(p->n_steps == 0 || p->step <= p->n_steps);
    if (j->stop_at && (uint64_t)p->step >= j->stop_at) j->stop = 1;
}

/* Each job has its own target, so that nothing of another is found. */
static job make(const char *how, const char *name) {
    job j = {.err = {.offset = -1}};
    if (!port) skip();
    snprintf(j.url, sizeof j.url, "http://127.0.0.1:%d/%s/w.pth", port, how);
    snprintf(j.target, sizeof j.target, "%s/cache/%s.pth", tree_root, name);
    snprintf(j.part, sizeof j.part, "%s.part", j.target);
    j.r = (eg_fetch_request){
        .label = "model", .sha256 = sha256, .about_bytes = N_BYTES, .stall_seconds = 1};
    return j;
}

static eg_status run(job *j) {
    eg_events ev = {on_event, j, &j->stop};
    j->r.url = j->url;
    j->r.path = j->target;
    j->notes[0] = '\0';
    j->err = (eg_error){.offset = -1};
    return eg_fetch_file(&j->result, &j->r, &ev, &j->err);
}

static void succeeds(job *j) {
    eg_file_view view;
    if (run(j) != EG_OK) fail_msg("%s", j->err.text);
    assert_int_equal(eg_file_open(&view, j->target, 1 << 20, NULL), EG_OK);
    assert_int_equal(view.size, N_BYTES);
    assert_memory_equal(view.data, data, N_BYTES);
    eg_file_close(&view);
    assert_string_equal(j->result.sha256, sha256);
    assert_false(eg_path_exists(j->part));
    char info[640];
    snprintf(info, sizeof info, "%s.info", j->part);
    assert_false(eg_path_exists(info));
}

static void fails(job *j, eg_status status, const char *text) {
    assert_int_equal(run(j), status);
    if (!strstr(j->err.text, text)) fail_msg("\"%s\" does not say \"%s\"", j->err.text, text);
    assert_false(eg_path_exists(j->target));
}

static long size_of(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    fclose(f);
    return n;
}

/* Did the server with this log see a line with `text`? */
static bool logged_in(const char *log, const char *text) {
    char line[512];
    bool found = false;
    FILE *f = fopen(tree_path(log), "r");
    while (f && fgets(line, sizeof line, f)) found = found || strstr(line, text);
    if (f) fclose(f);
    return found;
}

static bool logged(const char *text) {
    return logged_in("log", text);
}

/* ---- tests ---- */

static void whole_file(void **state) {
    (void)state;
    job j = make("good", "whole");
    succeeds(&j);
    assert_int_equal(j.result.n_connections, 1);
    assert_int_equal(j.result.kept_bytes, 0);
    assert_true(j.n_progress > 0);
    char eight[9] = {0};
    memcpy(eight, sha256, 8);
    job again = make("good", "digits");
    again.r.sha256 = eight; /* 8 digits are enough to be checked, and are checked */
    succeeds(&again);
    eight[7] = eight[7] == '0' ? '1' : '0';
    job wrong = make("good", "digits_wrong");
    wrong.r.sha256 = eight;
    fails(&wrong, EG_ERR_MISMATCH, "SHA-256");
    assert_int_equal(size_of(wrong.part), -1);
    job none = make("good", "no_digits");
    none.r.sha256 = ""; /* nothing to check with is not "right" */
    fails(&none, EG_ERR_MISMATCH, "SHA-256");
}

/* One call ends in the middle, the next one goes on there. */
static void resumes(void **state) {
    (void)state;
    job j = make("breaks", "resumes");
    fails(&j, EG_ERR_IO, "same command goes on from there");
    assert_int_equal(size_of(j.part), N_BYTES / 2);
    succeeds(&j);
    assert_int_equal(j.result.kept_bytes, N_BYTES / 2);
    assert_true(logged("/breaks/w.pth range=bytes=150000- if-range=\"breaks-1\" status=206"));
}

static void goes_on_by_itself(void **state) {
    (void)state;
    job j = make("alwaysbreaks", "by_itself");
    j.r.retries = 2;
    /* 1000 bytes a connection: progress each time, so it is the number of connections that ends it,
     * or ours */
    j.stop_at = 4000;
    assert_int_equal(run(&j), EG_ERR_INTERRUPTED);
    assert_true(size_of(j.part) >= 3000);
    snprintf(j.url, sizeof j.url, "http://127.0.0.1:%d/dated/w.pth", port);
    j.stop = 0;
    j.stop_at = 0;
    succeeds(&j); /* another address: no If-Range, and the SHA-256 says that it fits */
    assert_true(logged("/dated/w.pth range=bytes="));
    assert_true(logged("if-range=- status=206"));
}

static void stalls(void **state) {
    (void)state;
    job j = make("stalls", "stalls");
    double before = eg_time_now();
    fails(&j, EG_ERR_IO, "nothing came for 1 s");
    assert_true(eg_time_now() - before < 20);
    assert_int_equal(size_of(j.part), N_BYTES / 2);
    succeeds(&j);
    job dead = make("dead", "dead");
    fails(&dead, EG_ERR_IO, "127.0.0.1");
    assert_int_equal(size_of(dead.part), -1); /* no empty part is left behind */
}

/* More announced than there is: the break is no break, the server itself says so when asked on. */
static void lies_long(void **state) {
    (void)state;
    job j = make("long", "long");
    fails(&j, EG_ERR_IO, "broke off");
    succeeds(&j);
    assert_true(logged("/long/w.pth range=bytes=300000- if-range=\"long-1\" status=416"));
}

static void lies_short(void **state) {
    (void)state;
    job j = make("short", "short");
    fails(&j, EG_ERR_MISMATCH, "150000 bytes came with SHA-256");
    assert_int_equal(size_of(j.part), -1);
    /* a size far from the published one is refused at once */
    j.r.about_bytes = 50000000;
    fails(&j, EG_ERR_MISMATCH, "announces 150000 bytes");
    job huge = make("nolength", "huge");
    huge.r.about_bytes = 0;
    succeeds(&huge);
}

static void ignores_range(void **state) {
    (void)state;
    job j = make("norange", "norange");
    fails(&j, EG_ERR_IO, "goes on");
    assert_true(size_of(j.part) > 0);
    succeeds(&j);
    assert_non_null(strstr(j.notes, "whole file again"));
    assert_int_equal(j.result.kept_bytes, 0);
    assert_true(logged("/norange/w.pth range=bytes=150000- if-range=\"norange-1\" status=200"));
}

static void wrong_range(void **state) {
    (void)state;
    job j = make("badrange", "badrange");
    fails(&j, EG_ERR_IO, "goes on");
    succeeds(&j);
    assert_non_null(strstr(j.notes, "starting over"));
}

/* The file behind the address is replaced while a part lies here. */
static void changed(void **state) {
    (void)state;
    job j = make("changed", "changed");
    fails(&j, EG_ERR_IO, "goes on");
    fails(&j, EG_ERR_MISMATCH, "SHA-256");
    assert_int_equal(size_of(j.part), -1);
}

/* A part of something else, without info: the hash notices, and it is fetched anew. */
static void foreign_part(void **state) {
    (void)state;
    job j = make("good", "foreign");
    tree_write("cache/foreign.pth.part", sha256, 64);
    succeeds(&j);
    assert_non_null(strstr(j.notes, "wrong SHA-256 together"));
}

static void pages_and_statuses(void **state) {
    (void)state;
    job page = make("page", "page");
    tree_write("cache/page.pth.part", data, 1000);
    fails(&page, EG_ERR_MISMATCH, "web page");
    assert_int_equal(size_of(page.part), 1000); /* a log-in page costs nothing */
    job j = make("status/404", "status");
    fails(&j, EG_ERR_NOT_FOUND, "HTTP 404");
    j = make("status/403", "status");
    fails(&j, EG_ERR_IO, "HTTP 403");
    j = make("status/503", "status");
    fails(&j, EG_ERR_IO, "HTTP 503");
    j = make("busy", "busy");
    j.r.retries = 1;
    succeeds(&j);
}

static void redirects(void **state) {
    (void)state;
    job j = make("redirect/here", "redirect");
    succeeds(&j);
    j = make("redirect/http", "redirect_http");
    succeeds(&j);
    j = make("redirect/ftp", "redirect_ftp");
    fails(&j, EG_ERR_IO, "redirects to ftp:");
    j = make("loop", "loop");
    fails(&j, EG_ERR_IO, "without end");
}

static void addresses(void **state) {
    (void)state;
    job j = make("good", "address");
    snprintf(j.url, sizeof j.url, "file://%s/served/w.pth", tree_root);
    fails(&j, EG_ERR_USAGE, "https://");
    snprintf(j.url, sizeof j.url, "http://me:secret@127.0.0.1:1/w.pth?token=secret");
    fails(&j, EG_ERR_IO, "127.0.0.1: cannot be reached");
    assert_null(strstr(j.err.text, "secret"));
    snprintf(j.url, sizeof j.url, "http://no-such-host.invalid/w.pth");
    fails(&j, EG_ERR_IO, "no-such-host.invalid: cannot be reached");
}

/* A file limit stands for the full disk: what came is kept, and the next call goes on. */
static void full_disk(void **state) {
    (void)state;
    job j = make("good", "full");
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){100000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    eg_status status = run(&j);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, EG_ERR_IO);
    assert_non_null(strstr(j.err.text, "free space"));
    assert_int_equal(size_of(j.part), 100000);
    succeeds(&j);
    assert_int_equal(j.result.kept_bytes, 100000);
}

/* Two processes must not write into one part. */
static void locked(void **state) {
    (void)state;
    job j = make("good", "locked");
    char command[1600];
    snprintf(command, sizeof command,
             "command -v flock >/dev/null && { flock '%s' sleep 3 & } && sleep 0.5", j.part);
    if (system(command) != 0) skip();
    fails(&j, EG_ERR_IO, "another process");
}

/* Links that somebody put there must not lead the bytes into another file. */
static void symbolic_links(void **state) {
    (void)state;
    job j = make("good", "link");
    char info[640], victim[600];
    snprintf(info, sizeof info, "%s.info", j.part);
    snprintf(victim, sizeof victim, "%s/victim", tree_root);
    tree_write("victim", "mine", 4);
    assert_int_equal(symlink(victim, j.part), 0);
    fails(&j, EG_ERR_IO, "is a symbolic link");
    assert_int_equal(size_of(victim), 4);
    assert_int_equal(unlink(j.part), 0);
    assert_int_equal(symlink(victim, info), 0);
    snprintf(j.url, sizeof j.url, "http://127.0.0.1:%d/alwaysbreaks/w.pth", port);
    fails(&j, EG_ERR_IO, "broke off");
    assert_int_equal(size_of(victim), 4);
    assert_int_equal(symlink(victim, j.target), 0); /* the name itself is replaced, not followed */
    snprintf(j.url, sizeof j.url, "http://127.0.0.1:%d/good/w.pth", port);
    succeeds(&j);
    assert_int_equal(size_of(victim), 4);
}

/* ---- https ---- */

/* A job at the TLS server that trusts the PEM file `ca` of the tree; NULL: the system's. */
static job make_tls(const char *how, const char *name, const char *ca) {
    static char ca_path[600];
    if (!tls_port) skip();
    job j = make(how, name);
    snprintf(j.url, sizeof j.url, "https://127.0.0.1:%d/%s/w.pth", tls_port, how);
    snprintf(ca_path, sizeof ca_path, "%s/%s", tree_root, ca ? ca : "");
    if (ca) j.r.ca_file = ca_path;
    return j;
}

static void https(void **state) {
    (void)state;
    job j = make_tls("good", "tls", "cert.pem");
    succeeds(&j);
    j = make_tls("redirect/here", "tls_redirect", "cert.pem");
    succeeds(&j);
    j = make_tls("breaks", "tls_breaks", "cert.pem");
    j.r.retries = 2;
    succeeds(&j);
    assert_true(logged_in("tls_log", "/breaks/w.pth range=bytes=150000- if-range=\"breaks-1\""));
    j = make_tls("good", "tls_no_scheme", "cert.pem"); /* nothing in front means https */
    snprintf(j.url, sizeof j.url, "127.0.0.1:%d/good/w.pth", tls_port);
    succeeds(&j);
}

/* Up to https is followed; down is not, and the http server is not even asked. */
static void https_redirects(void **state) {
    (void)state;
    job j = make_tls("good", "tls_up", "cert.pem");
    snprintf(j.url, sizeof j.url, "http://127.0.0.1:%d/redirect/https/w.pth?port=%d", port,
             tls_port);
    succeeds(&j);
    j = make_tls("good", "tls_down", "cert.pem");
    tree_write("served/down.pth", data, N_BYTES);
    snprintf(j.url, sizeof j.url, "https://127.0.0.1:%d/redirect/http/down.pth?port=%d", tls_port,
             port);
    fails(&j, EG_ERR_IO, "redirects to http:");
    if (!strstr(j.err.text, "https address may lead to https only")) fail_msg("%s", j.err.text);
    assert_int_equal(size_of(j.part), -1);
    assert_true(logged_in("tls_log", "/redirect/http/down.pth"));
    assert_false(logged("down.pth"));
    snprintf(j.url, sizeof j.url, "127.0.0.1:%d/redirect/http/down.pth?port=%d", tls_port, port);
    fails(&j, EG_ERR_IO, "redirects to http:"); /* also when https was only meant */
    assert_false(logged("down.pth"));
}

/* Whom not to believe: each message says what to do, and no byte is kept. */
static void https_not_trusted(void **state) {
    (void)state;
    job j = make_tls("good", "tls_unknown", NULL);
    fails(&j, EG_ERR_IO, "no trusted connection");
    if (!strstr(j.err.text, "certificate with --ca-file")) fail_msg("%s", j.err.text);
    assert_int_equal(size_of(j.part), -1);
    j = make_tls("good", "tls_other", "other.pem");
    j.r.retries = 3;
    fails(&j, EG_ERR_IO, "no trusted connection");
    if (!strstr(j.err.text, "other.pem (--ca-file or SSL_CERT_FILE) alone"))
        fail_msg("%s", j.err.text);
    assert_null(strstr(j.notes, "trying again")); /* it would be the same */
    j = make_tls("good", "tls_name", "cert.pem"); /* the certificate is for 127.0.0.1 */
    snprintf(j.url, sizeof j.url, "https://localhost:%d/good/w.pth", tls_port);
    fails(&j, EG_ERR_IO, "localhost: no trusted connection");
    j = make_tls("good", "tls_no_file", "nowhere.pem");
    fails(&j, EG_ERR_IO, "nowhere.pem: no certificates can be read there");
    j = make_tls("good", "tls_plain", "cert.pem"); /* https to a server of http */
    snprintf(j.url, sizeof j.url, "https://127.0.0.1:%d/good/w.pth", port);
    fails(&j, EG_ERR_IO, "no TLS connection");
    assert_int_equal(size_of(j.part), -1);
}

/* A proxy that refuses the tunnel is no server that broke off: nothing is kept, nothing goes on. */
static void proxy_refuses(void **state) {
    (void)state;
    job j = make_tls("good", "tls_proxy", "cert.pem");
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port); /* knows no CONNECT: 501 */
    setenv("https_proxy", proxy, 1);
    j.r.retries = 3;
    eg_status status = run(&j);
    unsetenv("https_proxy");
    assert_int_equal(status, EG_ERR_IO);
    if (!strstr(j.err.text, "cannot be reached") || !strstr(j.err.text, "https_proxy"))
        fail_msg("%s", j.err.text);
    assert_string_equal(j.notes, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file),
        cmocka_unit_test(resumes),
        cmocka_unit_test(goes_on_by_itself),
        cmocka_unit_test(stalls),
        cmocka_unit_test(lies_long),
        cmocka_unit_test(lies_short),
        cmocka_unit_test(ignores_range),
        cmocka_unit_test(wrong_range),
        cmocka_unit_test(changed),
        cmocka_unit_test(foreign_part),
        cmocka_unit_test(pages_and_statuses),
        cmocka_unit_test(redirects),
        cmocka_unit_test(addresses),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(locked),
        cmocka_unit_test(symbolic_links),
        cmocka_unit_test(https),
        cmocka_unit_test(https_redirects),
        cmocka_unit_test(https_not_trusted),
        cmocka_unit_test(proxy_refuses),
    };
    return cmocka_run_group_tests(tests, start, end);
}
