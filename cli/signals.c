/* Signals: the first INT, TERM or HUP asks for a stop at the next step boundary (the library keeps
 * the last good checkpoint), a second INT ends the program at once. A closed pipe and a file limit
 * become errors of write(). */
#include "cli.h"

#include <unistd.h>

static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    if (stop_signal && number == SIGINT) _exit(130);
    if (!stop_signal) stop_signal = number;
}

void eg_cli_signals_install(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, NULL, &old);
    if (old.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL); /* nohup stays in force */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

const volatile sig_atomic_t *eg_cli_signals_stop(void) {
    return &stop_signal;
}

int eg_cli_signals_exit_code(void) {
    if (!stop_signal) return 0;
    return stop_signal == SIGINT ? 130 : 143; /* HUP counts as TERM */
}
