/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <unistd.h>

#include "memory/heap_account.h"
#include "value/python.h" /* Py_GetVersion needs no interpreter */
#include "wire/protocol.h"

/* Numbers of the protocol as text. */
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define MAX_FRAME_DEFAULT TEXT(DEFAULT_MAX_FRAME)
#define INTERRUPT_GRACE_DEFAULT TEXT(DEFAULT_INTERRUPT_GRACE)
#define OOM_SCORE_ADJ_DEFAULT TEXT(DEFAULT_OOM_SCORE_ADJ)
#define HEAP_LEAST TEXT(LEAST_HEAP)
#define MAX_FRAME_RANGE TEXT(LEAST_MAX_FRAME) " to " TEXT(FRAME_LIMIT)

static const char usage[] =
    "Usage: pyport [OPTION]...\n"
    "Run Python for an Erlang VM: a port program for open_port/2 with "
    "{packet,4}.\n"
    "\n"
    "Requests in Erlang's external term format are read from standard input,\n"
    "replies are written to standard output. Python's own output goes to\n"
    "standard error. The program ends when its input ends.\n"
    "\n"
    "  --venv DIR         use the virtual environment in DIR\n"
    "  --path DIR         put DIR in front of sys.path (may be repeated)\n"
    "  --max-frame BYTES  longest frame, both ways"
    " (default " MAX_FRAME_DEFAULT ")\n"
    "  --guard WHICH      keep Python from signalling the VM: off (default),\n"
    "                     python, kernel, auto\n"
    "  --interrupt-grace MS\n"
    "                     how long a job that was interrupted may take to end\n"
    "                     (default " INTERRUPT_GRACE_DEFAULT ")\n"
    "  --worker N         its number in its pool, for erlang.worker()\n"
    "  --concurrency N    await coroutines, at most so many at a time\n"
    "  --threads N        run calls on so many threads beside each other\n"
    "  --pause            wait for `resume` after a job that has run out of"
    " memory\n"
    "  --address-space BYTES, --data BYTES, --files N, --core BYTES\n"
    "                     limits of this process (setrlimit), or infinity\n"
    "  --cgroup DIR       join this control group (version 2)\n"
    "  --cgroup-max BYTES, --cgroup-high BYTES, --cgroup-pids N\n"
    "                     its limits, or infinity\n"
    "  --oom-score-adj N  how much sooner than others the kernel ends it when\n"
    "                     memory runs out, -1000 to 1000 (default: at least\n"
    "                     " OOM_SCORE_ADJ_DEFAULT ")\n"
    "  --heap BYTES       the most that Python's heap may have in use: above"
    " it there\n"
    "                     is a MemoryError (at least " HEAP_LEAST ", or\n"
    "                     infinity)\n"
    "  --account          count what Python's heap has in use\n"
    "  --profile BYTES,SAMPLES,PER-SECOND\n"
    "                     sample one allocation in so many bytes; how many\n"
    "                     samples are kept and how many new ones there are in\n"
    "                     a second at most\n"
    "  --help             print this and exit\n"
    "  --version          print the versions and exit\n"
    "\n"
    "From Erlang it is used through the application `py`:\n"
    "  1> application:ensure_all_started(py).\n"
    "  2> py:call(math, sqrt, [16]).\n"
    "  {ok,4.0}\n";

static void print_version(void)
{
    printf("pyport %s (protocol %d)\nPython %s\n", PACKAGE_VERSION,
           PROTOCOL_VERSION, Py_GetVersion());
}

static void wrong(const char *what, const char *value)
{
    fprintf(stderr, "pyport: %s%s\nTry 'pyport --help'.\n", what, value);
    exit(EXIT_USAGE);
}

/* A number in that range; `complaint` ends the program. */
static long read_number(const char *text, long least, long most,
                        const char *complaint)
{
    char *end = NULL;
    errno = 0;
    const long n = strtol(text, &end, 10);
    if (errno || *end || end == text || n < least || n > most)
        wrong(complaint, text);
    return n;
}

/* Started by hand, without a VM: say what this is instead of waiting. */
static void explain_on_terminal(void)
{
    if (!isatty(STDIN_FILENO))
        return;
    fprintf(stderr,
            "pyport: standard input is a terminal, but this program talks to "
            "an Erlang VM.\n\n%s",
            usage);
    exit(EXIT_USAGE);
}

static enum guard read_guard(const char *name)
{
    enum guard guard = guard_named(name);
    if (guard == GUARDS)
        wrong("--guard wants off, python, kernel or auto, not ", name);
    return guard;
}

/* Options from here on are limits. */
#define LIMIT_OPTION 256
#define LIMIT(name, limit) \
    { \
        name, required_argument, NULL, LIMIT_OPTION + (limit) \
    }

static const struct option longs[] = {
    {"venv", required_argument, NULL, 'v'},
    {"path", required_argument, NULL, 'p'},
    {"max-frame", required_argument, NULL, 'm'},
    {"guard", required_argument, NULL, 'g'},
    {"interrupt-grace", required_argument, NULL, 'i'},
    {"worker", required_argument, NULL, 'w'},
    {"concurrency", required_argument, NULL, 'n'},
    {"threads", required_argument, NULL, 't'},
    {"pause", no_argument, NULL, 'P'},
    {"heap", required_argument, NULL, 'b'},
    {"account", no_argument, NULL, 'a'},
    {"profile", required_argument, NULL, 'f'},
    {"cgroup", required_argument, NULL, 'c'},
    LIMIT("address-space", LIMIT_ADDRESS_SPACE),
    LIMIT("data", LIMIT_DATA),
    LIMIT("files", LIMIT_FILES),
    LIMIT("core", LIMIT_CORE),
    LIMIT("cgroup-max", LIMIT_CGROUP_MAX),
    LIMIT("cgroup-high", LIMIT_CGROUP_HIGH),
    LIMIT("cgroup-pids", LIMIT_CGROUP_PIDS),
    LIMIT("oom-score-adj", LIMIT_OOM_SCORE_ADJ),
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0}};

/* HEAP_NO_LIMIT: infinity. */
static size_t read_heap(const char *text)
{
    if (strcmp(text, "infinity") == 0)
        return HEAP_NO_LIMIT;
    return (size_t)read_number(text, LEAST_HEAP, LONG_MAX,
                               "--heap wants infinity or bytes from " HEAP_LEAST
                               ", not ");
}

/* Three numbers. Their ranges are the pool option's. */
static struct heap_profile_options read_profile(const char *text)
{
    unsigned long rate = 0, samples = 0, per_second = 0;
    char end = 0;
    if (sscanf(text, "%lu,%lu,%lu%c", &rate, &samples, &per_second, &end) !=
            3 ||
        rate < LEAST_PROFILE_RATE || rate > MOST_PROFILE_RATE ||
        samples < LEAST_PROFILE_SAMPLES || samples > MOST_PROFILE_SAMPLES ||
        per_second < 1 || per_second > MOST_PROFILE_PER_SECOND)
        wrong("--profile wants BYTES,SAMPLES,PER-SECOND, not ", text);
    return (struct heap_profile_options){rate, samples, (unsigned)per_second};
}

/* Options that only print something. */
static noreturn void answer(int option)
{
    if (option == 'h')
        fputs(usage, stdout);
    else
        print_version();
    exit(EXIT_SUCCESS);
}

static void read_numeric(int option, struct options *options)
{
    if (option == 'm')
        options->max_frame = (size_t)read_number(
            optarg, LEAST_MAX_FRAME, FRAME_LIMIT,
            "--max-frame wants bytes from " MAX_FRAME_RANGE ", not ");
    else if (option == 'i')
        options->interrupt_grace = read_number(
            optarg, 0, LONG_MAX, "--interrupt-grace wants milliseconds, not ");
    else if (option == 'n')
        options->concurrency = read_number(
            optarg, 1, WAITING_MAX, "--concurrency wants a number, not ");
    else if (option == 't')
        options->threads = read_number(optarg, 1, MOST_THREADS,
                                       "--threads wants a number, not ");
    else
        options->worker =
            read_number(optarg, 1, INT_MAX, "--worker wants a number, not ");
}

/* What is to be done about the heap; false: it is not such an option. */
static bool read_heap_option(int option, struct heap_hook_options *heap)
{
    switch (option) {
    case 'b':
        heap->limit = read_heap(optarg);
        return true;
    case 'a':
        heap->account = true;
        return true;
    case 'f':
        heap->profile = read_profile(optarg);
        return true;
    default:
        return false;
    }
}

static void read_option(int option, struct options *options)
{
    switch (option) {
    case 'v':
        options->venv = optarg;
        return;
    case 'p':
        options->paths[options->n_paths++] = optarg;
        return;
    case 'm':
    case 'i':
    case 'n':
    case 't':
    case 'w':
        read_numeric(option, options);
        return;
    case 'P':
        options->pause = true;
        return;
    case 'g':
        options->guard = read_guard(optarg);
        return;
    case 'c':
        options->limits.cgroup = optarg;
        return;
    case 'h':
    case 'V':
        answer(option);
    default:
        if (!read_heap_option(option, &options->heap))
            wrong("wrong option", "");
    }
}

void options_read(int argc, char **argv, struct options *options)
{
    int option;

    *options = (struct options){.max_frame = DEFAULT_MAX_FRAME,
                                .interrupt_grace = DEFAULT_INTERRUPT_GRACE};
    options->paths = calloc((size_t)argc, sizeof *options->paths);
    if (!options->paths)
        exit(EXIT_SYSTEM);
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
        if (option >= LIMIT_OPTION)
            options->limits.values[option - LIMIT_OPTION] = optarg;
        else
            read_option(option, options);
    if (optind < argc)
        wrong("there is nothing to do with ", argv[optind]);
    explain_on_terminal();
}
