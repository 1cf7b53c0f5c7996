# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by e2e.sh: the CR3 writes that the tool sees, and those that L2 counts.

# traced SECONDS: how often the tool sees ($events) and L2 counts ($switches) a change
# of address space.
traced() {
	local counters before

	counters="read $(printf '0x%x' $(($(fact page) + 64))) 16"
	ask "$counters" "trace --duration $1 --summary" "$counters"
	events=$(sed -n 's/ events in .*//p' <<<"$OUT")
	before=$(passes "$(sed -n 1p <<<"$OUT")")
	switches=$(($(passes "$(sed -n '$p' <<<"${OUT%$'\n'}")") - before))
}

test_trace() {
	local events switches apart spaces kernel both

	ask "translate $(symbol init_top_pgt)"
	kernel=$(sed -n 's/.*-> 0x//p' <<<"$OUT")
	# Between its counters and the trace L2 runs on, and fast: how far, a short one tells.
	traced 0.1
	apart=$((switches > events ? switches - events : 0))
	traced "$SECONDS_TRACED"
	spaces=$(sed -n 's/.*cr3, \([0-9]*\) address spaces/\1/p' <<<"$OUT")
	both=$(grep -cE '^ *vCPU [01] +[1-9]' <<<"$OUT" || :)
	# The kernel's own tables may appear beside those of the processes.
	kernel=$(grep -cE "^ *0*$kernel " <<<"$OUT" || :)
	check "both vCPUs write CR3" same "$both" 2
	check "one address space per process of L2" same "$((spaces - kernel))" "$(fact processes)"
	note "L2 counted $switches changes of its address space, some $apart of them untraced"
	check "as many CR3 writes as L2 made" within "$events" \
		$((switches * 95 / 100 - 20 - 2 * apart)) $((switches + 12))
	check "L2 goes on afterwards" beats_on
}
