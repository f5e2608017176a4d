/* SPDX-License-Identifier: Apache-2.0
 *
 * It does without numpy's headers: what it uses of numpy's C API is declared
 * here. That is part of numpy's ABI, and the same in 1.22 and in 2.x.
 */
#include "config.h"

#include "memory/heap_numpy.h"

#include <malloc.h>
#include <stdint.h>

#include "memory/heap_account.h"
#include "value/python.h"

/* Places in the table of numpy's functions. */
#define FEATURE_VERSION 211
#define SET_HANDLER 304
#define DEFAULT_HANDLER 306

/* The first with handlers: 1.22. */
#define LEAST_FEATURES 0x0f

#define CAPSULE "mem_handler"

/* PyDataMem_Handler */
struct handler {
    char name[127];
    uint8_t version;
    void *ctx;
    void *(*malloc)(void *ctx, size_t n);
    void *(*calloc)(void *ctx, size_t n, size_t size);
    void *(*realloc)(void *ctx, void *block, size_t n);
    void (*free)(void *ctx, void *block, size_t n);
};

typedef unsigned feature_version_fn(void);
typedef PyObject *set_handler_fn(PyObject *handler);

/* Set when numpy is imported. */
static struct handler below; /* numpy's own */
static PyObject *capsule;    /* ours; owned */
static set_handler_fn *set_handler;
static bool is_pending; /* the main thread's context has not got it yet */

/* ---- the handler ------------------------------------------------------ */

static bool is_allowed(size_t n)
{
    return heap_account_is_far(n) || heap_account_has_room(n, n);
}

static void *counted(void *block)
{
    if (block)
        heap_account_add(malloc_usable_size(block));
    return block;
}

static void *data_malloc(void *ctx, size_t n)
{
    return is_allowed(n) ? counted(below.malloc(ctx, n)) : NULL;
}

static void *data_calloc(void *ctx, size_t n, size_t size)
{
    if (size > 0 && n > SIZE_MAX / size)
        return NULL;
    return is_allowed(n * size) ? counted(below.calloc(ctx, n, size)) : NULL;
}

static void *data_realloc(void *ctx, void *block, size_t n)
{
    const size_t before = block ? malloc_usable_size(block) : 0;
    if (n > before && !is_allowed(n - before))
        return NULL;
    block = below.realloc(ctx, block, n);
    if (block)
        heap_account_change(before, malloc_usable_size(block));
    return block;
}

static void data_free(void *ctx, void *block, size_t n)
{
    if (block)
        heap_account_sub(malloc_usable_size(block));
    below.free(ctx, block, n);
}

static struct handler handler = {.name = "pyport",
                                 .version = 1,
                                 .malloc = data_malloc,
                                 .calloc = data_calloc,
                                 .realloc = data_realloc,
                                 .free = data_free};

/* ---- numpy ------------------------------------------------------------ */

/* The table of functions of numpy's module, or NULL. */
static void **functions_of(PyObject *module)
{
    PyObject *api = PyObject_GetAttrString(module, "_ARRAY_API");
    void **functions = api ? PyCapsule_GetPointer(api, NULL) : NULL;
    Py_XDECREF(api);
    return functions;
}

/* The handler whose memory is malloc's. */
static const struct handler *default_handler(void **functions)
{
    PyObject *const *found = functions[DEFAULT_HANDLER];
    return PyCapsule_GetPointer(*found, CAPSULE);
}

static bool can_count(void **functions)
{
    feature_version_fn *version = functions[FEATURE_VERSION];
    if (version() < LEAST_FEATURES)
        return false;
    const struct handler *own = default_handler(functions);
    if (!own || own->version != 1)
        return false;
    below = *own;
    handler.ctx = own->ctx;
    set_handler = functions[SET_HANDLER];
    return true;
}

/* Counts in the context of the calling thread. An array keeps the handler that
 * has made it. */
static void count_here(void)
{
    PyObject *before = set_handler(capsule);
    Py_XDECREF(before);
    PyErr_Clear();
}

/* numpy was imported. What fails here must not fail numpy. */
static PyObject *on_import(PyObject *self, PyObject *module)
{
    (void)self;
    void **functions = functions_of(module);
    if (functions && !capsule && can_count(functions))
        capsule = PyCapsule_New(&handler, CAPSULE, NULL);
    PyErr_Clear();
    if (capsule)
        count_here();
    is_pending = capsule != NULL;
    Py_RETURN_NONE;
}

/* ---- for others ------------------------------------------------------- */

int heap_numpy_watch(void)
{
    static PyMethodDef def = {"count", on_import, METH_O,
                              "Count the memory of numpy's arrays."};
    PyObject *count = PyCFunction_New(&def, NULL);
    PyObject *none =
        count ? python_call("erlang._numpy", "watch", "(O)", count) : NULL;
    Py_XDECREF(count);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

void heap_numpy_begin_job(void)
{
    if (!is_pending)
        return;
    is_pending = false;
    count_here();
}
