/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_names.h"

#include <string.h>

#include "memory/pages.h"

/* All texts, and the longest of them. */
#define TEXT_SIZE ((size_t)2 << 20)
#define TEXT_LONGEST 400

/* Powers of two, and sparse when everything else is full. */
#define TEXT_PLACES 32768
#define TEXTS_MOST 24576
#define PLACES 65536

struct place {
    uint32_t file; /* where its text begins */
    uint32_t name;
    int line;
};

/* Hash tables with open addressing, in which 0 means free. A text is its length
 * in two bytes, followed by its characters; the first begins at 2. */
struct names {
    uint32_t text_at[TEXT_PLACES];
    uint32_t place_at[PLACES];
    struct place places[HEAP_NAMES_MOST];
    char text[TEXT_SIZE];
    size_t used;
    uint32_t n_texts;
    uint32_t n_places;
    uint32_t again[HEAP_NAMES_MOST]; /* numbers in the next table */
};

static struct names *names;
static struct names *spare;
static uint32_t kept; /* places that were kept when it last began anew */
static size_t missing;

static void begin(void)
{
    names->used = 2;
    names->n_places = 1;
}

int heap_names_init(void)
{
    names = pages_reserve(sizeof *names);
    spare = pages_reserve(sizeof *spare);
    if (!names || !spare)
        return -1;
    begin();
    return 0;
}

/* ---- texts ------------------------------------------------------------ */

static size_t length_of(const struct names *in, uint32_t text)
{
    uint16_t length;
    memcpy(&length, in->text + text, sizeof length);
    return length;
}

static const char *chars_of(const struct names *in, uint32_t text)
{
    return in->text + text + sizeof(uint16_t);
}

/* FNV-1a. */
static uint32_t hash(const char *bytes, size_t n)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)bytes[i]) * 16777619U;
    return h ^ h >> 15;
}

static bool is_text(uint32_t text, const char *chars, size_t n)
{
    return length_of(names, text) == n &&
           memcmp(chars_of(names, text), chars, n) == 0;
}

/* 0: there is no room. */
static uint32_t add_text(const char *chars, size_t n)
{
    const uint16_t length = (uint16_t)n;
    const size_t at = names->used;
    if (names->n_texts == TEXTS_MOST || n + sizeof length > TEXT_SIZE - at)
        return 0;
    memcpy(names->text + at, &length, sizeof length);
    memcpy(names->text + at + sizeof length, chars, n);
    names->used += n + sizeof length;
    names->n_texts++;
    return (uint32_t)at;
}

static uint32_t text_with(const char *chars, size_t n)
{
    uint32_t i = hash(chars, n) % TEXT_PLACES;
    while (names->text_at[i] && !is_text(names->text_at[i], chars, n))
        i = (i + 1) % TEXT_PLACES;
    if (!names->text_at[i])
        names->text_at[i] = add_text(chars, n);
    return names->text_at[i];
}

static uint32_t text_of(PyObject *str)
{
    char chars[TEXT_LONGEST];
    const size_t n = frames_text(str, chars, sizeof chars);
    return text_with(chars, n);
}

/* ---- places ----------------------------------------------------------- */

static bool is_place(uint32_t number, const struct place *place)
{
    return memcmp(&names->places[number], place, sizeof *place) == 0;
}

static uint32_t add_place(const struct place *place)
{
    if (names->n_places == HEAP_NAMES_MOST)
        return 0;
    names->places[names->n_places] = *place;
    return names->n_places++;
}

static uint32_t number_of(const struct place *place)
{
    uint32_t i = hash((const char *)place, sizeof *place) % PLACES;
    while (names->place_at[i] && !is_place(names->place_at[i], place))
        i = (i + 1) % PLACES;
    if (!names->place_at[i])
        names->place_at[i] = add_place(place);
    return names->place_at[i];
}

uint32_t heap_names_number(const struct frame_place *place)
{
    const struct place known = {text_of(place->file), text_of(place->name),
                                place->line};
    const uint32_t number = known.file && known.name ? number_of(&known) : 0;
    if (number == HEAP_NAMES_UNKNOWN)
        missing++;
    return number;
}

/* ---- when there is no room -------------------------------------------- */

/* There is still room for more than one stack then. */
#define NEARLY(most) ((most) - (most) / 32)

static bool is_nearly_full(void)
{
    return names->n_places > NEARLY(HEAP_NAMES_MOST) ||
           names->n_texts > NEARLY(TEXTS_MOST) ||
           names->used > NEARLY(TEXT_SIZE);
}

bool heap_names_are_full(void)
{
    return is_nearly_full() && kept < HEAP_NAMES_MOST / 2;
}

void heap_names_renew(void)
{
    struct names *full = names;
    names = spare;
    spare = full;
    if (names->used > 0)
        memset(names, 0, sizeof *names);
    kept = 0;
    begin();
}

/* A text from the previous table. */
static uint32_t text_again(uint32_t text)
{
    return text_with(chars_of(spare, text), length_of(spare, text));
}

uint32_t heap_names_again(uint32_t number)
{
    if (number == HEAP_NAMES_UNKNOWN || spare->again[number])
        return spare->again[number];
    const struct place *place = &spare->places[number];
    const struct place now = {text_again(place->file), text_again(place->name),
                              place->line};
    spare->again[number] = now.file && now.name ? number_of(&now) : 0;
    kept = names->n_places;
    return spare->again[number];
}

struct heap_name heap_names_get(uint32_t number)
{
    const struct place *place = &names->places[number];
    return (struct heap_name){chars_of(names, place->file),
                              length_of(names, place->file),
                              chars_of(names, place->name),
                              length_of(names, place->name), place->line};
}

size_t heap_names_missing(void)
{
    return missing;
}
