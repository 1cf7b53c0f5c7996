# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Sourced by cli.sh: pause and resume, at once and where the played VM, whose vCPU N
# stands at 0x1000 + N, writes CR3.

vm 0 "pause ends with the input" '^paused 2 vCPUs' pause </dev/null
vm 0 "pause --for" 'vCPU 1 at rip 0000000000001001' pause --for 0.1
printf 'pause --keep\nregs --vcpu 0\nresume\npause --keep\nread 0 1\n' >b
vm 0 "pause and resume in a batch; its end resumes, too" '^resumed$' batch b
printf 'pause --for 0\npause --keep\npause --keep\n' >b
vm 1 "no second pause" 'line 3 failed' batch b
printf 'resume\n' >b
vm 1 "nothing to resume" 'paused nothing' batch b
printf 'pause\n' >b
vm 2 "pause in a batch needs an end" 'needs --keep' batch b
"$FAKE" s & pid=$!
status=0
"$KVMI" listen s --wait 10 pause --background --pidfile p >out 2>err || status=$?
expect "pause --background" exited 0 '^paused 2'
expect "it holds the VM" kill -0 "$(cat p)" $pid
"$FAKE" t & other=$!
run listen t --wait 10 pause --background --pidfile p
expect "one pause per file" exited 1 'another pause holds this file'
expect "the other VM was left in order" wait $other
run resume --pidfile p
expect "resume --pidfile" exited 0 '^resumed$'
expect "the VM was released in order" wait $pid
expect "the file is gone" [ ! -e p ]

vm 0 "pause --cr" '^ +[0-9.]+ vCPU [01] cr3 .* rip 0+100[01]$' pause --cr 3 --for 0
expect "pause --cr: all vCPUs" all '^paused 2 vCPUs' '^  vCPU 0 at' '^  vCPU 1 at'
vm 0 "pause --rip, of one instruction" 'vCPU 1 cr3 .* rip 0+1001$' \
	pause --cr 0,3 --rip 0x1001 --for 0
vm 0 "pause --rip, END is not part of it" 'vCPU 0 cr3 .* rip 0+1000$' \
	pause --cr 3 --rip 0-0x1001 --for 0
printf 'pause --cr 3 --keep\nregs\nresume\npause --cr 3 --keep\n' >b
vm 0 "pause --cr in a batch, twice" '^resumed$' batch b
printf 'pause --keep\npause --cr 3 --keep\n' >b
vm 1 "pause --cr: no second pause" 'line 2 failed' batch b
played=(unhook)
vm 1 "pause --cr: the VMM takes the VM back before" 'before the guest came there' \
	pause --cr 3 --rip 0x1002
played=(deny)
vm 1 "pause --cr: not allowed" 'pause: VCPU_CONTROL_CR: not allowed' pause --cr 3
played=()

printf 'pause --keep\nwatch 0x2010 --count 2\n' >b
vm 1 "watch: the VM is paused" 'paused; resume it first' batch b
printf 'pause --keep\nwatch 0x2010 --resume --count 2\nwatch 0x3000 --count 2\npause --keep\n' >b
vm 0 "watch --resume" 'pf w gpa 0+2010' batch b
expect "watch --resume: the VM runs on afterwards" all 'pf x gpa 0+3000'
vm 1 "watch --resume: nothing is paused" 'nothing is paused here' watch 0x2010 --resume
printf 'pause --keep\nwatch 0xffff800000010000 --virtual --resume\n' >b
vm 1 "watch --resume: a failure lets the VM run, too" 'is not mapped' batch b
