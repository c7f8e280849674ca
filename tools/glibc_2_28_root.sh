#!/usr/bin/env bash
# Builds a root directory with glibc 2.28, CPython 3.11 and nothing else, to load a wheel in.
#   glibc_2_28_root.sh GLIBC_SOURCE CPYTHON_SOURCE ROOT
# GLIBC_SOURCE is a tree of glibc's tag glibc-2.28, CPYTHON_SOURCE one of CPython 3.11; neither is changed. Needs
# gcc, gawk, bison, and the ziglang of .venv-wheels (make setup-wheels). Objects stay in ROOT.build, so that a
# second run resumes the first. EFA_GLIBC_ROOT=ROOT make check-wheels then loads the wheel in it.
set -euo pipefail
glibc=$(realpath "$1") cpython=$(realpath "$2") root=$(realpath -m "$3")
here=$(cd "$(dirname "$0")/.." && pwd)
build=$root.build
jobs=${JOBS:-$(nproc)}
mkdir -p "$build/glibc" "$build/cpython" "$root"

# Objects of shared libraries only, half of all. A compiler of today warns of much in these sources.
build_glibc() {
    cd "$build/glibc"
    [ -f config.status ] || "$glibc/configure" --prefix=/usr --disable-werror --disable-profile --disable-nscd \
        --disable-mathvec --without-selinux CFLAGS="-O2 -w" >configure.log
    compile() { make -j"$jobs" -s "$@" object-suffixes=.os "object-suffixes-for-libc=.os .oS" >>make.log; }
    compile lib
    for library in math/libm nptl/libpthread dlfcn/libdl rt/librt login/libutil resolv/libresolv nss/libnss_files; do
        part=${library%/*}
        compile -r -C "$glibc/$part" subdir="$part" ..=../ objdir="$PWD" "$PWD/$library.so"
    done
}

# zig has glibc's interfaces of every version: what it compiles needs no newer one than it is told. The host's
# compiler is asked what there is, which is quicker, without what glibc has had since 2.28.
build_cpython() {
    cd "$build/cpython"
    zig="$here/.venv-wheels/bin/python -m ziglang"
    [ -f Makefile ] || "$cpython/configure" --prefix=/usr --without-ensurepip --disable-test-modules \
        OPT="-O1 -DNDEBUG" LIBS="-lpthread -ldl -lutil" PKG_CONFIG=false \
        ac_cv_func_close_range=no ac_cv_func_sem_clockwait=no >configure.log
    # All modules inside the interpreter; those that need a library of others are left out (ctypes, ssl, zlib, ...).
    cat >Modules/Setup.local <<'MODULES'
*static*
_asyncio _asynciomodule.c
_bisect _bisectmodule.c
_blake2 _blake2/blake2module.c _blake2/blake2b_impl.c _blake2/blake2s_impl.c
_contextvars _contextvarsmodule.c
_csv _csv.c
_datetime _datetimemodule.c
_heapq _heapqmodule.c
_json _json.c
_md5 md5module.c
_opcode _opcode.c
_pickle _pickle.c
_posixsubprocess _posixsubprocess.c
_queue _queuemodule.c
_random _randommodule.c
_sha1 sha1module.c
_sha256 sha256module.c
_sha3 _sha3/sha3module.c
_sha512 sha512module.c
_socket socketmodule.c
_statistics _statisticsmodule.c
_struct _struct.c
_typing _typingmodule.c
array arraymodule.c
binascii binascii.c
fcntl fcntlmodule.c
grp grpmodule.c
math mathmodule.c -lm
mmap mmapmodule.c
resource resource.c
select selectmodule.c
termios termios.c
unicodedata unicodedata.c
MODULES
    make -j"$jobs" -s python CC="$zig cc -target x86_64-linux-gnu.2.28 -Wno-date-time" AR="$zig ar" \
        MODULE_BINASCII_CFLAGS= MODULE_BINASCII_LDFLAGS= >make.log  # else the host's zlib
}

build_cpython &
build_glibc
wait $!

cd "$build/glibc"
mkdir -p "$root/lib64" "$root/usr/bin" "$root/usr/lib" "$root/etc" "$root/tmp" "$root/dev" "$root/proc" "$root/sys"
put() { cp "$1" "$root/lib64/$2"; }
put elf/ld.so ld-linux-x86-64.so.2
put libc.so libc.so.6
put math/libm.so libm.so.6
put nptl/libpthread.so libpthread.so.0
put dlfcn/libdl.so libdl.so.2
put rt/librt.so librt.so.1
put login/libutil.so libutil.so.1
put resolv/libresolv.so libresolv.so.2
put nss/libnss_files.so libnss_files.so.2
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"

cp "$build/cpython/python" "$root/usr/bin/python3.11"
rm -rf "$root/usr/lib/python3.11"
cp -r "$cpython/Lib" "$root/usr/lib/python3.11"
rm -rf "$root"/usr/lib/python3.11/{test,idlelib,tkinter,lib2to3,ensurepip}
mkdir -p "$root/usr/lib/python3.11/lib-dynload"
chroot "$root" /usr/bin/python3.11 -c 'import os, sys; print(os.confstr("CS_GNU_LIBC_VERSION"), sys.version)'
