/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/crash.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process/fds.h"
#include "value/python.h"
#include "wire/bytes.h"

/* The most bytes of the stacks that are sent. */
#define TEXT_MAX 8192

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define N_FATAL (sizeof fatal / sizeof *fatal)

/* faulthandler writes into this file, which has no name. */
static int report = -1;

/* {event, crash, Binary} up to the binary's length, behind the frame's. */
static const char head[] = "\x83h\x03w\x05"
                           "eventw\x05"
                           "crashm";
#define HEAD_LEN (sizeof head - 1)
#define LENGTH 4

/* Only what POSIX lets a signal handler do; on the alternate stack, so the
 * frame is not on it. */
static void send_report(void)
{
    static char frame[LENGTH + HEAD_LEN + LENGTH + TEXT_MAX];
    char *text = frame + LENGTH + HEAD_LEN + LENGTH;
    ssize_t n = pread(report, text, TEXT_MAX, 0);
    if (n <= 0 || fds_output() < 0)
        return;
    bytes_put(frame, HEAD_LEN + LENGTH + (size_t)n, LENGTH);
    memcpy(frame + LENGTH, head, HEAD_LEN);
    bytes_put(text - LENGTH, (size_t)n, LENGTH);
    n = write(fds_output(), frame, LENGTH + HEAD_LEN + LENGTH + (size_t)n);
    (void)n; /* a failure changes nothing any more */
}

/* faulthandler has written, put this handler back and raised again. */
static void on_fatal(int signum)
{
    send_report();
    signal(signum, SIG_DFL);
    raise(signum);
}

static int enable_faulthandler(void)
{
    PyObject *none = python_call("faulthandler", "enable", "(i)", report);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

/* What faulthandler has installed in front of ours, and the stack on which its
 * handlers run. */
static struct sigaction installed[N_FATAL];
static stack_t stack;

static void remember(void)
{
    for (size_t i = 0; i < N_FATAL; i++)
        sigaction(fatal[i], NULL, &installed[i]);
    sigaltstack(NULL, &stack);
}

static void drop_stack(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && stack.ss_sp && now.ss_sp == stack.ss_sp)
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

void crash_in_child(void)
{
    struct sigaction now;
    if (report < 0)
        return;
    for (size_t i = 0; i < N_FATAL; i++)
        if (sigaction(fatal[i], NULL, &now) == 0 &&
            now.sa_handler == installed[i].sa_handler)
            signal(fatal[i], SIG_DFL);
    drop_stack();
    close(report);
    report = -1;
}

int crash_init(void)
{
    struct sigaction action = {.sa_handler = on_fatal,
                               .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    report = memfd_create("pyport-crash", MFD_CLOEXEC);
    if (report < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    for (size_t i = 0; i < N_FATAL; i++)
        sigaction(fatal[i], &action, NULL);
    if (enable_faulthandler() < 0)
        return -1;
    remember();
    return 0;
}
