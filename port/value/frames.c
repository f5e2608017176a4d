/* SPDX-License-Identifier: Apache-2.0
 *
 * Besides python.h this is the only file with CPython's internal headers: it
 * has a branch for each layout of frames, 3.10, 3.11 and 3.12, 3.13, 3.14.
 * PyFrame_… and PyEval_GetFrame cannot be used: since 3.11 they make objects.
 */
#include "config.h"

#ifdef HAVE_FRAMES
#define Py_BUILD_CORE_MODULE 1
#endif

#include "value/frames.h"

#include <string.h>

#include "wire/utf8.h"

#ifdef HAVE_FRAMES
#if PY_VERSION_HEX >= 0x030e0000
#include <internal/pycore_interpframe.h>
#elif PY_VERSION_HEX >= 0x030b0000
#include <internal/pycore_frame.h>
#else
#include <frameobject.h>
#endif
#if PY_VERSION_HEX >= 0x030c0000
#include <internal/pycore_interp.h>
#endif
#endif

/* ---- who runs --------------------------------------------------------- */

static PyThreadState *state(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* Before 3.12 it may be the state of another thread, which has the GIL. */
static bool is_own(const PyThreadState *thread)
{
    return thread && thread->thread_id == PyThread_get_thread_ident();
}

bool frames_can_read(void)
{
    const PyThreadState *thread = state();
    return is_own(thread) && thread->interp == PyInterpreterState_Main();
}

/* Before 3.12 all interpreters have one. */
static bool has_other_gil(const PyInterpreterState *interp)
{
#if defined HAVE_FRAMES && PY_VERSION_HEX >= 0x030c0000
    return interp != PyInterpreterState_Main() && interp->ceval.own_gil;
#else
    (void)interp;
    return false;
#endif
}

bool frames_are_apart(void)
{
    const PyThreadState *thread = state();
    return is_own(thread) && has_other_gil(thread->interp);
}

/* ---- tables of lines -------------------------------------------------- */

#ifdef HAVE_FRAMES

static const unsigned char *table_of(const PyCodeObject *code, Py_ssize_t *size)
{
    *size = PyBytes_GET_SIZE(code->co_linetable);
    return (const unsigned char *)PyBytes_AS_STRING(code->co_linetable);
}

#if PY_VERSION_HEX >= 0x030b0000

/* The kinds of entries (Objects/locations.md): the first byte of an entry has
 * its highest bit set, its kind in four bits, and how many units of code it
 * is about, less one, in three. */
#define KIND(byte) (((byte) >> 3) & 15)
#define UNITS(byte) (((byte)&7) + 1)
#define KIND_SAME_LINES 10 /* and the two above it: 0, 1, 2 lines further */
#define KIND_NO_COLUMN 13
#define KIND_LONG 14
#define KIND_NONE 15

static int signed_number(const unsigned char *at, const unsigned char *end)
{
    unsigned value = 0, shift = 0;
    for (; at < end && shift < 30; at++, shift += 6) {
        value |= (unsigned)(*at & 63) << shift;
        if (!(*at & 64))
            break;
    }
    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

static int lines_further(const unsigned char *entry, const unsigned char *end)
{
    const int kind = KIND(*entry);
    if (kind == KIND_NO_COLUMN || kind == KIND_LONG)
        return signed_number(entry + 1, end);
    return kind >= KIND_SAME_LINES && kind < KIND_NO_COLUMN
               ? kind - KIND_SAME_LINES
               : 0;
}

/* `unit`: an instruction, by its number. */
static int line_of(const PyCodeObject *code, int unit)
{
    Py_ssize_t size = 0;
    const unsigned char *at = table_of(code, &size);
    const unsigned char *end = at + size;
    int line = code->co_firstlineno;
    for (int units = 0; at < end;) {
        const bool is_none = KIND(*at) == KIND_NONE;
        line += lines_further(at, end);
        units += UNITS(*at);
        if (units > unit)
            return is_none ? code->co_firstlineno : line;
        do
            at++;
        while (at < end && !(*at & 128));
    }
    return code->co_firstlineno;
}

#else

/* Pairs of bytes (Objects/lnotab_notes.txt): how many bytes of code, and how
 * many lines further that is; -128: they have no line. */
static int line_of(const PyCodeObject *code, int unit)
{
    Py_ssize_t size = 0;
    const unsigned char *at = table_of(code, &size);
    int line = code->co_firstlineno;
    int address = 0;
    for (Py_ssize_t i = 0; i + 1 < size; i += 2) {
        const int further = (signed char)at[i + 1];
        line += further == -128 ? 0 : further;
        address += at[i];
        if (address > unit * (int)sizeof(_Py_CODEUNIT))
            return further == -128 ? code->co_firstlineno : line;
    }
    return code->co_firstlineno;
}

#endif

/* ---- frames ----------------------------------------------------------- */

#if PY_VERSION_HEX >= 0x030b0000

typedef struct _PyInterpreterFrame frame;

#if PY_VERSION_HEX >= 0x030d0000

static const frame *innermost(const PyThreadState *thread)
{
    return thread->current_frame;
}

static const _Py_CODEUNIT *instruction(const frame *f)
{
    return f->instr_ptr;
}

#else

static const frame *innermost(const PyThreadState *thread)
{
    return thread->cframe ? thread->cframe->current_frame : NULL;
}

static const _Py_CODEUNIT *instruction(const frame *f)
{
    return f->prev_instr;
}

#endif

/* The frame with which C code calls Python is on the stack, too. */
static bool is_of_c(const frame *f)
{
#if PY_VERSION_HEX >= 0x030e0000
    return f->owner >= FRAME_OWNED_BY_INTERPRETER;
#elif PY_VERSION_HEX >= 0x030c0000
    return f->owner == FRAME_OWNED_BY_CSTACK;
#else
    (void)f;
    return false;
#endif
}

static PyObject *executable(const frame *f)
{
#if PY_VERSION_HEX >= 0x030e0000
    return PyStackRef_IsNull(f->f_executable)
               ? NULL
               : PyStackRef_AsPyObjectBorrow(f->f_executable);
#elif PY_VERSION_HEX >= 0x030d0000
    return f->f_executable;
#else
    return (PyObject *)f->f_code;
#endif
}

/* Before its first line a frame may have no variables yet. */
static bool has_begun(const frame *f, PyCodeObject *code)
{
    return f->owner == FRAME_OWNED_BY_GENERATOR ||
           instruction(f) >= _PyCode_CODE(code) + code->_co_firsttraceable;
}

static PyObject *name_of(const PyCodeObject *code)
{
    return code->co_qualname;
}

#else

typedef struct _frame frame;

static const frame *innermost(const PyThreadState *thread)
{
    return thread->frame;
}

static bool is_of_c(const frame *f)
{
    (void)f;
    return false;
}

static PyObject *executable(const frame *f)
{
    return (PyObject *)f->f_code;
}

static bool has_begun(const frame *f, PyCodeObject *code)
{
    (void)code;
    return f->f_lasti >= 0;
}

static PyObject *name_of(const PyCodeObject *code)
{
    return code->co_name;
}

#endif

static const frame *outer(const frame *f)
{
#if PY_VERSION_HEX >= 0x030b0000
    return f->previous;
#else
    return f->f_back;
#endif
}

static int unit_of(const frame *f, PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030b0000
    return (int)(instruction(f) - _PyCode_CODE(code));
#else
    (void)code;
    return f->f_lasti;
#endif
}

/* NULL: there is nothing to show. Code that is being freed has already lost
 * some of its parts. */
static PyCodeObject *code_of(const frame *f)
{
    PyObject *code = is_of_c(f) ? NULL : executable(f);
    if (!code || !PyCode_Check(code) || Py_REFCNT(code) <= 0)
        return NULL;
    return has_begun(f, (PyCodeObject *)code) ? (PyCodeObject *)code : NULL;
}

/* No more frames than these are looked at, whatever they are. */
#define STEPS_MOST 1000

int frames_read(struct frame_place *places, int most)
{
    int n = 0, steps = 0;
    for (const frame *f = innermost(state());
         f && n < most && steps < STEPS_MOST; f = outer(f), steps++) {
        PyCodeObject *code = code_of(f);
        if (code)
            places[n++] = (struct frame_place){code->co_filename, name_of(code),
                                               line_of(code, unit_of(f, code))};
    }
    return n;
}

bool frames_are_known(void)
{
    return true;
}

#else

int frames_read(struct frame_place *places, int most)
{
    (void)places;
    (void)most;
    return 0;
}

bool frames_are_known(void)
{
    return false;
}

#endif

/* ---- text ------------------------------------------------------------- */

/* Half of a UTF-16 pair is not a character. */
static Py_UCS4 shown(Py_UCS4 c)
{
    return c >= 0xd800 && c < 0xe000 ? '?' : c;
}

size_t frames_text(PyObject *text, char *to, size_t size)
{
    size_t used = 0;
    if (!text || !PyUnicode_Check(text) || !PyUnicode_IS_READY(text))
        return 0;
    const int kind = (int)PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); i++) {
        char utf8[4];
        const size_t n = utf8_put(shown(PyUnicode_READ(kind, data, i)), utf8);
        if (n > size - used)
            break;
        memcpy(to + used, utf8, n);
        used += n;
    }
    return used;
}
