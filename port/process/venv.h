/* SPDX-License-Identifier: Apache-2.0
 *
 * venv: virtual environments. No Python, no GIL.
 */
#ifndef PORT_PROCESS_VENV_H
#define PORT_PROCESS_VENV_H

#include <stddef.h>

#include "wire/err.h"

/* Writes the path of the environment's interpreter, by which Python finds the
 * environment. -1 and err says why `dir` cannot be used: it is not an
 * environment, or belongs to another version of Python. */
int venv_interpreter(const char *dir, char *path, size_t size, struct err *err);

#endif
