#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every command and event of the protocol is complete: it has a row and a
# handler in the kernel, a name in the library, a call in the library, a mention
# in the documentation and one in a test. Prints what is missing.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

UAPI=include/uapi/linux/kvmi.h
CORE=virt/kvm/introspection
DOCS=Documentation/virt/kvm/kvmi
TESTS=tools/testing/selftests/kvm/kvmi
LIBRARY=tools/lib/kvmi

mapfile -t CALLS < <(find $LIBRARY -maxdepth 1 -name '*.c' ! -name names.c)

ids() { sed -n -E "/^enum $1 \{/,/^}/s/^\t(KVMI_[A-Z0-9_]+)[[:space:]]*=.*/\1/p" $UAPI | grep -v '_NUM_'; }

# has WHAT ID PATTERN PATH...: one of the files has the pattern.
has() {
	local what=$1 id=$2 pattern=$3

	shift 3
	grep -rqE -- "$pattern" "$@" 2>/dev/null || echo "$id: $what"
}

for id in $(ids kvmi_message_id); do
	has "no name in the library" "$id" "\[$id\]" $LIBRARY/names.c
	has "not in the documentation" "$id" "\b$id\b" $DOCS
	# Ids 0 and 1 are what goes the other way.
	[[ $id != KVMI_VCPU_EVENT_REPLY && $id != KVMI_EVENT ]] || continue
	handler=kvmi_cmd_$(tr '[:upper:]' '[:lower:]' <<<"${id#KVMI_}")
	has "no row in commands.c" "$id" "^[[:space:]]\[$id\]" $CORE/commands.c
	has "no handler $handler() in the row" "$id" "\.handler = $handler," $CORE/commands.c
	has "no handler $handler()" "$id" "^int $handler\(" $CORE arch/x86/kvm
	has "not sent by the library" "$id" "\b$id\b" \
		"${CALLS[@]}"
	has "not in a selftest" "$id" "\b$id\b" $TESTS
done

for id in $(ids kvmi_event_id); do
	has "no row in events.c" "$id" "^[[:space:]]\[$id\]" $CORE/events.c
	has "no name in the library" "$id" "\[$id\]" $LIBRARY/names.c
	has "not in the documentation" "$id" "\b$id\b" $DOCS
done

# An event that this kernel raises (its row has actions) is tested.
sed -n -E '/^\t\[KVMI_/{s/^\t\[(KVMI_[A-Z0-9_]+)\].*/\1/;h};/\.actions/{g;p}' $CORE/events.c |
	while read -r id; do
		has "raised, but not in a selftest" "$id" "\b$id\b" $TESTS
	done

# A test that is not in the list of programs is not run.
for f in "$TESTS"/*_test.c; do
	name=$(basename "$f" .c)
	has "not listed in kvmi.mk" "$name" "TEST_GEN_PROGS.*kvmi/$name\$" $TESTS/kvmi.mk
done
