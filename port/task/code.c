/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/code.h"

#include "task/map.h"

/* Texts that are kept, how long each may be and all of them together, in
 * characters: code takes several times as many bytes. */
#define TEXTS_MAX 512
#define TEXT_MAX 4096
#define CHARS_MAX (256 * 1024)

/* What texts of one kind were compiled to. */
struct kept {
    PyObject *codes; /* by text: a dict, the one used longest ago first */
    Py_ssize_t chars;
    long long hits, misses, dropped;
};

/* ---- which are kept ---------------------------------------------------- */

static int add(struct kept *kept, PyObject *text, PyObject *code)
{
    if (PyDict_SetItem(kept->codes, text, code) < 0)
        return -1;
    kept->chars += PyUnicode_GET_LENGTH(text);
    return 0;
}

static int drop(struct kept *kept, PyObject *text)
{
    if (PyDict_DelItem(kept->codes, text) < 0)
        return -1;
    kept->chars -= PyUnicode_GET_LENGTH(text);
    return 0;
}

static int drop_oldest(struct kept *kept)
{
    PyObject *text = NULL, *code = NULL;
    Py_ssize_t at = 0;
    if (!python_dict_next(kept->codes, &at, &text, &code))
        return 0;
    const int rc = drop(kept, text);
    kept->dropped++;
    Py_DECREF(text);
    Py_DECREF(code);
    return rc;
}

static bool is_full(const struct kept *kept)
{
    return PyDict_Size(kept->codes) > TEXTS_MAX || kept->chars > CHARS_MAX;
}

static int keep(struct kept *kept, PyObject *text, PyObject *code)
{
    if (PyUnicode_GET_LENGTH(text) > TEXT_MAX)
        return 0;
    int rc = add(kept, text, code);
    while (rc == 0 && is_full(kept))
        rc = drop_oldest(kept);
    return rc;
}

/* The code of a text that is kept; the text then counts as used last. NULL
 * without an exception: it is not kept. */
static PyObject *find(struct kept *kept, PyObject *text)
{
    PyObject *code = python_dict_get(kept->codes, text);
    if (!code)
        return NULL;
    if (drop(kept, text) < 0 || add(kept, text, code) < 0)
        Py_CLEAR(code);
    return code;
}

/* ---- compiling --------------------------------------------------------- */

/* What texts of this kind are called by Python's compile, and by
 * erlang._indent. */
struct kind {
    struct kept kept;
    const char *mode, *what;
};

static struct kind expressions = {.mode = "eval", .what = "expression"};
static struct kind statements = {.mode = "exec", .what = "statements"};

static bool awaits; /* set before there are threads */

void code_allow_await(bool allowed)
{
    awaits = allowed;
}

/* Most code begins with neither a blank nor a byte order mark. */
static PyObject *unindented(PyObject *text, const char *what)
{
    const Py_UCS4 first =
        PyUnicode_GET_LENGTH(text) ? PyUnicode_READ_CHAR(text, 0) : 0;
    if (first == 0xfeff || Py_UNICODE_ISSPACE(first))
        return python_call("erlang._indent", what, "(O)", text);
    return Py_NewRef(text);
}

static PyObject *compile(const struct kind *kind, PyObject *text,
                         const struct task_opts *opts)
{
    PyObject *source = unindented(text, kind->what), *code = NULL;
    if (source)
        code = python_call("erlang._source", "compiled", "(Osz#li)", source,
                           kind->mode, opts->filename,
                           (Py_ssize_t)opts->filename_len, opts->line, awaits);
    Py_XDECREF(source);
    return code;
}

/* A text is kept only if it does not belong to a file of the user. */
static PyObject *code_of(struct kind *kind, PyObject *text,
                         const struct task_opts *opts)
{
    struct kept *kept = &kind->kept;
    if (opts->filename || opts->line != 1)
        return compile(kind, text, opts);
    if (!kept->codes && !(kept->codes = PyDict_New()))
        return NULL;
    PyObject *code = find(kept, text);
    if (code || PyErr_Occurred()) {
        kept->hits++;
        return code;
    }
    kept->misses++;
    code = compile(kind, text, opts);
    if (code && keep(kept, text, code) < 0)
        Py_CLEAR(code);
    return code;
}

PyObject *code_of_expression(PyObject *text, const struct task_opts *opts)
{
    return code_of(&expressions, text, opts);
}

PyObject *code_of_statements(PyObject *text, const struct task_opts *opts)
{
    return code_of(&statements, text, opts);
}

/* ---- what is known of it ----------------------------------------------- */

static int describe(PyObject *map, const struct kept *kept)
{
    const Py_ssize_t texts = kept->codes ? PyDict_Size(kept->codes) : 0;
    if (map_take(map, "texts", PyLong_FromSsize_t(texts)) < 0 ||
        map_take(map, "characters", PyLong_FromSsize_t(kept->chars)) < 0 ||
        map_take(map, "hits", PyLong_FromLongLong(kept->hits)) < 0 ||
        map_take(map, "misses", PyLong_FromLongLong(kept->misses)) < 0)
        return -1;
    return map_take(map, "dropped", PyLong_FromLongLong(kept->dropped));
}

static int describe_expressions(PyObject *map)
{
    return describe(map, &expressions.kept);
}

static int describe_statements(PyObject *map)
{
    return describe(map, &statements.kept);
}

static int describe_both(PyObject *map)
{
    if (map_take(map, "eval", map_make(describe_expressions)) < 0)
        return -1;
    return map_take(map, "exec", map_make(describe_statements));
}

PyObject *code_kept(void)
{
    return map_make(describe_both);
}
