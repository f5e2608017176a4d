/* SPDX-License-Identifier: Apache-2.0
 *
 * terms: external format as Erlang wrote it, in hex, version byte first.
 *
 * First what term_to_binary of OTP 25 and of 26 and later writes (they differ
 * in atoms and ports), then what earlier releases wrote and binary_to_term
 * still reads.
 */
#ifndef TEST_C_TERMS_H
#define TEST_C_TERMS_H

#include <stdlib.h>
#include <string.h>

struct term {
    const char *name;
    const char *hex;
};

/* nonode@nohost, as a node's name in a pid */
#define NODE_25 "64000d6e6f6e6f6465406e6f686f7374"
#define NODE_26 "770d6e6f6e6f6465406e6f686f7374"

/* fun: arity, MD5 of the module, index */
#define FUN_HEAD \
    "01" \
    "6361aa461590d1bdf1eb62d1a6eb0800" \
    "0000002a"
/* fun: module, two integers, creator */
#define FUN_BODY \
    "770161" \
    "6106" \
    "6200329b0d" \
    "58" NODE_26 "0000000900000000" \
    "00000000"

/* clang-format off */
static const struct term terms[] = {
    {"0", "836100"},
    {"255", "8361ff"},
    {"-1", "8362ffffffff"},
    {"1 bsl 27", "836208000000"},
    {"-(1 bsl 31)", "836280000000"},
    {"1 bsl 31", "836e040000000080"},
    {"1 bsl 70", "836e0900000000000000000040"},
    {"-(1 bsl 70)", "836e0901000000000000000040"},
    {"1.5", "83463ff8000000000000"},
    {"-0.0", "83468000000000000000"},
    {"ok, 25", "836400026f6b"},
    {"ok, 26", "8377026f6b"},
    {"latin1 atom, 25", "83640003fc6eef"},
    {"latin1 atom, 26", "837705c3bc6ec3af"},
    {"kanji atom", "837706e697a5e69cac"},
    {"''", "837700"},
    {"[]", "836a"},
    {"string", "836b0003616263"},
    {"[1|2]", "836c0000000161016102"},
    {"[a, [], {}]", "836c000000037701616a68006a"},
    {"{}", "836800"},
    {"{a, {b}}", "8368027701616801770162"},
    {"#{}", "837400000000"},
    {"#{a => 1, b => []}", "837400000002640001616101640001626a"},
    {"#{#{} => #{}}", "837400000001" "7400000000" "7400000000"},
    {"<<>>", "836d00000000"},
    {"<<\"abc\">>", "836d00000003616263"},
    {"<<5:3>>", "834d0000000103a0"},
    {"pid, 25", "8358" NODE_25 "000000090000000000000000"},
    {"pid, 26", "8358" NODE_26 "000000090000000000000000"},
    {"reference, 25", "835a0003" NODE_25 "000000000001462aaa8400029f29f834"},
    {"reference, 26", "835a0003" NODE_26 "000000000001462aaa8400029f29f834"},
    {"reference of 5 words", "835a0005" NODE_26 "00000000"
        "0000000100000002000000030000000400000005"},
    {"port, 25", "8359" NODE_25 "0000000000000000"},
    {"port, 26", "8378" NODE_26 "000000000000000500000000"},
    {"fun lists:map/2, 25", "83716400056c697374736400036d61706102"},
    {"fun lists:map/2, 26", "837177056c69737473" "77036d6170" "6102"},
    {"closure", "837000000043" FUN_HEAD "00000000" FUN_BODY},
    {"closure over 1, {[]}", "837000000048" FUN_HEAD "00000002" FUN_BODY
        "6101" "68016a"},

    {"1.5 as text", "8363"
        "312e3530303030303030303030303030303030303030652b30300000000000"},
    {"-2.5e-10 as text", "8363"
        "2d322e3530303030303030303030303030303030303030652d313000000000"},
    {"small atom", "8373026f6b"},
    {"UTF-8 atom", "8376000561c3bcc3af"},
    {"large tuple", "83690000000261016102"},
    {"large big", "836f0000000300010203"},
    {"old pid", "8367" NODE_25 "000000090000000000"},
    {"old port", "8366" NODE_25 "0000000500"},
    {"old reference", "8365" NODE_25 "0000000500"},
    {"new reference", "83720002" NODE_25 "000000000500000006"},
};
/* clang-format on */

#define N_TERMS (sizeof terms / sizeof *terms)

static int nibble(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The bytes in memory of exactly their size, so that ASan sees a byte too
 * many. The caller frees. */
static char *from_hex(const char *hex, size_t *n)
{
    *n = strlen(hex) / 2;
    char *bytes = malloc(*n > 0 ? *n : 1);
    for (size_t i = 0; i < *n; i++)
        bytes[i] = (char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return bytes;
}

#endif
