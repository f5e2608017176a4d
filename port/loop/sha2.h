/* SPDX-License-Identifier: Apache-2.0
 *
 * sha2: Python's archive without its module _sha2, for which Debian 13 forgot
 * some objects. hashlib and random do without it, by OpenSSL.
 */
#ifndef PORT_LOOP_SHA2_H
#define PORT_LOOP_SHA2_H

/* Exactly what is missing. Nobody can call it once the module is gone. */
/* clang-format off */
#define SHA2_MISSING(X) \
    X(python_hashlib_Hacl_Hash_SHA2_copy_256) \
    X(python_hashlib_Hacl_Hash_SHA2_copy_512) \
    X(python_hashlib_Hacl_Hash_SHA2_digest_256) \
    X(python_hashlib_Hacl_Hash_SHA2_digest_512) \
    X(python_hashlib_Hacl_Hash_SHA2_free_256) \
    X(python_hashlib_Hacl_Hash_SHA2_free_512) \
    X(python_hashlib_Hacl_Hash_SHA2_malloc_224) \
    X(python_hashlib_Hacl_Hash_SHA2_malloc_256) \
    X(python_hashlib_Hacl_Hash_SHA2_malloc_384) \
    X(python_hashlib_Hacl_Hash_SHA2_malloc_512) \
    X(python_hashlib_Hacl_Hash_SHA2_update_256) \
    X(python_hashlib_Hacl_Hash_SHA2_update_512)
/* clang-format on */

/* Takes the module out of those that are built in, if configure chose that.
 * Call once, before Python starts. */
void sha2_remove(void);

#endif
