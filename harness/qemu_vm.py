# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU under test and the tool at the other end of its introspection socket."""

import hashlib
import json
import os
import socket
import struct
import subprocess
import tempfile
import time

QEMU = os.environ['QEMU']
# Emulated hardware is slow: nothing here takes this long unless it hangs.
PATIENCE = 60

UUID = '00112233-4455-6677-8899-aabbccddeeff'
NAME = 'guest under test'
SECRET = 'open sesame'
HELLO = struct.Struct('=I16sIq64s')
HEADER = struct.Struct('=HHI')

EVENT, GET_VERSION, CHECK_COMMAND, CHECK_EVENT, GET_INFO, PAUSE = 1, 2, 3, 4, 5, 7


class Failure(Exception):
    """What a test found to be wrong."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(condition, what):
    """Return the first true value of condition()."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failure(f'waited {PATIENCE} s in vain for {what}')


class Connection:
    """One connection, from QEMU's hello to the end."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(PATIENCE)
        self.seq = 0

    def read(self, size):
        data = b''
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            check(part, f'the connection ended {size - len(data)} bytes early')
            data += part
        return data

    def hello(self):
        """uuid, start time and name of the guest"""
        size, uuid, padding, start, name = HELLO.unpack(self.read(HELLO.size))
        check((size, padding) == (HELLO.size, 0), f'hello has size {size}, padding {padding}')
        check(name.endswith(b'\0'), 'the name has no end')
        return uuid.hex(), start, name.rstrip(b'\0').decode()

    @staticmethod
    def answer(secret=SECRET, size=24, surplus=b''):
        return struct.pack('=I', size) + hashlib.sha1(secret.encode()).digest() + surplus

    def command(self, ident, payload=b''):
        """Bytes of a command; the next reply() belongs to it."""
        self.seq += 1
        return HEADER.pack(ident, len(payload), self.seq) + payload

    def reply(self, ident):
        """Error code and payload of the reply to the last command"""
        got, size, seq = HEADER.unpack(self.read(HEADER.size))
        check((got, seq) == (ident, self.seq), f'reply {got}/{seq} is not {ident}/{self.seq}')
        data = self.read(size)
        return struct.unpack_from('=i', data)[0], data[8:]

    def call(self, ident, payload=b''):
        self.sock.sendall(self.command(ident, payload))
        return self.reply(ident)

    def pause(self):
        """Leave vCPU 0 waiting for the answer to a pause event."""
        err, _ = self.call(PAUSE, bytes(16))
        check(err == 0, f'PAUSE: {err}')
        ident, size, _ = HEADER.unpack(self.read(HEADER.size))
        self.read(size)
        check(ident == EVENT, f'message {ident} is no event')

    def ends(self):
        """Read up to the end of the connection and return what came before it."""
        data = b''
        while True:
            try:
                part = self.sock.recv(4096)
            except ConnectionResetError:
                part = b''
            if not part:
                self.sock.close()
                return data
            data += part

    def close(self):
        self.sock.close()


class Tool:
    """Listens for QEMU."""

    def __init__(self, path):
        self.path = path
        self.listen()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.listener.settimeout(PATIENCE)

    def accept(self):
        return Connection(self.listener.accept()[0])

    def hook(self, vm, surplus=b''):
        """A connection that is past the handshake, with all allowed that will be."""
        conn = self.accept()
        conn.hello()
        conn.sock.sendall(conn.answer(size=24 + len(surplus), surplus=surplus))
        vm.wait_state('hooked')
        return conn

    def away(self):
        self.listener.close()
        os.unlink(self.path)


class Vm:
    """A QEMU with -accel kvm whose guest is its firmware."""

    def __init__(self, options='', key=True, command=()):
        self.dir = tempfile.TemporaryDirectory()
        self.tool = Tool(f'{self.dir.name}/tool')
        with open(f'{self.dir.name}/log', 'wb') as log:
            self.process = subprocess.Popen(self.arguments(options, key, command), stderr=log,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.qmp_read()
            self.qmp('qmp_capabilities')
        except Failure as failure:
            raise Failure(f'{failure}: {self.log()}') from None

    def arguments(self, options, key, command):
        arguments = [QEMU, '-L', '/usr/share/seabios', '-L', '/usr/share/qemu', '-nodefaults',
                     '-display', 'none', '-M', 'pc', '-accel', 'kvm', '-m', '16', '-qmp', 'stdio',
                     '-name', NAME, '-uuid', UUID, '-object', f'secret,id=s,data={SECRET}',
                     '-chardev', f'socket,id=c,path={self.dir.name}/tool,reconnect=1', '-object',
                     'introspection,id=k,chardev=c' + (',key=s' if key else '') + options]
        return arguments + list(command)

    def qmp_read(self):
        line = self.process.stdout.readline()
        check(line, 'QEMU ended')
        return json.loads(line)

    def qmp(self, execute, /, **arguments):
        """The command's result; an error is returned as its text."""
        request = json.dumps({'execute': execute, 'arguments': arguments})
        self.process.stdin.write(request.encode() + b'\n')
        self.process.stdin.flush()
        while True:
            answer = self.qmp_read()
            if 'error' in answer:
                return answer['error']['desc']
            if 'return' in answer:
                return answer['return']

    def state(self):
        return self.qmp('qom-get', path='/objects/k', property='state')

    def wait_state(self, state):
        wait_for(lambda: self.state() == state, f'state {state}')

    def log(self):
        with open(f'{self.dir.name}/log', encoding='utf-8') as log:
            return log.read()

    def wait_log(self, text):
        try:
            wait_for(lambda: text in self.log(), 'a message')
        except Failure:
            raise Failure(f'no message "{text}" in: {self.log()}') from None

    def running(self):
        check(self.qmp('query-status')['status'] == 'running', 'the guest does not run')

    def quit(self):
        self.qmp('quit')
        check(self.process.wait(PATIENCE) == 0, f'QEMU ended with {self.process.returncode}')

    def end(self):
        """Leave nothing behind, whatever happened."""
        self.process.kill()
        self.process.wait()
        self.tool.listener.close()
        self.dir.cleanup()
