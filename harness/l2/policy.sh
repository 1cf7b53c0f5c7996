# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by dump.sh, after ways.sh: a VMM that does not allow the tool everything.

# KVMI_VM_READ_PHYSICAL, GET_MAP_TOKEN, GET_MAX_GFN, QUERY_PHYSICAL
READ=17 TOKEN=22 FIND='29, 39'
INTROSPECTED=

# introspect [COMMANDS]: QEMU hands L2 to who listens, with these commands only.
introspect() {
	local i

	# It takes QEMU a moment to see that a tool has gone.
	for ((i = 0; i < PATIENCE * 10; i++)); do
		[ -n "$INTROSPECTED" ] || break
		! qmp object-del '"id": "kvmi"' || break
		sleep 0.1
	done
	INTROSPECTED=1
	qmp object-add '"qom-type": "introspection", "id": "kvmi", "chardev": "c"'"${1:+, \"command\": [$1]}"
}

# refuses WAY TEXT: and does not take another one.
refuses() {
	start_count
	check "$1: it is refused" fails "$2" listening dump "$DUMP" --way "$1"
	check "$1: no page was read" same "$(counted)" 0
	check "$1: no file is left" gone "$DUMP"
}

test_policy() {
	check "a VMM does not allow to read" introspect "$TOKEN, $FIND"
	refuses device 'VM_GET_MAP_TOKEN: the VMM does not allow it, or not VM_READ_PHYSICAL'
	refuses proc "/proc/kvmi-mem-${UUID^^}: Permission denied"
	refuses commands 'VM_READ_PHYSICAL: not allowed by the VMM'
	refuses any 'VM_READ_PHYSICAL: not allowed by the VMM'
	check "a VMM does not give tokens" introspect "$READ, $FIND"
	refuses device 'VM_GET_MAP_TOKEN: the VMM does not allow it'
	refuses vm 'not made by attaching'
	start_count
	listening dump "$DUMP" "${RANGE[@]}" || :
	dumped proc
}
