#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make HTML from Documentation/virt/kvm/kvmi, with the structures pulled out of
# the headers by the kernel's own tools. Any warning is an error. Prints the
# path of the first page.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

PAGES=$ROOT/Documentation/virt/kvm/kvmi
OUT=$BUILD/docs
KERNEL_DOC=$TREE/scripts/kernel-doc
LOG=$LOGS/docs.log

headers() {
	grep -ho 'kernel-doc:: [^ ]*' "$PAGES"/*.rst | cut -d ' ' -f 2 | sort -u
}

# Every structure has a comment, and every member of it.
check_headers() {
	local h

	for h in $(headers); do
		"$KERNEL_DOC" -none -Werror "$ROOT/$h"
	done
}

html() {
	rm -rf "$OUT/doctrees" "$OUT/html"
	TREE=$TREE PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -W --keep-going \
		-b html -c "$ROOT/harness/docs" -d "$OUT/doctrees" \
		-D kerneldoc_srctree="$ROOT" -D kerneldoc_bin="$KERNEL_DOC" \
		"$PAGES" "$OUT/html"
}

# Each structure of the headers is in the pages, and each one that the pages name exists.
missing() {
	local h

	{
		for h in $(headers); do
			sed -n 's/^\(struct\|enum\) \([a-z0-9_]*\) {$/\2/p' "$ROOT/$h"
		done
		sed -n 's/^ *:identifiers: //p' "$PAGES"/*.rst | tr ' ' '\n'
	} | sort -u | comm -23 - <(sed -n 's/.*id="c\.\([a-z0-9_]*\)".*/\1/p' "$OUT"/html/*.html | sort -u)
}

# What must be spoken of somewhere: ids, ioctls, codes, tracepoints, statistics, tests.
unmentioned() {
	local uapi=include/uapi/linux/kvmi.h name

	cd "$ROOT"
	{
		sed -n 's/^\t\(KVMI_[A-Z0-9_]*\)[[:space:]]*= [0-9]*,$/\1/p' $uapi
		sed -n 's/^#define \(KVM_E[A-Z]*\)\t.*/\1/p' $uapi
		sed -n 's/^#define \(KVM_INTROSPECTION_[A-Z]*\)\t.*/\1/p' $uapi
		sed -n 's/^TRACE_EVENT(\(.*\),$/\1/p' include/trace/events/kvmi.h
		sed -n 's/^+\tSTATS_DESC_COUNTER(VM, \(.*\)),$/\1/p' patches/linux-6.12/*.patch
		sed -n 's/^TEST_GEN_PROGS.* += kvmi\///p' tools/testing/selftests/kvm/kvmi/kvmi.mk
		sed -n 's/^config /CONFIG_/p' virt/kvm/introspection/Kconfig
	} | while read -r name; do grep -qw "$name" "$PAGES"/*.rst || echo "$name"; done
}

[ -x "$KERNEL_DOC" ] || die "build/linux-6.12 does not exist: run 'make tree'"
need python3-sphinx perl
mkdir -p "$OUT"
locked docs
step "check the headers' comments" "$LOG" check_headers
step "make the HTML pages" "$LOG" html
# What kernel-doc finds wrong, such as an identifier that is gone, Sphinx only repeats.
[ ! -s "$LOG" ] || die "the pages were made with warnings:
$(cat "$LOG")"
gone=$(missing)
[ -z "$gone" ] || die "these are in the headers or named in the pages, but not in the HTML:
$gone"
gone=$(unmentioned)
[ -z "$gone" ] || die "the pages do not mention these:
$gone"
echo "$OUT/html/index.html"
