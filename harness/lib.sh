# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Shared by the scripts of harness/: where things are, how to say them, how to
# run a long step. Source it after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
TREE=$BUILD/linux-6.12
LOGS=$BUILD/logs
JOBS=${JOBS:-$(nproc)}
mkdir -p "$LOGS"

# One date for everything that is built, so that equal input gives equal output.
export KBUILD_BUILD_TIMESTAMP='2026-01-01' KBUILD_BUILD_USER=kvmi KBUILD_BUILD_HOST=kvmi
export LC_ALL=C.UTF-8
# The distribution's tools, with the modules its packages bring.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need PACKAGE...: make sure that Debian packages are installed.
need() {
	local p missing=()

	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null |
			grep -q 'install ok installed' || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "packages are missing. Run this and try again:
  sudo apt-get update && sudo apt-get install --no-install-recommends -y ${missing[*]}"
	if [ ! -e "$BUILD/.apt-updated" ]; then
		step "update the package lists" "$LOGS/apt.log" apt-get update
		touch "$BUILD/.apt-updated"
	fi
	step "install ${missing[*]}" "$LOGS/apt.log" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${missing[@]}"
}

# step TEXT LOG COMMAND...: run a long step with its output in LOG; say how
# long it takes, and show the end of the log when it fails.
step() {
	local text=$1 log=$2 start=$SECONDS status never ticker

	shift 2
	mkdir -p "$(dirname "$log")"
	say "   ... $text"
	# The clock reads from a pipe that nobody writes: a sleep would outlive
	# its parent and keep the caller's standard error open.
	exec {never}<> <(:)
	while ! read -r -t 30 -u "$never" && kill -0 $$; do
		say "   ... $text: $((SECONDS - start)) s"
	done &
	ticker=$!
	# Not as part of a condition, where a function would go on after a failure.
	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null
	status=$?
	set -e
	kill "$ticker"
	wait "$ticker" 2>/dev/null || :
	exec {never}>&-
	if [ $status -ne 0 ]; then
		grep -aE -B2 -A8 '(error|Error|ERROR|\*\*\*)' "$log" | head -40 >&2 ||
			tail -n 20 "$log" >&2
		say "error: $text failed (status $status); the whole log is $log"
		return $status
	fi
	say "$(printf '%4d s' $((SECONDS - start))) $text"
}

# locked NAME: one holder of build/NAME.lock at a time, until the script ends.
locked() {
	exec {LOCK_FD}>"$BUILD/$1.lock"
	if ! flock -n "$LOCK_FD"; then
		say "   ... waiting for another run that uses build/$1"
		flock "$LOCK_FD"
	fi
}

# base_value FILE KEY: the value of `KEY: value` in a patches/*/base file.
base_value() {
	sed -n "s/^$2:[[:space:]]*//p" "$1"
}

# The last that a failed test said: where a log cannot be had, all that is left of it.
show_output() {
	local name=$1 log=$2

	if [ "$name" = kernel-log ]; then
		cat "$log/console.log"
	elif [ -d "$log" ]; then
		tr -d '\r' <"$log/out" | awk -v name="$name" '
			on && $0 == "=== end" { exit }
			on
			$0 == "=== " name { on = 1 }'
	else
		cat "$log"
	fi 2>/dev/null | tail -n 80 | sed 's/^/#   | /'
}
