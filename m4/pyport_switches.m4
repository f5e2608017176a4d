# SPDX-License-Identifier: Apache-2.0
# Compiler flags of our own: warnings, hardening, and the developer's switches.
# None of this touches CFLAGS and LDFLAGS, which belong to the user.

# PYPORT_ADD_FLAGS(VARIABLE, FLAGS, [LINK])
# -----------------------------------------
# Appends each of FLAGS that the compiler (with LINK: and the linker) takes.
AC_DEFUN([PYPORT_ADD_FLAGS], [
  for pyport_flag in m4_normalize([$2]); do
    AC_MSG_CHECKING([whether $CC takes $pyport_flag])
    pyport_save_CFLAGS=$CFLAGS
    # -Werror: clang only warns of flags that it does not know.
    CFLAGS="$CFLAGS -Werror $pyport_flag"
    m4_ifval([$3], [AC_LINK_IFELSE], [AC_COMPILE_IFELSE])(
      [AC_LANG_PROGRAM([[#include <string.h>]], [[]])],
      [AC_MSG_RESULT([yes])
       $1="$$1 $pyport_flag"],
      [AC_MSG_RESULT([no])])
    CFLAGS=$pyport_save_CFLAGS
  done
])

AC_DEFUN([PYPORT_WARNINGS], [
  WARN_CFLAGS=
  PYPORT_ADD_FLAGS([WARN_CFLAGS], [-Wall -Wextra -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wformat=2 -Wvla])
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])

# Fortify needs optimisation and disturbs the sanitizers.
AC_DEFUN([PYPORT_HARDENING], [
  HARDEN_CFLAGS= HARDEN_LDFLAGS=
  PYPORT_ADD_FLAGS([HARDEN_CFLAGS], [-fvisibility=hidden -fno-common
    -fstack-protector-strong -fstack-clash-protection -fcf-protection])
  AS_IF([test "x$pyport_sanitizers" = x],
    [PYPORT_ADD_FLAGS([HARDEN_CFLAGS], ["-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])])
  PYPORT_ADD_FLAGS([HARDEN_LDFLAGS], [-Wl,-z,relro -Wl,-z,now], [link])
  AC_SUBST([HARDEN_CFLAGS])
  AC_SUBST([HARDEN_LDFLAGS])
])

# _PYPORT_SWITCH(NAME, HELP)
# --------------------------
m4_define([_PYPORT_SWITCH],
  [AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$2])], [],
     [enable_$1=no])])

AC_DEFUN([PYPORT_SWITCHES], [
  _PYPORT_SWITCH([werror], [make warnings of compilers errors])
  _PYPORT_SWITCH([asan], [build with AddressSanitizer])
  _PYPORT_SWITCH([ubsan], [build with UndefinedBehaviorSanitizer])
  _PYPORT_SWITCH([tsan], [build with ThreadSanitizer])
  _PYPORT_SWITCH([fuzz], [build the libFuzzer targets (needs clang)])
  _PYPORT_SWITCH([coverage], [build for 'make coverage'])
  AS_IF([test "x$enable_asan$enable_tsan" = xyesyes],
    [AC_MSG_ERROR([--enable-asan and --enable-tsan exclude each other])])
  pyport_sanitizers= SWITCH_CFLAGS= SWITCH_LDFLAGS= SWITCH_ERLCFLAGS=
  AS_IF([test "x$enable_asan" = xyes],
    [pyport_sanitizers="$pyport_sanitizers address"
     AC_DEFINE([PYPORT_ASAN], [1], [Built with AddressSanitizer.])])
  AS_IF([test "x$enable_ubsan" = xyes],
    [pyport_sanitizers="$pyport_sanitizers undefined"])
  AS_IF([test "x$enable_tsan" = xyes],
    [pyport_sanitizers="$pyport_sanitizers thread"])
  for pyport_word in $pyport_sanitizers; do
    SWITCH_CFLAGS="$SWITCH_CFLAGS -fsanitize=$pyport_word"
  done
  SWITCH_LDFLAGS=$SWITCH_CFLAGS
  AS_IF([test "x$pyport_sanitizers" != x],
    [SWITCH_CFLAGS="$SWITCH_CFLAGS -fno-sanitize-recover=all -fno-omit-frame-pointer"])
  AS_IF([test "x$enable_fuzz" = xyes], [
    pyport_sanitizers="$pyport_sanitizers fuzzer"
    SWITCH_CFLAGS="$SWITCH_CFLAGS -fsanitize=fuzzer-no-link"
    SWITCH_LDFLAGS="$SWITCH_LDFLAGS -fsanitize=fuzzer-no-link"])
  AS_IF([test "x$enable_coverage" = xyes], [
    SWITCH_CFLAGS="$SWITCH_CFLAGS --coverage -fprofile-update=atomic"
    SWITCH_LDFLAGS="$SWITCH_LDFLAGS --coverage"])
  AS_IF([test "x$enable_werror" = xyes], [SWITCH_ERLCFLAGS=-Werror])
  AS_IF([test "x$pyport_sanitizers" != x],
    [AC_DEFINE([PYPORT_CHECKS], [1],
       [Built for tests: what must never happen ends the program.])])
  _PYPORT_CHECK_SWITCHES
  SANITIZERS=$pyport_sanitizers
  AC_SUBST([SANITIZERS])
  AC_SUBST([SWITCH_CFLAGS])
  AC_SUBST([SWITCH_LDFLAGS])
  AC_SUBST([SWITCH_ERLCFLAGS])
  AM_CONDITIONAL([ENABLE_SANITIZERS], [test "x$pyport_sanitizers" != x])
  AM_CONDITIONAL([ENABLE_FUZZ], [test "x$enable_fuzz" = xyes])
  AM_CONDITIONAL([ENABLE_COVERAGE], [test "x$enable_coverage" = xyes])
])

# A sanitizer's runtime library may be missing although the compiler knows it.
AC_DEFUN([_PYPORT_CHECK_SWITCHES], [
  AS_IF([test "x$SWITCH_CFLAGS" != x], [
    AC_MSG_CHECKING([whether $CC links with$SWITCH_CFLAGS])
    pyport_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $SWITCH_CFLAGS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])], [
      AC_MSG_RESULT([no])
      AC_MSG_ERROR([$CC cannot link with$SWITCH_CFLAGS.
  gcc:   its sanitizer libraries come with the compiler; for --enable-fuzz use CC=clang
  clang: Debian, Ubuntu: apt-get install clang libclang-rt-dev])])
    CFLAGS=$pyport_save_CFLAGS])
])
