/* SPDX-License-Identifier: Apache-2.0
 *
 * sha2: leaves out Python's module _sha2, because Debian 13's static library
 * lacks some objects of it. hashlib and random use OpenSSL instead.
 */
#ifndef PORT_PROCESS_SHA2_H
#define PORT_PROCESS_SHA2_H

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

/* Removes the module from the built-in ones, if configure chose that. Call
 * once, before Python starts. */
void sha2_remove(void);

#endif
