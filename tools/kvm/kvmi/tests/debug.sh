# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Sourced by cli.sh: step, break and inject, against the VM that fake_vm plays.

program=0xffff800000008000

# counted: what the guest has counted is what was reported, for each vCPU.
counted() {
	[ "$(tr '\n' ' ' <calls)" = "$(sed -nE 's/^  vCPU [0-9] +//p' out | tr '\n' ' ')" ]
}

# signalled SIGNAL PATTERN ARGS...: SIGNAL when PATTERN is there, to kvmi, which
# must end in order.
signalled() {
	local signal=$1 pattern=$2 pid tool
	shift 2
	rm -f out
	"$FAKE" s "${played[@]}" & pid=$!
	"$KVMI" listen s --wait 10 "$@" >out 2>err & tool=$!
	for _ in $(seq 500); do grep -qE "$pattern" out 2>/dev/null && break; sleep 0.01; done
	kill "-$signal" $tool
	expect "$1: SIG$signal is a clean end" wait $tool
	expect "the VM was left in order" wait $pid
}

vm 0 "inject" '^vCPU 1: #pf \(14\) with error code 0x4 and cr2 0x1000 was delivered' \
	inject '#PF' --error-code 4 --address 0x1000 --vcpu 1
vm 0 "inject by number" '^vCPU 0: #ud \(6\) was delivered, rip 0+1000$' inject 6
vm 0 "inject: a vector without a name" '^vCPU 0: vector 22 was' inject 22
vm 1 "inject: no such vCPU" 'inject: .*no such vCPU' inject gp --vcpu 2
played=(othertrap)
vm 1 "inject: another one wins" 'had interrupt 236 on its way' inject gp
json=(--json)
vm 1 "inject --json: another one wins" '"delivered":false,"vector":236' inject gp
json=()
played=(losttrap)
vm 1 "inject: nothing is delivered" 'vCPU 0 got nothing: ' inject de
played=()

vm 0 "step" '^vCPU 0 at rip 0+1000$' step 20
expect "step: one line for each, with what changed" all \
	'^       1 rip ffff800000008001 rax 1$' '^      20 rip ffff800000008004 rax 14$'
expect "step: as many as asked for" [ "$(grep -c ' rip ' out)" = 21 ]
vm 0 "step --json" '"type":"step","n":3,"vcpu":1,"rip":"0xffff800000008003","failed":false,"changed":\{"rax":"0x3"\}' \
	step 3 --vcpu 1 --json
vm 1 "step: no such vCPU" 'no such vCPU' step 1 --vcpu 7
vm 0 "step --duration 0" '^vCPU 0 at rip' step 5 --duration 0
played=(nostep)
vm 1 "step: not on this host" 'step: .*the host.s processor cannot' step 1
played=(short=14)
vm 0 "step reads no registers" 'rip' step 1
played=()
signalled INT '^ +50 rip' step 100000000
played=(unhook)
vm 0 "step ends when the VMM takes the VM back" 'takes the VM back' step 100000000
played=()

for slow in "" noerrors; do
	played=(${slow:+"$slow"})
	vm 0 "break --summary $slow" '^600 hits in' break $program --duration 1 --summary
	expect "each execution was counted once, $slow" counted
	vm 0 "break --count $slow" '^ .*vCPU [01] rip ffff800000008000 rsp 0+ cr3 0+$' \
		break $program --count 20
	expect "as many as asked for, or one more" all '^2[01] hits in'
	played+=(endless)
	signalled TERM '^ .*vCPU 1' break $program
	signalled INT '^ .*vCPU 1' break $program
done
played=()
vm 0 "break --json" '"type":"hit","time":[0-9.e-]+,"vcpu":1,"rip":"0xffff800000008000"' \
	break $program --count 4 --json
expect "break --json: the end" all '"type":"summary","address":"0xffff800000008000","gpa":"0x8000","hits":[45],.*"vcpus":\[[0-9]+,[0-9]+\]'
printf 'break %s --count 3\nread 0x8000 1\nbreak %s --count 3\n' $program $program >b
vm 0 "break in a batch, twice" '^0+8000  90 ' batch b
vm 0 "break at what is not executed" '^0 hits' break 0xffff800000002000 --duration 0.1
vm 1 "break: not mapped" '0x1234 is not mapped' break 0x1234 --duration 1
vm 1 "break: on a breakpoint" 'already' break 0xffff800000008009 --duration 1
played=(unhook endless)
vm 0 "break ends when the VMM takes the VM back" 'takes the VM back' break $program
played=(short=17)
vm 1 "break: a short reply" 'sent 0 bytes of 1' break $program
played=(nostep)
vm 1 "break: no single-step at the first hit" 'processor cannot' break $program --duration 5

# The connection is lost after the first write, when the original byte is back, and
# after INT3 was written again; before that was answered, or after.
for n in 1 2 3 4; do
	for slow in "" noerrors; do
		played=(endless "mute=$n" ${slow:+"$slow"})
		vm 1 "break: lost with write $n $slow" 'connected again: the breakpoint is gone' \
			break $program --duration 5 --summary
		played=(endless "drop=$n" ${slow:+"$slow"})
		vm 1 "break: lost after write $n $slow" 'break: the connection was closed' \
			break $program --duration 5 --summary
		if [ $((n % 2)) = 1 ]; then
			expect "connected again" grep -q 'breakpoint is gone' err
		fi
	done
done
played=()
