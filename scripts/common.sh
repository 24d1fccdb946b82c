# What the scripts here share: sourced, never run. Leaves the shell at the top of the tree, strict.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
export ONNX_INFER_CACHE=${ONNX_INFER_CACHE:-$top/.cache}
mkdir -p "$ONNX_INFER_CACHE/logs"
jobs=$(nproc 2>/dev/null || echo 2)
started=$SECONDS

# say TEXT: a step begins.
say() {
    printf '\n==> [%d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# quietly NAME COMMAND...: runs a command with its output in a log that is shown if the command fails.
quietly() {
    local log=$ONNX_INFER_CACHE/logs/$1.log
    shift
    "$@" >"$log" 2>&1 && return
    local rc=$?
    tail -n 40 "$log"
    die "failed ($rc): $* (all of its output: $log)"
}

# apt_missing PACKAGE...: prints those that are not installed.
apt_missing() {
    local p
    for p; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
    done
}

# apt_install PACKAGE...: installs what is missing of Debian's or Ubuntu's packages, as root or through sudo.
apt_install() {
    local missing sudo=
    command -v dpkg-query >/dev/null || die "needs Debian or Ubuntu; elsewhere install the like of: $*"
    missing=$(apt_missing "$@" | tr '\n' ' ')
    if [ -z "$missing" ]; then
        echo "packages: all there"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "needs root or sudo to install: $missing"
        sudo=sudo
    fi
    echo "installing with apt-get: $missing"
    quietly apt-update $sudo apt-get update -q
    # shellcheck disable=SC2086
    quietly apt-install $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# build_in DIR CONFIGURE-OPTION...: builds the tree in DIR; configures again only if the options changed.
build_in() {
    local dir=$1 options
    shift
    options="$*"
    if [ ! -e configure ] || [ configure.ac -nt configure ] || [ Makefile.am -nt configure ]; then
        say "Making configure"
        quietly autoreconf autoreconf -fi
    fi
    mkdir -p "$dir"
    if [ ! -e "$dir/config.status" ] || [ "$options" != "$(cat "$dir/.options" 2>/dev/null)" ]; then
        say "Configuring in $dir $options"
        (cd "$dir" && quietly "configure-$(basename "$dir")" "$top/configure" "$@")
        printf '%s\n' "$options" >"$dir/.options"
        sed -n '/^onnx_infer .* for /,$p' "$ONNX_INFER_CACHE/logs/configure-$(basename "$dir").log"
    fi
    say "Building in $dir ($jobs jobs)"
    quietly "make-$(basename "$dir")" make -C "$dir" -j"$jobs"
}
