#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make L1's initramfs: init, busybox and the job (the command to run).
#
# usage: initramfs.sh OUT JOB [FILE...]
#   JOB    a directory with `cmd` (run by sh) and `env` (sourced before it)
#   FILE   programs, scripts, data or directories to have in it at the same
#          path, each with the shared libraries and the interpreter it needs

set -euo pipefail
. "$(dirname "$0")/lib.sh"

OUT=$1 JOB=$2
shift 2
STAGE=$(mktemp -d "$BUILD/initramfs.XXXXXX")
trap 'rm -rf "$STAGE"' EXIT

copy() {
	[ ! -e "$STAGE$1" ] || return 0
	mkdir -p "$STAGE$(dirname "$1")"
	cp -L --preserve=mode "$1" "$STAGE$1"
}

is_elf() { [ "$(head -c 4 "$1" | tr -d '\0')" = $'\x7fELF' ]; }

# What a program cannot start without, one path per line.
needed_by() {
	local first

	if is_elf "$1"; then
		# ldd fails on a static program, which needs nothing.
		{ ldd "$1" 2>/dev/null || :; } | grep -o '/[^ ]*' || :
	else
		first=$(head -c 120 "$1" | tr -d '\0' | sed -n '1s/^#! *//p')
		[ -z "$first" ] || printf '%s\n' "${first%% *}"
	fi
}

pack() {
	local file=$1 f

	[ -e "$file" ] || die "$file does not exist: it cannot be packed for L1"
	if [ -d "$file" ]; then
		while read -r f; do copy "$f"; done < <(find "$file" -type f)
		return
	fi
	copy "$file"
	for f in $(needed_by "$file"); do
		copy "$f"
		is_elf "$f" || pack "$f"
	done
	if [ -x "$file" ] && is_elf "$file"; then
		strip "$STAGE$file"
	fi
}

for f in "$@"; do pack "$f"; done
mkdir -p "$STAGE/job"
cp /bin/busybox "$JOB"/* "$ROOT/harness/splat.patterns" "$STAGE/job/"
install -m 755 "$ROOT/harness/init.sh" "$STAGE/init"
# The kernel starts init by its first line, before anything is installed.
mkdir -p "$STAGE/bin"
[ -e "$STAGE/bin/sh" ] || ln -s /job/busybox "$STAGE/bin/sh"
(cd "$STAGE" && find . -print0 | cpio --quiet --null -o -H newc -R 0:0 | gzip -1) >"$OUT"
