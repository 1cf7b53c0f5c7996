# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by dump.sh: each way to L2's memory, and what is said where there is none. How
# many pages were read by a command is counted in L1's kernel.

TRACE=/sys/kernel/tracing/instances/kvmi_dump

attached() { run_tool attach --pid "$PID" "$@"; }
listening() { run_tool listen "$SOCKET" --wait "$PATIENCE" "$@"; }

# fails PATTERN COMMAND...: with this text, not otherwise.
fails() {
	local pattern=$1

	shift
	! "$@" && [ "$STATUS" = 1 ] && says "$pattern"
}

gone() { [ ! -e "$1" ] && [ ! -e "$1.partial" ]; }

begin_counting() {
	rmdir "$TRACE" 2>/dev/null || :
	mkdir "$TRACE"
	echo 'name == "VM_READ_PHYSICAL" && err == 0' >"$TRACE/events/kvmi/kvmi_command/filter"
	echo 1 >"$TRACE/events/kvmi/kvmi_command/enable"
}
# Before a dump.
start_count() {
	rm -f "$DUMP"
	echo >"$TRACE/trace"
}
# Those that the buffer has lost count, too.
counted() {
	awk '/^(entries|overrun):/ { n += $2 } END { print n + 0 }' "$TRACE"/per_cpu/cpu*/stats
}
finish_counting() { rmdir "$TRACE" || :; }

# dumped WAY: $DUMP was, and not in another way.
dumped() {
	local pages=0

	[ "$1" != commands ] || pages=$(awk '{ n += $2 / 4096 } END { print n }' <<<"$MEMORY")
	check "$1: that way was taken" says "^dumped .* \($1\)\$"
	check "$1: commands have read $pages pages" same "$(counted)" "$pages"
	check "$1: every byte is the one that QEMU has" saved_in "$DUMP"
}

# Each way that there is after attaching; L2 stands still.
test_attach_ways() {
	local way

	for way in vm device commands; do
		start_count
		attached dump "$DUMP" --way "$way" "${RANGE[@]}" || :
		dumped "$way"
		check "$way: the last bytes before the hole" fails "no memory at .* $LOW\$" \
			attached read "$(printf '0x%x' $((LOW - 16)))" 32 --way "$way"
		check "$way: are shown" says "^0*$(printf '%x' $((LOW - 16)))  "
		check "$way: nothing behind the last" fails "no memory at .* $END\$" \
			attached read "$END" 1 --way "$way"
	done
	start_count
	for way in proc guest; do
		check "$way: it cannot be used" fails "$(refusal "$way")" \
			attached dump "$DUMP" --way "$way"
		check "$way: no file is left" gone "$DUMP"
	done
}

# The library maps a GiB at once. Where that is too much it must not read by commands what
# shall be mapped.
test_little_room() {
	local kib

	for kib in 1500000 300000; do
		start_count
		ulimit -S -v $kib
		attached dump "$DUMP" --way vm "${RANGE[@]}" || :
		ulimit -S -v unlimited
		note "with $kib KiB of address space"
		dumped vm
	done
}

# Why a way is refused that needs what is not here.
refusal() {
	case $1 in
	proc) echo 'UUID is not known' ;;
	guest) echo '/dev/kvmmem: No such file' ;;
	esac
}

# Now the tool stops L2. The first way is the one that is found.
test_paused() {
	local way marker

	check "a VMM allows everything" introspect
	open_tool listen "$SOCKET"
	ask "pause --keep"
	check "the tool stops both vCPUs" says '^paused 2 vCPUs'
	check "QEMU saves L2's memory" save_memory
	for way in '' proc commands; do
		start_count
		ask "dump $DUMP ${way:+--way $way} ${RANGE[*]}"
		dumped "${way:-device}"
	done
	marker=$(fact marker)
	for way in device proc commands; do
		rm -f "$DUMP"
		ask "read $(printf '0x%x' $((PAGE + 3))) $((${#marker} - 3)) --way $way --output $DUMP"
		check "$way: read in the middle" same "$(cat "$DUMP")" "${marker:3}"
	done
	rm -f "$DUMP"
	ask resume
	check "L2 goes on" beats_on
	ask "dump $DUMP ${RANGE[*]}"
	check "a dump of it is another" differs
	check "the session ends in order" close_tool
	rm -f "$DUMP"
}

differs() { says '^dumped ' && ! saved_in "$DUMP"; }

# A text that is nowhere else, neither in L2 nor in its programs.
test_strings() {
	local at needle banner address way

	needle="needle $(od -An -tx8 -N8 /dev/urandom | tr -d ' ')" at=$(printf '0x%x' $((PAGE + 2040)))
	check "a text is written to L2's page" attached write "$at" \
		"$(printf '%s' "$needle" | od -An -v -tx1 | tr -d ' \n')"
	"$KVMI" attach --pid "$PID" strings "$HIGH" --min 16 >"$RUN/strings"
	check "it is the only one above the hole" same "$(grep "$needle" "$RUN/strings")" \
		"$(printf '%016x %s' "$at" "$needle")"
	run_tool attach --pid "$PID" translate "$(symbol linux_banner)" || :
	address=$(sed -n 's/.*-> //p' <<<"$OUT") banner=$(fact banner)
	attached strings "$(printf '0x%x-0x%x' $((address - 4096)) $((address + 4096)))" || :
	check "L2's kernel banner is where it is" grep -qxF \
		"$(printf '%016x %s' "$address" "$banner")" <<<"$OUT"
	for way in vm device commands; do
		check "$way: it is found" attached strings \
			"$at-$(printf '0x%x' $((at + 23)))" --way "$way"
		check "$way: where it is" same "${OUT%$'\n'}" "$(printf '%016x %s' "$at" "$needle")"
	done
}
