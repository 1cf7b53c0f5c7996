# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by e2e.sh: L2 writes to its own code and to its page tables, and a tool that
# watches them hears of the former, and L2 notices nothing.

SECONDS_WATCHED=${SECONDS_WATCHED:-5}

# set_key N: what L2 shall do with its static key, see key.c.
set_key() {
	ask "write $(printf '0x%x' $(($(fact page) + 104))) 0${1}00000000000000"
}

# compare_changes ADDRESS BEFORE AFTER EVENTS: what differs between two copies of L2's
# memory from ADDRESS on, and where the tool says that L2 wrote: in $RUN/changed and
# $RUN/written, an address in each line.
compare_changes() {
	{ cmp -l "$2" "$3" || :; } |
		awk -v at="$(($1))" '{ printf "%d\n", at + $1 - 1 }' >"$RUN/changed"
	awk '
		function decimal(s,   i, n) {
			for (i = 1; i <= length(s); i++)
				n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
			return n
		}
		/ pf w gpa/ {
			for (i = 1; i < NF; i++)
				if ($i == "gpa" && !($(i + 1) in seen)) {
					seen[$(i + 1)]
					printf "%d\n", decimal($(i + 1))
				}
		}' "$4" >"$RUN/written"
	CHANGED=$(wc -l <"$RUN/changed")
	note "$CHANGED bytes changed, $(grep -c ' pf w gpa' "$4" || :) writes at $(wc -l <"$RUN/written") addresses"
}

# unheard SIZE: how many bytes changed and are in no write that was reported, when these
# have SIZE bytes at most.
unheard() {
	awk -v size="$1" 'FNR == NR { for (i = 0; i < size; i++) heard[$1 + i]; next }
		!($1 in heard) { n++ } END { print n + 0 }' "$RUN/written" "$RUN/changed"
}

# stray SIZE: how many reports are of no byte that changed.
stray() {
	awk -v size="$1" 'FNR == NR { for (i = 1 - size; i < size; i++) near[$1 + i]; next }
		!($1 in near) { n++ } END { print n + 0 }' "$RUN/changed" "$RUN/written"
}

test_watch_code() {
	local text size

	text=$(symbol _text)
	size=$(($(symbol _etext) - text))
	ask "translate $text"
	TEXT_PHYSICAL=$((16#$(sed -n 's/.*-> 0x//p' <<<"${OUT%$'\n'}")))
	set_key 1
	check "L2 switches a static key on" await "$CONSOLE" 'L2: key 1 on'
	ask "read $text $size --virtual --output $RUN/text-on"
	set_key 2
	check "and off" await "$CONSOLE" 'L2: key 2 off'
	ask "read $text $size --virtual --output $RUN/text-off"

	set_key 3
	ask "watch $text-$(symbol _etext) w $(symbol __start_rodata)-$(symbol __end_rodata) w --virtual --seconds $SECONDS_WATCHED" >"$RUN/watched"
	sed -n '1,4p; $p' "$RUN/watched"
	compare_changes "$TEXT_PHYSICAL" "$RUN/text-off" "$RUN/text-on" "$RUN/watched"
	check "L2's code has changed" within "$CHANGED" 1 100000
	check "its writes were reported" within "$(wc -l <"$RUN/written")" 1 100000
	# A write is of an instruction or its first byte.
	check "every change was reported at its address" same "$(unheard 5)" 0
	check "nothing else was" same "$(stray 5)" 0
	set_key 2
	check "L2 has switched the key off" await "$CONSOLE" 'L2: key 3 off'
	ask "read $text $size --virtual --output $RUN/text-after"
	check "its code is what it was" cmp -s "$RUN/text-off" "$RUN/text-after"
	check "L2 goes on with its code unwatched" beats_on
}

# entries FILE LEVEL: tables that a table of this level (4 to 1) leads to, in hexadecimal.
entries() {
	od -An -v -tx8 -w8 "$1" | awk -v level="$2" '
		function bit(n) { return int(hex(substr($1, 15)) / 2 ^ n) % 2 }
		function hex(s,   i, n) {
			for (i = 1; i <= length(s); i++)
				n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
			return n
		}
		level > 1 && bit(0) && !bit(7) { print substr($1, 4, 10) "000" }' | sort -u
}

# list_tables ROOT...: all page tables below these, in $RUN/tables, a line each.
list_tables() {
	local level table tables next

	tables=$(printf '%s\n' "$@" | sort -u)
	printf '%s\n' "$tables" >"$RUN/tables"
	for level in 4 3 2; do
		next=
		for table in $tables; do
			ask "read 0x$table 4096 --output $RUN/table" >/dev/null
			next+=$(entries "$RUN/table" $level)$'\n'
		done
		# Some are the kernel's, and every process has them.
		tables=$(printf '%s' "$next" | sort -u | grep -vxFf "$RUN/tables" || :)
		printf '%s\n' "$tables" >>"$RUN/tables"
	done
	sed -i '/^$/d' "$RUN/tables"
}

# L2's kernel and all its processes. Processors that write while they look a table up
# cannot do so: KVM executes what they could not.
test_watch_tables() {
	local roots counters passed

	ask info
	if ! says '^features.* singlestep'; then
		note "its page tables are not watched: not all that touches them can be executed (Bochs 2.7 has no monitor trap flag)"
		return
	fi
	ask "trace --duration 1 --summary"
	roots=$(sed -n 's/^ *000\([0-9a-f]\{10\}\)... *[0-9][0-9]*$/\1000/p' <<<"$OUT")
	check "L2's address spaces are known" within "$(wc -w <<<"$roots")" "$(fact processes)" 100
	# shellcheck disable=SC2086 # a word each
	list_tables $roots
	check "and its page tables" within "$(wc -l <"$RUN/tables")" 20 10000
	awk '{ printf "0x%s-0x%s w\n", $1, substr($1, 1, length($1) - 3) "fff" }' "$RUN/tables" >"$RUN/ranges"
	counters="read $(printf '0x%x' $(($(fact page) + 64))) 16"
	ask "$counters" "watch --ranges $RUN/ranges --seconds $SECONDS_WATCHED --summary" "$counters"
	passed=$(($(passes "$(sed -n '$p' <<<"${OUT%$'\n'}")") - $(passes "$(sed -n 1p <<<"$OUT")")))
	note "L2 changed its address space $passed times meanwhile"
	check "L2 goes on while its page tables are watched" within "$passed" 1 1000000
	check "and afterwards" beats_on
}
