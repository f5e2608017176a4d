/* SPDX-License-Identifier: Apache-2.0
 *
 * scan: what Erlang writes passes, whatever is cut, bent or lies does not, and
 * ei agrees about where each term ends.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <ei.h>

#include "../terms.h"
#include "wire/etf.h"
#include "wire/protocol.h"
#include "wire/put.h"
#include "wire/scan.h"

static struct err err; /* of the last scan */

static int scan(const char *p, size_t n)
{
    err.text[0] = '\0';
    int rc = scan_frame(p, n, &err);
    assert_int_equal(rc, err.text[0] == '\0' ? 0 : -1);
    return rc;
}

/* What passed must be what ei takes it for. */
static void assert_ei_agrees(const char *p, size_t n)
{
    int at = 1;
    assert_int_equal(ei_skip_term(p, &at), 0);
    assert_int_equal(at, n);
}

static void accepts_what_erlang_writes(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TERMS; i++) {
        size_t n;
        char *p = from_hex(terms[i].hex, &n);
        if (scan(p, n) < 0)
            fail_msg("%s: %s", terms[i].name, err.text);
        assert_ei_agrees(p, n);
        free(p);
    }
}

static void refuses_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TERMS; i++) {
        size_t n;
        char *p = from_hex(terms[i].hex, &n);
        for (size_t cut = 0; cut < n; cut++) {
            char *prefix = malloc(cut > 0 ? cut : 1);
            memcpy(prefix, p, cut);
            if (scan(prefix, cut) == 0)
                fail_msg("%s: %zu bytes of it passed", terms[i].name, cut);
            free(prefix);
        }
        free(p);
    }
}

static void refuses_a_byte_too_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TERMS; i++) {
        size_t n;
        char *p = from_hex(terms[i].hex, &n), *more = malloc(n + 1);
        memcpy(more, p, n);
        more[n] = ERL_NIL_EXT;
        assert_int_equal(scan(more, n + 1), -1);
        assert_non_null(strstr(err.text, "1 bytes follow the term"));
        free(more);
        free(p);
    }
}

static void survives_every_wrong_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TERMS; i++) {
        size_t n;
        char *p = from_hex(terms[i].hex, &n);
        for (size_t at = 0; at < n; at++) {
            const char right = p[at];
            for (int c = 0; c <= UINT8_MAX; c++) {
                p[at] = (char)c;
                if (scan(p, n) == 0)
                    assert_ei_agrees(p, n);
            }
            p[at] = right;
        }
        free(p);
    }
}

/* clang-format off */
static const struct {
    const char *hex;
    const char *text;
} refused[] = {
    {"", "the frame is empty"},
    {"6a", "the first byte is 106, not the version 131"},
    {"83", "the frame ends where a term should begin (byte 1)"},
    {"8361", "integer runs past the end of the frame (byte 1)"},
    {"83ff", "unknown tag 255 (byte 1)"},
    {"8300", "unknown tag 0 (byte 1)"},
    {"8350000000026803", "compressed term is not accepted (byte 1)"},
    {"83430000000001" "770161" "770162",
     "native record is not accepted (byte 1)"},
    {"835200", "atom cache reference is not accepted (byte 1)"},
    {"8379000000006100", "node-local term is not accepted (byte 1)"},
    {"83750000000061", "fun of an old release is not accepted (byte 1)"},
    /* counts that lie */
    {"83680261016809610161",
     "tuple of 9 elements runs past the end of the frame (byte 5)"},
    {"8369ffffffff6a",
     "tuple of 4294967295 elements runs past the end of the frame (byte 1)"},
    {"836cffffffff6a",
     "list of 4294967295 elements runs past the end of the frame (byte 1)"},
    {"836c000000016a",
     "list of 1 elements runs past the end of the frame (byte 1)"},
    {"8374800000006a6a",
     "map of 2147483648 pairs runs past the end of the frame (byte 1)"},
    {"8374000000016a",
     "map of 1 pairs runs past the end of the frame (byte 1)"},
    {"836dffffffff61",
     "binary of 4294967295 bytes runs past the end of the frame (byte 1)"},
    {"836fffffffff0061",
     "integer of 4294967295 bytes runs past the end of the frame (byte 1)"},
    {"836b000461", "string of 4 bytes runs past the end of the frame (byte 1)"},
    {"837003", "fun runs past the end of the frame (byte 1)"},
    /* what the bytes say */
    {"836c000000006a", "list of 0 elements is not nil (byte 1)"},
    {"836e010201", "integer has a sign that is neither 0 nor 1 (byte 1)"},
    {"837702c328", "atom is not UTF-8 (byte 1)"},
    {"837703eda080", "atom is not UTF-8 (byte 1)"},
    {"834d000000000161",
     "bitstring does not have 1 to 8 bits in its last byte (byte 1)"},
    {"834d000000010061",
     "bitstring does not have 1 to 8 bits in its last byte (byte 1)"},
    {"834d000000010961",
     "bitstring does not have 1 to 8 bits in its last byte (byte 1)"},
    {"83467ff0000000000000", "float is not finite (byte 1)"},
    {"8346fff8000000000000", "float is not finite (byte 1)"},
    {"8363" "302e35" "0000000000000000000000000000000000000000000000000000"
     "0000", "float is not a number (byte 1)"},
    {"8363" "31313131313131313131313131313131313131313131313131313131313131",
     "float is not a number (byte 1)"},
    {"8358" "6103" "000000090000000000000000", "pid lacks an atom (byte 2)"},
    {"8358" NODE_26, "pid runs past the end of the frame (byte 17)"},
    {"8371" "770161" "6101" "6101", "fun lacks an atom (byte 5)"},
    {"8371" "770161" "770161" "6200000001", "fun lacks its arity (byte 8)"},
    {"835a0000" NODE_26 "00000000",
     "reference does not have 1 to 5 words (byte 1)"},
    {"835a0006" NODE_26 "00000000" "000000000000000000000000"
     "000000000000000000000000", "reference does not have 1 to 5 words (byte 1)"},
    /* funs whose size is not their size */
    {"837000000042" FUN_HEAD "00000000" FUN_BODY,
     "fun is longer than it says (byte 69)"},
    {"837000000004" FUN_HEAD "00000000" FUN_BODY,
     "fun is longer than it says (byte 1)"},
    {"837000000043" FUN_HEAD "00000001" FUN_BODY "6a",
     "fun is longer than it says (byte 69)"},
    {"837000000044" FUN_HEAD "00000000" FUN_BODY "6a",
     "fun does not end where it says (byte 69)"},
    {"837000000045" FUN_HEAD "00000002" FUN_BODY "61016a",
     "fun does not end where it says (byte 72)"},
    {"8370ffffffff" FUN_HEAD "00000000" FUN_BODY,
     "fun of 4294967295 bytes runs past the end of the frame (byte 1)"},
    {"837000000042" FUN_HEAD "00000000" "6101" "6106" "6200329b0d" "6a"
     NODE_26 "0000000900000000" "00000000", "fun lacks an atom (byte 31)"},
};
/* clang-format on */

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        size_t n;
        char *p = from_hex(refused[i].hex, &n);
        assert_int_equal(scan(p, n), -1);
        assert_string_equal(err.text, refused[i].text);
        free(p);
    }
}

static void atoms_have_at_most_255_characters(void **state)
{
    (void)state;
    static const struct {
        char tag;
        const char *character;
    } kinds[] = {
        {ERL_ATOM_EXT, "\xfc"},
        {ERL_ATOM_UTF8_EXT, "x"},
        {ERL_ATOM_UTF8_EXT, "\xc3\xbc"},
        {ERL_ATOM_UTF8_EXT, "\xf0\x9f\x90\x8d"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t size = strlen(kinds[i].character);
        for (size_t chars = 254; chars <= 256; chars++) {
            size_t n = chars * size;
            char p[4 + 256 * 4] = {(char)131, kinds[i].tag, (char)(n >> 8),
                                   (char)n};
            for (size_t c = 0; c < chars; c++)
                memcpy(p + 4 + c * size, kinds[i].character, size);
            assert_int_equal(scan(p, 4 + n), chars <= 255 ? 0 : -1);
        }
    }
}

/* One byte that is no ASCII, wherever it is: eight are looked at at once. */
static void an_atom_is_looked_at_byte_by_byte(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 20; n++)
        for (size_t at = 0; at <= n; at++) {
            char p[3 + 20] = {(char)131, ERL_SMALL_ATOM_UTF8_EXT, (char)n};
            memset(p + 3, 'x', n);
            if (at < n)
                p[3 + at] = (char)0xff;
            assert_int_equal(scan(p, 3 + n), at < n ? -1 : 0);
        }
}

/* The same of an atom in Latin-1, which becomes UTF-8. */
static void an_atom_in_latin1_becomes_utf8(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 20; n++)
        for (size_t at = 0; at < n; at++) {
            char atom[3 + 20] = {ERL_ATOM_EXT, 0, (char)n};
            char scratch[ETF_ATOM_SIZE];
            const unsigned char *p = (unsigned char *)atom;
            size_t len = 0;
            memset(atom + 3, 'x', n);
            atom[3 + at] = (char)0xfc;
            const char *text = etf_atom(&p, scratch, &len);
            assert_int_equal(len, n + 1);
            assert_memory_equal(text + at, "\xc3\xbc", 2);
            assert_ptr_equal(p, atom + 3 + n);
        }
}

/* A term with `levels` times `open` before and `close` behind the innermost. */
static void assert_depth(const char *open, size_t n_open, const char *close,
                         size_t n_close, size_t levels, bool passes)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    put_version(&b);
    for (size_t i = 0; i < levels; i++)
        put_raw(&b, open, n_open);
    put_nil(&b);
    for (size_t i = 0; i < levels; i++)
        put_raw(&b, close, n_close);
    assert_int_equal(b.why, BUF_OK);
    assert_int_equal(scan(b.data, b.len), passes ? 0 : -1);
    if (!passes)
        assert_non_null(strstr(err.text, "more than 4096 levels deep (byte "));
    buf_free(&b);
}

static void nests_as_deep_as_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *open, *close;
        size_t n_open, n_close;
    } kinds[] = {
        {"h\1", "", 2, 0},          /* {X} */
        {"h\3jj", "", 4, 0},        /* {[], [], X} */
        {"h\2", "j", 2, 1},         /* {X, []} */
        {"i\0\0\0\1", "", 5, 0},    /* {X} */
        {"l\0\0\0\1", "j", 5, 1},   /* [X] */
        {"l\0\0\0\1a\1", "", 7, 0}, /* [1 | X] */
        {"t\0\0\0\1", "j", 5, 1},   /* #{X => []} */
        {"t\0\0\0\1j", "", 6, 0},   /* #{[] => X} */
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        static const size_t levels[] = {1, MAX_DEPTH, MAX_DEPTH + 1, 100000};
        for (size_t j = 0; j < 4; j++)
            assert_depth(kinds[i].open, kinds[i].n_open, kinds[i].close,
                         kinds[i].n_close, levels[j], levels[j] <= MAX_DEPTH);
    }
}

static void term_moves_at_only_when_it_passes(void **state)
{
    (void)state;
    static const char p[] = "jh\2a\1h\2a\1";
    size_t at = 0;
    err.text[0] = '\0';
    assert_int_equal(scan_term(p, 9, &at, &err), 0);
    assert_int_equal(at, 1);
    assert_int_equal(scan_term(p, 9, &at, &err), -1);
    assert_int_equal(at, 1);
    assert_string_equal(err.text,
                        "the frame ends where a term should begin (byte 9)");
    err.text[0] = '\0';
    at = 9;
    assert_int_equal(scan_term(p, 9, &at, &err), -1);
    at = 0;
    assert_int_equal(scan_term(p, (size_t)FRAME_LIMIT + 1, &at, &err), -1);
}

static void long_lists_of_everything(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct buf b;
    buf_init(&b, SIZE_MAX);
    put_version(&b);
    put_list(&b, 4 * N);
    for (int i = 0; i < N; i++) {
        put_long(&b, i % 256);
        put_long(&b, i * 1000LL);
        put_binary(&b, "abc", 3);
        put_double(&b, i);
    }
    put_nil(&b);
    assert_int_equal(scan(b.data, b.len), 0);
    assert_ei_agrees(b.data, b.len);
    b.data[b.len - 1] = ERL_SMALL_INTEGER_EXT; /* as tail, cut off */
    assert_int_equal(scan(b.data, b.len), -1);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_erlang_writes),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(refuses_a_byte_too_many),
        cmocka_unit_test(survives_every_wrong_byte),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(atoms_have_at_most_255_characters),
        cmocka_unit_test(an_atom_is_looked_at_byte_by_byte),
        cmocka_unit_test(an_atom_in_latin1_becomes_utf8),
        cmocka_unit_test(nests_as_deep_as_allowed),
        cmocka_unit_test(term_moves_at_only_when_it_passes),
        cmocka_unit_test(long_lists_of_everything),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
