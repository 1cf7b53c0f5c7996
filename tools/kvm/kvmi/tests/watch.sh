# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Sourced by cli.sh: watch, its arguments and what it does with the VM that
# fake_vm plays, whose vCPUs write 0x2010, read 0x2018, write 0x2fff, execute
# 0x3000 and read 0x3ffc, over and over.

usage "usage: kvmi" listen s watch
usage "ADDR: 'rwx' is no address" listen s watch rwx
usage "ADDR: '-1' is no address" listen s watch -- -1
usage "ADDR: '0x1g' is no number" listen s watch 0x1g
usage "ADDR: '0x10000000000000000' is no number" listen s watch 0x10000000000000000
usage "END: '' is no number" listen s watch 0x1000-
usage "END: '1-2' is no number" listen s watch 0-1-2
usage "END: 0x1000 is not behind 0x1000" listen s watch 0x1000-0x1000
usage "END: 1 is not behind 2" listen s watch 2-1
usage "0x10000000000000 is no physical address" listen s watch 0x10000000000000
usage "0x10000000000000 is no physical address" listen s watch 0-0x10000000000001
usage "'rwz' is no access" listen s watch 0 rwz
usage "'rr' is no access" listen s watch 0 rr
usage "'' is no access" listen s watch 0 ''
usage "ADDR: 'w' is no address" listen s watch 0 r w
usage "more than 262144 pages" listen s watch --virtual 0-0x40000001
usage "more than 262144 pages" listen s watch --virtual 0-0x20000001 0-0x20000000
# In sum 2^64.
yes 0-0xffffffffffffffff | head -n 4096 >f || :
usage "more than 262144 pages" listen s watch --virtual --ranges f
usage "--vcpu: 'x' is no number" listen s watch 0 --vcpu x
usage "--vcpu: 65536 is more" listen s watch 0 --vcpu 65536
usage "--seconds: 'x' is no number of seconds" listen s watch 0 --seconds x
usage "--seconds: '-1' is no number of seconds" listen s watch 0 --seconds -1
usage "--count: 'x' is no number" listen s watch 0 --count x
usage "--count: 0 events are none" listen s watch 0 --count 0
usage "unrecognized option" listen s watch 0 --view 1
usage "requires an argument" listen s watch 0 --ranges
usage "--ranges: one file" listen s watch --ranges a --ranges b
missing "none: No such file" listen s watch --ranges none
missing ".: Is a directory" listen s watch 0 --ranges .
usage "--ranges: empty has no ranges" listen s watch --ranges empty
printf '# nothing\n\n \t\r\n' >f
usage "--ranges: f has no ranges" listen s watch --ranges f
printf '0x1000 w\n0x2000 w 0x3000\n' >f
usage "f:2: a line is ADDR[-END] and letters" listen s watch --ranges f
printf '\n0x1000-0xfff\n' >f
usage "f:2: END: 0xfff is not behind 0x1000" listen s watch 0 --ranges f
printf 'x\n' >f
usage "f:1: ADDR: 'x' is no number" listen s watch --ranges f
printf '0 y' >f
usage "f:1: 'y' is no access" listen s watch --ranges f
printf '0x10000000000000\n' >f
usage "f:1: 0x10000000000000 is no physical" listen s watch --ranges f
usage "--event: pf needs pages" listen s trace --event pf

# only N PATTERN: N events were shown, and each matches.
only() {
	[ "$(grep -c ' rip ' out)" = "$1" ] && [ "$(grep ' rip ' out | grep -cE -- "$2")" = "$1" ]
}

vm 0 "watch" '^ +[0-9.]+ vCPU [01] pf w gpa 0+2010 gva ffff800000002010 rip 0+100[01]$' \
	watch 0x2000-0x4000 --count 40
expect "watch: every access" all 'pf r gpa 0+2018 gva ffff800000002018' \
	'pf w gpa 0+2fff' 'pf x gpa 0+3000' 'pf r gpa 0+3ffc gva unknown +rip' \
	'^40 events in' '^  pf r ' '^  pf w ' '^  pf x ' '^  vCPU 1 ' '^0 elsewhere'
expect "watch: as many as asked for" only 40 'pf'
vm 0 "watch one byte" '^[1-9][0-9]* elsewhere' watch 0x2010 --count 6
expect "watch: nothing beside it" only 6 'pf w gpa 0+2010 '
vm 0 "watch: END is not part of it" '^[1-9][0-9]* elsewhere' watch 0x2011-0x2fff --count 6
expect "watch: what lies between" only 6 'pf r gpa 0+2018 '
vm 0 "watch: END - 1 is" 'pf w gpa 0+2fff' watch 0x2018-0x3000 w --count 6
expect "watch: writes alone" only 6 'pf w gpa 0+2fff '
vm 0 "watch executions" '^0 elsewhere' watch 0x2000-0x4000 x --count 4
expect "watch: executions alone" only 4 'pf x gpa 0+3000 '
vm 0 "watch reads, and writes with them" '^  pf w' watch 0x2000-0x4000 r --count 8
expect "watch: no executions" only 8 'pf [rw] '
vm 0 "watch several ranges" '^  pf x' watch 0x2fff w 0x3000 x --count 8
expect "watch: each its own" only 8 'pf (w gpa 0+2fff|x gpa 0+3000) '
vm 0 "watch: two accesses to one page" '^0 elsewhere' watch 0x3000-0x3100 x 0x3f00-0x4000 r --count 8
expect "watch: both" all 'pf x gpa 0+3000' 'pf r gpa 0+3ffc'
vm 0 "watch: ranges that overlap" '^[1-9][0-9]* elsewhere' \
	watch 0x2000-0x2020 w 0x2010-0x2018 r 0x2010-0x2011 x --count 6
expect "watch: the union counts" only 6 'pf w gpa 0+2010 '
vm 0 "watch: a range within another" 'pf w gpa 0+2010 ' \
	watch 0x2000-0x3000 w 0x2000-0x2008 w --count 6
vm 0 "watch: a range behind others" 'pf x gpa 0+3000 ' \
	watch 0x1000 0x1800 0x2010 w 0x3000 x --count 6
expect "watch: and the one before it" all 'pf w gpa 0+2010 '
vm 0 "watch: an access that nobody asked for in this byte" '^0 events' \
	watch 0x2018 w --seconds 0.2
vm 0 "watch --virtual" 'pf x gpa 0+3000' \
	watch 0xffff800000002fff-0xffff800000003001 --virtual --vcpu 1 --count 6
expect "watch --virtual: page by page" only 6 'pf (w gpa 0+2fff|x gpa 0+3000) '
vm 0 "watch --virtual: part of a page" '^[1-9][0-9]* elsewhere' \
	watch 0xffff800000002001-0xffff800000002018 --virtual --count 6
expect "watch --virtual: just that part" only 6 'pf w gpa 0+2010 '
vm 1 "watch --virtual: not mapped" 'watch: .*0xffff800000010000 is not mapped' \
	watch 0xffff80000000f000-0xffff800000011000 --virtual
vm 1 "watch --virtual: no such vCPU" 'watch: .*no such vCPU' \
	watch 0xffff800000002000 --virtual --vcpu 2
vm 0 "watch --seconds" '^0 events in 0\.[2-9] s' watch 0x5000-0x6000 --seconds 0.2
vm 0 "watch --duration" '^0 events in 0\.[2-9] s' watch 0x5000-0x6000 --duration 0.2
vm 0 "watch --summary" '^5 events' watch 0x2000-0x3000 --count 5 --summary
expect "watch --summary: nothing else" absent 'rip'
printf '# two\n0x2010 w # here\n\t0x3000-0x3001\n' >f
vm 0 "watch --ranges" 'pf x gpa 0+3000' watch --ranges f --count 6
expect "watch --ranges: nothing else" only 6 'pf (w gpa 0+2010|x gpa 0+3000) '
vm 0 "watch --ranges, and one beside" 'pf r gpa 0+2018' watch 0x2018 r --ranges f --count 9
seq 4096 8192 4198400 | awk '{ print $1 "-" $1 + 4096, "w" }' >f
vm 0 "watch: more ranges than a message holds" '^0 events' watch --ranges f --seconds 0.1
vm 0 "watch --json" '"event":"pf","access":"w","gpa":"0x2010","gva":"0xffff800000002010","rip":"0x100[01]"' \
	watch 0x2000-0x4000 --count 20 --json
expect "watch --json: all of it" all '"access":"r","gpa":"0x3ffc","gva":null' \
	'"type":"summary","events":20,.*"kinds":\{"pf":20\}.*"pf x":.*"elsewhere":0'
expect "watch --json: every line is a document" python3 -c '
import json
assert len([json.loads(line) for line in open("out")]) == 21'
printf 'watch 0x2010 --count 2\nwatch 0x3000 --count 2\n' >b
vm 0 "watch in a batch, twice" 'pf x gpa 0+3000' batch b

played=(lacks=4)
vm 0 "watch: all, without pages that can only be executed" '^  pf x' watch 0x2000-0x4000 --count 9
vm 1 "watch r alone: not on this host" 'watch: just rw, as from 0x2000: .*executed but not read' \
	watch 0x3000 x 0x2fff r
played=(lacks=2)
vm 0 "watch: all, without pages that have no access" '^0 elsewhere' watch 0x2000-0x4000 --count 9
expect "watch: no executions then" only 9 'pf [rw] '
vm 1 "watch rwx: not on this host" 'watch: just rwx, as from 0x3000: .*without any access' \
	watch 0x3000 rwx
played=(lacks=6)
vm 0 "watch: all, on a host that has neither" '^  pf x' watch 0x2000-0x4000 --count 9
expect "watch: no reads then" only 9 'pf [wx] '
played=(lacks=7)
vm 1 "watch: not on this host" 'this host cannot restrict' watch 0
played=(deny)
vm 1 "watch: not allowed" 'watch: VM_CHECK_COMMAND: not allowed by the VMM' watch 0
played=(late)
vm 0 "watch a new vCPU" 'vCPU 1 pf w' watch 0x2010 --count 20
expect "watch: it counts, too" all '^  vCPU 1   [1-9]'
played=(unhook)
vm 0 "watch ends when the VMM takes the VM back" 'takes the VM back' watch 0x2010
played=(signal)
vm 0 "watch: a signal while pages are restricted, and while that is taken back" \
	'^[0-2] events' watch 0x2010
played=(drop=5)
vm 1 "watch: the connection is lost" 'watch: the connection was closed' watch 0x2010
played=()
signalled INT 'pf w' watch 0x2000-0x4000
signalled TERM 'pf w' watch 0x2010 w
