/* SPDX-License-Identifier: Apache-2.0
 *
 * protocol: the numbers that pyport and its peer agree on.
 *
 * One frame is a 4-byte big-endian length and that many bytes: one term in
 * the external format, version byte first. docs/protocol.md is the grammar.
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
#define FRAME_LIMIT 0x7fffffff

/* The longest frame that is accepted or sent unless --max-frame says else. */
#define DEFAULT_MAX_FRAME (256L * 1024 * 1024)

/*
 * Exit codes, listed here and nowhere else: one line each, because the build
 * makes include/py_exit.hrl of these lines.
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
/* clang-format on */

#define EXIT_CODE_AS_ENUM(name, code, text) name = code,
enum exit_code { EXIT_CODES(EXIT_CODE_AS_ENUM) };
#undef EXIT_CODE_AS_ENUM

#endif
