/* SPDX-License-Identifier: Apache-2.0
 *
 * Python has three domains. RAW is malloc. OBJ and MEM are pymalloc: it keeps
 * small blocks in arenas, and asks RAW for large ones. So RAW and the arenas
 * are all that has to be counted, which costs next to nothing, and the hook in
 * OBJ and MEM is there only to refuse: small blocks and what is freed pass it
 * by.
 */
#include "config.h"

#include "memory/heap_hook.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "memory/heap_account.h"
#include "memory/heap_arena.h"
#include "memory/heap_numpy.h"
#include "memory/heap_sized.h"
#include "value/frames.h"

/* The largest block that pymalloc puts into an arena. */
#define SMALL 512

/* Python's own checks also stand between pymalloc and RAW: they put the size
 * and a pattern before each block. */
#define CHECKS_HEAD (2 * sizeof(size_t))

/* Constant once Python has started, but for `asks`. */
static struct {
    PyMemAllocatorEx blocks;       /* for OBJ and MEM: pymalloc, or RAW's */
    PyObjectArenaAllocator arenas; /* mmap */
    size_t small;                  /* up to this, OBJ and MEM ask for arenas */
    size_t head; /* what Python's own checks put before a large block */
    bool sized;  /* blocks have a head of ours with their size */
    bool counts;
    bool asks; /* the hook is in OBJ and MEM, too; set with the GIL */
} below;

/* An arena was refused: pymalloc turns to RAW next, which refuses, too. */
static _Thread_local bool refused_arena;

/* ---- RAW: malloc ------------------------------------------------------ */

static bool is_refused(void)
{
    if (!refused_arena)
        return false;
    refused_arena = false;
    return true;
}

static void *counted(void *block)
{
    if (block)
        heap_account_add(malloc_usable_size(block));
    return block;
}

static void *raw_malloc(void *ctx, size_t n)
{
    (void)ctx;
    return is_refused() ? NULL : counted(malloc(n ? n : 1));
}

static void *raw_calloc(void *ctx, size_t n, size_t size)
{
    (void)ctx;
    if (n == 0 || size == 0)
        n = size = 1;
    return is_refused() ? NULL : counted(calloc(n, size));
}

static void *raw_realloc(void *ctx, void *block, size_t n)
{
    (void)ctx;
    const size_t before = block ? malloc_usable_size(block) : 0;
    block = realloc(block, n ? n : 1);
    if (block)
        heap_account_change(before, malloc_usable_size(block));
    return block;
}

static void raw_free(void *ctx, void *block)
{
    (void)ctx;
    if (block)
        heap_account_sub(malloc_usable_size(block));
    free(block);
}

static const PyMemAllocatorEx raw = {NULL, raw_malloc, raw_calloc, raw_realloc,
                                     raw_free};

/* ---- OBJ and MEM ------------------------------------------------------ */

static bool is_allowed(size_t n)
{
    return n <= below.small || heap_account_is_far(n) ||
           heap_account_has_room(n, n);
}

/* A block in an arena is small. */
static size_t size_of(char *block)
{
    if (!block || heap_arena_has(block))
        return 0;
    return below.sized ? heap_sized_of(block)
                       : malloc_usable_size(block - below.head);
}

/* A block that shrinks is never refused. */
static bool may_become(void *block, size_t n)
{
    if (n <= below.small || heap_account_is_far(n))
        return true;
    const size_t before = size_of(block);
    return n <= before || heap_account_has_room(n - before, n - before);
}

static void *block_malloc(void *ctx, size_t n)
{
    return is_allowed(n) ? below.blocks.malloc(ctx, n) : NULL;
}

static void *block_calloc(void *ctx, size_t n, size_t size)
{
    return is_allowed(n * size) ? below.blocks.calloc(ctx, n, size) : NULL;
}

static void *block_realloc(void *ctx, void *block, size_t n)
{
    return may_become(block, n) ? below.blocks.realloc(ctx, block, n) : NULL;
}

/* What was freed is counted by RAW, or stays in its arena. */
static PyMemAllocatorEx blocks(void)
{
    return (PyMemAllocatorEx){below.blocks.ctx, block_malloc, block_calloc,
                              block_realloc, below.blocks.free};
}

/* ---- arenas ----------------------------------------------------------- */

/* Python's stacks of frames come this way, too. */
static bool is_arena(size_t size)
{
    return size == HEAP_ARENA_SIZE;
}

/* Asked for the sake of one small block. */
static bool may_have_arena(size_t size)
{
    if (heap_account_is_far(size) ||
        heap_account_has_room(size, is_arena(size) ? SMALL : size))
        return true;
    refused_arena = is_arena(size);
    return false;
}

static void *arena_alloc(void *ctx, size_t size)
{
    if (!may_have_arena(size))
        return NULL;
    void *arena = below.arenas.alloc(ctx, size);
    if (arena && is_arena(size) && !heap_arena_put(arena)) {
        below.arenas.free(ctx, arena, size);
        arena = NULL;
    }
    if (arena)
        heap_account_add(size);
    return arena;
}

static void arena_free(void *ctx, void *arena, size_t size)
{
    if (is_arena(size))
        heap_arena_remove(arena);
    heap_account_sub(size);
    below.arenas.free(ctx, arena, size);
}

/* ---- which allocators ------------------------------------------------- */

/* A value of PYTHONMALLOC: what it puts below the hook, and whether Python's
 * own checks come above it. */
struct kind {
    const char *name;
    int allocator;
    bool checks;
};

#ifdef WITH_PYMALLOC
#define PYMALLOC PYMEM_ALLOCATOR_PYMALLOC
#define USUAL PYMALLOC
#else
#define PYMALLOC (-1) /* there is none */
#define USUAL PYMEM_ALLOCATOR_MALLOC
#endif

#ifdef Py_DEBUG
#define USUAL_CHECKS true
#else
#define USUAL_CHECKS false
#endif

static const struct kind kinds[] = {
    {"default", USUAL, USUAL_CHECKS},
    {"debug", USUAL, true},
#ifdef WITH_PYMALLOC
    {"pymalloc", PYMALLOC, false},
    {"pymalloc_debug", PYMALLOC, true},
#endif
    {"malloc", PYMEM_ALLOCATOR_MALLOC, false},
    {"malloc_debug", PYMEM_ALLOCATOR_MALLOC, true},
#ifdef WITH_MIMALLOC
    {"mimalloc", PYMEM_ALLOCATOR_MIMALLOC, false},
    {"mimalloc_debug", PYMEM_ALLOCATOR_MIMALLOC, true},
#endif
};

/* As Python reads the environment: PYTHONMALLOC takes precedence over
 * PYTHONDEVMODE, and an empty variable does not count. NULL: another kind. */
static const struct kind *find_kind(void)
{
    const char *name = getenv("PYTHONMALLOC");
    const char *mode = getenv("PYTHONDEVMODE");
    if (!name || !*name)
        name = mode && *mode ? "debug" : "default";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- putting it in ---------------------------------------------------- */

/* What OBJ and MEM have while they are not asked. */
static PyMemAllocatorEx allocator(const struct kind *kind)
{
    PyMemAllocatorEx python;
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &python);
    switch (kind->allocator) {
    case PYMEM_ALLOCATOR_MALLOC:
        return raw;
    case PYMALLOC:
        return python;
    default:
        return heap_sized_on(&python);
    }
}

static void begin_counting(const struct kind *kind)
{
    PyMemAllocatorEx malloc = raw;
    below.small = kind->allocator == PYMALLOC ? SMALL : 0;
    below.blocks = allocator(kind);
    below.sized = !below.small && below.blocks.malloc != raw.malloc;
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &malloc);
    PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &below.blocks);
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &below.blocks);
    below.counts = true;
}

static void put_above(PyMemAllocatorEx hook)
{
    PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &hook);
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &hook);
}

/* Below the hook that takes samples, if there is one. */
static void begin_asking(void)
{
    const PyMemAllocatorEx asking = blocks();
    if (heap_profile_is_in())
        heap_profile_put_below(&asking);
    else
        put_above(asking);
    below.asks = true;
}

/* Python's own checks go above it, and are slow anyway: with them it cannot be
 * installed later. */
static void put_in(const struct kind *kind, bool limited)
{
    begin_counting(kind);
    if (heap_profile_is_in())
        put_above(heap_profile_on(&below.blocks));
    if (limited || kind->checks)
        begin_asking();
    if (!kind->checks)
        return;
    PyMem_SetupDebugHooks();
    below.head = below.small ? CHECKS_HEAD : 0;
}

/* Arenas are always counted: there are few of them. */
static void count_arenas(void)
{
    PyObjectArenaAllocator hook = {NULL, arena_alloc, arena_free};
    PyObject_GetArenaAllocator(&below.arenas);
    hook.ctx = below.arenas.ctx;
    PyObject_SetArenaAllocator(&hook);
}

static PyStatus prepare(int allocator)
{
    PyPreConfig config;
    PyPreConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.allocator = allocator;
    return Py_PreInitialize(&config);
}

static PyStatus begin_profile(const struct heap_profile_options *profile)
{
    if (!frames_are_known())
        return PyStatus_Error("the profile: this program does not know the "
                              "frames of this version of Python");
    return heap_profile_init(profile) == 0 ? PyStatus_Ok()
                                           : PyStatus_NoMemory();
}

/* Whether more than arenas is counted. */
static bool is_wanted(const struct heap_hook_options *options)
{
    return options->limit || options->account || options->profile.rate;
}

/* The part that may fail. */
static PyStatus begin(const struct kind *kind,
                      const struct heap_hook_options *options)
{
    if (is_wanted(options) && !kind)
        return PyStatus_Error("a heap of this kind (PYTHONMALLOC) cannot be "
                              "counted");
    if (heap_arena_init() < 0)
        return PyStatus_NoMemory();
    return options->profile.rate ? begin_profile(&options->profile)
                                 : PyStatus_Ok();
}

PyStatus heap_hook_install(const struct heap_hook_options *options)
{
    const size_t limit = options->limit;
    const struct kind *kind = is_wanted(options) ? find_kind() : NULL;
    PyStatus status = prepare(kind ? kind->allocator : PYMEM_ALLOCATOR_NOT_SET);
    if (!PyStatus_Exception(status))
        status = begin(kind, options);
    if (PyStatus_Exception(status))
        return status;
    heap_account_init(limit ? limit : HEAP_NO_LIMIT, heap_arena_unused);
    count_arenas();
    if (kind)
        put_in(kind, limit > 0);
    return PyStatus_Ok();
}

bool heap_hook_counts(void)
{
    return below.counts;
}

void heap_hook_begin_job(void)
{
    heap_numpy_begin_job();
    heap_account_begin_job();
}

void heap_hook_end_job(bool failed)
{
    heap_account_end_job();
    if (!failed)
        heap_account_forget_refusal();
}

/* Whether nothing is where the hook belongs. */
static bool is_free(PyMemAllocatorDomain domain)
{
    PyMemAllocatorEx now;
    PyMem_GetAllocator(domain, &now);
    return now.malloc == below.blocks.malloc;
}

int heap_hook_limit(size_t limit)
{
    if (!below.counts)
        return -1;
    if (!below.asks) {
        if (!heap_profile_is_in() &&
            (!is_free(PYMEM_DOMAIN_OBJ) || !is_free(PYMEM_DOMAIN_MEM)))
            return -1;
        begin_asking();
    }
    heap_account_set_limit(limit);
    return 0;
}
