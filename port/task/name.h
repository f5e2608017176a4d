/* SPDX-License-Identifier: Apache-2.0
 *
 * name: from dotted text to the object that it names. GIL held; a new
 * reference, or NULL with ModuleNotFoundError, AttributeError or whatever an
 * import raised.
 */
#ifndef PORT_TASK_NAME_H
#define PORT_TASK_NAME_H

#include "value/python.h"

/* 'os.path' or 'collections.Counter': the part that is a module is imported
 * when needed, the rest are attributes. */
PyObject *name_module(PyObject *module);

/* The attribute behind a dotted path: 'Counter.most_common'. */
PyObject *name_attribute(PyObject *object, PyObject *path);

#endif
