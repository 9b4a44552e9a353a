# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts/otel-jb and scripts/test: makes `.venv` and installs what it needs. POSIX sh; nothing is assumed
# but the distribution's essential packages (no python, no compiler, no git, no sudo when root).
# The caller sets `top` (the checkout). What pip and apt are configured to use (files and environment) is left alone.

say() { printf 'otel-jb: %s\n' "$*" >&2; }

# meanwhile TEXT COMMAND...: says what is being done, and on a terminal for how long.
meanwhile() {
    doing=$1
    shift
    if ! [ -t 2 ] || [ "${TERM:-dumb}" = dumb ]; then
        say "$doing"
        "$@"
        return
    fi
    # It ends with this shell, whatever ends that.
    (
        quarters=0
        while kill -0 $$ 2>/dev/null; do
            case $((quarters % 4)) in 0) turn='|' ;; 1) turn=/ ;; 2) turn=- ;; *) turn='\' ;; esac
            printf '\r\033[Kotel-jb: %s %s %s s ' "$doing" "$turn" $((quarters / 4)) >&2
            sleep 0.25
            quarters=$((quarters + 1))
        done
    ) 9>&- &
    ticker=$! ended=0
    "$@" || ended=$?
    { kill "$ticker" && wait "$ticker"; } 2>/dev/null || true
    printf '\r\033[Kotel-jb: %s\n' "$doing" >&2
    return "$ended"
}

# die WHAT WHAT-TO-DO
die() {
    printf 'otel-jb: error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '         %s\n' "$line" >&2; done
    exit "${code:-7}" # ExitCode.UNSUPPORTED, or PERMISSION where the caller says 6
}

# In a tree that cannot be written the environment goes to the cache, and the project is installed instead of linked.
choose_venv() {
    if [ -n "${OTEL_JB_VENV:-}" ]; then
        venv=$OTEL_JB_VENV
    elif [ -w "$top" ] || [ -e "$top/.venv/.ready-demo" ]; then
        venv=$top/.venv
    else
        [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || die "$top cannot be written, and neither XDG_CACHE_HOME nor HOME is set" \
            "Set OTEL_JB_VENV to a directory for the Python environment."
        venv=${XDG_CACHE_HOME:-$HOME/.cache}/otel_jb/venv-$(printf %s "$top" | cksum | cut -d' ' -f1)
    fi
    if [ -w "$top" ]; then
        mode=editable
        key="1 $top $(cksum <"$top/pyproject.toml")"
    else
        mode=copy
        key="1 $top $(find "$top/otel_jb" "$top/bpf" "$top/pyproject.toml" -type f ! -name '*.pyc' -exec cksum {} + | sort | cksum)"
    fi
}

# The environment is complete if the stamp, written last, names this project file and the interpreter that is still there.
venv_ready() { # EXTRAS
    [ -x "$venv/bin/python" ] && [ -x "$venv/bin/otel-jb" ] && [ -r "$venv/.ready-$1" ] &&
        [ "$(cat "$venv/.ready-$1")" = "$key $(readlink -f "$venv/bin/python")" ]
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }
can_make_venv() { "$1" -c 'import venv' >/dev/null 2>&1 && [ -n "$(pip_wheel "$1")" ]; }

# pip_wheel PYTHON: where it keeps the wheel of pip, or where `fetch_pip` has put it.
pip_wheel() {
    "$1" -c 'import glob, os, sys, sysconfig
places = [sysconfig.get_config_var("WHEEL_PKG_DIR"), *sys.argv[1:]]
try:
    import ensurepip
    places.append(os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
except ImportError: pass
for place in filter(None, places):
    for wheel in glob.glob(os.path.join(glob.escape(place), "pip-*.whl")): print(wheel)' ${fetched:+"$fetched/usr/share/python-wheels"} 2>/dev/null | head -n 1
}

# Debian has pip's wheel in a package of its own, which depends on ca-certificates. To set up that one takes as long as all of BCC, and only pip
# would use it: so both packages are unpacked for the environment instead of installed. apt checks what it downloads. Needs no root.
fetch_pip() {
    can_make_venv /usr/bin/python3 && return 0
    fetched=$(mktemp -d)
    (cd "$fetched" && apt-get -q download python3-pip-whl $([ -s "$trusted" ] || echo ca-certificates) && for package in *.deb; do dpkg-deb -x "$package" .; done) \
        >/dev/null 2>&1 </dev/null || true
}
fetched= trusted=/etc/ssl/certs/ca-certificates.crt

# Debian's pip trusts `trusted`, which ca-certificates makes of the same files. What pip is configured to trust has precedence over this.
trust() {
    if [ -n "$fetched" ]; then
        find "$fetched/usr/share/ca-certificates" /usr/local/share/ca-certificates -name '*.crt' -exec cat {} + >"$venv/trusted.pem" 2>/dev/null || true
        rm -rf "$fetched"
    fi
    [ ! -s "$trusted" ] && [ -s "$venv/trusted.pem" ] || return 0
    export REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-${CURL_CA_BUNDLE:-$venv/trusted.pem}}"
    # Debian 13's reads `trusted` even when it is told of another.
    "$venv/bin/python" -c 'import pip._vendor.requests' 2>/dev/null || apt_install ca-certificates
}

# The system's Python where it is new enough, else the newest on the PATH; "" if there is none that can make environments.
find_python() {
    python=
    for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3.10 python3; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate" && can_make_venv "$candidate"; then
            python=$(command -v "$candidate")
            return
        fi
    done
}

have_bcc() {
    for package in /usr/lib/python3/dist-packages/bcc/__init__.py /usr/lib*/python3*/*-packages/bcc/__init__.py; do
        [ -e "$package" ] && return 0
    done
    return 1
}

# as_root COMMAND...: fails with 127 where there is no way to become root
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -- "$@"
    else
        return 127
    fi
}

distribution() { # sets `family` (debian, fedora, rhel, other) and `pretty`
    family=other pretty="this system"
    [ -r /etc/os-release ] || return 0
    pretty=$(. /etc/os-release && printf %s "${PRETTY_NAME:-$ID}")
    case " $(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}") " in
    *" debian "* | *" ubuntu "*) family=debian ;;
    *" rhel "* | *" centos "*) family=rhel ;;
    *" fedora "*) family=fedora ;;
    esac
}

missing_debs() { # PACKAGE...: prints those that are not installed
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *" installed") ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

why_apt_failed() { # LOG: one line
    if grep -qiE 'could not resolve|temporary failure|could not connect|connection (timed|refused|failed)|unreachable' "$1"; then
        echo "the package mirrors cannot be reached (no network?)"
    elif grep -q 'Unable to locate package' "$1"; then
        echo "$(sed -n 's/^E: Unable to locate package \(.*\)/\1/p' "$1" | tr '\n' ' ')is in none of the configured package sources"
    else
        grep '^E:' "$1" | head -n 1
    fi
}

# apt_install PACKAGE...: only what is missing, and nothing is asked.
apt_install() {
    wanted=$(missing_debs "$@")
    [ -n "$wanted" ] || return 0
    by_hand="apt-get update && apt-get install $wanted"
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
        code=6 die "these packages are missing, and only root can install them: $wanted" "As root: $by_hand" "Then start this command again."
    fi
    log=$(mktemp)
    # One variable for both commands: sudo keeps no environment.
    apt_quietly() {
        as_root env DEBIAN_FRONTEND=noninteractive updated="$updated" sh -c '
            [ -n "$updated" ] || apt-get -o DPkg::Lock::Timeout=600 -q update
            apt-get -o DPkg::Lock::Timeout=600 -q -y --no-install-recommends install "$@"' sh "$@" >"$log" 2>&1 </dev/null 9>&-
    }
    if ! meanwhile "installing ${wanted% }" apt_quietly $wanted; then
        reason=$(why_apt_failed "$log")
        tail -n 3 "$log" >&2
        rm -f "$log"
        hint="Repair that, or do it by hand: $by_hand"
        case $reason in *python3-bpfcc*configured*) hint="On Ubuntu it is in universe: add-apt-repository universe; then start this command again." ;; esac
        die "apt could not install ${wanted% }: $reason" "$hint"
    fi
    updated=yes
    rm -f "$log"
}
updated= # whether apt's lists were read anew

dnf_install() {
    rpm -q "$@" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
        code=6 die "only root can install what is missing" "As root: dnf install $*"
    fi
    meanwhile "installing $*" as_root dnf -q -y install "$@" >&2 </dev/null || die "dnf could not install $*" "Try it by hand: dnf install $*"
}

# Python that can make environments, and the distribution's BCC: `later` names what of it the environment does not need, and what can be
# installed while that is made. Without root, BCC may be absent: discover and plan do not need it.
system_packages() {
    later=
    find_python
    if [ -n "$python" ]; then
        have_bcc && return 0
        if [ "$(id -u)" != 0 ]; then
            say "BCC is not installed: discover and plan work, run does not (otel-jb doctor names the package)"
            return 0
        fi
    fi
    distribution
    case $family in
    debian)
        later=python3-bpfcc
        apt_install python3 libstdc++6
        fetch_pip
        ;;
    fedora) dnf_install python3 python3-bcc libstdc++ ;;
    rhel) dnf_install python3.12 python3-bcc libstdc++ ;;
    *)
        [ -z "$python" ] || {
            say "BCC is not installed and $pretty is not known here: otel-jb doctor says what is missing"
            return 0
        }
        die "no set-up is known for $pretty" \
            "Install Python 3.10 or later with its venv module, and BCC's Python package (not the one on PyPI, which is something else)." \
            "Then start this command again."
        ;;
    esac
    find_python
    [ -n "$python" ] || [ "$family" != debian ] || { apt_install python3-venv && find_python; }
    [ -n "$python" ] || die "$pretty has no Python 3.10 or later" \
        "Install one (with its venv module) so that python3.10 or later is on the PATH, and start this command again."
}

# An environment with pip. `python -m venv` installs pip file by file, which takes a third of the whole set-up; pip is a wheel that only
# needs to be unpacked.
bare_environment() {
    wheel=$(pip_wheel "$python")
    [ -n "$wheel" ] || { "$python" -m venv "$venv"; return; }
    "$python" -m venv --without-pip "$venv" && "$venv/bin/python" -m zipfile -e "$wheel" "$(packages_directory)"
}

packages_directory() { "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

# compile_modules DIRECTORY...: once, and not by each process of the agent's that may not write what it has compiled.
compile_modules() { "$venv/bin/python" -m compileall -q -j 0 "$@" >/dev/null 2>&1 || true; }

# What pip would make of `-e .`, without fetching a builder first, which takes a quarter of pip's time.
link_checkout() {
    printf '%s\n' "$top" >"$(packages_directory)/otel_jb.pth"
    # The shell finds an interpreter whose path has blanks.
    cat >"$venv/bin/otel-jb" <<END
#!/bin/sh
'''exec' "$venv/bin/python" "\$0" "\$@"
' '''
import sys

from otel_jb.cli.main import entry

sys.exit(entry())
END
    chmod 755 "$venv/bin/otel-jb"
}

# dependencies [EXTRA]: those of pyproject.toml, or of one of its extras, one a line.
dependencies() {
    "$venv/bin/python" -c 'import sys
try: import tomllib
except ImportError: from pip._vendor import tomli as tomllib
with open(sys.argv[1], "rb") as file: project = tomllib.load(file)["project"]
print(*(project["optional-dependencies"][sys.argv[2]] if sys.argv[2] else project["dependencies"]), sep="\n")' "$top/pyproject.toml" "${1:-}"
}

pip_install() { "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-compile "$@" </dev/null >&2; }

# The demo's FFmpeg, which is most of what pip downloads and depends on nothing (a test knows), and the checkout's modules.
install_demo() {
    dependencies demo >"$venv/.dependencies-demo" && pip_install --no-deps -r "$venv/.dependencies-demo" && compile_modules "$top/otel_jb"
}

install_packages() {
    case $mode-$extras in
    editable-demo) dependencies >"$venv/.dependencies" && pip_install -r "$venv/.dependencies" && link_checkout ;;
    editable-*) (cd "$top" && pip_install -e ".[$extras]") && compile_modules "$(packages_directory)" ;;
    *) (cd "$top" && pip_install ".[$extras]") && compile_modules "$(packages_directory)" ;;
    esac
}

# make_venv EXTRAS: complete or not at all; a second caller waits and finds it ready.
make_venv() {
    extras=$1
    venv_ready "$extras" && return 0
    callers_umask=$(umask)
    umask 022 # root makes it, everybody may use it
    # In a subshell: a redirection that fails would end this shell without a word.
    if ! (mkdir -p "$(dirname "$venv")" && : >>"$venv.lock" && { [ ! -e "$venv" ] || [ -w "$venv" ]; }) 2>/dev/null; then
        code=6 die "the Python environment $venv is not complete, and you cannot write to it" \
            "Run this as its owner (sudo $0), or set OTEL_JB_VENV to a directory of your own."
    fi
    exec 9>>"$venv.lock"
    if ! flock -n 9; then
        say "another start is setting up; waiting for it"
        flock 9
        venv_ready "$extras" && { exec 9>&-; umask "$callers_umask"; return 0; }
    fi
    system_packages
    # `.unfinished` lies there while the environment is being changed: what was cut short is made anew.
    if [ -e "$venv/.unfinished" ] || { [ -e "$venv/.made-for" ] && [ "$(cat "$venv/.made-for")" != "$top" ]; } ||
        ! { new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
        rm -rf "$venv"
        mkdir -p "$venv"
        : >"$venv/.unfinished"
        meanwhile "making the Python environment $venv" bare_environment 9>&- || die "$python could not make an environment in $venv" "Is the disk full? On Debian and Ubuntu: apt-get install python3-venv"
        printf '%s' "$top" >"$venv/.made-for"
    fi
    : >"$venv/.unfinished"
    rm -f "$venv"/.ready-*
    trust
    # What runs beside the rest goes on when this is interrupted: apt must. The next start waits for the lock that it holds.
    later_pid='' demo_pid='' failed=0 late=0
    if [ -n "$later" ]; then
        said=$(mktemp)
        (apt_install $later) >"$said" 2>&1 &
        later_pid=$!
    fi
    if [ "$mode-$extras" = editable-demo ]; then
        install_demo &
        demo_pid=$!
    fi
    install_all() {
        (exec 9>&- && install_packages) || failed=$?
        [ -z "$demo_pid" ] || wait "$demo_pid" || failed=$?
        [ -z "$later_pid" ] || wait "$later_pid" || late=$?
    }
    meanwhile "installing ${later:+$later, and }otel-jb with its dependencies (once)" install_all
    if [ -n "$later" ]; then
        [ "$late" = 0 ] || sed '/^otel-jb: installing/d' "$said" >&2
        rm -f "$said"
        [ "$late" = 0 ] || exit "$late"
    fi
    [ "$failed" = 0 ] ||
        die "pip could not install otel-jb's dependencies (its own message is above)" \
            "Check the network and pip's configuration ($venv/bin/python -m pip config list), then start this command again."
    stamp="$key $(readlink -f "$venv/bin/python")"
    rm -f "$venv/.unfinished"
    # dev holds all that demo does
    [ "$extras" = demo ] || printf '%s' "$stamp" >"$venv/.ready-demo"
    printf '%s' "$stamp" >"$venv/.ready-$extras"
    exec 9>&-
    umask "$callers_umask"
}
