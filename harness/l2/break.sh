# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by e2e.sh: a breakpoint on L2's system call entry counts what L2 counts.

HITS_COUNTED=${HITS_COUNTED:-5}

# hits VCPU: of one vCPU, from what `kvmi break` says at its end.
hits() { sed -n "s/^ *vCPU $1 *\([0-9]*\)\$/\1/p" <<<"$OUT"; }

# L2 makes system calls from when it sees the breakpoint in its memory, for less than
# the tool counts; before and after that nobody in it makes one.
test_break() {
	local entry physical counter before made0 made1 wrong

	ask info
	if ! says '^features.* singlestep'; then
		note "no breakpoint: this processor cannot step over it (Bochs 2.7 has no monitor trap flag)"
		return
	fi
	entry=$(symbol entry_SYSCALL_64)
	ask "translate $entry"
	physical=$(sed -n 's/.*-> 0x//p' <<<"${OUT%$'\n'}")
	ask "read $entry 1 --virtual"
	before=$OUT
	counter=$(printf '0x%x' $(($(fact page) + 96)))
	# As L2 reads it: the lowest byte comes first.
	ask "write $counter $(printf '%016x' $((16#$physical)) | sed 's/../& /g' | awk '{ for (i = NF; i; i--) printf "%s", $i }')"
	check "L2 is ready to count its system calls" await "$CONSOLE" 'L2: quiet'
	ask "break $entry --duration $HITS_COUNTED --summary"
	check "the breakpoint was hit" says '^[1-9][0-9]* hits in '
	check "L2 has counted, too" await "$CONSOLE" 'L2: calls'
	read -r made0 made1 wrong <<<"$(fact calls)"
	check "as many hits on vCPU 0 as it made calls" same "$(hits 0)" "$made0"
	check "as many hits on vCPU 1 as it made calls" same "$(hits 1)" "$made1"
	check "all these calls had the right result" same "$wrong" 0
	ask "read $entry 1 --virtual"
	check "L2's code is what it was" same "$OUT" "$before"
	check "L2 goes on without the breakpoint" beats_on
}
