# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Sourced by cli.sh: each command against the VM that fake_vm plays.

# all PATTERN...: each is in the output.
all() {
	local p
	for p in "$@"; do
		grep -qE -- "$p" out || return 1
	done
}

vm 0 "info" '^version +1$' info
expect "info: every figure" all '^VM +fake "vm"$' '^UUID +abababab-abab-abab-abab-abababababab$' \
	'^started +2001-09-09 01:46:40 UTC$' '^features +singlestep descriptor page_access page_access_none$' \
	'^ +page_access_exec_only$' \
	'^vCPUs +2$' '0x10000 ' '1000000000 Hz' 'VCPU_CONTROL_CR' 'CPUID'

vm 0 "regs" 'vCPU 1, 64-bit' regs --msr 0xc0000080,0x10 --msr 0x1b
expect "regs: both vCPUs, and MSRs" all 'rip +0000000000001000' 'rip +0000000000001001' \
	'msr c0000080 0000000000000d01' 'msr 0000001b'
vm 0 "regs of one vCPU" 'vCPU 1' regs --vcpu 1
expect "only that one" absent 'vCPU 0'
vm 1 "regs: no such vCPU" 'no such vCPU' regs --vcpu 2
vm 1 "regs: no such MSR" 'MSR does not exist' regs --msr 0xffffffff

vm 0 "read across a page" '^0000000000002ff0 .*61 63 72 6f  \|.*acro\|$' read 0x2ffc 15
expect "read: the second page" all \
	'^0000000000003000  73 73 20 74 68 65 20 70  61 67 65 .*\|ss the page\|$'
vm 0 "read --virtual" '73 73' read 0xffff800000003000 2 --virtual --vcpu 1
vm 1 "read: not mapped" '0x1000 is not mapped' read 0x1000 2 --virtual
vm 1 "read: a hole" 'no memory at .* 0x10000' read 0xfff0 32
expect "read: what lies before the hole" all '^000000000000fff0 '
vm 0 "read --output" '' read 0x2ffc 15 --output f
expect "read --output: the bytes" [ "$(cat f)" = "across the page" ]
vm 1 "read --output: a directory" 'irectory' read 0 1 --output .

vm 0 "write" '^wrote 3 bytes at 0x100$' write 0x100 414243
vm 1 "write: a hole" 'no writable memory' write 0x10000 00
printf 'write 0x1fff --input f # comment\n\n read 0x1fff 15\n' >b
vm 0 "write --input, and a batch" 'cross the page' batch b
vm 0 "write --virtual" '^wrote 1' write 0xffff800000000000 ff --virtual
head -c 4096 /dev/zero | tr '\0' '\1' >x
vm 0 "xsave" '^vCPU 1 xcr0 0+7 xstate_bv 0+$' xsave --vcpu 1
expect "xsave: all of it" all '^0000000000000ff0  00 00'

vm 0 "xsave --output" "" xsave --output e
expect "xsave --output: 4096 bytes" [ "$(wc -c <e)" = 4096 ]
{ head -c 24 x; head -c 488 e; head -c 88 x; } >f
printf 'xsave --input f\nxsave -o g\n' >b
vm 0 "xsave --input" '^loaded 600 bytes into vCPU 0$' batch b
expect "xsave: what was loaded, then zeros" cmp <(cat f; head -c 3496 e) g
vm 1 "xsave --input: refused" 'MXCSR' xsave --input x
head -c 575 x >f
missing "576 to 4096" listen s xsave --input f
cat x x >f
missing "576 to 4096" listen s xsave --input f
missing "none: No such" listen s xsave --input none
vm 1 "xsave --output: no directory" 'No such' xsave --output none/f
vm 1 "xsave: no such vCPU" 'no such vCPU' xsave --vcpu 2
played=(short=16)
vm 1 "xsave: a short reply" 'sent 4095 bytes of 4096' xsave
played=(short=37)
vm 1 "xsave: a short reply to GET_XCR" 'VCPU_GET_XCR: .* 7 bytes of 8' xsave
played=(short=15)
vm 1 "cpuid: a short reply" 'sent 15 bytes of 16' cpuid 1
played=()

vm 0 "cpuid" '^0x00000000 0x00: eax 00000007 ebx 756e6547 ecx 00000000 edx 00000000$' cpuid
expect "cpuid: all leaves" [ "$(wc -l <out)" = 6 ]
vm 0 "cpuid LEAF" '^0x00000007 0x01: eax 00000010' cpuid 7
expect "cpuid: both indices" [ "$(wc -l <out)" = 2 ]
vm 0 "cpuid LEAF INDEX" '^0x00000007 0x01: eax 00000010' cpuid 7 1 --vcpu 1
expect "cpuid: only that" [ "$(wc -l <out)" = 1 ]
vm 1 "cpuid: no such leaf" 'no leaf 0x7 with index 2' cpuid 7 2
vm 1 "cpuid: no such vCPU" 'no such vCPU' cpuid --vcpu 2

vm 0 "translate" '^0xffff800000001234 -> 0x1234$' translate 0xffff800000001234
vm 1 "translate: not mapped" 'not mapped' translate 0

printf 'info\nread x 1\ninfo\n' >b
vm 2 "a batch stops at the first error" 'line 2 failed' batch b
printf 'write 0 00\n#\nresume\n' >b
vm 1 "batch --mark" '^=$' batch b --mark =
expect "a mark after every line" [ "$(tr '\n' ' ' <out)" = "wrote 1 bytes at 0x0 = = = " ]
printf 'batch b\n' >b
vm 2 "no batch in a batch" 'another' batch b

# JSON: one document per line that a JSON reader takes.
json=(--json)
cat >b <<'B'
info
regs --msr 0x10
xsave
xsave --input e
cpuid 1
inject pf
step 2
break 0xffff800000008000 --count 1
read 0x2ffc 15
write 0 0102
translate 0xffff800000000000
pause --keep
resume
pause --cr 3 --keep
resume
trace --count 5
B
vm 0 "--json for every command" '"address_spaces":3' batch b
expect "--json: every line is a document" python3 -c '
import json
assert len([json.loads(line) for line in open("out")]) >= 24'
expect "--json: values" all '"name":"fake \\"vm\\""' '"data":"6163726f7373207468652070616765"' \
	'"gpa":"0x0"' '"commands":\{.*"VM_GET_INFO":"allowed"' \
	'"page_access":true,"page_access_none":true,"page_access_exec_only":true,"page_access_walks_write":false'
json=()
