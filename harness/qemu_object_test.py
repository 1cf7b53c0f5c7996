#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's introspection object against a tool: handshake, hook, reconnect, end.

Runs where KVM has introspection (in L1, see test-qemu-object.sh) and prints TAP.
"""

import hashlib
import struct
import sys
import time

from qemu_vm import (CHECK_COMMAND, CHECK_EVENT, GET_INFO, GET_VERSION, NAME, SECRET, UUID,
                     Connection, Vm, check, wait_for)

TESTS = []


def test(text, **options):
    """Register a test; it gets a running VM made with these options."""
    def register(function):
        TESTS.append((text, function, options))
        return function
    return register


def version_works(conn):
    err, data = conn.call(GET_VERSION)
    check(err == 0 and struct.unpack_from('=I', data)[0] >= 1, f'GET_VERSION: {err} {data}')


@test('hello names the guest, and the right key hooks it')
def hello(vm):
    before = int(time.time())
    conn = vm.tool.accept()
    uuid, start, name = conn.hello()
    check(uuid == UUID.replace('-', ''), f'uuid {uuid}')
    check(name == NAME, f'name "{name}"')
    check(before - 600 <= start <= time.time(), f'start time {start}')
    conn.sock.sendall(conn.answer())
    vm.wait_state('hooked')
    version_works(conn)
    err, _ = conn.call(GET_INFO)
    check(err == 0, f'GET_INFO: {err}')


def fast_tool(vm, size):
    conn = vm.tool.accept()
    conn.hello()
    answer = conn.answer(size=size, surplus=b'x' * (size - 24))
    conn.sock.sendall(answer + conn.command(GET_VERSION))
    err, _ = conn.reply(GET_VERSION)
    check(err == 0, f'GET_VERSION: {err}')
    version_works(conn)


@test('a command right behind the answer reaches KVM')
def fast(vm):
    fast_tool(vm, 24)


@test('a longer answer is accepted, its surplus dropped, the command behind it kept')
def longer(vm):
    fast_tool(vm, 32)


@test('the same with the longest answer')
def longest(vm):
    fast_tool(vm, 65536)


@test('an answer that comes byte by byte is accepted')
def dribble(vm):
    conn = vm.tool.accept()
    conn.hello()
    for byte in conn.answer(size=30, surplus=b'xxxxxx') + conn.command(GET_VERSION):
        conn.sock.sendall(bytes([byte]))
        time.sleep(0.01)
    err, _ = conn.reply(GET_VERSION)
    check(err == 0, f'GET_VERSION: {err}')


def refused(vm, data, message):
    """QEMU hangs up on this answer, says why, and takes the next one."""
    conn = vm.tool.accept()
    conn.hello()
    conn.sock.sendall(data)
    check(conn.ends() == b'', 'data after the handshake')
    vm.wait_log(message)
    vm.running()
    version_works(vm.tool.hook(vm))
    vm.running()


@test('a wrong key is refused and not logged')
def wrong_key(vm):
    wrong = 'open barley'
    refused(vm, Connection.answer(wrong), 'does not know the key')
    for secret in (SECRET, wrong):
        check(secret not in vm.log(), 'the secret is in the log')
        check(hashlib.sha1(secret.encode()).hexdigest() not in vm.log(), 'a hash is in the log')


@test('without a key QEMU warns and takes any tool', key=False)
def no_key(vm):
    vm.wait_log('is not authenticated')
    conn = vm.tool.accept()
    conn.hello()
    conn.sock.sendall(conn.answer('anything'))
    vm.wait_state('hooked')
    version_works(conn)


@test('an answer of 23 bytes is refused')
def short_answer(vm):
    refused(vm, struct.pack('=I', 23) + bytes(19), 'answer has 23 bytes')


@test('an answer of 0 bytes is refused')
def empty_answer(vm):
    refused(vm, bytes(24), 'answer has 0 bytes')


@test('an answer of 64 KiB and a byte is refused')
def long_answer(vm):
    refused(vm, struct.pack('=I', 65537), 'answer has 65537 bytes')


@test('an answer of 4 GiB is refused')
def huge_answer(vm):
    refused(vm, struct.pack('=I', 0xffffffff), 'answer has 4294967295 bytes')


@test('a silent tool is given up after handshake_timeout', options=',handshake_timeout=1')
def silent(vm):
    refused(vm, b'', 'did not finish the handshake within 1 s')


@test('a tool that falls silent within its answer is given up', options=',handshake_timeout=1')
def silent_later(vm):
    refused(vm, struct.pack('=I', 24) + bytes(19), 'did not finish the handshake within 1 s')


@test('a tool may close at every step of the handshake')
def close_early(vm):
    conn = vm.tool.accept()
    conn.close()
    vm.wait_log('closed the connection during the handshake')
    for size in (0, 3, 4, 23):
        conn = vm.tool.accept()
        conn.hello()
        conn.sock.sendall(conn.answer()[:size])
        conn.close()
        vm.running()
    version_works(vm.tool.hook(vm))


@test('the same fault is reported once, until a tool succeeds')
def report_once(vm):
    def wrong_tool(reports):
        conn = vm.tool.accept()
        conn.hello()
        conn.sock.sendall(conn.answer('wrong'))
        conn.ends()
        count = vm.log().count('does not know the key')
        check(count == reports, f'{count} reports, not {reports}')

    wrong_tool(1)
    wrong_tool(1)
    vm.tool.hook(vm).close()
    wrong_tool(2)


@test('QEMU reconnects after each close, and hooks again')
def reconnect(vm):
    for _ in range(4):
        conn = vm.tool.hook(vm)
        version_works(conn)
        conn.close()
    vm.running()


@test('QEMU waits for a tool that is away')
def late_tool(vm):
    conn = vm.tool.hook(vm)
    vm.tool.away()
    conn.close()
    vm.wait_log('Unable to connect')
    vm.wait_state('disconnected')
    vm.tool.listen()
    version_works(vm.tool.hook(vm))


@test('a reset ends the session and the next one has a later start time')
def reset(vm):
    conn = vm.tool.accept()
    _, start, _ = conn.hello()
    conn.sock.sendall(conn.answer())
    vm.wait_state('hooked')
    version_works(conn)
    wait_for(lambda: time.time() >= start + 1, 'a second')
    vm.qmp('system_reset')
    conn.ends()
    conn = vm.tool.accept()
    _, again, _ = conn.hello()
    check(start < again <= time.time(), f'start time {start}, then {again}')
    conn.sock.sendall(conn.answer())
    vm.wait_state('hooked')
    version_works(conn)
    vm.running()


@test('a reset within the handshake starts it again')
def reset_early(vm):
    conn = vm.tool.accept()
    conn.hello()
    vm.qmp('system_reset')
    check(conn.ends() == b'', 'data after the reset')
    version_works(vm.tool.hook(vm))


@test('a reset ends the session while a vCPU waits for the tool')
def reset_waiting(vm):
    conn = vm.tool.hook(vm)
    conn.pause()
    vm.qmp('system_reset')
    conn.ends()
    version_works(vm.tool.hook(vm))
    vm.running()


@test('a stop and a start work while a vCPU waits for the tool')
def stop_waiting(vm):
    conn = vm.tool.hook(vm)
    conn.pause()
    check(vm.qmp('stop') == {}, 'no stop')
    version_works(conn)
    check(vm.qmp('cont') == {}, 'no start')
    vm.running()
    version_works(conn)


@test('a tool that leaves a vCPU waiting gives it back')
def close_waiting(vm):
    for _ in range(2):
        conn = vm.tool.hook(vm)
        conn.pause()
        conn.close()
    vm.running()


@test('by default everything is allowed')
def allow_all(vm):
    conn = vm.tool.hook(vm)
    for ident in (CHECK_COMMAND, GET_INFO, 17, 35):
        check(conn.call(CHECK_COMMAND, struct.pack('=HHI', ident, 0, 0))[0] == 0,
              f'command {ident} is not allowed')
    for ident in (0, 1, 10):
        check(conn.call(CHECK_EVENT, struct.pack('=HHI', ident, 0, 0))[0] == 0,
              f'event {ident} is not allowed')


@test('command= and event= allow what they list', options=',command=5,command=17-18,event=1')
def allow_some(vm):
    conn = vm.tool.hook(vm)
    for ident, expected in ((2, 0), (3, 0), (5, 0), (17, 0), (18, 0), (6, -1), (29, -1)):
        err, _ = conn.call(CHECK_COMMAND, struct.pack('=HHI', ident, 0, 0))
        check(err == expected, f'command {ident}: {err}')
    for ident, expected in ((1, 0), (0, -1), (10, -1)):
        err, _ = conn.call(CHECK_EVENT, struct.pack('=HHI', ident, 0, 0))
        check(err == expected, f'event {ident}: {err}')
    check(conn.call(29)[0] == -1, 'GET_MAX_GFN is not refused')


@test('an id that the kernel does not know ends the session with its number',
      options=',event=63')
def unknown_id(vm):
    conn = vm.tool.accept()
    conn.hello()
    conn.sock.sendall(conn.answer())
    conn.ends()
    vm.wait_log('KVM did not allow event 63')
    vm.running()


@test('a second object is refused')
def second(vm):
    vm.qmp('chardev-add', id='d', backend={'type': 'socket', 'data': {
        'server': False, 'reconnect': 1,
        'addr': {'type': 'unix', 'data': {'path': vm.tool.path + '2'}}}})
    error = vm.qmp('object-add', **{'qom-type': 'introspection', 'id': 'l', 'chardev': 'd'})
    check("one introspection object, and 'k' exists" in error, error)
    version_works(vm.tool.hook(vm))


@test('the object is deleted only without a tool, and can be added again')
def delete(vm):
    conn = vm.tool.hook(vm)
    error = vm.qmp('object-del', id='k')
    check('is in use' in error, f'deleted while a tool is connected: {error}')
    version_works(conn)
    vm.tool.away()
    conn.close()
    vm.wait_state('disconnected')
    check(vm.qmp('object-del', id='k') == {}, 'not deleted')
    vm.tool.listen()
    check(vm.qmp('object-add', **{'qom-type': 'introspection', 'id': 'k', 'chardev': 'c',
                                  'command': [5], 'key': 's'}) == {}, 'not added')
    conn = vm.tool.hook(vm)
    check(conn.call(GET_INFO)[0] == 0, 'GET_INFO is refused')
    vm.running()


@test('properties cannot change under a session')
def fixed(vm):
    vm.tool.hook(vm)
    for name, value in (('chardev', 'd'), ('key', 's'), ('command', [1]), ('event', [1]),
                        ('handshake_timeout', 5)):
        error = vm.qmp('qom-set', path='/objects/k', property=name, value=value)
        check('properties are fixed' in error, f'{name}: {error}')


@test('QEMU quits while a tool is attached')
def quit_hooked(vm):
    conn = vm.tool.hook(vm)
    vm.quit()
    conn.ends()


@test('QEMU quits while a vCPU waits for the tool')
def quit_waiting(vm):
    conn = vm.tool.hook(vm)
    conn.pause()
    vm.quit()
    conn.ends()


@test('QEMU quits within the handshake')
def quit_early(vm):
    conn = vm.tool.accept()
    conn.hello()
    vm.quit()
    conn.ends()


@test('a killed QEMU ends the session, even with a vCPU that waits')
def killed(vm):
    conn = vm.tool.hook(vm)
    conn.pause()
    vm.process.kill()
    conn.ends()


def run(number, text, function, options):
    log = ''
    try:
        vm = Vm(**options)
        try:
            function(vm)
        finally:
            log = vm.log()
            vm.end()
        print(f'ok {number} - {text}', flush=True)
        return True
    except Exception as failure:  # whatever a test raises is its failure
        print(f'not ok {number} - {text}')
        print(f'# {failure!r}')
        for line in log.splitlines():
            print(f'# QEMU: {line}')
        sys.stdout.flush()
        return False


def main():
    print(f'1..{len(TESTS)}')
    results = [run(number, *entry) for number, entry in enumerate(TESTS, 1)]
    return 0 if all(results) else 1


sys.exit(main())
