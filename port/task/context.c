/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/context.h"

#include "task/name.h"
#include "value/classes.h"

#define MAIN "__main__"
#define MAIN_LEN ((Py_ssize_t)sizeof MAIN - 1)

/* All that are open: modules, by their numbers. NULL until there was one. */
static PyObject *all;

/* Whether there was ever a copy of one. */
static bool lent;

/* What stands for __main__ while their code runs, by their numbers. */
static PyObject *stand_ins;

/* ---- import __main__ ---------------------------------------------------- */

/* What builtins.__import__ was. */
static PyObject *import_before;

/* The context whose names these are, or NULL. */
static PyObject *with_names(const PyObject *names)
{
    PyObject *number = NULL, *module = NULL;
    Py_ssize_t at = 0;
    while (PyDict_Next(all, &at, &number, &module))
        if (PyModule_GetDict(module) == names)
            return Py_NewRef(module);
    return NULL;
}

/* For builtins.__import__: where a context's names are globals, __main__ is
 * that context. */
static PyObject *import(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    PyObject *module = NULL;
    if (PyTuple_GET_SIZE(args) > 1) {
        PyObject *name = PyTuple_GET_ITEM(args, 0);
        if (PyUnicode_Check(name) &&
            PyUnicode_CompareWithASCIIString(name, MAIN) == 0)
            module = with_names(PyTuple_GET_ITEM(args, 1));
    }
    return module ? module : PyObject_Call(import_before, args, kwargs);
}

/* Once: whoever never has a context keeps Python's own. */
static int take_import(void)
{
    static PyMethodDef def = {"__import__", (PyCFunction)(void (*)(void))import,
                              METH_VARARGS | METH_KEYWORDS, NULL};
    PyObject *builtins = python_module("builtins"), *ours = NULL;
    int rc = -1;
    if (builtins && (ours = PyCFunction_New(&def, NULL)) &&
        (import_before = PyObject_GetAttrString(builtins, "__import__")))
        rc = PyObject_SetAttrString(builtins, "__import__", ours);
    Py_XDECREF(ours);
    Py_XDECREF(builtins);
    return rc;
}

/* ---- open and closed ---------------------------------------------------- */

static int begin(void)
{
    if (!all && !(all = PyDict_New()))
        return -1;
    if (!stand_ins && !(stand_ins = PyDict_New()))
        return -1;
    return import_before ? 0 : take_import();
}

static int know(PyObject *module, const char *as, const char *name)
{
    PyObject *known = python_module(name);
    const int rc =
        known ? PyDict_SetItemString(PyModule_GetDict(module), as, known) : -1;
    Py_XDECREF(known);
    return rc;
}

/* It has what __main__ has: the built-in names, and this package. */
static PyObject *make(void)
{
    PyObject *module = PyModule_New(MAIN);
    if (module && (know(module, "__builtins__", "builtins") < 0 ||
                   know(module, "erlang", "erlang") < 0))
        Py_CLEAR(module);
    return module;
}

/* The one of that number; NULL without an exception: it is not open. */
static PyObject *find(long id)
{
    PyObject *key = PyLong_FromLong(id);
    PyObject *module = key && all ? python_dict_get(all, key) : NULL;
    Py_XDECREF(key);
    return module;
}

PyObject *context_find(long id)
{
    PyObject *module = find(id);
    if (!module && !PyErr_Occurred())
        PyErr_Format(classes_badarg(),
                     "context: there is none with the number %ld here: it was "
                     "closed, or its owner has ended",
                     id);
    return module;
}

static int fill(PyObject *module, long from)
{
    PyObject *source = context_find(from), *none = NULL;
    if (source) {
        lent = true;
        none = python_call("erlang._context", "copy", "(OO)", source, module);
    }
    Py_XDECREF(source);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

static int add(PyObject *key, long from)
{
    PyObject *module = make();
    int rc = module && from ? fill(module, from) : 0;
    if (module && rc == 0)
        rc = PyDict_SetItem(all, key, module);
    Py_XDECREF(module);
    return module ? rc : -1;
}

int context_open(long id, long from)
{
    if (begin() < 0)
        return -1;
    PyObject *key = PyLong_FromLong(id);
    int rc = key ? PyDict_Contains(all, key) : -1;
    if (rc == 1)
        PyErr_Format(classes_badarg(), "context: %ld is open already", id);
    if (rc == 0)
        rc = add(key, from);
    Py_XDECREF(key);
    return rc == 0 ? 0 : -1;
}

/* The last ones first: so finalizers see what was there before their objects,
 * modules for example. What they define meanwhile goes, too. */
static void drop(PyObject *names)
{
    for (Py_ssize_t left = PyDict_Size(names); left > 0; left--) {
        PyObject *last = PyObject_CallMethod(names, "popitem", NULL);
        if (!last)
            PyErr_Clear();
        Py_XDECREF(last);
    }
    PyDict_Clear(names);
}

/* Classes of a copy see the names of the context where they were defined. */
static void drop_unneeded(PyObject *closed)
{
    PyObject *unneeded =
        python_call("erlang._context", "unneeded", "(O)", closed);
    if (!unneeded)
        PyErr_Clear();
    for (Py_ssize_t i = 0; unneeded && i < PyList_GET_SIZE(unneeded); i++)
        drop(PyModule_GetDict(PyList_GET_ITEM(unneeded, i)));
    Py_XDECREF(unneeded);
}

static void clear(PyObject *module)
{
    if (lent)
        drop_unneeded(module);
    else
        drop(PyModule_GetDict(module));
}

/* Forgets it first: what is freed may ask for it. Takes both. */
static void close_take(PyObject *key, PyObject *module)
{
    if (key && module && PyDict_DelItem(all, key) == 0) {
        if (PyDict_DelItem(stand_ins, key) < 0)
            PyErr_Clear(); /* no code has run there */
        clear(module);
    } else {
        PyErr_Clear();
    }
    Py_XDECREF(key);
    Py_XDECREF(module);
}

void context_close(long id)
{
    close_take(PyLong_FromLong(id), find(id));
}

void context_close_all(void)
{
    PyObject *key = NULL, *module = NULL;
    Py_ssize_t at = 0;
    while (all && python_dict_next(all, &at, &key, &module))
        close_take(key, module);
}

PyObject *context_module(const struct task_opts *opts)
{
    return context_find(opts->context);
}

PyObject *context_names(const struct task_opts *opts)
{
    PyObject *module = context_module(opts);
    PyObject *names = module ? Py_NewRef(PyModule_GetDict(module)) : NULL;
    Py_XDECREF(module);
    return names;
}

/* ---- what a call means -------------------------------------------------- */

/* Whether a path begins in __main__. */
static bool is_in_main(PyObject *name)
{
    const Py_ssize_t len = PyUnicode_GET_LENGTH(name);
    PyObject *main = PyUnicode_FromString(MAIN);
    const bool is = main && PyUnicode_Tailmatch(name, main, 0, len, -1) == 1 &&
                    (len == MAIN_LEN ||
                     PyUnicode_READ_CHAR(name, MAIN_LEN) == (Py_UCS4)'.');
    Py_XDECREF(main);
    return is;
}

PyObject *context_named(const struct task_opts *opts, PyObject *name)
{
    PyObject *module = context_module(opts), *path = NULL, *found = NULL;
    const Py_ssize_t len = PyUnicode_GET_LENGTH(name);
    if (!module)
        return NULL;
    if (!is_in_main(name))
        found = name_module(name);
    else if (len == MAIN_LEN)
        found = Py_NewRef(module);
    else if ((path = PyUnicode_Substring(name, MAIN_LEN + 1, len)))
        found = name_attribute(module, path);
    Py_XDECREF(path);
    Py_DECREF(module);
    return found;
}

/* ---- while its code runs ------------------------------------------------ */

static PyObject *make_stand_in(PyObject *key, PyObject *module)
{
    PyObject *made = python_call("erlang._context", "StandIn", "(O)", module);
    if (made && PyDict_SetItem(stand_ins, key, made) < 0)
        Py_CLEAR(made);
    return made;
}

static PyObject *stand_in(const struct task_opts *opts)
{
    PyObject *module = context_module(opts), *found = NULL;
    PyObject *key = module ? PyLong_FromLong(opts->context) : NULL;
    if (key)
        found = python_dict_get(stand_ins, key);
    if (key && !found && !PyErr_Occurred())
        found = make_stand_in(key, module);
    Py_XDECREF(key);
    Py_XDECREF(module);
    return found;
}

/* What is there now, while code of a context runs; else NULL. */
static struct context_stand standing;

/* Puts it into sys.modules, where `before` is now. 0/-1. */
static int put_in(PyObject *stand, PyObject *name, PyObject *before)
{
    PyObject *none = PyObject_CallMethod(stand, "stand_for", "(O)",
                                         before ? before : Py_None);
    Py_XDECREF(none);
    return none ? PyDict_SetItem(PyImport_GetModuleDict(), name, stand) : -1;
}

/* Puts back what was there, unless user code has put something else there.
 * Keeps the exception that is set. */
static void put_back(PyObject *stand, PyObject *name, PyObject *before)
{
    PyObject *exc = python_fetch_error();
    PyObject *now = python_imported(name);
    PyObject *modules = PyImport_GetModuleDict();
    if (now == stand && (before ? PyDict_SetItem(modules, name, before)
                                : PyDict_DelItem(modules, name)) < 0)
        PyErr_Clear();
    Py_XDECREF(now);
    if (exc)
        python_raise_take(exc);
}

/* What stands in sys.modules is seen by all threads: so only the main thread
 * has something stand there. */
PyObject *context_run(struct task *task, PyObject *(*run)(struct task *task))
{
    if (task_is_aside())
        return run(task);
    PyObject *name = PyUnicode_InternFromString(MAIN);
    PyObject *stand = name ? stand_in(&task->opts) : NULL;
    PyObject *before = stand ? python_imported(name) : NULL, *value = NULL;
    if (stand && put_in(stand, name, before) == 0) {
        const struct context_stand last = standing;
        standing = (struct context_stand){name, stand, before};
        value = run(task);
        standing = last;
        put_back(stand, name, before);
    }
    Py_XDECREF(before);
    Py_XDECREF(stand);
    Py_XDECREF(name);
    return value;
}

PyObject *context_main(PyObject *name)
{
    PyObject *main = python_imported(name);
    if (main && main == standing.stand && task_is_aside())
        Py_SETREF(main, Py_XNewRef(standing.before));
    return main;
}

void context_put_aside(struct context_stand *stand)
{
    if (task_is_aside())
        return;
    *stand = standing;
    standing = (struct context_stand){NULL, NULL, NULL};
    if (stand->stand)
        put_back(stand->stand, stand->name, stand->before);
}

/* Runs no Python code: an interrupt could keep that from coming to its end. */
void context_go_on(const struct context_stand *stand)
{
    if (task_is_aside())
        return;
    PyObject *now = stand->stand ? python_imported(stand->name) : NULL;
    if (stand->stand && now == stand->before &&
        PyDict_SetItem(PyImport_GetModuleDict(), stand->name, stand->stand) < 0)
        PyErr_Clear();
    Py_XDECREF(now);
    standing = *stand;
}
