# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Sourced by cli.sh: trace, against the VM that fake_vm plays.

vm 0 "trace --count" '^ .*vCPU 0 cr3 0+ -> 0+4000 rip' trace --count 10
expect "trace: summary" all \
	'^1[0-2] events in' '^4 values of cr3, 3 address spaces$' '^  0+5001 [23]$'
vm 0 "trace --duration --summary" '^[0-9]+ events in' trace --duration 0.2 --summary
expect "only the summary" absent 'rip'
vm 0 "trace of another register" '^0 events' trace --cr 0,4 --duration 0.1

"$FAKE" s & pid=$!
# Not the file of the command before: it is what shows that the trace runs.
rm out
"$KVMI" listen s --wait 10 trace >out 2>err & tool=$!
for _ in $(seq 500); do [ -s out ] && break; sleep 0.02; done
kill -TERM $tool
expect "trace: SIGTERM is a clean end" wait $tool
expect "the VM was left in order" wait $pid
expect "the summary is there" all 'events in'

"$FAKE" s & pid=$!
{ status=0; "$KVMI" listen s --wait 10 trace 2>err || status=$?; echo $status >out; } |
	head -n 1 >/dev/null
expect "trace: a reader that goes away ends it" all '^1$'
expect "the VM was left in order" wait $pid

"$FAKE" s deny & pid=$!
run listen s --wait 10 trace --duration 1
expect "trace: not allowed" exited 1 'not allowed by the VMM'
wait $pid || :


vm 0 "trace of all kinds" '^[0-9]+ events in' trace --event all --count 200
expect "trace: every kind, with its data" all \
	'vCPU [01] cr3 0+[456]00[012] -> 0+[456]00[012] rip' \
	'vCPU 0 msr 0xc0000082 0+1111 -> 0+2222 rip' 'xsetbv xcr0 0+3 -> 0+7 rip' \
	'hypercall rbx 0 .* r10 0 rip' 'vCPU 1 lidt rip' 'cpuid 0x7.1 rip'
expect "trace: counts of every kind" all '^  msr 0xc0000082 [0-9]+$' '^  xsetbv  [0-9]+$' \
	'^  hypercall [0-9]+$' '^  lidt    [0-9]+$' '^  cpuid 0x7.1 [0-9]+$' '^  cr3     [0-9]+$'
vm 0 "trace --msr alone" '^  msr 0xc0000082 [0-9]+$' trace --msr 0xc0000082,0x10 --count 4 --summary
expect "no other kind" absent 'cr3'
vm 0 "trace --vcpu" '^  vCPU 0   0$' trace --event cpuid --vcpu 1 --count 3
vm 1 "trace: no such vCPU" 'no such vCPU' trace --vcpu 2 --count 1
vm 1 "trace: a register that cannot be watched" 'trace: msr: MSR 0x6e0 cannot' \
	trace --msr 0x10,0x6e0 --count 1
vm 0 "trace of instructions" 'vCPU 0 singlestep rip ffff8000000080' \
	trace --event singlestep --vcpu 0 --count 20
played=(nostep)
vm 1 "trace: no single-step" 'trace: singlestep: .*processor cannot' trace --event singlestep
played=(unhook)
vm 0 "trace ends when the VMM takes the VM back" 'takes the VM back' trace --event hypercall
played=()
vm 0 "trace --json" '"event":"msr","msr":"0xc0000082","old":"0x1111","new":"0x2222"' \
	trace --event all --count 100 --json
expect "trace --json: every kind" all '"event":"cr","cr":3' '"event":"xsetbv","xcr":0' \
	'"event":"hypercall","rbx"' '"event":"descriptor","descriptor":1,"write":true' \
	'"event":"cpuid","function":"0x7","index":"0x1"' '"kinds":\{"cr":' '"lidt":'
printf 'trace --event all --count 5\ntrace --count 5\n' >b
vm 0 "trace in a batch, twice" 'events in' batch b
