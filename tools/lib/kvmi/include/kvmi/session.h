/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_SESSION_H
#define KVMI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct kvmintro - one connection with one VM; see kvmi/kvmi.h for the rules */
struct kvmintro;

/** kvmintro_new - make a handle without a connection. NULL: no memory. */
struct kvmintro *kvmintro_new(void);

/** kvmintro_free - close the connection and free the handle. NULL is fine. */
void kvmintro_free(struct kvmintro *k);

/**
 * kvmintro_error - one line that explains the last failure of this handle
 *
 * It names the cause and the next step, without newline. It stays valid until
 * the next call with the same handle. Empty when nothing failed yet.
 */
const char *kvmintro_error(const struct kvmintro *k);

/**
 * kvmintro_set_timeout - how long a command waits for its answer
 * @ms: milliseconds, -1 for ever; 15000 in a new handle
 *
 * A vCPU command is answered when the VMM next runs that vCPU, so a VM that
 * its VMM stopped does not answer.
 */
void kvmintro_set_timeout(struct kvmintro *k, int ms);

/**
 * kvmintro_set_cancel_fd - let a descriptor interrupt every wait
 * @fd: for example a signalfd; -1 for none. The library only polls it.
 *
 * While @fd is readable, calls that have to wait return -ECANCELED.
 */
void kvmintro_set_cancel_fd(struct kvmintro *k, int fd);

/**
 * kvmintro_fd - the connection's socket, -1 without one
 *
 * For poll() only. Events can be queued in the library: call
 * kvmintro_wait_event() with a timeout of 0 before each poll().
 */
int kvmintro_fd(const struct kvmintro *k);

/**
 * kvmintro_close - end the connection; the handle can connect again
 *
 * The guest runs on: the kernel answers open events with "continue" and takes
 * back what this connection intercepted. After kvmintro_attach() the VM is also
 * unhooked, so that others can attach, unless the connection was lost: then it
 * may be another tool's by now, and the next one has to attach with force. After
 * kvmintro_accept() unhooking is the VMM's job.
 *
 * Return: 0, or a negative errno if the VM could not be unhooked.
 */
int kvmintro_close(struct kvmintro *k);

/* ---- connections that the VMM opens ---- */

/** struct kvmintro_hello - what the VMM says about its VM */
struct kvmintro_hello {
	/** @uuid: the VM's UUID, zeros if the VMM has none */
	uint8_t uuid[16];
	/** @start_time: seconds since the epoch, 0 if unknown */
	int64_t start_time;
	/** @name: name of the VM, may be empty; always terminated */
	char name[65];
};

#define KVMINTRO_HASH_SIZE 20

/** struct kvmintro_accept_options - for kvmintro_accept(); zeros are defaults */
struct kvmintro_accept_options {
	/** @size: sizeof(struct kvmintro_accept_options) */
	size_t size;
	/** @key_hash: SHA-1 of the secret shared with the VMM, NULL for none */
	const uint8_t *key_hash;
	/** @accept_timeout: for a VMM to connect; 0 and -1: for ever */
	int accept_timeout;
	/** @handshake_timeout: for each step afterwards; 0: 10000 */
	int handshake_timeout;
};

/**
 * kvmintro_hash_key - the form in which a secret is shown to the VMM
 * @key: the secret, exactly the bytes that the VMM has; not necessarily text
 * @hash: receives its SHA-1
 */
void kvmintro_hash_key(const void *key, size_t size,
		       uint8_t hash[KVMINTRO_HASH_SIZE]);

/**
 * kvmintro_listen - open the socket on which VMMs connect
 * @address: path of a Unix socket, or "vsock:PORT"
 *
 * A path that a dead process left behind is taken over. The handle is used for
 * error reports only. The descriptor can serve any number of kvmintro_accept()
 * calls, and is to be closed with kvmintro_unlisten().
 *
 * Return: a descriptor; -EADDRINUSE if another process listens there, -EEXIST
 * if the path is no socket, or another errno of socket(), bind() or listen().
 */
int kvmintro_listen(struct kvmintro *k, const char *address);

/** kvmintro_unlisten - close a descriptor of kvmintro_listen(), unlink its path */
void kvmintro_unlisten(int listen_fd);

/**
 * kvmintro_accept - wait for a VMM, do the handshake, wait until KVM answers
 * @listen_fd: from kvmintro_listen()
 * @options: may be NULL
 *
 * Returns when KVM has the socket and the VMM has allowed something, or half a
 * second after the former when it allows nothing.
 *
 * Return: 0; -EISCONN, -ETIMEDOUT, -ECANCELED; -EPROTO if what connected is no
 * VMM; -ECONNRESET if the VMM refused (wrong key, kernel without support).
 */
int kvmintro_accept(struct kvmintro *k, int listen_fd,
		    const struct kvmintro_accept_options *options);

/** kvmintro_hello - what the VMM said, NULL if there was no handshake */
const struct kvmintro_hello *kvmintro_hello(const struct kvmintro *k);

/* ---- connections that the tool opens ---- */

/** struct kvmintro_attach_options - for kvmintro_attach() */
struct kvmintro_attach_options {
	/** @size: sizeof(struct kvmintro_attach_options) */
	size_t size;
	/** @pid: the VMM */
	pid_t pid;
	/** @vm: which of the process's VMs, from 0; -1: the only one */
	int vm;
	/** @force: take the VM from a tool that has it */
	bool force;
};

/**
 * kvmintro_attach - introspect a VM of a running VMM, which need not know
 *
 * Needs CAP_SYS_PTRACE. Everything is allowed to the new connection.
 *
 * Return: 0 or
 * -EISCONN: the handle is connected;
 * -ESRCH: no such process;
 * -EPERM, -EACCES: CAP_SYS_PTRACE is missing, or kvm.introspection is off;
 * -ENODEV: the process has no VM; -ENOTUNIQ: it has several, @vm must choose;
 * -EEXIST: a tool has the VM, see @force;
 * -ENOTTY: the kernel has no introspection;
 * -EOPNOTSUPP: the VM's memory or state is protected from the host.
 */
int kvmintro_attach(struct kvmintro *k,
		    const struct kvmintro_attach_options *options);

/**
 * kvmintro_use_fd - use a socket whose other end was given to KVM already
 *
 * The handle owns @fd from now on, also in case of an error.
 *
 * Return: 0, -EISCONN, or an errno of fcntl().
 */
int kvmintro_use_fd(struct kvmintro *k, int fd);

#ifdef __cplusplus
}
#endif
#endif
