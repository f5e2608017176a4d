/* SPDX-License-Identifier: Apache-2.0
 *
 * etf: atoms, in each of their four forms.
 */
#include "config.h"

#include "wire/etf.h"

#include <string.h>

#include "wire/utf8.h"

/* The text's bytes, or NULL; *latin1 says how they are encoded. */
static const unsigned char *atom_bytes(const unsigned char **p, size_t *len,
                                       bool *latin1)
{
    const unsigned char tag = **p;
    size_t width = 1;
    switch (tag) {
    case ERL_ATOM_EXT:
    case ERL_ATOM_UTF8_EXT:
        width = 2;
        break;
    case ERL_SMALL_ATOM_EXT:
    case ERL_SMALL_ATOM_UTF8_EXT:
        break;
    default:
        return NULL;
    }
    ++*p;
    *latin1 = tag == ERL_ATOM_EXT || tag == ERL_SMALL_ATOM_EXT;
    *len = etf_number(p, width);
    const unsigned char *bytes = *p;
    *p += *len;
    return bytes;
}

/* Two bytes in UTF-8 for each one over 127. */
static size_t from_latin1(const unsigned char *bytes, size_t len, char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < 0x80) {
            text[n++] = (char)bytes[i];
        } else {
            text[n++] = (char)(0xc0 | bytes[i] >> 6);
            text[n++] = (char)(0x80 | (bytes[i] & 0x3f));
        }
    }
    return n;
}

const char *etf_atom(const unsigned char **p, char scratch[ETF_ATOM_SIZE],
                     size_t *len)
{
    bool latin1 = false;
    const unsigned char *bytes = atom_bytes(p, len, &latin1);
    if (!bytes || !latin1 || utf8_is_ascii((const char *)bytes, *len))
        return (const char *)bytes;
    *len = from_latin1(bytes, *len, scratch);
    return scratch;
}

int etf_name(const unsigned char **p, char *name, size_t size)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    const char *text = etf_atom(p, scratch, &len);
    const bool fits = text && len < size && !memchr(text, '\0', len);
    if (fits)
        memcpy(name, text, len);
    name[fits ? len : 0] = '\0';
    return fits ? (int)len : -1;
}
