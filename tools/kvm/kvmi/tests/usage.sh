# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by cli.sh: help, and arguments that are wrong.

good=0
for command in info regs xsave cpuid read write translate pause resume trace step \
	break inject watch batch dump strings; do
	run help $command
	[ "$status" = 0 ] && grep -q "^usage: kvmi .*$command" out || good=1
	cp out first
	run listen s $command --help
	[ "$status" = 0 ] && cmp -s out first || good=1
	run --help
	grep -qE "^  $command +[a-z]" out || good=1
done
result $good "help for every command, and in the list"

run --version
expect "--version" exited 0 '^kvmi [0-9]'
run
expect "no arguments" exited 2 '^usage:'
: >out
status=0
"$KVMI" --help >/dev/full 2>err || status=$?
expect "output that cannot be written" exited 1 'cannot write'

usage "no command 'x'" help x
usage "no command 'x'" x
usage "unrecognized option" --x
usage "needs a VM" info
usage "needs a SOCKET" listen
usage "command is missing" listen s
usage "no command 'x'" listen s x
usage "requires an argument" listen s --key
usage "no number of seconds" listen s --wait soon info
usage "no number of seconds" listen s --timeout -1 info
usage "needs --pid" attach info
usage "--pid" attach --pid x info
usage "--vm" attach --pid 1 --vm -1 info
usage "command is missing" attach --pid 1

usage "usage: kvmi" listen s info x
usage "usage: kvmi" listen s regs 1
usage "--vcpu" listen s regs --vcpu 65536
usage "--msr" listen s regs --msr 0x100000000
usage "--msr" listen s regs --msr 10,x
usage "usage: kvmi" listen s read 0
usage "usage: kvmi" listen s read 0 1 2
usage "ADDRESS" listen s read 10zz 1
usage "ADDRESS" listen s read 0x10000000000000000 1
usage "ADDRESS" listen s read ' 1' 1
usage "SIZE" listen s read 0 0
usage "SIZE" listen s read 0 1T
usage "SIZE" listen s read 0 0x8000000000000000K
usage "last address" listen s read 0xffffffffffffffff 2
usage "16777216" --json listen s read 0 17M
usage "usage: kvmi" listen s write 0
usage "two hexadecimal digits" listen s write 0 abc
usage "two hexadecimal digits" listen s write 0 zz
usage "two hexadecimal digits" listen s write 0 ''
usage "usage: kvmi" listen s write 0 ab --input f
usage "usage: kvmi" listen s translate
usage "no number of seconds" listen s pause --for -1
usage "--keep can be used in a batch only" listen s pause --keep
usage "usage: kvmi" listen s pause --background
usage "usage: kvmi" listen s pause --pidfile f
usage "choose among 0, 3 and 4" listen s pause --cr 2
usage "--rip: ADDR: 'x' is no number" listen s pause --cr 3 --rip x
usage "--rip: END: 1 is not behind 1" listen s pause --cr 3 --rip 1-1
usage "--rip: it tells where a register of --cr" listen s pause --rip 1
usage "usage: kvmi" resume
usage "choose among 0, 3 and 4" listen s trace --cr 1
usage "--cr" listen s trace --cr 3,8
usage "choose among 0, 3 and 4" listen s trace --cr ''
usage "--count" listen s trace --count x
usage "there is no 'crs'" listen s trace --event cr,crs
usage "choose at least one" listen s trace --event ''
usage "--msr: 'lstar' is no number" listen s trace --msr lstar
usage "name at least one" listen s trace --msr ','
usage "--msr" listen s trace --msr 0x100000000
usage "at most 256" listen s trace --msr "$(seq -s, 0 256)"
usage "usage: kvmi" listen s trace 1
usage "usage: kvmi" listen s step
usage "usage: kvmi" listen s step 1 2
usage "N: 'x' is no number" listen s step x
usage "0 instructions" listen s step 0
usage "--vcpu" listen s step 1 --vcpu x
usage "unrecognized option" listen s step 1 --summary
usage "usage: kvmi" listen s break
usage "usage: kvmi" listen s break 1 2
usage "ADDRESS" listen s break entry
usage "no number of seconds" listen s break 1 --duration x
usage "usage: kvmi" listen s inject
usage "usage: kvmi" listen s inject gp 1
usage "no exception 'xx'" listen s inject xx
usage "is more than 31" listen s inject 32
usage "which is no exception" listen s inject 2
usage "vector 6 has none" listen s inject ud --error-code 0
usage "--error-code" listen s inject gp --error-code 0x100000000
usage "only a page fault" listen s inject gp --address 0
usage "usage: kvmi" listen s xsave 1
usage "usage: kvmi" listen s xsave --input a --output b
usage "--vcpu" listen s xsave --vcpu -1
usage "usage: kvmi" listen s cpuid 1 2 3
usage "LEAF" listen s cpuid x
usage "INDEX" listen s cpuid 1 0x100000000
usage "usage: kvmi" listen s batch

# Not usage: what the arguments name is not there. Exit status 1.
missing() {
	local text=$1 good=1
	shift
	run "$@"
	if [ "$status" = 1 ] && grep -qF -- "$text" err; then good=0; fi
	result $good "failure: kvmi $*"
}
: >empty
missing "there is no process" attach --pid 2147483647 info
missing "has no VM" attach --pid $$ info
missing "No such file" listen s --key none info
missing "is empty" listen s --key empty info
missing "no VMM connected in time" listen s --wait 0.05 info
missing "is no socket" listen empty --wait 0.05 info
missing "No such file" listen s batch none
missing "No such file" listen s write 0 --input none
missing "is empty" listen s write 0 --input empty
missing "nothing is paused" resume --pidfile none
missing "runs; remove the file" resume --pidfile empty
