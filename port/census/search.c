/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "census/search.h"

#include "census/sweep.h"
#include "wire/clock.h"

/* What it remembers at most, and of those who refer to one object. */
#define NODES_MAX 20000
#define HOLDERS_MAX 50
/* How many steps it goes, and how long it may take. */
#define STEPS_MAX 100
#define LIMIT_MS 5000
/* Containers that the collector does not know, inside one another. */
#define DEPTH_MAX 50

struct edge {
    size_t holder, held;
};

struct search {
    struct sweep sweep; /* for what it knows of types */
    const struct numbering *ignored;
    struct numbering nodes;
    struct edge *edges;
    size_t edge_count, edge_room;
    size_t begin, end;         /* the nodes whose holders are looked for now */
    size_t holders[NODES_MAX]; /* how many each node has */
    size_t up[NODES_MAX];      /* the holder that leads to a root */
    size_t level[NODES_MAX];   /* how far that is; 0: not known */
    PyObject *holder;          /* whose references are looked at */
    int depth;
    bool failed;
};

/* ---- a step ----------------------------------------------------------- */

static int grow(struct search *s)
{
    const size_t room = s->edge_room ? 2 * s->edge_room : 1024;
    struct edge *edges = PyMem_RawRealloc(s->edges, room * sizeof *edges);
    if (!edges)
        return -1;
    s->edges = edges;
    s->edge_room = room;
    return 0;
}

static void add_edge(struct search *s, size_t held)
{
    size_t holder = numbering_find(&s->nodes, s->holder);
    if (holder == NUMBERING_NONE && s->nodes.count < NODES_MAX &&
        numbering_find(s->ignored, s->holder) == NUMBERING_NONE) {
        holder = numbering_add(&s->nodes, s->holder);
        s->failed = s->failed || holder == NUMBERING_NONE;
    }
    if (s->edge_count == s->edge_room && grow(s) < 0)
        s->failed = true;
    if (holder == NUMBERING_NONE || s->failed)
        return;
    s->edges[s->edge_count++] = (struct edge){holder, held};
    s->holders[held]++;
}

static int visit(PyObject *obj, void *arg);

static void visit_inside(struct search *s, PyObject *holder)
{
    PyObject *outer = s->holder;
    if (s->depth >= DEPTH_MAX || !Py_TYPE(holder)->tp_traverse)
        return;
    s->depth++;
    s->holder = holder;
    Py_TYPE(holder)->tp_traverse(holder, visit, s);
    s->holder = outer;
    s->depth--;
}

/* Numbers have no base, and there are many. */
static void visit_base(struct search *s, PyObject *obj)
{
    if (!Py_TYPE(obj)->tp_getset || PyLong_CheckExact(obj) ||
        PyFloat_CheckExact(obj))
        return;
    PyObject *outer = s->holder;
    PyObject *base = sweep_base(&s->sweep, obj);
    s->holder = obj;
    if (base && s->depth < DEPTH_MAX) {
        s->depth++;
        visit(base, s);
        s->depth--;
    }
    s->holder = outer;
    Py_XDECREF(base);
    if (PyErr_Occurred())
        s->failed = true;
}

/* An object refers to its class, too, but that is not what keeps a class. */
static int visit(PyObject *obj, void *arg)
{
    struct search *s = arg;
    const size_t n = numbering_find(&s->nodes, obj);
    if (n != NUMBERING_NONE && n >= s->begin && n < s->end && !s->level[n] &&
        s->holders[n] < HOLDERS_MAX && obj != (PyObject *)Py_TYPE(s->holder))
        add_edge(s, n);
    if (!PyObject_IS_GC(obj))
        visit_base(s, obj);
    else if (!PyObject_GC_IsTracked(obj))
        visit_inside(s, obj);
    return s->failed;
}

static int visit_container(PyObject *obj, void *arg)
{
    struct search *s = arg;
    visit_inside(s, obj);
    return !s->failed;
}

/* ---- what was found --------------------------------------------------- */

/* Gives levels: from the nodes that have one to those that they hold, the
 * nearest first. */
static void spread(struct search *s)
{
    bool more = true;
    for (size_t level = 1; more; level++) {
        more = false;
        for (size_t i = 0; i < s->edge_count; i++) {
            const struct edge *e = &s->edges[i];
            if (s->level[e->holder] > level)
                more = true;
            if (s->level[e->holder] != level || s->level[e->held])
                continue;
            s->level[e->held] = level + 1;
            s->up[e->held] = e->holder;
            more = true;
        }
    }
}

/* Whether all of the objects are kept by a root. */
static bool all_kept(struct search *s, const struct numbering *roots,
                     size_t count)
{
    for (size_t n = 0; n < s->nodes.count; n++) {
        const bool is_root =
            numbering_find(roots, s->nodes.objects[n]) != NUMBERING_NONE;
        s->level[n] = is_root;
        s->up[n] = NUMBERING_NONE;
    }
    spread(s);
    for (size_t n = 0; n < count; n++)
        if (!s->level[n])
            return false;
    return true;
}

/* Nodes that nothing is known to hold are held by something unknown. */
static void mark_unknown(struct search *s)
{
    for (size_t n = 0; n < s->nodes.count; n++)
        if (!s->level[n] && s->holders[n] == 0)
            s->level[n] = 1;
    spread(s);
}

/* The holder that was found first, for those in cycles. */
static size_t first_holder(const struct search *s, size_t held)
{
    for (size_t i = 0; i < s->edge_count; i++)
        if (s->edges[i].held == held)
            return s->edges[i].holder;
    return NUMBERING_NONE;
}

static bool is_in(PyObject *list, PyObject *obj)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
        if (PyList_GET_ITEM(list, i) == obj)
            return true;
    return false;
}

/* From the object to what keeps it; a cycle ends where it began. */
static PyObject *chain(const struct search *s, size_t n, size_t *last)
{
    PyObject *list = PyList_New(0);
    const bool kept = s->level[n] > 0;
    while (list && n != NUMBERING_NONE) {
        PyObject *obj = s->nodes.objects[n];
        const bool closed = is_in(list, obj);
        *last = n;
        if (PyList_Append(list, obj) < 0)
            Py_CLEAR(list);
        n = closed ? NUMBERING_NONE : kept ? s->up[n] : first_holder(s, n);
    }
    if (list && PyList_Reverse(list) < 0)
        Py_CLEAR(list);
    return list;
}

static PyObject *described(const struct search *s,
                           const struct numbering *roots, size_t n)
{
    size_t last = n;
    PyObject *found = chain(s, n, &last);
    if (!found)
        return NULL;
    const size_t root = numbering_find(roots, s->nodes.objects[last]);
    return Py_BuildValue("(nNN)",
                         root == NUMBERING_NONE ? -1 : (Py_ssize_t)root,
                         PyBool_FromLong(s->level[n] > 0), found);
}

/* ---- the search -------------------------------------------------------- */

/* Goes on from the nodes that the last step has found. False: there are none.
 */
static bool step(struct search *s)
{
    s->begin = s->end;
    s->end = s->nodes.count;
    if (s->begin == s->end)
        return false;
    if (python_visit_objects(visit_container, s) < 0)
        s->failed = true;
    return !s->failed;
}

static int look(struct search *s, const struct numbering *objects,
                const struct numbering *roots)
{
    const long long until = clock_thread() + LIMIT_MS * CLOCK_NS_PER_MS;
    for (size_t n = 0; n < objects->count; n++)
        if (numbering_add(&s->nodes, objects->objects[n]) == NUMBERING_NONE)
            return -1;
    for (int i = 0; i < STEPS_MAX && !all_kept(s, roots, objects->count); i++) {
        if (!step(s) || clock_thread() > until)
            break;
        Py_BEGIN_ALLOW_THREADS
        Py_END_ALLOW_THREADS
    }
    (void)all_kept(s, roots, objects->count);
    mark_unknown(s);
    return s->failed ? -1 : 0;
}

static PyObject *found(const struct search *s, const struct numbering *roots,
                       size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t n = 0; list && n < count; n++) {
        PyObject *one = described(s, roots, n);
        if (one)
            PyList_SET_ITEM(list, (Py_ssize_t)n, one);
        else
            Py_CLEAR(list);
    }
    return list;
}

PyObject *search_run(const struct numbering *objects,
                     const struct numbering *roots,
                     const struct numbering *ignored)
{
    PyObject *list = NULL;
    struct search *s = PyMem_RawCalloc(1, sizeof *s);
    if (!s)
        return PyErr_NoMemory();
    s->ignored = ignored;
    if (sweep_begin(&s->sweep) == 0 && look(s, objects, roots) == 0)
        list = found(s, roots, objects->count);
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    sweep_end(&s->sweep);
    numbering_free(&s->nodes);
    PyMem_RawFree(s->edges);
    PyMem_RawFree(s);
    return list;
}
