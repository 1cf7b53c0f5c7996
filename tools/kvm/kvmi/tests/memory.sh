# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Sourced by cli.sh: dump, strings, and the way to memory. Each byte of a page of the
# VM that fake_vm plays is the page's number, but for "across the page" at 0x2ffc and
# the program at 0x8000.

usage "usage: kvmi" listen s dump
usage "usage: kvmi" listen s dump a b
usage "--range: ADDR: 'x' is no number" listen s dump a --range x
usage "--range: END: '' is no number" listen s dump a --range 1-
usage "--range: END: 5 is not behind 5" listen s dump a --range 5-5
usage "--range: ADDR: 0x10000000000000 is more" listen s dump a --range 0x10000000000000
usage "there is no way 'mmap'" listen s dump a --way mmap
usage "there is no way ''" listen s read 0 1 --way ''
usage "unrecognized option" listen s write 0 00 --way any
usage "usage: kvmi" listen s strings 0 1
usage "ADDR: 'x' is no number" listen s strings x
usage "END: 1 is not behind 2" listen s strings 2-1
usage "--min: no string" listen s strings -n 0
usage "--min: 4097 is more" listen s strings -n 4097
usage "there is no way" listen s strings --way x

# all_memory OPTIONS...: what fake_vm has in memory, one page after the other.
vm 0 "read all memory" '' read 0 64K -o whole
expect "it is 64 KiB" [ "$(wc -c <whole)" = 65536 ]
vm 0 "dump" '^dumped 64 KiB of memory in 1 ranges, 60 KiB of it written, .*\(commands\)$' dump f.mem
expect "dump: the memory" cmp whole f.mem
expect "dump: for its owner alone" [ "$(stat -c %a f.mem)" = 600 ]
expect "dump: the page of zeros is a hole" [ "$(stat -c %b f.mem)" -lt 128 ]
expect "dump: nothing else is left" [ ! -e f.mem.partial ]
vm 0 "dump tells why nothing is mapped" '^kvmi:   /dev/kvmi-mem: ' dump g.mem
vm 0 "dump --way commands does not" '^dumped' dump h.mem --way commands
expect "nothing on stderr but who is waited for" [ "$(grep -vc 'waiting for QEMU\|^(status' err)" = 0 ]
vm 1 "dump --way vm" "the connection was not made by attaching" dump h2.mem --way vm
vm 1 "dump --way device" '/dev/kvmi-mem' dump h2.mem --way device
vm 1 "dump --way proc" '/proc/kvmi-mem-ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB' dump h2.mem --way proc
vm 1 "dump --way guest" '/dev/kvmmem' dump h2.mem --way guest
vm 1 "read --way vm" "not made by attaching" read 0 1 --way vm
vm 0 "read --way commands" '^0+3000  73 73' read 0x3000 2 --way commands
expect "dump: none of them left a file" [ ! -e h2.mem ] && [ ! -e h2.mem.partial ]

missing "f.mem: the file exists" listen s dump f.mem
missing "no regular file" listen s dump .
echo old >f.mem
vm 0 "dump --force" '^dumped' dump f.mem --force
expect "dump --force: the memory" cmp whole f.mem
vm 1 "dump: no directory" 'none/f: No such' dump none/f
echo of-a-dump-that-was-killed >i.mem.partial
head -c 100000 /dev/zero >>i.mem.partial
vm 0 "dump over what was left" '^dumped' dump i.mem
expect "dump over what was left: the memory" cmp whole i.mem
exec 9>>j.mem.partial
flock -n 9
vm 1 "dump: two at once" 'j.mem.partial: another dump is being written' dump j.mem
exec 9>&-
expect "the other's file is left alone" [ -e j.mem.partial ]

vm 0 "dump --range" '^dumped 6.5 KiB of memory in 1 ranges, 6.5 KiB' dump k.mem --range 0x2800-0x4200
expect "dump --range: up to its end" [ "$(wc -c <k.mem)" = $((0x4200)) ]
expect "dump --range: the memory" cmp -i $((0x2800)) -n $((0x1a00)) whole k.mem
expect "dump --range: a hole before it" cmp -n $((0x2800)) k.mem /dev/zero
vm 0 "dump --range ADDR" '^dumped 4.0 KiB|^dumped 4 KiB' dump l.mem --range 0xf000
vm 1 "dump: no memory there" 'no memory from 0x20000 on in this range' dump m.mem --range 0x20000-0x30000
vm 1 "dump: no memory at all" 'no memory from 0x20000 on$' dump m.mem --range 0x20000

played=(holes)
vm 0 "dump with holes" '^kvmi: 1 pages that cannot be read' dump n.mem
expect "dump with holes: what is said" all '^dumped 48 KiB of memory in 2 ranges, 40 KiB'
expect "dump with holes: what is there" cmp n.mem <(head -c 24576 whole; head -c 16384 /dev/zero
	head -c 49152 whole | tail -c 8192; head -c 4096 /dev/zero; tail -c 12288 whole)
vm 1 "dump: a hole" 'no memory from 0x6000 on in this range' dump n2.mem --range 0x6000-0xa000
played=(signal)
vm 1 "dump: a signal" 'interrupted' dump o.mem
expect "dump: a signal leaves nothing" [ ! -e o.mem ] && [ ! -e o.mem.partial ]
echo old >p.mem
vm 1 "dump --force: a signal" 'interrupted' dump p.mem --force
expect "dump --force: a signal leaves what was there" [ "$(cat p.mem)" = old ]
played=()
limit=$(ulimit -S -f)
ulimit -S -f 16
vm 1 "dump: a file that is too large" 'forbids files of this size' dump q.mem
ulimit -S -f "$limit"
expect "dump: nothing is left" [ ! -e q.mem.partial ]

# The bar is for terminals.
"$FAKE" s & pid=$!
status=0
python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$KVMI" listen s --wait 10 \
	dump r.mem >out 2>err || status=$?
wait $pid
expect "dump: a bar on a terminal" exited 0 '  0% \[ +\] 0 bytes of 64 KiB'
expect "dump: it goes away" all $'\r\033\\[Kdumped'

vm 0 "strings" '^0000000000002ffc across the page$' strings
expect "strings: nothing else but a page of tabs" [ "$(grep -vc $'^0000000000009000 \t*$' out)" = 1 ]
vm 0 "strings -n" '' strings -n 15
expect "strings -n: long enough" all 'across the page'
vm 0 "strings -n 16" '' strings --min 16
expect "strings -n: too long" absent 'across'
vm 0 "strings ADDR-END" '^0000000000003000 ss the$' strings 0x3000-0x3006
vm 0 "strings ADDR" '^0000000000003001 s the page$' strings 0x3001
printf 'write 0x4ffd 41004200430044004500\nwrite 0x5801 780079007a007a00\nstrings --utf16\n' >b
vm 0 "strings --utf16" '^0000000000004ffd u ABCDE$' batch b
expect "strings --utf16: the others" all '^0000000000005801 u xyzz$' '^0000000000002ffc a across the page$'
expect "strings --utf16: no more" [ "$(grep -c '^0.*[a-zA-Z]$' out)" = 3 ]
head -c 9000 /dev/zero | tr '\0' 'A' >x
printf 'write 0x4000 --input x\nstrings 0x4000-0x6328\n' >b
vm 0 "long strings come in pieces" '^0000000000006000 A+$' batch b
expect "their length" [ "$(grep -o A out | wc -l)" = 9000 ]
printf 'write 0x4000 --input x\nstrings 0x4000-0x6002\n' >b
vm 0 "the last piece may be short" '^0000000000006000 AA$' batch b
# Text on both sides of memory that cannot be read.
printf 'write 0xbffe 41424142\nwrite 0xcffe 43444344\nstrings 0xb000 -n 2\n' >b
vm 0 "text that goes on" '^000000000000bffe ABAB$' batch b
played=(holes)
vm 0 "text before a hole" '^000000000000bffe AB$' batch b
expect "text behind it" all '^000000000000d000 CD$'
played=()
json=(--json)
vm 0 "strings --json" '^\{"address":"0x2ffc","encoding":"ascii","text":"across the page"\}$' strings
vm 0 "dump --json" '"memory":65536,"written":61440,"unreadable_pages":0' dump s.mem
expect "dump --json: a document" python3 -c '
import json
d = json.load(open("out"))
assert d["ranges"] == [{"address": "0x0", "size": 65536}] and d["file"] == "s.mem"'
json=()
