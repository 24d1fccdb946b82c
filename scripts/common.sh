# shellcheck shell=bash
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

# quietly NAME COMMAND...: runs a command with its output in a log that is shown if the command fails; on a terminal
# the last line of the log and the time taken are shown meanwhile.
quietly() {
    local log=$ONNX_INFER_CACHE/logs/$1.log rc=0 begun=$SECONDS
    shift
    if [ -t 2 ]; then
        "$@" >"$log" 2>&1 </dev/null &
        local pid=$!
        while kill -0 $pid 2>/dev/null; do
            printf '\r\033[K  %d s  %.70s' $((SECONDS - begun)) "$(tail -n 1 "$log" | tr -cd '[:print:]')" >&2
            sleep 0.5
        done
        printf '\r\033[K' >&2
        wait $pid || rc=$?
    else
        "$@" >"$log" 2>&1 </dev/null || rc=$?
    fi
    [ $rc != 0 ] || return 0
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

# --- counting tests
passed=0 failed=0
summary=()
# count NAME PASSED FAILED NOTE: adds a line to the summary and its numbers to the sum.
count() {
    passed=$((passed + $2)) failed=$((failed + $3))
    summary+=("$(printf '%-28s %6d passed %4d failed  %s' "$1" "$2" "$3" "$4")")
}

# tally LOG RC: prints PASSED FAILED of a program from its output: "N passed, M failed" or libcheck's line, each
# the last of its kind; one pass or failure if it prints neither. A failing program counts one failure at least.
tally() {
    awk -v rc="$2" '
        match($0, /[0-9]+ passed, [0-9]+ failed/) { split(substr($0, RSTART, RLENGTH), f, " "); p = f[1]; q = f[3]; own = 1 }
        match($0, /Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/) {
            split(substr($0, RSTART, RLENGTH), f, /[ ,]+/); bad = f[4] + f[6]; cp += f[2] - bad; cq += bad; checks = 1
        }
        END {
            if (!own && checks) { p = cp; q = cq } else if (!own) { p = rc == 0; q = rc != 0 }
            if (rc != 0 && q == 0) q = 1
            print p + 0, q + 0
        }' "$1"
}

# run_check DIR: runs make check there and counts its programs; shows the end of what each failing one said.
run_check() {
    local dir=$1 log rc=0 ran=0 result name p f
    local check_log=$ONNX_INFER_CACHE/logs/check-$dir.log
    touch "$dir/.check_began"
    make -C "$dir" -k -j"$jobs" check >"$check_log" 2>&1 || rc=$?
    local check_rc=$rc
    while read -r trs; do
        result=$(sed -n 's/^:test-result: //p' "$trs" | head -1)
        name=${trs#"$dir"/} name=${name%.trs}
        log=${trs%.trs}.log
        ran=$((ran + 1))
        case $result in
        SKIP*) count "$name" 0 0 "skipped: $(grep -v '^SKIP' "$log" | grep . | tail -1 | sed 's/^skipped: //')" ;;
        *)
            rc=0
            case $result in PASS*) ;; *) rc=1 ;; esac
            read -r p f < <(tally "$log" $rc)
            count "$name" "$p" "$f" ""
            if [ $rc != 0 ]; then
                echo "--- $name"
                tail -n 30 "$log"
            fi
            ;;
        esac
    done < <(find "$dir/tests" -name '*.trs' -newer "$dir/.check_began" | sort)
    if [ $ran = 0 ] || { [ $check_rc != 0 ] && [ $failed = 0 ]; }; then
        tail -n 30 "$check_log"
        count "make check" 0 1 "did not run through ($check_log)"
    fi
    echo "make check: $passed passed, $failed failed"
}

# run_suite NAME LIMIT COMMAND...: runs a command that ends with "N passed, M failed" or exit status 77 (skipped, the
# reason in its last line), for at most LIMIT seconds; shows what it prints but for the passes.
run_suite() {
    local name=$1 limit=$2 log=$ONNX_INFER_CACHE/logs/$1.log begun=$SECONDS rc=0 took p f
    shift 2
    say "$name: $*"
    { timeout -k 10 "$limit" "$@" </dev/null 2>&1 || echo $? >"$log.rc"; } | tee "$log" | { grep -v '^pass ' || true; }
    if [ -e "$log.rc" ]; then rc=$(cat "$log.rc") && rm "$log.rc"; fi
    took="$((SECONDS - begun)) s"
    if [ "$rc" = 77 ]; then
        count "$name" 0 0 "skipped: $(tail -n 1 "$log" | sed 's/^skipped: //')"
        return
    fi
    [ "$rc" != 124 ] || took="stopped after $limit s"
    read -r p f < <(tally "$log" "$rc")
    count "$name" "$p" "$f" "$took"
}

# summarize: prints the summary and the sum, and fails if anything did.
summarize() {
    say "Summary"
    printf '%s\n' "${summary[@]}"
    printf '\n%d passed, %d failed\n' $passed $failed
    [ $failed = 0 ]
}
