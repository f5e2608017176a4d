# SPDX-License-Identifier: Apache-2.0
# Erlang/OTP: its compiler and runtime, and ei, the C library of its external
# term format.

# PYPORT_CHECK_ERLANG(OLDEST-RELEASE)
# -----------------------------------
# Sets ERL ERLC ESCRIPT DIALYZER, ERLANG_OTP_RELEASE, EI_CPPFLAGS, EI_LIBS.
AC_DEFUN([PYPORT_CHECK_ERLANG], [
  AC_ERLANG_PATH_ERL([no])
  AC_ERLANG_PATH_ERLC([no])
  AS_IF([test "x$ERL" = xno || test "x$ERLC" = xno], [
    AC_MSG_ERROR([Erlang/OTP $1 or newer is needed, but erl and erlc were not found.
  Debian, Ubuntu: apt-get install erlang-base erlang-dev
  elsewhere:      install Erlang/OTP, or say where it is: ERL=/path/erl ERLC=/path/erlc])])
  erlang_bindir=`AS_DIRNAME(["$ERL"])`
  AC_PATH_TOOL([ESCRIPT], [escript], [no], [$erlang_bindir$PATH_SEPARATOR$PATH])
  AC_PATH_TOOL([DIALYZER], [dialyzer], [no], [$erlang_bindir$PATH_SEPARATOR$PATH])
  AC_ARG_VAR([ESCRIPT], [Erlang/OTP script runner [autodetected]])
  AC_ARG_VAR([DIALYZER], [Erlang/OTP dialyzer [autodetected]])
  _PYPORT_ASK_ERLANG
  _PYPORT_CHECK_OTP_RELEASE([$1])
  _PYPORT_CHECK_EI
])

# One start of the runtime answers all that is asked of it, a word a line.
AC_DEFUN([_PYPORT_ASK_ERLANG], [
  AC_CACHE_CHECK([what $ERL says of itself], [pyport_cv_erlang], [
    pyport_cv_erlang=`"$ERL" -boot no_dot_erlang -noinput -eval '
      Dir = fun(App) -> case code:lib_dir(App) of
                            {error, _} -> "no";
                            Path -> Path
                        end end,
      io:format("~s|~s|~s|~s~n", @<:@erlang:system_info(otp_release),
          code:lib_dir(), Dir(erl_interface), Dir(proper)@:>@),
      halt(0).' 2>&AS_MESSAGE_LOG_FD`])
  ERLANG_OTP_RELEASE=`AS_ECHO(["$pyport_cv_erlang"]) | cut -d'|' -f1`
  erlang_lib_dir=`AS_ECHO(["$pyport_cv_erlang"]) | cut -d'|' -f2`
  erlang_ei_dir=`AS_ECHO(["$pyport_cv_erlang"]) | cut -d'|' -f3`
  erlang_proper_dir=`AS_ECHO(["$pyport_cv_erlang"]) | cut -d'|' -f4`
  AC_SUBST([ERLANG_OTP_RELEASE])
  AC_SUBST([erlang_lib_dir])
])

AC_DEFUN([_PYPORT_CHECK_OTP_RELEASE], [
  AC_MSG_CHECKING([whether Erlang/OTP is $1 or newer])
  AS_IF([test "$ERLANG_OTP_RELEASE" -ge "$1" 2>/dev/null],
    [AC_MSG_RESULT([$ERLANG_OTP_RELEASE])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([Erlang/OTP $1 or newer is needed; $ERL is '$ERLANG_OTP_RELEASE'.
  Install a newer one, or say where it is: ERL=/path/erl ERLC=/path/erlc])])
])

AC_DEFUN([_PYPORT_CHECK_EI], [
  AC_ARG_VAR([EI_CPPFLAGS], [preprocessor flags for ei.h [autodetected]])
  AC_ARG_VAR([EI_LIBS], [linker flags for libei [autodetected]])
  AS_IF([test "x$EI_CPPFLAGS" = x && test "x$erlang_ei_dir" != xno],
    [EI_CPPFLAGS="-isystem $erlang_ei_dir/include"])
  AS_IF([test "x$EI_LIBS" = x], [
    EI_LIBS="-lei"
    AS_IF([test "x$erlang_ei_dir" != xno],
      [EI_LIBS="-L$erlang_ei_dir/lib -lei"])])
  AC_MSG_CHECKING([for ei, Erlang's C library])
  pyport_save_CPPFLAGS=$CPPFLAGS pyport_save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $EI_CPPFLAGS" LIBS="$EI_LIBS -pthread $LIBS"
  AC_LINK_IFELSE(
    [AC_LANG_PROGRAM([[#include <ei.h>]],
                     [[int i = 0; return ei_encode_longlong(NULL, &i, 1);]])],
    [AC_MSG_RESULT([$EI_LIBS])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([ei.h and libei.a of Erlang/OTP are needed (application erl_interface).
  Debian, Ubuntu: apt-get install erlang-dev
  elsewhere:      install Erlang/OTP with its development files, or set EI_CPPFLAGS and EI_LIBS])])
  CPPFLAGS=$pyport_save_CPPFLAGS LIBS=$pyport_save_LIBS
])
