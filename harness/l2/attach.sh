# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by e2e.sh, two.sh and dump.sh: tools that come, go and die, and a guest whose
# QEMU knows nothing of introspection.

# A tool that dies must not take the guest along.
test_killed_tool() {
	run_tool listen "$SOCKET" --wait "$PATIENCE" info >/dev/null || :
	check "QEMU connects again" same "$STATUS" 0
	open_tool listen "$SOCKET"
	ask "info" >/dev/null
	echo "trace --summary" >&"$TOOL_IN"
	sleep 1
	kill -KILL "$TOOL_PROCESS"
	wait "$TOOL_PROCESS" 2>/dev/null || :
	check "L2 survives a tool that is killed while it traces" beats_on
	run_tool listen "$SOCKET" --wait "$PATIENCE" regs --vcpu 1 >/dev/null || :
	check "and can be introspected again" same "$STATUS" 0
}

# no_complaint [CONSOLE]: from init on; emulated hardware makes the kernel complain while
# it boots.
no_complaint() {
	! sed '1,/Run .init as init process/d' "${1:-$CONSOLE}" |
		grep -aE 'BUG:|Oops|WARNING:|Kernel panic|rcu.*stall|soft lockup'
}

# The distribution's QEMU where L1 has it, else ours without its object.
plain_guest() {
	if [ -x /usr/bin/qemu-system-x86_64 ]; then
		note "unmodified QEMU: $(/usr/bin/qemu-system-x86_64 --version | head -n 1)"
		start_guest plain /usr/bin/qemu-system-x86_64
	else
		note "no other QEMU is here: the patched one without introspection object"
		start_guest plain "$PATCHED" -L "$ROOT/build/qemu/share/qemu"
	fi
	check "L2 boots under a QEMU without introspection" await "$CONSOLE" 'L2: ready'
}

attach_tests() {
	local entry

	plain_guest
	entry=$(symbol entry_SYSCALL_64)
	check "kvmi attach works" run_tool attach --pid "$PID" info
	check "as many vCPUs as L2 has" says "^vCPUs +$(fact cpus)\$"
	run_tool attach --pid "$PID" regs --msr 0xc0000082 >/dev/null || :
	check "the registers are L2's" same \
		"$(grep -c "msr c0000082 ${entry#0x}" <<<"$OUT")" 2

	check "a pause in the background" run_tool attach --pid "$PID" \
		pause --background --pidfile "$RUN/pause"
	run_tool attach --pid "$PID" info || :
	check "only one tool at a time, and the next step is told" says 'attach with force'
	size=$(wc -c <"$CONSOLE")
	sleep 1
	check "L2 stands still" same "$(wc -c <"$CONSOLE")" "$size"
	check "kvmi resume ends it" run_tool resume --pidfile "$RUN/pause"
	check "L2 goes on" beats_on

	check "--force takes the VM from another tool" taken_by_force
	check "L2 goes on after all this" beats_on
	check "L2's kernel has not complained" no_complaint
	stop_guest
}

taken_by_force() {
	run_tool attach --pid "$PID" pause --background --pidfile "$RUN/pause" &&
		run_tool attach --pid "$PID" --force trace --duration 1 --summary &&
		says '^[1-9][0-9]* events' &&
		! run_tool resume --pidfile "$RUN/pause"
}
