# SPDX-License-Identifier: Apache-2.0
# What the tests use when it is there, and the summary at the end.

AC_DEFUN([PYPORT_CHECK_CMOCKA], [
  PKG_CHECK_MODULES([CMOCKA], [cmocka], [have_cmocka=yes], [have_cmocka=no])
  AM_CONDITIONAL([HAVE_CMOCKA], [test "x$have_cmocka" = xyes])
])

AC_DEFUN([PYPORT_SUMMARY], [
  AS_CASE([$erlang_proper_dir], [no], [have_proper=no], [have_proper=yes])
  AS_CASE([$DIALYZER], [no], [have_dialyzer=no], [have_dialyzer=yes])
  pyport_switches=
  for pyport_word in werror asan ubsan tsan fuzz coverage; do
    eval "test \"x\$enable_$pyport_word\" = xyes" &&
      pyport_switches="$pyport_switches $pyport_word"
  done
  # Make variables in it are expanded for reading only.
  pyport_where=$ERLANG_INSTALL_LIB_DIR_py
  while :; do
    AS_CASE([$pyport_where], [*'${'*], [eval "pyport_where=\"$pyport_where\""], [break])
  done
  pyport_hint=
  AS_IF([test "x$pyport_where" != "x$erlang_lib_dir/py-$PACKAGE_VERSION"],
    [pyport_hint="
                   (erl looks in $erlang_lib_dir; elsewhere say ERL_LIBS=...)"])
  AC_MSG_NOTICE([

  $PACKAGE_NAME $PACKAGE_VERSION

    C compiler     $CC $CFLAGS
    Python         $PYTHON ($py_full, $pyport_link)
    Erlang/OTP     $ERLANG_OTP_RELEASE ($ERL)
    heap profile   $pyport_profile
    switches      ${pyport_switches:- none}
    C tests        cmocka: $have_cmocka
    properties     PropEr: $have_proper
    dialyzer       $have_dialyzer
    installs to    $pyport_where$pyport_hint

  Now: make, make check, make demo, make install
])
])
