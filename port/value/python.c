/* SPDX-License-Identifier: Apache-2.0
 *
 * python: the differences between versions, and new references.
 */
#include "config.h"

#include "value/python.h"

#include <stdarg.h>

/* Characters of a repr that are shown. */
#define REPR_SHOWN 32

PyObject *python_imported(PyObject *name)
{
    return python_dict_get(PyImport_GetModuleDict(), name);
}

/* Another thread may have been importing it, and have failed, while this one
 * waited for that: then it is not there any more. */
PyObject *python_imported_whole(PyObject *name)
{
    PyObject *module = PyImport_GetModule(name);
    PyObject *now = module ? python_imported(name) : NULL;
    if (module != now)
        Py_CLEAR(module);
    Py_XDECREF(now);
    return module;
}

/* A module that is there already does not need Python's own import, which runs
 * `builtins.__import__` and takes 50 times as long. */
PyObject *python_module(const char *name)
{
    PyObject *key = PyUnicode_FromString(name);
    PyObject *module = key ? python_imported_whole(key) : NULL;
    Py_XDECREF(key);
    if (module == Py_None) /* says that it must not be imported */
        Py_CLEAR(module);
    if (module || PyErr_Occurred())
        return module;
    return PyImport_ImportModule(name);
}

PyObject *python_attribute(const char *module, const char *name)
{
    PyObject *owner = python_module(module);
    PyObject *value = owner ? PyObject_GetAttrString(owner, name) : NULL;
    Py_XDECREF(owner);
    return value;
}

PyObject *python_call(const char *module, const char *function,
                      const char *format, ...)
{
    PyObject *callable = NULL, *value = NULL;
    va_list values;
    va_start(values, format);
    PyObject *args = Py_VaBuildValue(format, values);
    va_end(values);
    if (args && (callable = python_attribute(module, function)))
        value = PyObject_Call(callable, args, NULL);
    Py_XDECREF(args);
    Py_XDECREF(callable);
    return value;
}

PyObject *python_list_get(PyObject *list, Py_ssize_t i)
{
    PyObject *item = PyList_GetItem(list, i);
    Py_XINCREF(item);
    return item;
}

PyObject *python_dict_get(PyObject *dict, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(dict, key);
    Py_XINCREF(value);
    return value;
}

PyObject *python_type_lookup(PyTypeObject *type, PyObject *name)
{
    return Py_XNewRef(_PyType_Lookup(type, name));
}

PyObject *python_type_name(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030b0000
    return PyType_GetName(type);
#else
    return PyObject_GetAttrString((PyObject *)type, "__name__");
#endif
}

#if PY_VERSION_HEX >= 0x030d0000
Py_ssize_t python_int_size(PyObject *obj)
{
    return PyLong_AsNativeBytes(obj, NULL, 0, Py_ASNATIVEBYTES_LITTLE_ENDIAN);
}

int python_int_bytes(PyObject *obj, unsigned char *bytes, size_t n)
{
    return PyLong_AsNativeBytes(obj, bytes, (Py_ssize_t)n,
                                Py_ASNATIVEBYTES_LITTLE_ENDIAN) < 0
               ? -1
               : 0;
}

PyObject *python_int_from_bytes(const unsigned char *bytes, size_t n)
{
    return PyLong_FromUnsignedNativeBytes(bytes, n,
                                          Py_ASNATIVEBYTES_LITTLE_ENDIAN);
}
#else
Py_ssize_t python_int_size(PyObject *obj)
{
    const size_t bits = _PyLong_NumBits(obj);
    return bits == (size_t)-1 ? -1 : (Py_ssize_t)(bits / 8 + 1);
}

int python_int_bytes(PyObject *obj, unsigned char *bytes, size_t n)
{
    return _PyLong_AsByteArray((PyLongObject *)obj, bytes, n, 1, 1);
}

PyObject *python_int_from_bytes(const unsigned char *bytes, size_t n)
{
    return _PyLong_FromByteArray(bytes, n, 1, 0);
}
#endif

#if PY_VERSION_HEX >= 0x030c0000
int python_visit_objects(int (*visit)(PyObject *obj, void *arg), void *arg)
{
    PyUnstable_GC_VisitObjects(visit, arg);
    return 0;
}
#else
int python_visit_objects(int (*visit)(PyObject *obj, void *arg), void *arg)
{
    PyObject *all = python_call("gc", "get_objects", "()");
    if (!all)
        return -1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all); i++)
        if (!visit(PyList_GET_ITEM(all, i), arg))
            break;
    Py_DECREF(all);
    return 0;
}
#endif

PyObject *python_fetch_error(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type = NULL, *exc = NULL, *traceback = NULL;
    PyErr_Fetch(&type, &exc, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &exc, &traceback);
    if (traceback)
        PyException_SetTraceback(exc, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return exc;
#endif
}

void python_raise_take(PyObject *exc)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(exc);
#else
    PyObject *type = (PyObject *)Py_TYPE(exc);
    Py_INCREF(type);
    PyErr_Restore(type, exc, PyException_GetTraceback(exc));
#endif
}

/* The beginning of a long text, so that its repr is not made in full. */
static PyObject *beginning(PyObject *obj)
{
    if (PyUnicode_CheckExact(obj) && PyUnicode_GetLength(obj) > REPR_SHOWN)
        return PyUnicode_Substring(obj, 0, REPR_SHOWN);
    if (PyBytes_CheckExact(obj) && PyBytes_GET_SIZE(obj) > REPR_SHOWN)
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(obj), REPR_SHOWN);
    Py_INCREF(obj);
    return obj;
}

/* repr itself escapes; the encoding is only for surrogates that a __repr__ in
 * Python may return. */
static PyObject *cut_repr(PyObject *obj)
{
    PyObject *start = NULL, *repr = NULL, *cut = NULL, *utf8 = NULL;
    PyObject *text = NULL;

    if (!(start = beginning(obj)) || !(repr = PyObject_Repr(start)) ||
        !(cut = PyUnicode_Substring(repr, 0, REPR_SHOWN)) ||
        !(utf8 = PyUnicode_AsEncodedString(cut, "utf-8", "backslashreplace")))
        goto out;
    bool whole = start == obj && PyUnicode_GetLength(repr) <= REPR_SHOWN;
    text = PyUnicode_FromFormat("%s%s", PyBytes_AS_STRING(utf8),
                                whole ? "" : PYTHON_ELLIPSIS);
out:
    Py_XDECREF(start);
    Py_XDECREF(repr);
    Py_XDECREF(cut);
    Py_XDECREF(utf8);
    return text;
}

PyObject *python_short_repr(PyObject *obj)
{
    PyObject *before = python_fetch_error();
    PyObject *text = cut_repr(obj);
    if (!text) {
        PyErr_Clear();
        text = PyUnicode_FromFormat("<%s>", Py_TYPE(obj)->tp_name);
    }
    if (before)
        python_raise_take(before);
    return text;
}

PyObject *python_plain_str(PyObject *obj)
{
    if (!PyUnicode_Check(obj))
        return Py_NewRef(obj);
    PyObject *before = python_fetch_error();
    PyObject *text = PyUnicode_FromObject(obj);
    if (before)
        python_raise_take(before);
    return text;
}

int python_raise_async(void)
{
    PyObject *exc = Py_XNewRef(PyThreadState_Get()->async_exc);
    if (!exc)
        return 0;
    PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), NULL);
    PyErr_SetNone(exc);
    Py_DECREF(exc);
    return -1;
}

void python_set_handled(PyObject *exc)
{
    PyObject *type = exc ? (PyObject *)Py_TYPE(exc) : NULL;
    PyErr_SetExcInfo(Py_XNewRef(type), Py_XNewRef(exc), NULL);
}
