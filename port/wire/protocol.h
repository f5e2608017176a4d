/* SPDX-License-Identifier: Apache-2.0
 *
 * protocol: the numbers and words that pyport and its peer agree on.
 *
 * One frame is a 4-byte big-endian length and that many bytes: one term in
 * the external format, version byte first. docs/protocol.md is the grammar.
 *
 * The build makes include/py_protocol.hrl from this file, with the same names
 * for Erlang: of each #define whose value is a plain decimal number, of each
 * line of EXIT_CODES, and of the words in PROTOCOL_ATOMS.
 */
#ifndef PORT_WIRE_PROTOCOL_H
#define PORT_WIRE_PROTOCOL_H

#define PROTOCOL_VERSION 1

/* The first byte of every frame: the version of the external format. */
#define TERM_VERSION 131

/* Containers inside containers that a term may have, in either direction. */
#define MAX_DEPTH 4096

/* Bytes of the length before each frame. */
#define FRAME_HEADER 4

/* The longest frame there can be: ei counts bytes in an int. A greater length
 * on the input means that the stream is out of step. */
#define FRAME_LIMIT 2147483647

/* The longest frame that is accepted or sent unless --max-frame says otherwise,
 * and the least that it may say: below that not even an error fits. */
#define DEFAULT_MAX_FRAME 268435456
#define LEAST_MAX_FRAME 1024

/* Frames of this size and more take the lane, the memory that both sides reach,
 * if it is free. It begins with a head of so many bytes, in which are, at these
 * places, the serials of the last frame to the program that the program has
 * read, whether the program is giving its memory back, the serial of the last
 * one from the program that the peer has read, and of the one to the program
 * that the peer writes or has written; and what the program notes for the case
 * of its death. In each half a frame begins behind so many bytes. */
#define LANE_LEAST 131072
#define LANE_HEAD 65536
#define LANE_IN_READ 0
#define LANE_IN_TIDY 4
#define LANE_OUT_READ 8
#define LANE_IN_WRITE 12
#define LANE_NOTES 4096
#define LANE_SKIP 16

/* Requests that may wait. */
#define WAITING_MAX 100000

/* A job that has run for this many milliseconds is a long one: the program
 * reads on while it runs, and the worker gives its queue away. */
#define TICK_MS 10

/* How many milliseconds a job that was interrupted has, unless
 * --interrupt-grace says otherwise. */
#define DEFAULT_INTERRUPT_GRACE 500

/* How much sooner than others the kernel takes the program when memory runs
 * out, unless --oom-score-adj says otherwise: sooner than any process with a
 * lower score. */
#define DEFAULT_OOM_SCORE_ADJ 1000
/* The least that Python's heap can be limited to, in bytes. */
#define LEAST_HEAP 1048576

/* The profile of the heap: how many bytes there are for one sample, by default
 * and at least; how many samples are kept; the most new ones in a second. */
#define DEFAULT_PROFILE_RATE 524288
#define LEAST_PROFILE_RATE 64
#define MOST_PROFILE_RATE 1073741824
#define DEFAULT_PROFILE_SAMPLES 4096
#define LEAST_PROFILE_SAMPLES 16
#define MOST_PROFILE_SAMPLES 65536
#define DEFAULT_PROFILE_PER_SECOND 1000
#define MOST_PROFILE_PER_SECOND 1000000

/* The most items in a chunk of a stream: the default, and the most that a
 * request may ask for (also the most credit). */
#define DEFAULT_CHUNK 1000
#define ITEMS_MAX 1000000000

/* The greatest line at which a text may begin. */
#define MOST_LINE 1000000

/* The greatest N of {more, Id, N} and {ack, N}: sums of many still fit. */
#define COUNT_MAX 2147483647

/* The most Python threads on which a program runs jobs. */
#define MOST_THREADS 256

/* Calls from Python within which requests run, which call again, and so on. */
#define MOST_NESTED 16

/* Bytes of what one job prints that are kept for its caller. */
#define CAPTURE_LIMIT 1048576

/*
 * Exit codes, one line each.
 */
/* clang-format off */
#define EXIT_CODES(X) \
    X(EXIT_OK_EOF,    0, "the input ended, nothing was running") \
    X(EXIT_USAGE,    64, "wrong command line, or started on a terminal") \
    X(EXIT_PROTOCOL, 65, "the input is out of step: impossible frame length") \
    X(EXIT_PYTHON,   70, "Python could not start") \
    X(EXIT_SYSTEM,   71, "no memory, descriptor or thread at start") \
    X(EXIT_IO,       74, "reading or writing frames failed") \
    X(EXIT_BUSY,     75, "the input ended and Python did not stop")

/*
 * Every atom that a reply or an event may contain, except those that user code
 * makes and the classes of exceptions (hello names those). The peer makes them
 * exist, so that it can decode safely. test/c/value/test_atoms.c compares the
 * list with the sources.
 */
#define PROTOCOL_ATOMS(X) \
    /* replies */ \
    X(ok) X(error) X(chunk) X(part) X(output) X(bill) X(kept) X(undefined) \
    X(badarg) X(cancelled) X(not_started) X(overloaded) X(start_failed) \
    X(unsupported) X(awaiting) X(threaded) \
    /* values */ \
    X(true) X(false) X(none) X(nan) X(infinity) X(neg_infinity) X(ndarray) \
    X(float) X(complex) X(decimal) X(date) X(time) X(datetime) X(timedelta) \
    /* hello */ \
    X(protocol) X(pyport) X(python) X(version) X(os_pid) X(executable) \
    X(features) X(max_frame) X(max_depth) X(exceptions) X(quit) X(batch) \
    X(lane) X(handle) X(multicall) \
    X(guard) X(off) X(kernel) \
    /* events */ \
    X(event) X(send) X(whereis) X(self) X(make_ref) X(take) X(call) X(apply) \
    X(lookup) X(pull) X(channel) X(recv) X(close) X(py_channel) X(state) \
    X(given) X(funs) X(withdraw) X(log) X(crash) X(spoilt) X(paused) \
    X(memory_error) X(on_message) \
    X(span) X(name) X(trace_id) X(span_id) X(parent_id) X(start) X(duration) \
    X(level) X(source) X(logger) X(file) X(line) X(text) \
    X(stdout) X(stderr) X(logging) X(warnings) X(unraisable) X(thread) \
    X(debug) X(info) X(notice) X(warning) X(critical) \
    /* memory */ \
    X(gc_stats) X(gc_count) X(gc_threshold) X(gc_pauses) X(total) X(longest) \
    X(traced_memory_current) X(traced_memory_peak) X(size) X(count) \
    X(heap) X(current) X(peak) X(limit) X(arenas) X(bytes) \
    X(unused) X(malloc) X(used) X(free) X(pieces) X(large) X(whole) X(blocks) \
    X(compiled) X(eval) X(exec) X(texts) X(characters) X(hits) X(misses) \
    X(dropped) \
    X(rate) X(samples) X(thinned) X(missed) X(unnamed) X(raw) X(on) \
    X(sites) X(rest) X(module) X(frame) X(cycle) X(unknown) \
    X(heap_delta) X(heap_peak) X(rss_delta) X(gc_runs) X(gc_pause) \
    X(one_in) \
    /* stacks and tracebacks */ \
    X(type) X(message) X(frames) X(function) X(cause) X(context) X(notes) \
    X(position) X(offset) X(end_line) X(end_offset) X(formatted) X(args) \
    X(attributes)
/* clang-format on */

#define EXIT_CODE_AS_ENUM(name, code, text) name = code,
enum exit_code { EXIT_CODES(EXIT_CODE_AS_ENUM) };
#undef EXIT_CODE_AS_ENUM

#endif
