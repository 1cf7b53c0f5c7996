// SPDX-License-Identifier: GPL-2.0-only
/*
 * fake_vm SOCKET [deny-trace]: plays QEMU and the kernel for tests of kvmi that
 * have no KVM: two vCPUs, 64 KiB of memory, one writable page table (virtual
 * address 0xffff800000000000 + x is x), and CR3 events as long as they are on.
 * Ends with status 0 if it was left as it was found: events off, nothing paused.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvmi.h>

#define VCPUS 2
#define MEMORY 65536
#define LINEAR 0xffff800000000000ULL

static struct vcpu {
	bool cr_event, cr3;
	unsigned int pauses;
	/* Number of the event that waits for its answer, 0 for none. */
	uint32_t waits;
	uint64_t cr3_value;
} vcpus[VCPUS];

static uint8_t memory[MEMORY], in[8192];
static uint32_t events;
static bool deny_trace;
static int fd;

static void put(const void *data, size_t size)
{
	if (size && send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
		exit(4);
}

static void reply(const struct kvmi_msg_hdr *req, int err, const void *data,
		  size_t size)
{
	struct kvmi_msg_hdr hdr = { .id = req->id, .seq = req->seq };
	struct kvmi_error_code ec = { .err = err };

	if (err)
		size = 0;
	hdr.size = sizeof(ec) + size;
	put(&hdr, sizeof(hdr));
	put(&ec, sizeof(ec));
	put(data, size);
}

static void event(int i, uint8_t id, const void *data, size_t size)
{
	struct kvmi_msg_hdr hdr = { .id = KVMI_EVENT, .seq = ++events };
	struct kvmi_event ev = { .size = sizeof(ev), .vcpu = i, .event = id };

	ev.arch.mode = 8;
	ev.arch.regs.rip = 0x1000 + i;
	hdr.size = sizeof(ev) + size;
	put(&hdr, sizeof(hdr));
	put(&ev, sizeof(ev));
	put(data, size);
	vcpus[i].waits = hdr.seq;
}

/* What a vCPU does when nothing is asked of it. */
static void run_vcpu(int i)
{
	struct vcpu *v = &vcpus[i];
	struct kvmi_vcpu_event_cr cr = { .cr = 3, .old_value = v->cr3_value };

	if (v->waits)
		return;
	if (v->pauses) {
		v->pauses--;
		event(i, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	} else if (v->cr_event && v->cr3) {
		/* Three address spaces, one of them with two PCIDs. */
		static const uint64_t next[] = { 0x4000, 0x5001, 0x5002, 0x6000 };

		v->cr3_value = next[events % 4];
		cr.new_value = v->cr3_value;
		event(i, KVMI_VCPU_EVENT_CR, &cr, sizeof(cr));
	}
}

static void vm_command(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	const struct kvmi_vm_get_info_reply info = { .vcpu_count = VCPUS };
	const struct kvmi_get_version_reply version = {
		.version = 1, .features.singlestep = 1
	};
	const uint64_t max_gfn = MEMORY / 4096;
	uint64_t at[2];

	memcpy(at, p, sizeof(at));
	switch (hdr->id) {
	case KVMI_GET_VERSION:
		return reply(hdr, 0, &version, sizeof(version));
	case KVMI_VM_CHECK_COMMAND:
		return reply(hdr, deny_trace && p[0] == KVMI_VCPU_CONTROL_CR ?
			     -KVM_EPERM : 0, NULL, 0);
	case KVMI_VM_CHECK_EVENT:
		return reply(hdr, 0, NULL, 0);
	case KVMI_VM_GET_INFO:
		return reply(hdr, 0, &info, sizeof(info));
	case KVMI_VM_GET_MAX_GFN:
		return reply(hdr, 0, &max_gfn, 8);
	case KVMI_VM_READ_PHYSICAL:
		return reply(hdr, at[0] + at[1] > MEMORY ? -KVM_ENOENT : 0,
			     memory + at[0], at[1]);
	case KVMI_VM_WRITE_PHYSICAL:
		if (at[0] + at[1] <= MEMORY)
			memcpy(memory + at[0], p + 16, at[1]);
		return reply(hdr, at[0] + at[1] > MEMORY ? -KVM_ENOENT : 0, NULL, 0);
	default:
		return reply(hdr, -KVM_ENOSYS, NULL, 0);
	}
}

static void get_registers(const struct kvmi_msg_hdr *hdr, int i,
			  const uint8_t *p)
{
	struct {
		struct kvmi_vcpu_get_registers_reply fixed;
		struct kvm_msr_entry msrs[8];
	} r = { .fixed.mode = 8 };
	uint32_t index;
	int k;

	r.fixed.regs.rip = 0x1000 + i;
	r.fixed.sregs.cr3 = vcpus[i].cr3_value;
	for (k = 0; k < p[0] && k < 8; k++) {
		memcpy(&index, p + 8 + 4 * k, sizeof(index));
		if (index == 0xffffffff)
			return reply(hdr, -KVM_EINVAL, NULL, 0);
		r.msrs[k] = (struct kvm_msr_entry){ .index = index, .data = 0xd01 };
	}
	reply(hdr, 0, &r, sizeof(r.fixed) + k * sizeof(r.msrs[0]));
}

static void vcpu_command(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	const uint64_t hz = 1000000000;
	struct vcpu *v;
	uint64_t gva;

	if (p[0] >= VCPUS || p[1])
		return reply(hdr, -KVM_EINVAL, NULL, 0);
	v = &vcpus[p[0]];
	switch (hdr->id) {
	case KVMI_VCPU_GET_INFO:
		return reply(hdr, 0, &hz, 8);
	case KVMI_VCPU_PAUSE:
		v->pauses++;
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_CONTROL_EVENTS:
		v->cr_event = p[10];
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_CONTROL_CR:
		if (deny_trace)
			return reply(hdr, -KVM_EPERM, NULL, 0);
		if (p[12] == 3)
			v->cr3 = p[8];
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_GET_REGISTERS:
		return get_registers(hdr, p[0], p + 8);
	case KVMI_VCPU_TRANSLATE_GVA:
		memcpy(&gva, p + 8, sizeof(gva));
		gva = gva >= LINEAR && gva - LINEAR < MEMORY ? gva - LINEAR : ~0ULL;
		return reply(hdr, 0, &gva, 8);
	default:
		return reply(hdr, -KVM_ENOSYS, NULL, 0);
	}
}

/* An answer that does not fit closes the connection of a real kernel. */
static void event_reply(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	struct vcpu *v = &vcpus[p[0] < VCPUS ? p[0] : 0];

	if (hdr->size < 16 || p[0] >= VCPUS || !v->waits || v->waits != hdr->seq ||
	    p[8] || (p[9] == KVMI_VCPU_EVENT_CR && memcmp(p + 16, &v->cr3_value, 8))) {
		fprintf(stderr, "fake_vm: a bad answer to an event\n");
		exit(5);
	}
	v->waits = 0;
}

/* One message; false at the end of the connection. */
static bool serve(void)
{
	struct kvmi_msg_hdr hdr;

	if (recv(fd, &hdr, sizeof(hdr), MSG_WAITALL) != sizeof(hdr))
		return false;
	memset(in, 0, sizeof(in));
	if (hdr.size && recv(fd, in, hdr.size, MSG_WAITALL) != hdr.size)
		return false;
	switch (hdr.id) {
	case KVMI_VCPU_EVENT_REPLY:
		event_reply(&hdr, in);
		break;
	case KVMI_VCPU_GET_INFO:
	case KVMI_VCPU_PAUSE:
	case KVMI_VCPU_CONTROL_EVENTS:
	case KVMI_VCPU_CONTROL_CR:
	case KVMI_VCPU_GET_REGISTERS:
	case KVMI_VCPU_SET_REGISTERS:
	case KVMI_VCPU_GET_CPUID:
	case KVMI_VCPU_TRANSLATE_GVA:
		vcpu_command(&hdr, in);
		break;
	default:
		vm_command(&hdr, in);
	}
	return true;
}

static void handshake(const char *path)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	uint8_t hello[96] = { 96 }, answer[24];
	int64_t start = 1000000000;
	int tries = 2000;

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	/* As QEMU's reconnect: the tool may not listen yet. */
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (!--tries)
			exit(3);
		nanosleep(&pause, NULL);
	}
	memset(hello + 4, 0xab, 16);
	memcpy(hello + 24, &start, 8);
	strcpy((char *)hello + 32, "fake \"vm\"");
	put(hello, sizeof(hello));
	if (recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		exit(3);
}

int main(int argc, char **argv)
{
	struct pollfd p = { .events = POLLIN };
	int i, left = 0;

	if (argc < 2)
		return 2;
	deny_trace = argc > 2;
	for (i = 0; i < MEMORY; i++)
		memory[i] = i >> 12;
	strcpy((char *)memory + 0x2ffc, "across the page");
	handshake(argv[1]);
	p.fd = fd;

	do {
		for (i = 0; i < VCPUS; i++)
			run_vcpu(i);
		poll(&p, 1, -1);
	} while (serve());

	for (i = 0; i < VCPUS; i++)
		left |= vcpus[i].cr_event || vcpus[i].cr3 || vcpus[i].pauses ||
			vcpus[i].waits;
	return left;
}
