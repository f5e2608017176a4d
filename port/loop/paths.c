/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "value/python.h"

/* What Python imports at its start, and the package `erlang` then or later on
 * any version. */
static const char *const needed[] = {
    "encodings",
    "codecs",
    "io",
    "abc",
    "site",
    "os",
    "stat",
    "posixpath",
    "genericpath",
    "erlang",
    "logging",
    "traceback",
    "threading",
    "typing",
    "warnings",
    "types",
    "_collections_abc",
    "_weakrefset",
    "collections",
    "contextlib",
    "_sitebuiltins",
    "weakref",
    "functools",
    "linecache",
    "copyreg",
    "enum",
    "operator",
    "reprlib",
    "keyword",
    "heapq",
    "textwrap",
    "tokenize",
    "token",
    "re",
    "string",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "codeop",
    "__future__",
    "importlib",
    "_py_warnings",
    "_colorize",
    "annotationlib",
};

/* ---- directories ------------------------------------------------------- */

static bool is_same(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Calls `found` for each directory of PYTHONPATH until it says yes. An empty
 * name means the current one. */
static bool any_in_pythonpath(bool (*found)(const char *dir, void *arg),
                              void *arg)
{
    const char *value = getenv("PYTHONPATH");
    char *copy = value ? strdup(value) : NULL;
    char *rest = copy, *dir;
    bool yes = false;
    while (!yes && (dir = strsep(&rest, ":")))
        yes = found(*dir ? dir : ".", arg);
    free(copy);
    return yes;
}

static bool is_it(const char *dir, void *arg)
{
    return is_same(dir, arg);
}

struct file {
    char *name;
    size_t size;
};

static bool exists(const struct file *file, const char *dir, const char *name,
                   const char *end)
{
    snprintf(file->name, file->size, "%s/%s%s", dir, name, end);
    return access(file->name, F_OK) == 0;
}

/* Python takes a package before a module of the same name. */
static bool has_needed(const char *dir, void *file)
{
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (exists(file, dir, needed[i], "/__init__.py") ||
            exists(file, dir, needed[i], ".py"))
            return true;
    return false;
}

bool paths_in_the_way(char *file, size_t size)
{
    return any_in_pythonpath(has_needed, &(struct file){file, size});
}

/* What is no directory may be an archive with anything in it. */
static bool may_hide(const char *dir, void *file)
{
    struct stat entry;
    if (stat(dir, &entry) < 0)
        return false;
    return !S_ISDIR(entry.st_mode) || has_needed(dir, file);
}

bool paths_may_hide(const struct options *options)
{
    char name[PATH_MAX];
    struct file file = {name, sizeof name};
    for (size_t i = 0; i < options->n_paths; i++)
        if (may_hide(options->paths[i], &file))
            return true;
    return any_in_pythonpath(may_hide, &file);
}

/* Directory of our own Python files: beside this program. */
static int own_dir(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return -1;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/python" > size)
        return -1;
    strcpy(slash, "/python");
    return 0;
}

/* ---- sys.path ---------------------------------------------------------- */

static PyObject *before; /* what was in it: between begin and finish */

static int insert(PyObject *path, Py_ssize_t at, const char *dir)
{
    PyObject *text = PyUnicode_DecodeFSDefault(dir);
    int rc = text ? PyList_Insert(path, at, text) : -1;
    Py_XDECREF(text);
    return rc;
}

static int insert_own(PyObject *path, Py_ssize_t at)
{
    char own[PATH_MAX];
    if (own_dir(own, sizeof own) == 0)
        return insert(path, at, own);
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static bool is_users(PyObject *entry)
{
    PyObject *bytes = NULL;
    if (PyUnicode_Check(entry) && !(bytes = PyUnicode_EncodeFSDefault(entry)))
        PyErr_Clear();
    bool yes = bytes && any_in_pythonpath(is_it, PyBytes_AsString(bytes));
    Py_XDECREF(bytes);
    return yes;
}

/* Copies the entries that are the user's, or those that are not. */
static int copy_entries(PyObject *to, PyObject *from, bool users)
{
    for (Py_ssize_t i = 0; i < PyList_Size(from); i++) {
        PyObject *entry = python_item(from, i);
        int rc = is_users(entry) == users ? PyList_Append(to, entry) : 0;
        Py_DECREF(entry);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* The list stays the same object: sitecustomize may have kept it. */
static int set_entries(PyObject *path, PyObject *entries)
{
    return PyList_SetSlice(path, 0, PyList_Size(path), entries);
}

int paths_begin(void)
{
    PyObject *path = python_attribute("sys", "path");
    PyObject *ordered = PyList_New(0);
    int rc = -1;
    if (path && ordered && (before = PySequence_List(path)) &&
        insert_own(ordered, 0) == 0 &&
        copy_entries(ordered, before, false) == 0 &&
        copy_entries(ordered, before, true) == 0)
        rc = set_entries(path, ordered);
    Py_XDECREF(path);
    Py_XDECREF(ordered);
    return rc;
}

static int add_all(PyObject *path, const struct options *options)
{
    for (size_t i = 0; i < options->n_paths; i++)
        if (insert(path, (Py_ssize_t)i, options->paths[i]) < 0)
            return -1;
    return insert_own(path, PyList_Size(path));
}

int paths_finish(const struct options *options)
{
    PyObject *path = python_attribute("sys", "path");
    int rc = path ? set_entries(path, before) : -1;
    if (rc == 0)
        rc = add_all(path, options);
    Py_XDECREF(path);
    Py_CLEAR(before);
    return rc;
}
