#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In L1: run the tests of /run/job/tests (name, seconds, command; separated by
# tabs) one after the other. Their output goes to the output line, between
# markers. What each came to is reported on the results line at once, so that
# it is known even if L1 dies in the next one:
#   start NAME / r NAME pass|skip|fail TEXT / end NAME SECONDS

JOB=/run/job
bb() { $JOB/busybox "$@"; }
report() { echo "$*" >>/dev/ttyS2; }
complaints() { bb dmesg | bb grep -E -f $JOB/splat.patterns; }
uptime_s() { read -r up _ </proc/uptime && echo "${up%.*}"; }

bb mkfifo /run/pipe
cd "$KVMI_ROOT" || exit 1
tab=$(printf '\t')
seen=0
while IFS=$tab read -r name seconds command; do
	report "start $name"
	echo "=== $name"
	began=$(uptime_s)
	# In a process group of its own, so that children that outlive it can be ended:
	# they would keep the pipe open.
	bb tee /run/output </run/pipe &
	tee=$!
	# shellcheck disable=SC2016 # that shell expands it
	bb setsid $JOB/busybox sh -c 'echo $$ >/run/session; exec "$0" timeout -k 5 "$1" /bin/sh -c "$2"' \
		$JOB/busybox "$seconds" "$command" </dev/null >/run/pipe 2>&1
	status=$?
	kill -KILL -- "-$(bb cat /run/session)" 2>/dev/null
	wait $tee
	bb awk -v status=$status -f $JOB/tap.awk /run/output |
		bb sed "s|^|r $name |" >>/dev/ttyS2
	now=$(complaints | bb wc -l)
	if [ "$now" -gt "$seen" ]; then
		complaints | bb tail -n "+$((seen + 1))" | bb head -n 5 |
			bb sed "s|^|r $name fail kernel log: |" >>/dev/ttyS2
		seen=$now
	fi
	report "end $name $(($(uptime_s) - began))"
	echo "=== end"
done <$JOB/tests
