# SPDX-License-Identifier: Apache-2.0
# CPython: which one is embedded, and how it is linked. All facts come from
# the chosen interpreter itself: what pkg-config calls python3-embed may well
# be another Python than the one that the user means.

# The order in which AM_PATH_PYTHON looks when PYTHON is not set.
m4_define([_AM_PYTHON_INTERPRETER_LIST],
  [python3 python3.14 python3.13 python3.12 python3.11 python3.10 python])

# PYPORT_CHECK_PYTHON(OLDEST, NEWEST-TESTED)
# ------------------------------------------
# Sets PYTHON (absolute), PYTHON_VERSION, PYTHON_CPPFLAGS, PYTHON_LDFLAGS,
# PYTHON_LIBS, PIE_CFLAGS, PIE_LDFLAGS; defines PYPORT_PYTHON.
AC_DEFUN([PYPORT_CHECK_PYTHON], [
  AC_ARG_WITH([python-link],
    [AS_HELP_STRING([--with-python-link=HOW],
      [link CPython 'shared', 'static' (runs pure Python faster where the
       distribution's archive allows it) or 'auto' @<:@auto@:>@])],
    [], [with_python_link=auto])
  AS_CASE([$with_python_link], [auto|shared|static], [],
    [AC_MSG_ERROR([--with-python-link is auto, shared or static, not '$with_python_link'])])
  AS_IF([test "x$PYTHON" != x],
    [AM_PYTHON_CHECK_VERSION([$PYTHON], [$1], [],
       [AC_MSG_ERROR([PYTHON=$PYTHON is not a CPython $1 or newer])])])
  AM_PATH_PYTHON([$1], [], [
    AC_MSG_ERROR([CPython $1 or newer is needed.
  Debian, Ubuntu: apt-get install python3 python3-dev
  elsewhere:      install it with its headers, or say where it is: PYTHON=/path/to/python3.x])])
  _PYPORT_ASK_PYTHON
  _PYPORT_CHECK_PYTHON_VERSION([$2])
  _PYPORT_PYTHON_SHARED_FLAGS
  _PYPORT_PYTHON_STATIC_FLAGS
  _PYPORT_PYTHON_CHOOSE_LINK
  AC_DEFINE_UNQUOTED([PYPORT_PYTHON], ["$PYTHON"],
    [The interpreter that is embedded; sys.executable unless there is a venv.])
  AC_SUBST([PYTHON_CPPFLAGS])
  AC_SUBST([PYTHON_LDFLAGS])
  AC_SUBST([PYTHON_LIBS])
  AC_SUBST([PIE_CFLAGS])
  AC_SUBST([PIE_LDFLAGS])
])

# Ask once; the answer is a list of shell assignments. sys.executable also
# looks through wrappers (pyenv's shims are shell scripts).
AC_DEFUN([_PYPORT_ASK_PYTHON], [
  AC_MSG_CHECKING([how $PYTHON wants to be embedded])
  pyport_ask='
import importlib, os, shlex, sys, sysconfig
def var(name):
    return str(sysconfig.get_config_var(name) or "")
def importable(name):
    try:
        importlib.import_module(name)
        return True
    except Exception:
        return False
probe = "math _json _ctypes zlib _socket _ssl pyexpat numpy".split()
facts = {
    "executable": sys.executable,
    "implementation": sys.implementation.name,
    "full": ".".join(map(str, sys.version_info@<:@:3@:>@)),
    "version": var("VERSION"),
    "ldversion": var("LDVERSION"),
    "libpc": var("LIBPC"),
    "libdir": var("LIBDIR"),
    "libpl": var("LIBPL"),
    "shared": var("Py_ENABLE_SHARED"),
    "gil_disabled": var("Py_GIL_DISABLED"),
    "include": sysconfig.get_path("include"),
    "platinclude": sysconfig.get_path("platinclude"),
    "ldlibrary": var("LDLIBRARY"),
    "archive": os.path.join(var("LIBPL"), var("LIBRARY")),
    "syslibs": var("LIBS") + " " + var("SYSLIBS"),
    "modlibs": var("MODLIBS"),
    "modules": " ".join(filter(importable, probe)),
}
for name, value in facts.items():
    print("py_%s=%s" % (name, shlex.quote(value)))
'
  pyport_facts=`"$PYTHON" -c "$pyport_ask" 2>&AS_MESSAGE_LOG_FD`
  AS_IF([test $? -eq 0 && test "x$pyport_facts" != x], [],
    [AC_MSG_RESULT([no answer])
     AC_MSG_ERROR([$PYTHON does not run; see config.log])])
  AS_ECHO(["$pyport_facts"]) >&AS_MESSAGE_LOG_FD
  eval "$pyport_facts"
  PYTHON=$py_executable
  AC_MSG_RESULT([$PYTHON is $py_implementation $py_full])
  AS_IF([test -f "$py_include/Python.h"], [], [
    AC_MSG_ERROR([the headers of $PYTHON are missing ($py_include/Python.h).
  Debian, Ubuntu: apt-get install python3-dev (for another version: python$py_version-dev)
  elsewhere:      install Python's development files, or choose another: PYTHON=/path/to/python3.x])])
])

AC_DEFUN([_PYPORT_CHECK_PYTHON_VERSION], [
  AS_IF([test "x$py_implementation" = xcpython], [],
    [AC_MSG_ERROR([$PYTHON is $py_implementation; pyport embeds CPython])])
  AS_IF([test "x$py_gil_disabled" = x1],
    [AC_MSG_ERROR([$PYTHON is a free-threaded build; choose one with a GIL: PYTHON=/path/to/python3.x])])
  AS_VERSION_COMPARE([$py_version], [$1], [], [],
    [AC_MSG_WARN([Python $py_version is newer than $1, the newest that this version is tested with])])
])

# What python-X.Y-embed.pc next to that Python says, else its sysconfig.
AC_DEFUN([_PYPORT_PYTHON_SHARED_FLAGS], [
  py_pc=$py_libpc/python-$py_ldversion-embed.pc
  py_shared_libs=
  AS_IF([test -n "$PKG_CONFIG" && test -f "$py_pc"], [
    py_shared_libs=`PKG_CONFIG_PATH= PKG_CONFIG_LIBDIR=$py_libpc \
      $PKG_CONFIG --libs "python-$py_ldversion-embed" 2>&AS_MESSAGE_LOG_FD`])
  AS_IF([test "x$py_shared_libs" = x],
    [py_shared_libs="-L$py_libdir -lpython$py_ldversion $py_syslibs"])
  py_rpath=
  AS_CASE([$py_libdir],
    [/lib|/lib/*|/lib64|/usr/lib|/usr/lib/*|/usr/lib64], [],
    [py_rpath="-Wl,-rpath,$py_libdir"])
  PYTHON_CPPFLAGS="-isystem $py_include"
  AS_IF([test "x$py_platinclude" != "x$py_include"],
    [PYTHON_CPPFLAGS="$PYTHON_CPPFLAGS -isystem $py_platinclude"])
])

# The archive in the config directory: the interpreter becomes part of our
# program, as it is part of most distributions' python3. Such archives are
# often not position independent, hence no-pie; extension modules look their
# symbols up in the program, hence export-dynamic. Debian 13 builds its archive
# with an archive that it does not install, and which only the built-in module
# _sha2 needs: port/process/sha2.h.
AC_DEFUN([_PYPORT_PYTHON_STATIC_FLAGS], [
  py_static_libs="$py_archive $py_modlibs $py_syslibs -lm"
  py_sha2_archive=Modules/_hacl/libHacl_Hash_SHA2.a
  py_no_sha2_libs=`AS_ECHO(["$py_static_libs"]) | $SED "s|$py_sha2_archive||"`
])

# _PYPORT_TRY_PYTHON(HOW, IF-WORKS, IF-NOT)
# -----------------------------------------
# Links a program that embeds Python, runs it, and lets it compare its version
# with that of $PYTHON and import the extension modules that $PYTHON has.
AC_DEFUN([_PYPORT_TRY_PYTHON], [
  AC_MSG_CHECKING([whether a program with $PYTHON inside works (link: $1)])
  AS_CASE(["$1"],
    [static*], [PYTHON_LDFLAGS="-Wl,--export-dynamic" PYTHON_LIBS=$py_static_libs
                PIE_CFLAGS=-fno-pie PIE_LDFLAGS=-no-pie],
    [PYTHON_LDFLAGS=$py_rpath PYTHON_LIBS=$py_shared_libs
     PIE_CFLAGS= PIE_LDFLAGS=])
  pyport_save_CPPFLAGS=$CPPFLAGS pyport_save_CFLAGS=$CFLAGS
  pyport_save_LDFLAGS=$LDFLAGS pyport_save_LIBS=$LIBS
  AS_CASE(["$1"], [*_sha2], [PYTHON_LIBS=$py_no_sha2_libs
                             CPPFLAGS="$CPPFLAGS -DPYPORT_NO_SHA2"])
  CPPFLAGS="$CPPFLAGS $PYTHON_CPPFLAGS" CFLAGS="$CFLAGS $PIE_CFLAGS"
  LDFLAGS="$LDFLAGS $PIE_LDFLAGS $PYTHON_LDFLAGS" LIBS="$PYTHON_LIBS -pthread $LIBS"
  pyport_works=no
  AC_RUN_IFELSE([_PYPORT_EMBED_PROGRAM], [pyport_works=yes], [],
    [pyport_works="yes (cross compiling: not run)"])
  CPPFLAGS=$pyport_save_CPPFLAGS CFLAGS=$pyport_save_CFLAGS
  LDFLAGS=$pyport_save_LDFLAGS LIBS=$pyport_save_LIBS
  AC_MSG_RESULT([$pyport_works])
  AS_IF([test "x$pyport_works" != xno], [$2], [$3])
])

m4_define([_PYPORT_EMBED_PROGRAM], [AC_LANG_SOURCE([[
#include <Python.h>
#ifdef PYPORT_NO_SHA2
#include "$srcdir/port/process/sha2.h"
#define STUB(name) void name(void) {}
SHA2_MISSING(STUB)
#endif

static const char code@<:@@:>@ =
    "import sys, importlib\n"
    "assert '%d.%d.%d' % sys.version_info@<:@:3@:>@ == '$py_full', sys.version\n"
    "for name in '$py_modules'.split(): importlib.import_module(name)\n"
    "import hashlib, random\n"
    "hashlib.sha512(b'')\n";

int main(void)
{
    PyConfig config;
#ifdef PYPORT_NO_SHA2
    struct _inittab *row = PyImport_Inittab;
    while (row->name && strcmp(row->name, "_sha2") != 0)
        row++;
    for (; row->name; row++)
        row@<:@0@:>@ = row@<:@1@:>@;
#endif
    PyConfig_InitPythonConfig(&config);
    if (PyStatus_Exception(PyConfig_SetBytesString(
            &config, &config.executable, "$PYTHON"))
        || PyStatus_Exception(Py_InitializeFromConfig(&config)))
        return 2;
    return PyRun_SimpleString(code) == 0 ? 0 : 1;
}
]])])

AC_DEFUN([_PYPORT_PYTHON_CHOOSE_LINK], [
  AC_SUBST([pyport_link], [none])
  AS_IF([test "x$with_python_link" = xstatic ||
         { test "x$with_python_link" = xauto && test "x$pyport_sanitizers" = x; }],
    [AS_IF([test -f "$py_archive"],
      [_PYPORT_TRY_PYTHON([static], [pyport_link=static],
        [AS_CASE([$py_static_libs], [*"$py_sha2_archive"*],
          [_PYPORT_TRY_PYTHON([static, without _sha2], [pyport_link=static
            PYTHON_LDFLAGS="$PYTHON_LDFLAGS -Wl,-u,sha2_remove"
            AC_DEFINE([PYPORT_NO_SHA2], [1],
              [Python's archive has no objects for its module _sha2.])])])])])])
  AS_IF([test "x$pyport_link$with_python_link" = xnonestatic],
    [AC_MSG_ERROR([a static link of $py_archive does not work (see config.log);
  leave --with-python-link out, or choose shared])])
  AS_IF([test "x$pyport_link" = xnone],
    [_PYPORT_TRY_PYTHON([shared], [pyport_link=shared])])
  AS_IF([test "x$pyport_link" = xnone], [
    AC_MSG_ERROR([no program with $PYTHON inside could be linked and run (see config.log).
  It needs a shared libpython$py_ldversion or its static archive.
  Debian, Ubuntu: apt-get install python3-dev (for another version: python$py_version-dev)
  pyenv:          PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install $py_version
  or choose another: PYTHON=/path/to/python3.x])])
])

# PYPORT_CHECK_FRAMES
# -------------------
# The heap profile reads Python's frames as structs, which differ from version
# to version: it is left out where they are not known.
AC_DEFUN([PYPORT_CHECK_FRAMES], [
  AC_ARG_ENABLE([profile],
    [AS_HELP_STRING([--disable-profile],
      [leave out the heap profile, which knows CPython 3.10 to 3.14])],
    [], [enable_profile=auto])
  AC_MSG_CHECKING([whether the frames of CPython $py_version are known])
  AS_CASE([$py_version],
    [3.10], [pyport_header=frameobject.h],
    [3.11|3.12|3.13], [pyport_header=internal/pycore_frame.h],
    [3.14], [pyport_header=internal/pycore_interpframe.h],
    [pyport_header=])
  AS_IF([test "x$pyport_header" = x], [pyport_frames=no],
    [test -f "$py_include/$pyport_header"], [pyport_frames=yes],
    [pyport_frames="no ($pyport_header is missing)"])
  AC_MSG_RESULT([$pyport_frames])
  AS_IF([test "x$enable_profile" = xyes && test "x$pyport_frames" != xyes],
    [AC_MSG_ERROR([--enable-profile: the frames of CPython $py_version are not known, only
  those of 3.10 to 3.14 with their internal headers; leave the option out, and everything else works])])
  AS_IF([test "x$enable_profile" != xno && test "x$pyport_frames" = xyes],
    [pyport_profile=yes
     AC_DEFINE([HAVE_FRAMES], [1], [The frames of this CPython are known.])],
    [pyport_profile=no])
])
