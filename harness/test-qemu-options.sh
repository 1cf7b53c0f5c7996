#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What QEMU says to options of -object introspection that cannot work. Needs
# neither KVM nor a kernel with introspection.

set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
QEMU=${QEMU:-$HERE/../build/qemu/bin/qemu-system-x86_64}
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

SOCKET="socket,id=c,path=$DIR/tool"
GOOD="$SOCKET,reconnect=1"
NUMBER=0
FAILED=0

result() {
	NUMBER=$((NUMBER + 1))
	if [ "$1" = 0 ]; then
		echo "ok $NUMBER - $2"
	else
		echo "not ok $NUMBER - $2"
		FAILED=1
		sed 's/^/# /' "$DIR/out"
	fi
}

# refused NAME TEXT ARGUMENT...: QEMU ends with status 1, having said TEXT.
refused() {
	local name=$1 text=$2 status=0

	shift 2
	timeout 60 "$QEMU" -nodefaults -display none -M none -accel tcg "$@" \
		</dev/null >"$DIR/out" 2>&1 || status=$?
	echo "(exit status $status; wanted: $text)" >>"$DIR/out"
	if [ $status = 1 ] && sed '$d' "$DIR/out" | grep -qF -- "$text"; then
		result 0 "$name"
	else
		result 1 "$name"
	fi
}

[ -x "$QEMU" ] || { echo "Bail out! there is no $QEMU: run make qemu"; exit 1; }
echo "1..30"

"$QEMU" -object introspection,help >"$DIR/out"
status=0
for option in chardev key command event handshake_timeout; do
	grep -q "^  $option=<.*> *- [A-Z]" "$DIR/out" || status=1
done
result $status "the help describes every option"

refused "TCG is refused, with the way out" "Start QEMU with -accel kvm" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c

# The chardev
python3 - "$DIR/tool" <<-'EOF' &
	import socket, sys
	listener = socket.socket(socket.AF_UNIX)
	listener.bind(sys.argv[1])
	listener.listen(9)
	while listener.accept():
	    pass
EOF
LISTENER=$!
trap 'kill $LISTENER; rm -rf "$DIR"' EXIT
until [ -S "$DIR/tool" ]; do read -r -t 0.1 <> <(:) || kill -0 $LISTENER; done
refused "a socket without reconnect is refused" "chardev 'c' is not a socket that connects" \
	-chardev "$SOCKET" -object introspection,id=k,chardev=c
refused "the message names the fix" "path=SOCKET,reconnect=1" \
	-chardev "$SOCKET" -object introspection,id=k,chardev=c
refused "a socket that listens is refused" "chardev 'c' is not a socket that connects" \
	-chardev "socket,id=c,path=$DIR/own,server=on,wait=off" -object introspection,id=k,chardev=c
refused "another chardev is refused" "chardev 'c' is not a socket that connects" \
	-chardev null,id=c -object introspection,id=k,chardev=c
refused "a multiplexed socket is refused" "chardev 'c' is not a socket that connects" \
	-chardev "$GOOD,mux=on" -object introspection,id=k,chardev=c
refused "telnet is refused" "must be a plain socket" \
	-chardev "$GOOD,telnet=on" -object introspection,id=k,chardev=c
refused "an unknown chardev is refused" "there is no chardev 'd'" \
	-chardev "$GOOD" -object introspection,id=k,chardev=d
refused "the chardev cannot be left out" "Parameter 'chardev' is missing" \
	-chardev "$GOOD" -object introspection,id=k

# A tool in a VM
VSOCK="socket,id=c,cid=4,port=4711"
refused "the message names the fix for it, too" "cid=CID,port=PORT" \
	-chardev "$SOCKET" -object introspection,id=k,chardev=c
refused "a cid without port is refused" "no port given" -chardev socket,id=c,cid=4,reconnect=1
refused "a cid beside a path is refused" "one of 'path', 'fd', 'host' or 'cid'" \
	-chardev "$VSOCK,path=$DIR/tool,reconnect=1"
refused "a cid beside a host is refused" "one of 'path', 'fd', 'host' or 'cid'" \
	-chardev "$VSOCK,host=localhost,reconnect=1"
refused "a cid that is no number is refused" "'cid' must be a number below 2^32, not 'four'" \
	-chardev socket,id=c,cid=four,port=4711,reconnect=1
refused "a cid that is too large is refused" "'cid' must be a number below 2^32, not '4294967296'" \
	-chardev socket,id=c,cid=4294967296,port=4711,reconnect=1
refused "a port that is no number is refused" "must be a number below 2^32, not 'http'" \
	-chardev socket,id=c,cid=4,port=http,reconnect=1
refused "a negative port is refused" "must be a number below 2^32, not '-1'" \
	-chardev socket,id=c,cid=4,port=-1,reconnect=1
refused "a vsock that reconnects is accepted up to the missing KVM" "introspection needs KVM" \
	-chardev "$VSOCK,reconnect=1" -object introspection,id=k,chardev=c

# The key
refused "an unknown secret is refused" "introspection key: No secret with id 's'" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,key=s
refused "another object is no key" "introspection key: Object with id 's' is not a secret" \
	-object iothread,id=s -chardev "$GOOD" -object introspection,id=k,chardev=c,key=s
refused "an empty secret is refused" "introspection key: secret 's' is empty" \
	-object secret,id=s,data= -chardev "$GOOD" -object introspection,id=k,chardev=c,key=s

# Numbers
refused "no time for the handshake is refused" "handshake_timeout must be at least one second" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,handshake_timeout=0
refused "a time that is no number is refused" "'handshake_timeout' expects" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,handshake_timeout=-1
refused "a command beyond the last is refused" "command 128 does not exist: ids go from 0 to 127" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,command=2,command=128
refused "an event beyond the last is refused" "event 64 does not exist: ids go from 0 to 63" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,event=64
refused "a range of ids is checked" "event 64 does not exist" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,event=60-64
refused "a list in JSON is checked" "command 300 does not exist" -chardev "$GOOD" \
	-object '{"qom-type":"introspection","id":"k","chardev":"c","command":[2,300]}'
refused "an id that is no number is refused" "'event' expects" \
	-chardev "$GOOD" -object introspection,id=k,chardev=c,event=cr
refused "good options are accepted up to the missing KVM" "introspection needs KVM" \
	-object secret,id=s,data=x -chardev "$GOOD" \
	-object introspection,id=k,chardev=c,key=s,command=2-9,event=1,handshake_timeout=1

exit $FAILED
