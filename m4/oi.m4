dnl Helpers of configure.ac.

dnl OI_CHECK_CFLAG(FLAGS, IF-TAKEN, IF-NOT): whether the compiler takes FLAGS (shell text, expanded when run).
AC_DEFUN([OI_CHECK_CFLAG], [
  oi_flag_var=`AS_ECHO(["oi_cv_cflag_$1"]) | sed 's/@<:@^A-Za-z0-9_@:>@/_/g'`
  AC_MSG_CHECKING([whether $CC takes $1])
  eval "oi_taken=\${$oi_flag_var-unset}"
  AS_IF([test "x$oi_taken" = xunset],
    [oi_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS -Werror $1"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [oi_taken=yes], [oi_taken=no])
     CFLAGS=$oi_save_CFLAGS
     eval "$oi_flag_var=\$oi_taken"])
  AC_MSG_RESULT([$oi_taken])
  AS_IF([test "x$oi_taken" = xyes], [$2], [$3])
])

dnl OI_CHECK_LDFLAG(FLAG, IF-TAKEN): whether a shared object links with FLAG.
AC_DEFUN([OI_CHECK_LDFLAG], [
  AC_MSG_CHECKING([whether the linker takes $1])
  oi_save_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -shared -fPIC $1"
  AC_LINK_IFELSE([AC_LANG_SOURCE([int f(void); int f(void) { return 0; }])], [oi_taken=yes], [oi_taken=no])
  LDFLAGS=$oi_save_LDFLAGS
  AC_MSG_RESULT([$oi_taken])
  AS_IF([test "x$oi_taken" = xyes], [$2])
])

dnl OI_ISA(NAME, HOST-CPU-PATTERN, FLAGS, HEADER, BODY): whether BODY compiles for the host with FLAGS.
AC_DEFUN([OI_ISA], [
  oi_isa_ok=no
  AC_MSG_CHECKING([for kernels of instruction set $1])
  AS_CASE([$host_cpu], [$2],
    [oi_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS $3"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([#include <$4>], [$5])], [oi_isa_ok=yes])
     CFLAGS=$oi_save_CFLAGS])
  AC_MSG_RESULT([$oi_isa_ok])
  AS_IF([test "x$oi_isa_ok" = xyes],
    [AC_DEFINE([OI_HAVE_ISA_$1], [1], [kernels of this instruction set are built])
     oi_isas="$oi_isas m4_tolower([$1])"])
  AC_SUBST([ISA_$1_CFLAGS], ["$3"])
  AM_CONDITIONAL([ISA_$1], [test "x$oi_isa_ok" = xyes])
])

dnl OI_PROTOBUF_C_ARCHIVE: find the static archive of protobuf-c and see that it links into a shared object.
dnl Sets OI_PROTOBUF_C_LIBS to what the library links.
AC_DEFUN([OI_PROTOBUF_C_ARCHIVE], [
  AC_ARG_WITH([protobuf-c-archive],
    [AS_HELP_STRING([--with-protobuf-c-archive=FILE], [a position independent libprotobuf-c.a @<:@found@:>@])],
    [OI_PROTOBUF_C_LIBS=$withval], [OI_PROTOBUF_C_LIBS=])
  AC_MSG_CHECKING([for a static libprotobuf-c])
  AS_IF([test -z "$OI_PROTOBUF_C_LIBS"],
    [oi_dir=`$PKG_CONFIG --variable=libdir libprotobuf-c`
     AS_IF([test -n "$oi_dir" && test -f "$PKG_CONFIG_SYSROOT_DIR$oi_dir/libprotobuf-c.a"],
       [OI_PROTOBUF_C_LIBS="$PKG_CONFIG_SYSROOT_DIR$oi_dir/libprotobuf-c.a"],
       [oi_file=`$CC $CFLAGS $LDFLAGS -print-file-name=libprotobuf-c.a`
        AS_IF([test -f "$oi_file"], [OI_PROTOBUF_C_LIBS=$oi_file])])])
  AC_MSG_RESULT([${OI_PROTOBUF_C_LIBS:-no}])
  AS_IF([test ! -f "$OI_PROTOBUF_C_LIBS"],
    [AC_MSG_ERROR([libprotobuf-c.a was not found (Debian: libprotobuf-c-dev); name it by --with-protobuf-c-archive=FILE])])
  AC_MSG_CHECKING([whether it links into a shared library])
  oi_save_LDFLAGS=$LDFLAGS oi_save_LIBS=$LIBS oi_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $PROTOBUF_C_CFLAGS -fPIC"
  LDFLAGS="$LDFLAGS -shared"
  AS_IF([test "x$oi_cv_version_script" = xyes],
    [echo 'V { global: f; local: *; };' >conftest.map; LDFLAGS="$LDFLAGS -Wl,--version-script=conftest.map"])
  LIBS="$OI_PROTOBUF_C_LIBS $LIBS"
  AC_LINK_IFELSE([AC_LANG_SOURCE([[
#include <protobuf-c/protobuf-c.h>
ProtobufCMessage *f(const ProtobufCMessageDescriptor *d, const uint8_t *p, size_t n);
ProtobufCMessage *f(const ProtobufCMessageDescriptor *d, const uint8_t *p, size_t n)
{ return protobuf_c_message_unpack(d, NULL, n, p); }]])], [oi_pic=yes], [oi_pic=no])
  LDFLAGS=$oi_save_LDFLAGS LIBS=$oi_save_LIBS CFLAGS=$oi_save_CFLAGS
  rm -f conftest.map
  AC_MSG_RESULT([$oi_pic])
  AS_IF([test "x$oi_pic" != xyes && test "x$enable_shared" = xyes],
    [AC_MSG_ERROR([$OI_PROTOBUF_C_LIBS is not position independent: build one with -fPIC and name it by --with-protobuf-c-archive=FILE, or configure --disable-shared])])
  AC_SUBST([OI_PROTOBUF_C_LIBS])
])
